//! Watches: telling what changed, in order, without loss or repetition.
//!
//! A watch has no state here: its owner holds a position and asks for what comes next. If there is
//! nothing yet, the owner is woken once there is. So a slow owner costs nothing, and an owner that
//! goes on elsewhere, or after a restart, loses nothing.
//!
//! [`Hub`] has the newest events in memory and everybody who waits. What it does not have any more
//! is read from the table `history`. Both know the same revisions: nothing beyond the hub's newest
//! revision is delivered, and whoever is complete up to that revision waits for the next.

mod collect;
mod follow;
mod hub;
mod recent;
mod ticket;
mod waiters;

use quorate_kv_api::{Event, KeySpan};

pub(crate) use hub::Hub;
pub(crate) use recent::Moment;
pub use ticket::Ticket;

/// The next event that was not delivered yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WatchPosition {
    /// Its revision, from 0. It may lie in the future: nothing is delivered until then.
    pub revision: i64,
    /// Its place among all changes of that revision, from 0.
    pub event: i64,
}

impl WatchPosition {
    /// The first event of a revision.
    pub fn at(revision: i64) -> Self {
        Self { revision, event: 0 }
    }
}

/// What to tell a watcher.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchQuery {
    /// The keys watched.
    pub span: KeySpan,
    /// The first event that may be told.
    pub from: WatchPosition,
    /// Whether puts are told.
    pub puts: bool,
    /// Whether deletions are told.
    pub deletes: bool,
    /// Whether events bring the key as it was before, unless it was created or that is compacted.
    pub prev_kv: bool,
    /// Allows to cut a batch within a revision, so that its encoded events have at most so many
    /// bytes, or are one event.
    pub fragment_bytes: Option<u64>,
}

impl WatchQuery {
    /// All events of `span` from `revision` on.
    pub fn new(span: KeySpan, revision: i64) -> Self {
        let from = WatchPosition::at(revision);
        Self { span, from, puts: true, deletes: true, prev_kv: false, fragment_bytes: None }
    }

    fn wants(&self, key: &[u8], is_delete: bool) -> bool {
        let wanted = if is_delete { self.deletes } else { self.puts };
        wanted && self.span.contains(key)
    }
}

/// Events in the order in which they happened.
///
/// A batch is full with 1,000 revisions, or once its events have 2 MiB together. Then the revision
/// that it is at is still told to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchBatch {
    /// The events.
    pub events: Vec<Event>,
    /// Where to go on: everything before was told or is not wanted.
    pub next: WatchPosition,
    /// The revision of the store when it answered.
    pub revision: i64,
    /// Whether the batch was cut within a revision, so that the next one begins with more events of
    /// its last revision. Only if the query allows it.
    pub fragment: bool,
}

/// What became of a watch.
#[derive(Debug)]
pub enum Watching {
    /// There is something to tell: at least one event.
    Batch(WatchBatch),
    /// There is nothing to tell yet. The owner is woken as soon as there may be.
    Waiting(Ticket),
}

/// Something that can be waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Milestone {
    /// The store is at this revision, or a later one.
    Revision(i64),
    /// What compactions up to this revision made superfluous is gone from the tables.
    Swept(i64),
}
