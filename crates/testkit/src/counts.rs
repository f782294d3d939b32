//! How often what happened in a run.

use std::fmt;

/// A kind of fault, counted each time that it truly happened. Being ordered is not enough.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// A message was lost on a link that carries others.
    MessageLost,
    /// A message arrived twice.
    MessageDoubled,
    /// The second copy of a message came late.
    CopyLate,
    /// A message took longer than most.
    MessageSlow,
    /// A message arrived before one that was sent earlier over the same link.
    MessageOvertaken,
    /// A message waited for others on a link with a bandwidth.
    MessageQueued,
    /// A message was lost because too many waited.
    QueueOverflow,
    /// A frame was damaged, refused for its checksum, and its connection closed.
    FrameDamaged,
    /// A sender was told that a message was lost which arrived.
    Misreport,
    /// A message of an earlier life of its sender or receiver arrived.
    StaleMessage,
    /// A message of a moment ago arrived once more.
    MessageReplayed,
    /// A message was lost on a link that is cut.
    MessageCut,
    /// A message to a paused member was given up.
    MessageGivenUp,
    /// A message waited for the end of a cut.
    MessageHeld,
    /// Messages left in another order after a cut.
    Reconnect,
    /// A snapshot stream broke.
    StreamBroken,
    /// A snapshot stream arrived and its sender was told that it did not.
    StreamMisreported,
    /// A link carried nothing in one direction.
    OneWayCut,
    /// A follower was cut off.
    FollowerIsolated,
    /// The leader was cut off.
    LeaderIsolated,
    /// Members were split into two groups.
    Split,
    /// Members reached two neighbours only.
    Ring,
    /// Two groups had one member in common.
    Bridge,
    /// The leader reached one follower only.
    OneFollower,
    /// Links were cut one by one and mended in another order.
    Swizzle,
    /// A member received late.
    SlowReceiver,
    /// A member lost its power at any time.
    Crash,
    /// All members lost their power.
    CrashOfAll,
    /// A member lost its power soon after it was opened, again.
    CrashInLoop,
    /// A member lost its power after it sent and before it wrote.
    CrashSent,
    /// A member lost its power between two writes to the log.
    CrashLogWriting,
    /// A member lost its power between a write to the log and its sync.
    CrashLogWritten,
    /// A member lost its power after a sync and before anybody was told.
    CrashLogSynced,
    /// A member lost its power after entries were applied.
    CrashApplied,
    /// A member lost its power after a flush.
    CrashFlushed,
    /// A member lost its power after a purge of the log.
    CrashPurged,
    /// A member lost its power with a part of a snapshot received.
    CrashStaging,
    /// A member lost its power with a snapshot collected.
    CrashStaged,
    /// A member lost its power before a snapshot was installed.
    CrashInstalling,
    /// A member lost its power after a snapshot was installed.
    CrashInstalled,
    /// A member lost its power when it was just opened.
    CrashOpened,
    /// A member was back within 100 ms, mostly within the same term.
    RestartQuick,
    /// A member was away for more than 3 s.
    RestartLate,
    /// A member was closed in an orderly way.
    Reopen,
    /// A member stood still while its clock ran.
    Pause,
    /// A member stood still with its clock.
    PauseFrozen,
    /// A member worked slowly.
    SlowMember,
    /// Somebody asked for another leader.
    Transfer,
    /// A write to the log failed.
    LogWriteFailed,
    /// A sync of the log failed, and some of the data was gone.
    LogSyncLost,
    /// A sync of the log failed, and the data was there all the same.
    LogSyncKept,
    /// A read of the log failed.
    LogReadFailed,
    /// A read of the log found damage.
    LogDamaged,
    /// A write to the state failed.
    StateWriteFailed,
    /// A flush of the state failed.
    StateFlushFailed,
    /// A read of the state found damage.
    StateDamaged,
    /// A disk finished nothing for a time.
    Stall,
    /// A crash lost writes to the log.
    LogLost,
    /// A crash lost writes to the state.
    StateLost,
    /// A crash left a part of a write to the log.
    LogTorn,
    /// A member had a fast clock.
    ClockFast,
    /// A member had a slow clock.
    ClockSlow,
    /// A run had tiny limits.
    TinyLimits,
    /// A member stayed away while the others had to recover.
    Outsider,
}

