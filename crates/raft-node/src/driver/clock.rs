//! The clock of production.

use quorate_types::Instant;

/// Counts from the moment it was made. Monotonic; stands still while the machine sleeps, as the
/// system's does.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that reads zero now.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(nanos)
    }

    /// The system's name for `instant`.
    pub(super) fn to_system(self, instant: Instant) -> std::time::Instant {
        self.0 + std::time::Duration::from_nanos(instant.as_nanos())
    }
}
