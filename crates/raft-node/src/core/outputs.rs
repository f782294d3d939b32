//! What goes into the core and what comes out of it.

use bytes::Bytes;
use quorate_storage::{LogBatch, LogEntry};
use quorate_types::{CommandId, Instant, LogIndex, LogPosition, MemberId, Term};
use thiserror::Error;

/// Something that happened. `T` is the ticket by which the driver knows a caller, `R` a response of
/// the state machine.
#[derive(Debug)]
pub enum Input<T, R> {
    /// A message from a peer arrived on the message channel.
    Message {
        /// The sender, as the transport vouches for it.
        from: MemberId,
        /// The bytes as they came.
        message: Bytes,
    },
    /// A caller of this member wants a command replicated. Answered once, through
    /// [`Outputs::answers`].
    Propose {
        /// Given back with the answer.
        ticket: T,
        /// The command.
        payload: Bytes,
        /// When the caller gives up.
        deadline: Instant,
    },
    /// A caller of this member wants to read what is committed now. Answered once, through
    /// [`Outputs::answers`] or
    /// [`Outputs::readable`].
    Read {
        /// Given back with the answer.
        ticket: T,
        /// When the caller gives up.
        deadline: Instant,
        /// Whether a leader may answer under a read lease, if it holds one, instead of asking.
        lease: bool,
    },
    /// The log holds every append up to and with this number, durably where asked for.
    Appended {
        /// From [`Append::number`].
        number: u64,
    },
    /// Entries were applied.
    Applied {
        /// The last of them.
        position: LogPosition,
        /// The responses to commands that were applied just now.
        responses: Vec<(CommandId, R)>,
    },
    /// The state up to a position is durable.
    Flushed {
        /// From [`Outputs::flush`].
        position: LogPosition,
    },
    /// Entries were fetched from the log.
    Fetched {
        /// From [`Fetch::id`].
        id: u64,
        /// The entries, or nothing if the log no longer holds them.
        entries: Vec<LogEntry>,
    },
    /// A snapshot for a peer was opened.
    SnapshotOpened {
        /// The peer.
        to: MemberId,
        /// The last entry it contains.
        position: LogPosition,
        /// The encoded membership at that position; empty if none was ever applied.
        membership: Bytes,
    },
    /// A snapshot for a peer was sent, or failed.
    SnapshotSent {
        /// The peer.
        to: MemberId,
        /// Whether the peer has all of it.
        delivered: bool,
    },
    /// A peer's snapshot was collected beside the present state.
    SnapshotStaged {
        /// The driver's name for it.
        id: u64,
        /// The sender.
        from: MemberId,
        /// The head that came with it.
        head: Bytes,
        /// The last entry it contains.
        position: LogPosition,
    },
    /// The collected snapshot has replaced the state, durably.
    Installed {
        /// The last entry it contains.
        position: LogPosition,
    },
    /// Messages to a peer are being lost.
    Unreachable {
        /// The peer.
        peer: MemberId,
    },
    /// Leadership should move to a member; nothing happens if it cannot.
    TransferLeader {
        /// The next leader.
        to: MemberId,
    },
}

/// What the driver must do. The fields stand in the order in which to carry them out.
#[derive(Debug)]
pub struct Outputs<T, R> {
    /// Send at once, in order.
    pub messages: Vec<Outbound>,
    /// Write to the log, in order. Each one is reported by [`Input::Appended`]; several may share a
    /// sync.
    pub appends: Vec<Append>,
    /// Apply to the state machine, in order with `install`. Reported by [`Input::Applied`].
    pub apply: Vec<LogEntry>,
    /// Replace the state, after everything handed out to be applied before. Reported by
    /// [`Input::Installed`].
    pub install: Option<Install>,
    /// Forget staged snapshots: they came too late.
    pub discard: Vec<u64>,
    /// Read entries from the log. Each one is reported by [`Input::Fetched`].
    pub fetches: Vec<Fetch>,
    /// Open, send or close snapshots for peers.
    pub snapshots: Vec<SnapshotOrder>,
    /// Make the state up to this position durable. Reported by [`Input::Flushed`].
    pub flush: Option<LogPosition>,
    /// Forget the log up to and with this position, after `appends`.
    pub purge: Option<LogPosition>,
    /// Answers to callers of [`Input::Propose`] and failures of [`Input::Read`].
    pub answers: Vec<(T, Result<R, ProposeError>)>,
    /// Reads that may be served now from this member's applied state.
    pub readable: Vec<T>,
    /// When to poll again if nothing happens before.
    pub deadline: Option<Instant>,
}

