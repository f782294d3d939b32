//! The memory log.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use quorate_types::{LogIndex, LogPosition, mutant};

use super::fault::{Faults, Operation};
use crate::latch::Latch;
use crate::log::{check_batch, check_range, limit_bytes};
use crate::{HardState, LogBatch, LogEntry, LogReader, LogState, LogStore, StorageError};

/// A [`LogStore`] in memory. A handle: clones share one content.
///
/// What was written without a later sync is lost by [`MemoryLog::crash`].
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    content: RwLock<Content>,
    latch: Latch,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Content {
    hard_state: HardState,
    start: LogPosition,
    /// The entries after `start`, without a gap.
    entries: VecDeque<LogEntry>,
    incarnation: u64,
    /// How to take back each change that is not yet durable, oldest first. Appends and purges each
    /// count as one.
    unsynced: VecDeque<Undo>,
    /// M33: whether a sync failed and nobody minded.
    #[cfg(feature = "mutants")]
    forgotten: bool,
}

/// What a change replaced.
#[derive(Debug)]
struct Undo {
    hard_state: HardState,
    start: LogPosition,
    entries: UndoEntries,
}

#[derive(Debug)]
enum UndoEntries {
    /// The log had `kept` entries that stayed, and then these.
    Suffix { kept: usize, replaced: Vec<LogEntry> },
    /// These stood before the entries that stayed.
    Prefix(Vec<LogEntry>),
    /// A reset replaced all of these.
    All(VecDeque<LogEntry>),
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many appends and purges a crash could take: those since the last sync.
    pub fn unsynced_batches(&self) -> usize {
        self.shared.content.read().unsynced.len()
    }

    /// Loses everything that was not synced, as if the machine lost its power and started again.
    /// The log works again afterwards even if it had stopped.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Like [`MemoryLog::crash`], but the first `batches` of the unsynced appends and purges
    /// happened to be on disk (all of them if there are fewer) and are durable from then on.
    pub fn crash_keeping(&self, batches: usize) {
        self.crash_tearing(batches, 0);
    }

    /// Like [`MemoryLog::crash_keeping`], but of the first append that is lost up to `entries`
    /// entries happened to be on disk, without its hard state. Returns how many stay.
    ///
    /// This is worse than what a [`LogStore`] promises. An append that starts the log anew is
    /// never torn, as what it replaced is gone at once.
    pub fn crash_tearing(&self, batches: usize, entries: usize) -> usize {
        let mut content = self.shared.content.write();
        let mut torn = None;
        while content.unsynced.len() > batches {
            let first_lost = content.unsynced.len() == batches + 1;
            torn = first_lost.then(|| content.written_last(entries)).flatten();
            content.take_back_last();
        }
        let stayed = torn.as_ref().map_or(0, Vec::len);
        if let Some(entries) = torn {
            content.append(&LogBatch { entries, ..LogBatch::default() });
        }
        content.unsynced.clear();
        mutant!(M33, { content.forgotten = false });
        self.shared.latch.clear();
        stayed
    }

    /// Closes the log in an orderly way and opens it again: everything is then durable.
    ///
    /// A log that stopped after a failure works again, but loses what was not synced, as by
    /// [`MemoryLog::crash`]; crash it with [`MemoryLog::crash_keeping`] instead to keep some of it.
    pub fn reopen(&self) {
        if self.shared.latch.is_stopped() {
            self.crash();
        } else {
            self.crash_keeping(usize::MAX);
        }
    }

    /// Lets the next append or purge fail with `kind`; nothing of it is taken in.
    pub fn fail_next_write(&self, kind: io::ErrorKind) {
        self.shared.faults.fail_next_write(kind);
    }

    /// Lets the next sync fail with `kind`. A crash may keep the batches all the same.
    pub fn fail_next_sync(&self, kind: io::ErrorKind) {
        self.shared.faults.fail_next_sync(kind);
    }

    /// Lets the next read of entries find damaged bytes.
    pub fn corrupt_next_read(&self) {
        self.shared.faults.corrupt_next_read();
    }

    /// Lets the next read of entries fail with `kind`.
    pub fn fail_next_read(&self, kind: io::ErrorKind) {
        self.shared.faults.fail_next_read(kind);
    }

    /// Takes back every order of a failure that was not carried out yet.
    pub fn forget_failures(&self) {
        self.shared.faults.forget();
    }

    fn check(&self, operation: Operation) -> Result<(), StorageError> {
        let result = self.shared.faults.check(operation, LOG_PATH);
        result.map_err(|cause| self.shared.latch.stop(cause))
    }

    /// M33: goes on after a failed sync. The disk takes the bytes for clean from then on and never
    /// writes them.
    #[cfg(feature = "mutants")]
    fn is_forgotten(&self, content: &mut Content) -> bool {
        if self.check(Operation::Sync).is_err() {
            self.shared.latch.clear();
            content.forgotten = true;
        }
        content.forgotten
    }

