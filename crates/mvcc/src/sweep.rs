//! Removing what compactions have made unreachable.
//!
//! Each record of `history` names the version that it took the place of. So a walk over the records
//! from the compaction before up to this one meets everything that this one makes garbage, however
//! many keys there are: the versions superseded by a record on the way, and the deletions on the
//! way. A deletion at the compact revision itself stays until the next compaction, because a watch
//! from there must see it.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{Direction, Engine, KeyRange, WriteBatch};
use quorate_types::mutant;

use crate::meta::{SWEPT_KEY, encode_swept};
use crate::reader::Shared;
use crate::record::{Change, HistoryRecord, Revision, encode_version_key};
use crate::{HISTORY, META, StoreError, VERSIONS};

/// Removes the records that compactions left behind, in small steps beside everything else.
///
/// The steps are no part of the log: each member sweeps when it has time, and no answer of the
/// store depends on it. Members that have applied the same log and swept to the end hold the same
/// records. Clones share everything. A sweeper works as long as its store lives, and does nothing
/// afterwards.
///
/// ```
/// use std::sync::Arc;
/// use quorate_mvcc::{Store, TABLES};
/// use quorate_storage::memory::MemoryEngine;
///
/// let store = Store::open(Arc::new(MemoryEngine::new(TABLES)))?;
/// let sweeper = store.sweeper();
/// while sweeper.step(1000)? { /* let others work */ }
/// assert_eq!(sweeper.swept(), -1); // nothing was compacted yet
/// # Ok::<(), quorate_mvcc::StoreError>(())
/// ```
#[derive(Clone)]
pub struct Sweeper {
    shared: Arc<Shared>,
}

/// Where a sweep stands. Locked while a step or the installation of a snapshot is under way, so
/// that no step writes what it read from a state that was replaced meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Sweeping {
    /// `None` if the walk is to begin at the records swept last.
    position: Option<Position>,
    /// Whether the content of the engine is unknown, or another store's by now.
    is_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// The compact revision that the walk leads to.
    target: i64,
    /// The first record not looked at yet.
    next: Revision,
}

impl Sweeping {
    /// From now on nothing is swept: the engine's content is being replaced, or the store dropped.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Takes sweeping up again, with the content that the engine got meanwhile.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }
}

impl Sweeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Everything that a compaction at this revision or before made garbage is gone; -1 if nothing
    /// was ever compacted. Smaller than before if a snapshot was installed that is behind.
    pub fn swept(&self) -> i64 {
        self.shared.swept()
    }

    /// Looks at `records_max` records (one at least) and removes what is garbage, in one batch of
    /// at most three changes for each and one more. Returns whether there is more to do.
    ///
    /// A crash at any moment loses nothing: with the removals goes a note how far they came. What
    /// is done again then are the records of one revision at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`], [`StoreError::Corrupt`]; nothing was then removed, or it is
    /// unknown, and the same step is done again by the next call.
    pub fn step(&self, records_max: usize) -> Result<bool, StoreError> {
        let mut sweeping = self.shared.sweeping().lock();
        let swept = self.shared.swept();
        let target = self.shared.compact_revision();
        if sweeping.is_over || swept >= target {
            return Ok(false);
        }
        let position = sweeping.position.filter(|position| position.target == target);
        // Deletions at the revision swept last may have been kept; they can go now.
        let start = position.map_or(Revision::new(swept.max(0), 0), |position| position.next);
        let mut step = Step { swept, target, batch: WriteBatch::new() };
        let next = step.walk(&**self.shared.engine(), start, records_max.max(1))?;
        let now_swept = next.map_or(target, |next| swept.max(next.main - 1));
        if now_swept > swept {
            step.batch.put(META, SWEPT_KEY, encode_swept(now_swept));
        }
        if !step.batch.is_empty() {
            self.shared.engine().write(&step.batch)?;
        }
        sweeping.position = next.map(|next| Position { target, next });
        self.shared.announce_swept(now_swept);
        Ok(next.is_some())
    }
}

/// One step under way.
struct Step {
    swept: i64,
    target: i64,
    batch: WriteBatch,
}

impl Step {
    /// Collects what is garbage among `records_max` records from `start` on. The first record not
    /// looked at; `None` if that is beyond the target.
    fn walk(
        &mut self,
        engine: &dyn Engine,
        start: Revision,
        records_max: usize,
    ) -> Result<Option<Revision>, StoreError> {
        let end = Revision::new(self.target + 1, 0);
        let key = |revision: Revision| Bytes::copy_from_slice(&revision.to_key());
        let view = engine.view()?;
        let range = KeyRange { start: key(start), end: Some(key(end)) };
        for (count, row) in view.scan(HISTORY, &range, Direction::Forward).enumerate() {
            let (key, record) = row?;
            let corrupt = |detail| StoreError::corrupt(HISTORY, &key, detail);
            let revision = Revision::from_key(&key).map_err(corrupt)?;
            if count == records_max {
                return Ok(Some(revision));
            }
            self.collect(revision, &HistoryRecord::decode(&record).map_err(corrupt)?);
        }
        Ok(None)
    }

    fn collect(&mut self, revision: Revision, record: &HistoryRecord) {
        let superseded = record.superseded;
        let existed = superseded != Revision::default();
        if existed && revision.main > self.swept {
            self.batch.delete(HISTORY, superseded.to_key().to_vec());
            self.batch.delete(VERSIONS, encode_version_key(&record.key, superseded));
        }
        let Revision { main, .. } = revision;
        let is_garbage = mutant!(
            M09,
            mutant!(M10, main < self.target, main <= self.target),
            main <= self.target
        );
        if matches!(record.change, Change::Delete) && is_garbage {
            self.batch.delete(HISTORY, revision.to_key().to_vec());
        }
    }
}
