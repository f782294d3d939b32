//! One simulated member: its disk, its clock, and the threads of its present life.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_raft_node::core::{Append, Core, Input, Install};
use quorate_raft_node::{Flusher, LogGroup, SnapshotSource, Staged, Stager};
use quorate_storage::memory::{MemoryEngine, MemoryLog};
use quorate_storage::{LogBatch, LogEntry};
use quorate_types::{Instant, LogPosition, MemberId};

use crate::checkers::consensus::LastSeen;
use crate::checkers::flush::Flushes;
use crate::effect::{Answer, Seen};
use crate::machine::{Machine, new_engine};
use crate::plan::{ClockRate, DiskOperation, Step};
use crate::queue::Event;
use crate::rng::MILLION;
use crate::world::Chores;

/// A ticket is the place of a call in the history.
pub(crate) type Ticket = usize;

/// A member through all its lives.
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) clock: ClockRate,
    /// The disk: it survives crashes, but for what was not synced.
    pub(crate) log: MemoryLog,
    pub(crate) engine: MemoryEngine,
    /// Counts the lives.
    pub(crate) life: u64,
    pub(crate) last: LastSeen,
    pub(crate) running: Option<Running>,
    pub(crate) paused_until: Instant,
    /// Until when the disk finishes nothing.
    pub(crate) stalled_until: Instant,
    /// What happens once the pause or the stall is over.
    pub(crate) deferred: Vec<Event>,
    /// Since when the clock stands still.
    pub(crate) frozen_since: Option<Instant>,
    /// How long the clock stood still before that.
    pub(crate) frozen: Duration,
    pub(crate) slow_factor: u32,
    /// How much later the member receives what is sent to it.
    pub(crate) receive_delay: Duration,
    /// Crashes to come soon after the next starts: after how long, and how long it is then down.
    pub(crate) crash_loop: VecDeque<(Duration, Duration)>,
    /// Where the member is to crash, and for how long.
    pub(crate) crash_at: Vec<(Step, Duration)>,
    /// Disk failures that were ordered; how long the member then stays down.
    pub(crate) disk_failures: Vec<(DiskOperation, Duration)>,
    /// How often each thread began to work; counts the noise.
    pub(crate) noise: Noise,
    /// The newest revisions that were told to clients of this member.
    pub(crate) seen: Seen,
}

/// Counters of a member's streams of noise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noise {
    pub(crate) wakes: u64,
    pub(crate) logs: u64,
    pub(crate) applies: u64,
    pub(crate) flushes: u64,
    pub(crate) fetches: u64,
    pub(crate) crashes: u64,
    pub(crate) resumes: u64,
    pub(crate) failures: u64,
}

/// The threads of one life of a member.
pub(crate) struct Running {
    pub(crate) core: Core<Ticket, Answer>,
    pub(crate) machine: Machine,
    pub(crate) chores: Chores,
    pub(crate) flusher: Arc<dyn Flusher>,
    pub(crate) stager: Arc<dyn Stager>,
    pub(crate) inbox: Vec<Input<Ticket, Answer>>,
    pub(crate) wake_scheduled: bool,
    /// When the core wants to be polled, in true time.
    pub(crate) deadline: Instant,
    /// The earliest timer under way.
    pub(crate) timer: Instant,
    pub(crate) log_queue: VecDeque<LogTask>,
    /// What the log thread is writing.
    pub(crate) writing: Option<Writing>,
    /// Written and not synced, for the mirror of what is durable.
    pub(crate) unsynced: Vec<LogBatch>,
    pub(crate) apply_queue: VecDeque<ApplyTask>,
    /// What the apply thread will report.
    pub(crate) apply_report: Option<Input<Ticket, Answer>>,
    pub(crate) opened: BTreeMap<MemberId, Box<dyn SnapshotSource>>,
    pub(crate) staged: BTreeMap<u64, Box<dyn Staged>>,
    pub(crate) staged_count: u64,
    /// Whether a snapshot is being received.
    pub(crate) receiving: bool,
    pub(crate) flushes: Flushes,
    /// Whether the core holds its appends back, because a snapshot replaces the state.
    pub(crate) replacing: bool,
}

/// Work for the log thread.
pub(crate) enum LogTask {
    Append(Append),
    Purge(LogPosition),
}

/// Writes that share a sync, and what is purged after them.
pub(crate) struct Writing {
    pub(crate) group: Option<LogGroup>,
    pub(crate) purge: Option<LogPosition>,
}

/// Work for the apply thread.
pub(crate) enum ApplyTask {
    Apply(Vec<LogEntry>),
    Install(Install),
    OpenSnapshot(MemberId),
}