const NAMES: [(FaultKind, &str); 64] = [
    (FaultKind::MessageLost, "messages lost"),
    (FaultKind::MessageDoubled, "messages doubled"),
    (FaultKind::CopyLate, "late copies"),
    (FaultKind::MessageSlow, "slow messages"),
    (FaultKind::MessageOvertaken, "messages overtaken"),
    (FaultKind::MessageQueued, "messages queued"),
    (FaultKind::QueueOverflow, "queue overflows"),
    (FaultKind::FrameDamaged, "damaged frames"),
    (FaultKind::Misreport, "misreported messages"),
    (FaultKind::StaleMessage, "messages of earlier lives"),
    (FaultKind::MessageReplayed, "replayed messages"),
    (FaultKind::MessageCut, "messages cut off"),
    (FaultKind::MessageGivenUp, "messages to paused members given up"),
    (FaultKind::MessageHeld, "messages held back"),
    (FaultKind::Reconnect, "reordering reconnects"),
    (FaultKind::StreamBroken, "broken streams"),
    (FaultKind::StreamMisreported, "misreported streams"),
    (FaultKind::OneWayCut, "one-way cuts"),
    (FaultKind::FollowerIsolated, "isolated followers"),
    (FaultKind::LeaderIsolated, "isolated leaders"),
    (FaultKind::Split, "splits"),
    (FaultKind::Ring, "rings"),
    (FaultKind::Bridge, "bridges"),
    (FaultKind::OneFollower, "leaders with one follower"),
    (FaultKind::Swizzle, "swizzles"),
    (FaultKind::SlowReceiver, "slow receivers"),
    (FaultKind::Crash, "crashes at any time"),
    (FaultKind::CrashOfAll, "crashes of all"),
    (FaultKind::CrashInLoop, "crashes in loops"),
    (FaultKind::CrashSent, "crashes before log writes"),
    (FaultKind::CrashLogWriting, "crashes between log writes"),
    (FaultKind::CrashLogWritten, "crashes before log syncs"),
    (FaultKind::CrashLogSynced, "crashes after log syncs"),
    (FaultKind::CrashApplied, "crashes after applying"),
    (FaultKind::CrashFlushed, "crashes after flushes"),
    (FaultKind::CrashPurged, "crashes after purges"),
    (FaultKind::CrashStaging, "crashes within snapshots"),
    (FaultKind::CrashStaged, "crashes after snapshots"),
    (FaultKind::CrashInstalling, "crashes before installing"),
    (FaultKind::CrashInstalled, "crashes after installing"),
    (FaultKind::CrashOpened, "crashes after opening"),
    (FaultKind::RestartQuick, "quick restarts"),
    (FaultKind::RestartLate, "late restarts"),
    (FaultKind::Reopen, "orderly restarts"),
    (FaultKind::Pause, "pauses"),
    (FaultKind::PauseFrozen, "pauses of clocks"),
    (FaultKind::SlowMember, "slow members"),
    (FaultKind::Transfer, "leader transfers"),
    (FaultKind::LogWriteFailed, "failed log writes"),
    (FaultKind::LogSyncLost, "failed log syncs, data gone"),
    (FaultKind::LogSyncKept, "failed log syncs, data there"),
    (FaultKind::LogReadFailed, "failed log reads"),
    (FaultKind::LogDamaged, "damaged log reads"),
    (FaultKind::StateWriteFailed, "failed state writes"),
    (FaultKind::StateFlushFailed, "failed state flushes"),
    (FaultKind::StateDamaged, "damaged state reads"),
    (FaultKind::Stall, "disk stalls"),
    (FaultKind::LogLost, "crashes that lost log writes"),
    (FaultKind::StateLost, "crashes that lost state writes"),
    (FaultKind::LogTorn, "torn log writes"),
    (FaultKind::ClockFast, "fast clocks"),
    (FaultKind::ClockSlow, "slow clocks"),
    (FaultKind::TinyLimits, "tiny limits"),
    (FaultKind::Outsider, "members away in the recovery"),
];

impl FaultKind {
    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(kind, _)| kind)
    }

    /// What is counted, in a few words.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }
}

/// How often things happened in a run, or in many.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Calls of clients.
    pub operations: u64,
    /// Calls that were answered with a result.
    pub operations_done: u64,
    /// Calls that failed without effect.
    pub operations_failed: u64,
    /// Calls whose outcome nobody told.
    pub operations_unknown: u64,
    /// Messages sent.
    pub messages: u64,
    /// Times a member was opened.
    pub starts: u64,
    /// Times a member lost its power, for whatever cause.
    pub crashes: u64,
    /// Times a member became leader.
    pub elections: u64,
    /// Flushes of a state.
    pub flushes: u64,
    /// Reads of old log entries for slow followers.
    pub fetches: u64,
    /// Snapshot streams begun.
    pub snapshots_sent: u64,
    /// Snapshots that replaced a state.
    pub snapshots_installed: u64,
    /// Times a peer's progress was found at or below what it had matched, and repaired.
    pub progress_repaired: u64,
    /// Messages that a core refused.
    pub messages_refused: u64,
    /// Whole states compared.
    pub states_compared: u64,
    /// Answers with events to the watchers of a plan.
    pub watch_batches: u64,
    /// Events that they were told.
    pub watch_events: u64,
    /// Answers that nothing is left to be told.
    pub watch_progress: u64,
    /// Times a watcher went on at another member, or at the same one opened anew.
    pub watch_resumes: u64,
    /// The longest time, in milliseconds, that a majority took to elect a leader after its faults
    /// had ended.
    pub elect_ms_max: u64,
    /// The longest time, in milliseconds, that it then took to serve its clients and to catch up.
    pub serve_ms_max: u64,
    /// The longest time, in milliseconds, until all members agreed after all faults had ended.
    pub converge_ms_max: u64,
    faults: FaultCounts,
}

