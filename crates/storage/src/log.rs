//! The seam for the Raft log.

use std::sync::Arc;

use bytes::Bytes;
use quorate_types::{LogIndex, LogPosition, Term};

use crate::StorageError;

/// What a log entry carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// Commands for the state machine, or nothing (the entry that a new leader writes first).
    Normal,
    /// A change of the cluster's members.
    Membership,
}

/// One entry of the Raft log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Where the entry stands.
    pub position: LogPosition,
    /// What the data is.
    pub kind: EntryKind,
    /// The payload, opaque to the store; may be empty.
    pub data: Bytes,
}

/// What a member must remember across a crash, besides the entries (Raft thesis, figure 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    /// The latest term seen.
    pub term: Term,
    /// Who got this member's vote in that term; 0 for nobody. Not a `MemberId` because of that 0.
    pub vote: u64,
    /// The last index known to be committed; a hint that may lag behind.
    pub commit: LogIndex,
}

/// What a log store holds when it is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogState {
    /// The hard state written last.
    pub hard_state: HardState,
    /// The position before the first entry: what was purged last, or a snapshot; zero at first.
    pub start: LogPosition,
    /// The index of the last entry; equals `start.index` for an empty log.
    pub last: LogIndex,
    /// How often the log was opened for writing before: the number that [`LogStore::begin`]
    /// returned.
    pub incarnation: u64,
}

/// Changes of a log that become durable together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogBatch {
    /// A new hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// If set, the log first forgets all its entries and then starts after this position.
    /// Used when a snapshot replaces the log.
    pub reset: Option<LogPosition>,
    /// Entries with consecutive indexes. The first may lie at or before the present last index: it
    /// and all that followed it are then replaced.
    pub entries: Vec<LogEntry>,
}

impl LogBatch {
    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.reset.is_none() && self.entries.is_empty()
    }
}

/// The Raft log of one member, written by one thread.
///
/// What a store holds when it is opened is durable, even if it was not synced before: a member may
/// rely on the vote that it finds.
///
/// After the first failed write or sync every later one must fail with the same cause, until the
/// store is opened anew: what a failed sync left on disk is unknown.
pub trait LogStore: Send {
    /// What the store holds now.
    fn state(&self) -> LogState;

    /// Counts one more opening for writing and makes the count durable. The number is never
    /// returned twice, so it can tell one life of a member from the next.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`].
    fn begin(&mut self) -> Result<u64, StorageError>;

    /// Writes `batch`; with `sync` it and all batches before it are durable when this returns.
    /// A crash may lose whole batches from the end that were not synced, never part of one.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]; the store then refuses all later work.
    ///
    /// # Panics
    ///
    /// If the entries are not consecutive, or leave a gap after the last index.
    fn append(&mut self, batch: &LogBatch, sync: bool) -> Result<(), StorageError>;

    /// Forgets the entries up to and with `through`, which must be an entry of the log or its
    /// start. Need not be durable when this returns; the space is reclaimed some time after.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]; the store then refuses all later work.
    fn purge(&mut self, through: LogPosition) -> Result<(), StorageError>;

    /// A handle to read entries from other threads.
    fn reader(&self) -> Arc<dyn LogReader>;
}

/// Reads entries of a log while its owner writes.
pub trait LogReader: Send + Sync {
    /// The entries from `first` up to but without `end`: as many as have data of no more than
    /// `bytes_max` bytes together, yet at least one. None if `end` is not after `first`.
    ///
    /// # Errors
    ///
    /// [`StorageError::NoSuchEntry`] if `first` is not in the log or `end` is beyond its last entry
    /// plus one; [`StorageError::Io`] or [`StorageError::Corrupt`].
    fn entries(
        &self,
        first: LogIndex,
        end: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<LogEntry>, StorageError>;
}

/// Stops if `batch` does not fit a log in `state`: that would be a bug of the caller.
pub(crate) fn check_batch(state: &LogState, batch: &LogBatch) {
    let start = batch.reset.unwrap_or(state.start).index;
    let last = if batch.reset.is_some() { start } else { state.last };
    let Some(first) = batch.entries.first() else { return };
    let first = first.position.index;
    assert!(first > start, "entry {first} lies before the log, which starts after {start}");
    assert!(first <= last.next(), "entry {first} leaves a gap after the last entry {last}");
    let mut expected = first;
    for entry in &batch.entries {
        let found = entry.position.index;
        assert!(found == expected, "entry {found} follows where {expected} should");
        expected = expected.next();
    }
}

/// Whether a log in `state` holds the entries `first..end`; false if that is no entry at all.
pub(crate) fn check_range(
    state: &LogState,
    first: LogIndex,
    end: LogIndex,
) -> Result<bool, StorageError> {
    if first >= end {
        return Ok(false);
    }
    let missing = if first <= state.start.index || first > state.last {
        first
    } else if end > state.last.next() {
        state.last.next()
    } else {
        return Ok(true);
    };
    Err(StorageError::NoSuchEntry { index: missing, start: state.start, last: state.last })
}

/// How many of the entries with these data sizes fit into `bytes_max`; at least one.
pub(crate) fn limit_bytes(sizes: impl Iterator<Item = u64>, bytes_max: u64) -> usize {
    let mut total: u64 = 0;
    let fitting = sizes.take_while(|size| {
        total = total.saturating_add(*size);
        total <= bytes_max
    });
    fitting.count().max(1)
}
