//! What a log holds, as far as the checkers need it: the start and the terms.

use std::collections::VecDeque;

use quorate_storage::{HardState, LogBatch, LogState};
use quorate_types::{LogIndex, LogPosition};

/// The shape of one member's log at one stage: handed out, or durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogMirror {
    pub(crate) hard_state: HardState,
    pub(crate) start: LogPosition,
    terms: VecDeque<u64>,
}

impl LogMirror {
    /// The log of a store before its first entry.
    pub(crate) fn starting(state: &LogState) -> Self {
        Self { hard_state: state.hard_state, start: state.start, terms: VecDeque::new() }
    }

    pub(crate) fn last(&self) -> u64 {
        self.start.index.get() + self.terms.len() as u64
    }

    /// The term at an index of the log or at its start.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        let start = self.start.index.get();
        if index == start {
            return Some(self.start.term.get());
        }
        let place = usize::try_from(index.checked_sub(start + 1)?).ok()?;
        self.terms.get(place).copied()
    }

    /// Whether the log holds this entry, or once held it and the state contains it.
    pub(crate) fn holds(&self, index: u64, term: u64) -> bool {
        index <= self.start.index.get() || self.term_at(index) == Some(term)
    }

    pub(crate) fn append(&mut self, batch: &LogBatch) {
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(start) = batch.reset {
            self.start = start;
            self.terms.clear();
        }
        let Some(first) = batch.entries.first() else { return };
        let kept = first.position.index.get().saturating_sub(self.start.index.get() + 1);
        self.terms.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.terms.extend(batch.entries.iter().map(|entry| entry.position.term.get()));
    }

    pub(crate) fn purge(&mut self, through: LogPosition) {
        if through.index <= self.start.index {
            // A snapshot that was accepted since has replaced what was to be purged.
            return;
        }
        let count = through.index.get() - self.start.index.get();
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.terms.len());
        self.terms.drain(..count);
        self.start = through;
    }

    /// The term of the entry before the first one of a batch; `None` if there is a gap or no entry.
    pub(crate) fn chain(&self, batch: &LogBatch) -> Option<u64> {
        let first = batch.entries.first()?.position.index.get();
        match batch.reset {
            Some(start) if start.index == LogIndex::new(first - 1) => Some(start.term.get()),
            Some(_) => None,
            None => self.term_at(first - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_storage::memory::MemoryLog;
    use quorate_storage::{EntryKind, LogEntry, LogStore};
    use quorate_types::Term;

    use super::*;

    fn batch(first: u64, terms: &[u64]) -> LogBatch {
        let entry = |(index, term): (u64, &u64)| LogEntry {
            position: LogPosition::new(Term::new(*term), LogIndex::new(index)),
            kind: EntryKind::Normal,
            data: Bytes::new(),
        };
        LogBatch { entries: (first..).zip(terms).map(entry).collect(), ..LogBatch::default() }
    }

    #[test]
    fn it_follows_the_log_it_mirrors() {
        let (mut log, mut mirror) = (MemoryLog::new(), LogMirror::default());
        for batch in [batch(1, &[1, 1, 2]), batch(3, &[3, 3]), batch(2, &[4])] {
            log.append(&batch, true).expect("memory");
            mirror.append(&batch);
        }
        let through = LogPosition::new(Term::new(1), LogIndex::new(1));
        log.purge(through).expect("memory");
        mirror.purge(through);
        assert_eq!((log.state().start, log.state().last.get()), (mirror.start, mirror.last()));
        assert_eq!((mirror.last(), mirror.term_at(2)), (2, Some(4)));
        assert!(mirror.holds(1, 9) && mirror.holds(2, 4) && !mirror.holds(2, 3));
        assert_eq!(mirror.chain(&batch(3, &[4])), Some(4));
        assert_eq!(mirror.chain(&batch(5, &[4])), None);
    }
}
