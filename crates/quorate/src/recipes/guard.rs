//! What is held by a session.

use quorate_kv_api::Compare;

use super::place::Place;
use super::session::Session;
use crate::pending::Pending;

/// A lock or a permit that is held. Dropping it releases it, without waiting for that.
#[must_use = "it is released when this is dropped"]
pub struct Guard {
    place: Place,
}

impl Guard {
    pub(super) fn new(place: Place) -> Self {
        Self { place }
    }

    /// The fencing token: whoever comes to hold it after this has a greater one. Who keeps the
    /// greatest token seen can refuse a holder that has lost the lock and does not know it.
    pub fn token(&self) -> i64 {
        self.place.revision()
    }

    /// The key that stands for it.
    pub fn key(&self) -> &str {
        self.place.key()
    }

    /// A condition for a transaction: that it is still held.
    pub fn held(&self) -> Compare {
        self.place.held()
    }

    /// The session that holds it.
    pub fn session(&self) -> &Session {
        self.place.session()
    }

    /// Whether it may be lost with its session; see [`Session::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.place.session().is_lost()
    }

    /// Something to wait for that comes when it is lost with its session.
    pub fn lost(&self) -> Pending<()> {
        self.place.session().lost()
    }

    /// Releases it and waits until that is done. If that fails, it is tried again in the
    /// background, until the session ends.
    pub fn unlock(self) -> Pending<()> {
        self.place.give_up()
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({}, {})", self.key(), self.token())
    }
}
