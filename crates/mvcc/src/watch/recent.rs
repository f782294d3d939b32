//! The newest events, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use quorate_types::ByteSize;

use crate::record::{HistoryRecord, Revision};
use crate::{HISTORY, StoreError};

/// Enough for the last seconds of a busy store.
pub(crate) const RECENT_SIZE: ByteSize = ByteSize::mib(16);

/// What an event takes in memory besides its record, roughly.
const EVENT_SIZE: u64 = 256;

/// Everything that happened at one revision.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) revision: i64,
    pub(crate) events: Vec<(Revision, HistoryRecord)>,
    /// Approximate bytes in memory.
    size: u64,
}

impl Moment {
    /// Splits records of `history`, in their order, by main revision.
    pub(crate) fn split(records: &[(Revision, Bytes)]) -> Result<Vec<Arc<Self>>, StoreError> {
        let same = |a: &(Revision, Bytes), b: &(Revision, Bytes)| a.0.main == b.0.main;
        records.chunk_by(same).map(|chunk| Self::new(chunk).map(Arc::new)).collect()
    }

    fn new(records: &[(Revision, Bytes)]) -> Result<Self, StoreError> {
        let mut moment = Self {
            revision: records[0].0.main,
            events: Vec::with_capacity(records.len()),
            size: 0,
        };
        for (at, record) in records {
            moment.events.push((*at, decode(*at, record)?));
            moment.size += record.len() as u64 + EVENT_SIZE;
        }
        Ok(moment)
    }
}

pub(crate) fn decode(at: Revision, record: &Bytes) -> Result<HistoryRecord, StoreError> {
    let corrupt = |detail| StoreError::corrupt(HISTORY, &at.to_key(), detail);
    HistoryRecord::decode(record).map_err(corrupt)
}

/// The moments of the newest revisions without a gap, as many as there is room for.
#[derive(Debug)]
pub(crate) struct Recent {
    moments: VecDeque<Arc<Moment>>,
    size: u64,
    size_max: u64,
}

impl Recent {
    pub(crate) fn new(size_max: ByteSize) -> Self {
        Self { moments: VecDeque::new(), size: 0, size_max: size_max.bytes() }
    }

    pub(crate) fn set_size_max(&mut self, size_max: ByteSize) {
        self.size_max = size_max.bytes();
        self.shrink();
    }

    /// Adds the next moment and forgets the oldest ones if there is no room; also the new one, if
    /// it alone is too large.
    ///
    /// # Panics
    ///
    /// If a revision is left out.
    pub(crate) fn push(&mut self, moment: Arc<Moment>) {
        if let Some(last) = self.moments.back() {
            let (last, next) = (last.revision, moment.revision);
            assert!(next == last + 1, "revisions have no gaps: {next} comes after {last}");
        }
        self.size += moment.size;
        self.moments.push_back(moment);
        self.shrink();
    }

    pub(crate) fn clear(&mut self) {
        self.moments.clear();
        self.size = 0;
    }

    /// The moments from `revision` on, `count_max` at most; `None` if that one is not here.
    pub(crate) fn since(&self, revision: i64, count_max: usize) -> Option<Vec<Arc<Moment>>> {
        let first = self.moments.front()?.revision;
        let skipped = usize::try_from(revision.checked_sub(first)?).ok()?;
        if skipped >= self.moments.len() {
            return None;
        }
        Some(self.moments.iter().skip(skipped).take(count_max).cloned().collect())
    }

    fn shrink(&mut self) {
        while self.size > self.size_max
            && let Some(oldest) = self.moments.pop_front()
        {
            self.size -= oldest.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode_delete;

    fn moments(revisions: &[(i64, i64)]) -> Vec<Arc<Moment>> {
        let record = encode_delete(b"k", Revision::new(1, 0));
        let at = |&(main, sub)| (Revision::new(main, sub), record.clone());
        Moment::split(&revisions.iter().map(at).collect::<Vec<_>>()).unwrap()
    }

    fn known(recent: &Recent, from: i64) -> Option<Vec<i64>> {
        let moments = recent.since(from, 3)?;
        Some(moments.iter().map(|moment| moment.revision).collect())
    }

    #[test]
    fn records_are_split_by_revision() {
        let moments = moments(&[(4, 0), (5, 0), (5, 1), (6, 0)]);
        let counts: Vec<_> = moments.iter().map(|m| (m.revision, m.events.len())).collect();
        assert_eq!(counts, [(4, 1), (5, 2), (6, 1)]);
        let damaged = [(Revision::new(4, 0), Bytes::from_static(b"?"))];
        assert!(matches!(Moment::split(&damaged), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let all = moments(&[(4, 0), (5, 0), (6, 0), (7, 0), (7, 1), (8, 0)]);
        let mut recent = Recent::new(ByteSize::new(all[0].size * 4));
        assert_eq!(known(&recent, 4), None);
        for moment in &all[..4] {
            recent.push(moment.clone());
        }
        // The fourth has two events, so there is no room for the first.
        assert_eq!(known(&recent, 4), None);
        assert_eq!(known(&recent, 5), Some(vec![5, 6, 7]));
        assert_eq!((known(&recent, 7), known(&recent, 8)), (Some(vec![7]), None));
        recent.set_size_max(ByteSize::new(all[0].size));
        assert_eq!((recent.moments.len(), recent.size), (0, 0));
        recent.push(all[4].clone());
        assert_eq!(known(&recent, 8), Some(vec![8]));
        recent.clear();
        assert_eq!((known(&recent, 8), recent.size), (None, 0));
    }

    #[test]
    #[should_panic(expected = "revisions have no gaps")]
    fn a_gap_is_a_bug() {
        let mut recent = Recent::new(RECENT_SIZE);
        for moment in moments(&[(4, 0), (6, 0)]) {
            recent.push(moment);
        }
    }
}