    fn sync(&self, content: &mut Content) -> Result<(), StorageError> {
        mutant!(M33, {
            if self.is_forgotten(content) {
                return Ok(());
            }
        });
        self.check(Operation::Sync)?;
        content.unsynced.clear();
        Ok(())
    }
}

impl LogStore for MemoryLog {
    fn state(&self) -> LogState {
        self.shared.content.read().state()
    }

    fn begin(&mut self) -> Result<u64, StorageError> {
        self.shared.latch.check()?;
        self.check(Operation::Write)?;
        let mut content = self.shared.content.write();
        self.sync(&mut content)?;
        content.incarnation += 1;
        Ok(content.incarnation)
    }

    fn append(&mut self, batch: &LogBatch, sync: bool) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        self.check(Operation::Write)?;
        let mut content = self.shared.content.write();
        check_batch(&content.state(), batch);
        if !batch.is_empty() {
            content.append(batch);
        }
        if sync {
            self.sync(&mut content)?;
        }
        Ok(())
    }

    fn purge(&mut self, through: LogPosition) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        self.check(Operation::Write)?;
        let mut content = self.shared.content.write();
        content.purge(through);
        Ok(())
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(MemoryLogReader(self.clone()))
    }
}

impl Content {
    fn state(&self) -> LogState {
        LogState {
            hard_state: self.hard_state,
            start: self.start,
            last: LogIndex::new(self.start.index.get() + self.entries.len() as u64),
            incarnation: self.incarnation,
        }
    }

    fn append(&mut self, batch: &LogBatch) {
        let (hard_state, start) = (self.hard_state, self.start);
        let entries = if let Some(position) = batch.reset {
            self.start = position;
            UndoEntries::All(std::mem::take(&mut self.entries))
        } else {
            let first = batch.entries.first().map(|entry| self.place(entry.position.index));
            let kept = first.unwrap_or(self.entries.len());
            UndoEntries::Suffix { kept, replaced: self.entries.drain(kept..).collect() }
        };
        self.hard_state = batch.hard_state.unwrap_or(hard_state);
        self.entries.extend(batch.entries.iter().cloned());
        if let UndoEntries::Suffix { replaced, .. } = &entries
            && replaced.len() > batch.entries.len()
        {
            mutant!(M30, {
                let kept = replaced.iter().skip(batch.entries.len());
                self.entries.extend(kept.cloned());
            });
        }
        self.note(Undo { hard_state, start, entries });
    }

    fn purge(&mut self, through: LogPosition) {
        if through == self.start {
            return;
        }
        let place = through.index.get().checked_sub(self.start.index.get() + 1);
        let found = place.and_then(|place| self.entries.get(usize::try_from(place).ok()?));
        assert!(
            found.is_some_and(|entry| entry.position == through),
            "cannot purge through {through}: no such entry in {:?}",
            self.state()
        );
        let count = self.place(through.index) + 1;
        let (hard_state, start) = (self.hard_state, self.start);
        let purged = self.entries.drain(..count).collect();
        self.start = through;
        self.note(Undo { hard_state, start, entries: UndoEntries::Prefix(purged) });
    }

    /// The place of an index after `start` in `entries`.
    fn place(&self, index: LogIndex) -> usize {
        usize::try_from(index.get() - self.start.index.get() - 1).expect("the log fits into memory")
    }

    fn note(&mut self, undo: Undo) {
        self.unsynced.push_back(undo);
        if self.unsynced.len() > UNSYNCED_BATCHES_MAX {
            self.unsynced.pop_front();
        }
    }

    /// The first `count` entries, or fewer, that the newest change wrote; nothing if it was another
    /// kind of change.
    fn written_last(&self, count: usize) -> Option<Vec<LogEntry>> {
        let UndoEntries::Suffix { kept, .. } = &self.unsynced.back()?.entries else { return None };
        let written = self.entries.iter().skip(*kept).take(count).cloned().collect::<Vec<_>>();
        (!written.is_empty()).then_some(written)
    }

    fn take_back_last(&mut self) {
        let Some(undo) = self.unsynced.pop_back() else { return };
        match undo.entries {
            UndoEntries::Suffix { kept, replaced } => {
                self.entries.truncate(kept);
                self.entries.extend(replaced);
            }
            UndoEntries::Prefix(purged) => {
                for entry in purged.into_iter().rev() {
                    self.entries.push_front(entry);
                }
            }
            UndoEntries::All(entries) => self.entries = entries,
        }
        self.hard_state = undo.hard_state;
        self.start = undo.start;
    }
}

#[derive(Debug)]
struct MemoryLogReader(MemoryLog);

impl LogReader for MemoryLogReader {
    fn entries(
        &self,
        first: LogIndex,
        end: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let shared = &self.0.shared;
        shared.latch.check()?;
        shared.faults.check(Operation::Read, LOG_PATH)?;
        let content = shared.content.read();
        if !check_range(&content.state(), first, end)? {
            return Ok(Vec::new());
        }
        let range = content.place(first)..content.place(end);
        let sizes = content.entries.range(range.clone()).map(|entry| entry.data.len() as u64);
        let count = limit_bytes(sizes, bytes_max);
        Ok(content.entries.range(range).take(count).cloned().collect())
    }
}

