//! The end of the log in memory: what the `raft` crate reads synchronously.
//!
//! Entries after the applied position are always here. Older ones are dropped once they take too
//! much memory; they are then fetched from the log store, which happens off the consensus thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use quorate_types::{LogIndex, LogPosition, MemberId, Term, mutant};
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError as RaftStorageError};

/// Entries that a slow follower needs and that are no longer in memory.
#[derive(Debug)]
pub(super) struct Miss {
    pub(super) first: LogIndex,
    pub(super) end: LogIndex,
    pub(super) bytes_max: u64,
    pub(super) context: GetEntriesContext,
}

/// The log as the `raft` crate sees it: a start, boundaries of terms, and the newest entries.
pub(super) struct Tail {
    initial: RaftState,
    /// The position before the first entry that the log store holds.
    start: LogPosition,
    /// The newest entries without gaps; the first is `first`, the last is the log's last.
    entries: VecDeque<Entry>,
    /// The index of the first entry in memory, or the last index plus one.
    first: u64,
    /// Payload bytes of `entries`.
    bytes: u64,
    /// The first index of each term in the log after `start`.
    terms: BTreeMap<u64, u64>,
    demand: RefCell<Demand>,
    /// Entries fetched from the log store, by first index.
    fetched: BTreeMap<u64, Vec<Entry>>,
    /// Snapshots opened for peers that fell behind.
    snapshots: BTreeMap<u64, Snapshot>,
}

/// What the `raft` crate asked for and could not get at once. Filled through a shared reference,
/// hence the cell.
#[derive(Default)]
struct Demand {
    misses: Vec<Miss>,
    snapshots: Vec<MemberId>,
}

impl Tail {
    pub(super) fn new(start: LogPosition, hard_state: HardState, conf_state: ConfState) -> Self {
        Self {
            initial: RaftState::new(hard_state, conf_state),
            start,
            entries: VecDeque::new(),
            first: start.index.get() + 1,
            bytes: 0,
            terms: BTreeMap::new(),
            demand: RefCell::default(),
            fetched: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// Adds entries; they replace whatever stood at their first index and after.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        assert!(first <= self.last() + 1, "entry {first} leaves a gap after {}", self.last());
        assert!(first > self.start.index.get(), "entry {first} lies before {}", self.start);
        while self.entries.back().is_some_and(|entry| entry.index >= first) {
            let removed = self.entries.pop_back().expect("just seen");
            self.bytes -= removed.data.len() as u64;
        }
        assert!(first >= self.first, "entry {first} replaces entries out of memory");
        mutant!(M76, drop(self.terms.split_off(&first)), ());
        for entry in entries {
            let known = self.term_at(entry.index - 1).unwrap_or(0);
            assert!(entry.term >= known, "term {} after {known}", entry.term);
            if entry.term != known {
                self.terms.insert(entry.index, entry.term);
            }
            self.bytes += entry.data.len() as u64;
            self.entries.push_back(entry.clone());
        }
    }

    /// Forgets all entries and starts anew after `start`.
    pub(super) fn reset(&mut self, start: LogPosition) {
        self.entries.clear();
        self.bytes = 0;
        self.terms.clear();
        self.fetched.clear();
        self.start = start;
        self.first = start.index.get() + 1;
    }

    /// Moves the start forward: the log store no longer holds what lies before.
    pub(super) fn purge(&mut self, through: LogPosition) {
        assert!(through.index >= self.start.index, "purge moves backward to {through}");
        self.drop_before(through.index.get() + 1);
        self.terms = self.terms.split_off(&(through.index.get() + 1));
        self.start = through;
    }

    /// Drops entries from memory, oldest first, until at most `bytes_max` payload bytes are left.
    /// Entries after `keep_after` stay.
    pub(super) fn shrink(&mut self, bytes_max: u64, keep_after: u64) {
        let last = mutant!(M75, keep_after, u64::MAX);
        while self.bytes > bytes_max && self.first <= last && !self.entries.is_empty() {
            self.drop_before(self.first + 1);
        }
    }

    fn drop_before(&mut self, index: u64) {
        while self.first < index {
            let removed =
                self.entries.pop_front().expect("nothing is dropped after the last entry");
            self.bytes -= removed.data.len() as u64;
            self.first += 1;
        }
    }

    /// The position before the first entry of the log.
    pub(super) fn start(&self) -> LogPosition {
        self.start
    }

    /// The index of the last entry.
    pub(super) fn last(&self) -> u64 {
        self.entries.back().map_or(self.first - 1, |entry| entry.index)
    }

    /// The position of an entry of the log or of its start.
    pub(super) fn position(&self, index: LogIndex) -> Option<LogPosition> {
        self.term_at(index.get()).map(|term| LogPosition::new(Term::new(term), index))
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        if index < self.start.index.get() || index > self.last() {
            return None;
        }
        let boundary = self.terms.range(..=index).next_back();
        Some(boundary.map_or(self.start.term.get(), |(_, term)| *term))
    }

    /// What was asked for and not found since the last call.
    pub(super) fn take_demand(&mut self) -> (Vec<Miss>, Vec<MemberId>) {
        let demand = std::mem::take(self.demand.get_mut());
        (demand.misses, demand.snapshots)
    }

    /// Keeps fetched entries for the `raft` crate to ask again.
    pub(super) fn supply(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            self.fetched.insert(first.index, entries);
        }
    }

    /// Forgets what was supplied.
    pub(super) fn forget_fetched(&mut self) {
        self.fetched.clear();
    }