impl Member {
    pub(crate) fn new(id: MemberId, clock: ClockRate) -> Self {
        Self {
            id,
            clock,
            log: MemoryLog::new(),
            engine: new_engine(),
            life: 0,
            last: LastSeen::default(),
            running: None,
            paused_until: Instant::ZERO,
            stalled_until: Instant::ZERO,
            deferred: Vec::new(),
            frozen_since: None,
            frozen: Duration::ZERO,
            slow_factor: 1,
            receive_delay: Duration::ZERO,
            crash_loop: VecDeque::new(),
            crash_at: Vec::new(),
            disk_failures: Vec::new(),
            noise: Noise::default(),
            seen: Seen::default(),
        }
    }

    /// How long a piece of work takes on this member now.
    pub(crate) fn slowed(&self, usual: Duration) -> Duration {
        (usual * self.slow_factor).min(usual.max(SLOWED_MAX))
    }

    /// What this member's clock shows.
    pub(crate) fn local_time(&self, now: Instant) -> Instant {
        let until = self.frozen_since.map_or(now, |since| since.min(now));
        let passed = u128::from((until - self.frozen).as_nanos());
        let local = passed * u128::from(self.clock.nanos_per_milli) / u128::from(MILLION);
        let local = u64::try_from(local).unwrap_or(u64::MAX);
        Instant::from_nanos(self.clock.origin.as_nanos().saturating_add(local))
    }

    /// When this member's clock will show `local`, if it does not stand still.
    pub(crate) fn true_time(&self, local: Instant) -> Instant {
        let passed = u128::from(local.as_nanos().saturating_sub(self.clock.origin.as_nanos()));
        let rate = u128::from(self.clock.nanos_per_milli);
        let truly = (passed * u128::from(MILLION)).div_ceil(rate);
        Instant::from_nanos(u64::try_from(truly).unwrap_or(u64::MAX)) + self.frozen
    }

    /// Lets the clock run on if it stood still.
    pub(crate) fn thaw(&mut self, now: Instant) {
        if let Some(since) = self.frozen_since.take() {
            self.frozen += now - since;
        }
    }

    /// Whether an event waits, because the member is paused or its disk finishes nothing.
    pub(crate) fn defers(&self, event: &Event, now: Instant) -> bool {
        self.paused_until > now || (self.stalled_until > now && event.is_of_disk())
    }

    /// Takes all faults back that would disturb the member from now on.
    pub(crate) fn heal(&mut self, now: Instant) {
        self.paused_until = Instant::ZERO;
        self.stalled_until = Instant::ZERO;
        self.thaw(now);
        self.slow_factor = 1;
        self.receive_delay = Duration::ZERO;
        self.crash_loop.clear();
        self.crash_at.clear();
        self.disk_failures.clear();
        self.log.forget_failures();
        self.engine.forget_failures();
    }

    /// Takes an order for a failure of this operation, if there is one.
    pub(crate) fn take_failure(&mut self, operation: DiskOperation) -> Option<Duration> {
        let place = self.disk_failures.iter().position(|(ordered, _)| *ordered == operation)?;
        Some(self.disk_failures.remove(place).1)
    }

    /// Whether damage of the state was ordered that nobody has read yet.
    pub(crate) fn has_damage(&self) -> bool {
        self.disk_failures.iter().any(|(ordered, _)| *ordered == DiskOperation::StateDamage)
    }
}

/// However slow a member is, a piece of work takes no longer.
const SLOWED_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_at_their_rate_and_back() {
        let clock = ClockRate { origin: Instant::from_nanos(77), nanos_per_milli: 1_500_000 };
        let member = Member::new(MemberId::new(1), clock);
        assert_eq!(member.local_time(Instant::from_nanos(1_000)).as_nanos(), 1_577);
        for nanos in [0, 1, 999, 123_456_789] {
            let local = Instant::from_nanos(77 + nanos);
            let truly = member.true_time(local);
            assert!(member.local_time(truly) >= local);
        }
    }

    #[test]
    fn a_clock_that_stood_still_is_behind() {
        let clock = ClockRate { origin: Instant::ZERO, nanos_per_milli: 2 * MILLION };
        let mut member = Member::new(MemberId::new(1), clock);
        let at = Instant::from_nanos;
        member.frozen_since = Some(at(100));
        assert_eq!(member.local_time(at(150)), at(200));
        member.thaw(at(160));
        assert_eq!(member.local_time(at(160)), at(200));
        assert_eq!(member.local_time(at(170)), at(220));
        assert_eq!(member.true_time(at(220)), at(170));
    }
}