/// What errors name in place of a path.
const LOG_PATH: &str = "memory-log";

/// How many changes a crash can take back at most. A store that is never synced would else remember
/// all it ever held; an operating system writes old bytes back at some time, too.
const UNSYNCED_BATCHES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_types::Term;

    use super::*;
    use crate::EntryKind;

    fn batch(indexes: std::ops::RangeInclusive<u64>, term: u64) -> LogBatch {
        let entry = |index| LogEntry {
            position: LogPosition::new(Term::new(term), LogIndex::new(index)),
            kind: EntryKind::Normal,
            data: Bytes::from_static(b"data"),
        };
        LogBatch { entries: indexes.map(entry).collect(), ..LogBatch::default() }
    }

    fn terms(log: &MemoryLog) -> Vec<u64> {
        let state = log.state();
        let entries = log.reader().entries(state.start.index.next(), state.last.next(), u64::MAX);
        entries.unwrap().iter().map(|entry| entry.position.term.get()).collect()
    }

    #[test]
    fn a_crash_takes_back_whole_changes_from_the_end() {
        let mut log = MemoryLog::new();
        log.append(&batch(1..=3, 1), true).unwrap();
        log.append(&batch(2..=4, 2), false).unwrap();
        log.purge(LogPosition::new(Term::new(2), LogIndex::new(2))).unwrap();
        let reset = Some(LogPosition::new(Term::new(7), LogIndex::new(9)));
        log.append(&LogBatch { reset, ..batch(10..=10, 8) }, false).unwrap();
        assert_eq!(log.unsynced_batches(), 3);
        assert_eq!(terms(&log), [8]);
        log.crash_keeping(2);
        assert_eq!(terms(&log), [2, 2]);
        log.append(&batch(5..=5, 3), false).unwrap();
        log.crash();
        assert_eq!(terms(&log), [2, 2]);
        assert_eq!(log.state().start.index.get(), 2);
    }

    #[test]
    fn a_torn_append_leaves_its_first_entries_without_its_hard_state() {
        let hard_state = |term| Some(HardState { term: Term::new(term), ..HardState::default() });
        let mut log = MemoryLog::new();
        log.append(&LogBatch { hard_state: hard_state(1), ..batch(1..=3, 1) }, true).unwrap();
        log.append(&batch(4..=4, 1), false).unwrap();
        log.append(&LogBatch { hard_state: hard_state(2), ..batch(2..=5, 2) }, false).unwrap();
        log.append(&batch(6..=6, 2), false).unwrap();
        assert_eq!(log.crash_tearing(1, 2), 2);
        assert_eq!(terms(&log), [1, 2, 2]);
        assert_eq!(log.state().hard_state.term, Term::new(1));
        assert_eq!(log.unsynced_batches(), 0);
        // Nothing was lost, so nothing is torn.
        assert_eq!(log.crash_tearing(0, 2), 0);
        let reset = Some(LogPosition::new(Term::new(7), LogIndex::new(9)));
        log.append(&LogBatch { reset, ..batch(10..=10, 8) }, false).unwrap();
        assert_eq!(log.crash_tearing(0, 1), 0);
        assert_eq!(terms(&log), [1, 2, 2]);
    }

    #[test]
    fn a_read_fails_as_ordered_and_once() {
        let mut log = MemoryLog::new();
        log.append(&batch(1..=1, 1), true).unwrap();
        let read = || log.reader().entries(LogIndex::new(1), LogIndex::new(2), u64::MAX);
        log.fail_next_read(io::ErrorKind::Other);
        assert!(matches!(read(), Err(StorageError::Io { action: "read", .. })));
        log.corrupt_next_read();
        assert!(matches!(read(), Err(StorageError::Corrupt { .. })));
        log.corrupt_next_read();
        log.forget_failures();
        assert_eq!(read().unwrap().len(), 1);
    }

    #[test]
    fn an_ordered_failure_stops_the_log_until_it_is_reopened() {
        let mut log = MemoryLog::new();
        log.append(&batch(1..=1, 1), true).unwrap();
        log.fail_next_sync(io::ErrorKind::Other);
        assert!(matches!(log.append(&batch(2..=2, 1), true), Err(StorageError::Io { .. })));
        assert!(matches!(log.append(&batch(2..=2, 1), true), Err(StorageError::Stopped { .. })));
        assert!(matches!(log.begin(), Err(StorageError::Stopped { .. })));
        log.reopen();
        assert_eq!(log.state().last.get(), 1);
        log.fail_next_write(io::ErrorKind::StorageFull);
        assert!(matches!(log.append(&batch(2..=2, 1), true), Err(StorageError::Io { .. })));
    }

    #[test]
    #[should_panic(expected = "entry 3 leaves a gap after the last entry 1")]
    fn a_gap_is_a_bug() {
        let mut log = MemoryLog::new();
        log.append(&batch(1..=1, 1), true).unwrap();
        let _ = log.append(&batch(3..=3, 1), true);
    }
}