    /// Keeps the head of a snapshot that was opened for `peer`.
    pub(super) fn supply_snapshot(&mut self, peer: MemberId, snapshot: Snapshot) {
        self.snapshots.insert(peer.get(), snapshot);
    }

    /// Forgets the snapshot opened for `peer`.
    pub(super) fn forget_snapshot(&mut self, peer: MemberId) {
        self.snapshots.remove(&peer.get());
    }

    fn read_memory(&self, low: u64, high: u64, bytes_max: u64) -> Vec<Entry> {
        let skip = usize::try_from(low - self.first).expect("the tail fits in memory");
        let count = usize::try_from(high - low).expect("the tail fits in memory");
        take_until(self.entries.iter().skip(skip).take(count), bytes_max)
    }
}

impl Storage for Tail {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        if low <= self.start.index.get() {
            return Err(RaftStorageError::Compacted.into());
        }
        assert!(
            high <= self.last() + 1,
            "entries up to {high} of a log that ends at {}",
            self.last()
        );
        if low >= self.first {
            return Ok(self.read_memory(low, high, bytes_max));
        }
        if let Some(entries) = self.fetched.get(&low) {
            let wanted = entries.iter().take_while(|entry| entry.index < high);
            return Ok(take_until(wanted, bytes_max));
        }
        assert!(
            context.can_async(),
            "entry {low} is needed at once, the tail begins at {}",
            self.first
        );
        let mut demand = self.demand.borrow_mut();
        demand.misses.push(Miss {
            first: LogIndex::new(low),
            end: LogIndex::new(high.min(self.first)),
            bytes_max,
            context,
        });
        Err(RaftStorageError::LogTemporarilyUnavailable.into())
    }

    fn term(&self, idx: u64) -> raft::Result<u64> {
        self.term_at(idx).ok_or_else(|| {
            if idx < self.start.index.get() {
                RaftStorageError::Compacted.into()
            } else {
                RaftStorageError::Unavailable.into()
            }
        })
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.start.index.get() + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let opened = self.snapshots.get(&to);
        if let Some(snapshot) = opened.filter(|s| s.get_metadata().index >= request_index) {
            return Ok(snapshot.clone());
        }
        if let Some(peer) = MemberId::from_u64(to) {
            self.demand.borrow_mut().snapshots.push(peer);
        }
        Err(RaftStorageError::SnapshotTemporarilyUnavailable.into())
    }
}

/// Clones entries until their payloads exceed `bytes_max`, but at least one.
fn take_until<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: u64) -> Vec<Entry> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.data.len() as u64;
        if !taken.is_empty() && bytes > bytes_max {
            break;
        }
        taken.push(entry.clone());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        let mut entry = Entry::default();
        (entry.index, entry.term) = (index, term);
        entry.data = bytes::Bytes::from_static(b"0123456789");
        entry
    }

    fn tail() -> Tail {
        let mut tail =
            Tail::new(LogPosition::default(), HardState::default(), ConfState::default());
        tail.append(&[entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)]);
        tail
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.index).collect()
    }

    fn sync() -> GetEntriesContext {
        GetEntriesContext::empty(false)
    }

    #[test]
    fn reads_ranges_within_the_byte_limit() {
        let tail = tail();
        assert_eq!(indexes(&tail.entries(1, 5, None, sync()).expect("in memory")), [1, 2, 3, 4]);
        assert_eq!(indexes(&tail.entries(2, 5, 25, sync()).expect("in memory")), [2, 3]);
        assert_eq!(indexes(&tail.entries(2, 5, 0, sync()).expect("in memory")), [2]);
    }

    #[test]
    fn a_conflicting_suffix_is_replaced_with_its_terms() {
        let mut tail = tail();
        tail.append(&[entry(3, 3)]);
        assert_eq!(tail.last(), 3);
        assert_eq!(tail.term(3).expect("in the log"), 3);
        assert_eq!(tail.term(2).expect("in the log"), 1);
        assert!(tail.term(4).is_err());
        assert_eq!(tail.bytes, 30);
    }

    #[test]
    fn purged_and_shrunk_entries_are_told_apart() {
        let mut tail = tail();
        tail.purge(LogPosition::new(Term::new(1), LogIndex::new(1)));
        tail.shrink(10, 4);
        assert_eq!(tail.first, 4);
        assert_eq!(tail.term(2).expect("still in the log"), 1);
        assert_eq!(tail.term(1).expect("the start"), 1);
        assert!(tail.term(0).is_err());
        assert_eq!(tail.entries(1, 3, None, sync()), Err(RaftStorageError::Compacted.into()));
        let missed = tail.entries(2, 5, None, GetEntriesContext::empty(true));
        assert_eq!(missed, Err(RaftStorageError::LogTemporarilyUnavailable.into()));
        let (misses, _) = tail.take_demand();
        assert_eq!((misses[0].first.get(), misses[0].end.get()), (2, 4));
        tail.supply(vec![entry(2, 1), entry(3, 2)]);
        let found = tail.entries(2, 5, None, sync()).expect("supplied");
        assert_eq!(indexes(&found), [2, 3]);
    }

    #[test]
    fn purging_everything_leaves_the_start() {
        let mut tail = tail();
        tail.purge(LogPosition::new(Term::new(2), LogIndex::new(4)));
        assert_eq!((tail.last(), tail.first), (4, 5));
        assert_eq!(tail.term(4).expect("the start"), 2);
        tail.append(&[entry(5, 2)]);
        assert_eq!(tail.term(5).expect("appended"), 2);
    }

    #[test]
    fn shrinking_keeps_what_is_not_applied() {
        let mut tail = tail();
        tail.shrink(0, 2);
        assert_eq!(tail.first, 3);
    }
}
