//! One simulated member: its disk, its clock, and the threads of its present life.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_raft_node::core::{Append, Core, Input, Install};
use quorate_raft_node::{Flusher, SnapshotSource, Staged, Stager};
use quorate_storage::memory::{MemoryEngine, MemoryLog};
use quorate_storage::{LogBatch, LogEntry};
use quorate_types::{Instant, LogPosition, MemberId};

use crate::checkers::consensus::LastSeen;
use crate::checkers::flush::Flushes;
use crate::effect::Answer;
use crate::machine::{Machine, new_engine};
use crate::plan::{ClockRate, Step};
use crate::rng::MILLION;

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
    pub(crate) slow_factor: u32,
    /// Where the member is to crash, and for how long.
    pub(crate) crash_at: Option<(Step, Duration)>,
    /// Disk failures that were ordered; how long the member then stays down.
    pub(crate) disk_failures: Vec<Duration>,
    /// How often each thread began to work; counts the noise.
    pub(crate) noise: Noise,
    /// The newest revision of each key that was told to clients of this member.
    pub(crate) seen_revisions: BTreeMap<u32, i64>,
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
}

/// The threads of one life of a member.
pub(crate) struct Running {
    pub(crate) core: Core<Ticket, Answer>,
    pub(crate) machine: Machine,
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
    pub(crate) log_group: Option<LogGroup>,
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

/// Appends that share a sync, and what is purged after them.
#[derive(Default)]
pub(crate) struct LogGroup {
    pub(crate) appends: Vec<Append>,
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
            slow_factor: 1,
            crash_at: None,
            disk_failures: Vec::new(),
            noise: Noise::default(),
            seen_revisions: BTreeMap::new(),
        }
    }

    /// How long a piece of work takes on this member now.
    pub(crate) fn slowed(&self, usual: Duration) -> Duration {
        (usual * self.slow_factor).min(usual.max(SLOWED_MAX))
    }

    /// What this member's clock shows.
    pub(crate) fn local_time(&self, now: Instant) -> Instant {
        let rate = u128::from(self.clock.nanos_per_milli);
        let passed = u128::from(now.as_nanos()) * rate / u128::from(MILLION);
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        Instant::from_nanos(self.clock.origin.as_nanos().saturating_add(passed))
    }

    /// When this member's clock will show `local`.
    pub(crate) fn true_time(&self, local: Instant) -> Instant {
        let passed = u128::from(local.as_nanos().saturating_sub(self.clock.origin.as_nanos()));
        let rate = u128::from(self.clock.nanos_per_milli);
        let truly = (passed * u128::from(MILLION)).div_ceil(rate);
        Instant::from_nanos(u64::try_from(truly).unwrap_or(u64::MAX))
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
}
