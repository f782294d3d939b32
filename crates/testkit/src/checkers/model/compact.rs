//! Compactions in the model: nothing is forgotten here, only refused.

use quorate_kv_api::{CompactionRequest, CompactionResponse, KvError};

use super::{Model, header};

impl Model {
    pub(super) fn compact(
        &mut self,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, KvError> {
        let (requested, compact_revision) = (request.revision, self.compact_revision());
        if requested <= compact_revision {
            return Err(KvError::Compacted { requested, compact_revision });
        }
        if requested > self.revision {
            return Err(KvError::FutureRevision { requested, current: self.revision });
        }
        self.compacted.set(self.revision, false, requested);
        Ok(CompactionResponse { header: header(self.revision) })
    }

    /// What was compacted last; -1 if nothing ever was.
    pub(crate) fn compact_revision(&self) -> i64 {
        *self.compacted.last()
    }

    /// The compact revisions that were in force while the store stood at `head`.
    pub(crate) fn compacted_at(&self, head: i64) -> Vec<i64> {
        self.compacted.at(head).copied().collect()
    }

    /// The compact revisions that were in force at `head` or later.
    pub(crate) fn compacted_since(&self, head: i64) -> Vec<i64> {
        self.compacted.since(head).copied().collect()
    }

    /// The changes, by main and sub revision, that are left when a sweep has taken away all that
    /// compactions made superfluous.
    pub(crate) fn left_by_sweeps(&self) -> Vec<(i64, i64)> {
        self.hashes.left(self.compact_revision())
    }
}

/// Refuses a revision other than 0 that a store at `head`, compacted so far, does not have.
pub(super) fn check_revision(
    requested: i64,
    head: i64,
    compact_revision: i64,
) -> Result<(), KvError> {
    match requested {
        0 => Ok(()),
        _ if requested > head => Err(KvError::FutureRevision { requested, current: head }),
        _ if requested < compact_revision => {
            Err(KvError::Compacted { requested, compact_revision })
        }
        _ => Ok(()),
    }
}