/// One count for each kind of fault.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FaultCounts([u64; NAMES.len()]);

impl Default for FaultCounts {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

/// A count that is no fault: its name, whether runs are added up or the longest counts, and where
/// it stands.
type Field = (&'static str, Merge, fn(&mut Counts) -> &mut u64);

#[derive(Clone, Copy)]
enum Merge {
    Sum,
    Max,
}

const FIELDS: [Field; 22] = [
    ("operations", Merge::Sum, |counts| &mut counts.operations),
    ("operations done", Merge::Sum, |counts| &mut counts.operations_done),
    ("operations failed", Merge::Sum, |counts| &mut counts.operations_failed),
    ("operations unknown", Merge::Sum, |counts| &mut counts.operations_unknown),
    ("messages", Merge::Sum, |counts| &mut counts.messages),
    ("starts", Merge::Sum, |counts| &mut counts.starts),
    ("crashes", Merge::Sum, |counts| &mut counts.crashes),
    ("elections", Merge::Sum, |counts| &mut counts.elections),
    ("flushes", Merge::Sum, |counts| &mut counts.flushes),
    ("fetches", Merge::Sum, |counts| &mut counts.fetches),
    ("snapshots sent", Merge::Sum, |counts| &mut counts.snapshots_sent),
    ("snapshots installed", Merge::Sum, |counts| &mut counts.snapshots_installed),
    ("progress repaired", Merge::Sum, |counts| &mut counts.progress_repaired),
    ("messages refused", Merge::Sum, |counts| &mut counts.messages_refused),
    ("states compared", Merge::Sum, |counts| &mut counts.states_compared),
    ("watch batches", Merge::Sum, |counts| &mut counts.watch_batches),
    ("watch events", Merge::Sum, |counts| &mut counts.watch_events),
    ("watch progress", Merge::Sum, |counts| &mut counts.watch_progress),
    ("watch resumes", Merge::Sum, |counts| &mut counts.watch_resumes),
    ("ms to elect, at most", Merge::Max, |counts| &mut counts.elect_ms_max),
    ("ms to serve, at most", Merge::Max, |counts| &mut counts.serve_ms_max),
    ("ms to converge, at most", Merge::Max, |counts| &mut counts.converge_ms_max),
];

impl Counts {
    /// How often a kind of fault happened.
    pub fn fault(&self, kind: FaultKind) -> u64 {
        self.faults.0[kind as usize]
    }

    /// All faults together.
    pub fn faults(&self) -> u64 {
        self.faults.0.iter().sum()
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (_, merge, field) in FIELDS {
            let (sum, value) = (field(self), *field(&mut other));
            *sum = match merge {
                Merge::Sum => *sum + value,
                Merge::Max => (*sum).max(value),
            };
        }
        for (sum, value) in self.faults.0.iter_mut().zip(other.faults.0) {
            *sum += value;
        }
    }

    /// All counts with their names, faults last.
    pub fn fields(&self) -> Vec<(&'static str, u64)> {
        let mut copy = *self;
        let fields = FIELDS.map(|(name, _, field)| (name, *field(&mut copy)));
        let faults = FaultKind::all().map(|kind| (kind.name(), self.fault(kind)));
        fields.into_iter().chain(faults).collect()
    }

    pub(crate) fn note(&mut self, kind: FaultKind) {
        self.faults.0[kind as usize] += 1;
    }
}

impl fmt::Debug for Counts {
    /// What happened at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields();
        f.debug_map().entries(fields.into_iter().filter(|(_, count)| *count > 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_where_their_names_do() {
        for (place, kind) in FaultKind::all().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
        let mut names: Vec<&str> = Counts::default().fields().iter().map(|field| field.0).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two counts have one name");
    }

    #[test]
    fn runs_are_added_and_the_longest_times_kept() {
        let mut sum = Counts { starts: 2, elect_ms_max: 9, ..Counts::default() };
        sum.note(FaultKind::Ring);
        let mut other = Counts { starts: 3, elect_ms_max: 7, ..Counts::default() };
        other.note(FaultKind::Ring);
        other.note(FaultKind::Outsider);
        sum.add(&other);
        assert_eq!((sum.starts, sum.elect_ms_max, sum.faults()), (5, 9, 3));
        assert_eq!(sum.fault(FaultKind::Ring), 2);
        assert!(sum.fields().contains(&("members away in the recovery", 1)));
    }
}
