//! Bugs on demand, to prove that the checkers can fail.

/// A bug that the simulator builds into its members, where the threads of a real member would be.
///
/// Every one of these breaks a promise, so a run of enough seeds must report a violation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Sabotage {
    /// The disk says that the log is synced when it is not.
    SyncLies,
    /// The log thread reports appends before it writes them.
    ReportBeforeSync,
    /// Messages that must wait for a sync are sent before it.
    SendBeforeSync,
    /// A member forgets on restart whom it voted for.
    ForgetVote,
    /// The state is reported flushed when it is not.
    FlushLies,
    /// One member applies some commands twice.
    ApplyTwice,
    /// One member skips some commands.
    SkipApply,
    /// All members apply a command again when it comes again.
    SkipDeduplication,
    /// Linearizable reads are served at once by any member.
    ReadUnconfirmed,
    /// Linearizable reads are served at once by whoever thinks that it leads.
    ReadAsLeader,
    /// Callers are told that their command timed out and did nothing, when its outcome is unknown.
    UnknownIsFailure,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SyncLies,
        Self::ReportBeforeSync,
        Self::SendBeforeSync,
        Self::ForgetVote,
        Self::FlushLies,
        Self::ApplyTwice,
        Self::SkipApply,
        Self::SkipDeduplication,
        Self::ReadUnconfirmed,
        Self::ReadAsLeader,
        Self::UnknownIsFailure,
    ];
}