impl<T, R> Default for Outputs<T, R> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            appends: Vec::new(),
            apply: Vec::new(),
            install: None,
            discard: Vec::new(),
            fetches: Vec::new(),
            snapshots: Vec::new(),
            flush: None,
            purge: None,
            answers: Vec::new(),
            readable: Vec::new(),
            deadline: None,
        }
    }
}

/// A message to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The receiver.
    pub to: MemberId,
    /// The encoded message.
    pub message: Bytes,
}

/// A change of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Grows from append to append.
    pub number: u64,
    /// What to write; may be empty.
    pub batch: LogBatch,
    /// Whether it must be durable before it is reported.
    pub sync: bool,
    /// Send once this append, and all before it, are durable.
    pub then_send: Vec<Outbound>,
}

/// A staged snapshot that becomes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// From [`Input::SnapshotStaged`].
    pub id: u64,
    /// The last entry it contains.
    pub position: LogPosition,
}

/// Entries to read from the log store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Names the request.
    pub id: u64,
    /// The first entry wanted.
    pub first: LogIndex,
    /// The first entry not wanted.
    pub end: LogIndex,
    /// Stop once the payloads exceed this, but read at least one entry.
    pub bytes_max: u64,
}

/// What to do about a snapshot for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotOrder {
    /// Open a consistent picture of the applied state. Reported by [`Input::SnapshotOpened`].
    Open {
        /// The peer.
        to: MemberId,
    },
    /// Send the opened picture as a bulk stream. Reported by [`Input::SnapshotSent`].
    Send {
        /// The peer.
        to: MemberId,
        /// The head of the stream.
        head: Bytes,
    },
    /// Close the opened picture: it is not needed any more.
    Close {
        /// The peer.
        to: MemberId,
    },
}

/// Why a command or a read got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Too many commands wait on this member already. Nothing happened.
    #[error("too many requests wait on this member")]
    Overloaded,
    /// The deadline came before the command could be proposed, or before the read was confirmed.
    /// Nothing happened.
    #[error("request timed out")]
    TimedOut,
    /// The deadline came after the command was proposed: it may have been applied, or may still be.
    #[error("request timed out, its outcome is unknown")]
    OutcomeUnknown,
}

/// What a member's consensus looks like from outside; for status and for checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The latest term seen.
    pub term: Term,
    /// Follower, candidate or leader.
    pub role: Role,
    /// Who leads, if known.
    pub leader: Option<MemberId>,
    /// Who got this member's vote in `term`.
    pub vote: Option<MemberId>,
    /// The last index known to be committed.
    pub commit: LogIndex,
    /// The last entry applied.
    pub applied: LogPosition,
    /// The position before the first entry of the log.
    pub log_start: LogPosition,
    /// The last entry of the log, durable or not.
    pub log_last: LogIndex,
    /// All members.
    pub members: Vec<MemberId>,
    /// Callers' commands without an answer.
    pub commands_pending: usize,
    /// What happened since the member was opened.
    pub counters: Counters,
}

/// What a member does in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes, or asks whether it would get them.
    Candidate,
    /// Leads.
    Leader,
}

/// Events counted since the core was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages refused because their bytes or fields make no sense.
    pub messages_refused: u64,
    /// Why the last of them was refused.
    pub last_refusal: Option<&'static str>,
    /// Messages dropped while a snapshot was being installed.
    pub messages_dropped: u64,
    /// Times a peer's progress was repaired: its next index had fallen to or below its matched one.
    pub progress_repaired: u64,
    /// Snapshots that replaced this member's state.
    pub snapshots_installed: u64,
    /// Times this member became leader.
    pub elections_won: u64,
    /// Reads permitted under a read lease.
    pub reads_by_lease: u64,
}
