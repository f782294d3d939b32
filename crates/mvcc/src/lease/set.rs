//! All leases, in the memory of the writer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_storage::{StorageError, WriteBatch};
use quorate_types::{LogIndex, SplitMix64};

use crate::lease::record::{Lease, decode_lease, lease_key};
use crate::{LEASES, StoreError};

/// All leases, with those touched since the last write.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    leases: BTreeMap<i64, Lease>,
    touched: BTreeSet<i64>,
}

impl Leases {
    /// Reads the table `leases` from a scan over it.
    pub(crate) fn load(
        rows: impl Iterator<Item = Result<(Bytes, Bytes), StorageError>>,
    ) -> Result<Self, StoreError> {
        let mut loaded = Self::default();
        for row in rows {
            let (key, record) = row?;
            let (id, lease) = decode_lease(&key, &record)?;
            loaded.leases.insert(id, lease);
        }
        Ok(loaded)
    }

    pub(crate) fn get(&self, id: i64) -> Option<Lease> {
        self.leases.get(&id).copied()
    }

    pub(crate) fn contains(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// All leases by their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, Lease)> + '_ {
        self.leases.iter().map(|(&id, &lease)| (id, lease))
    }

    /// Makes or changes a lease.
    pub(crate) fn set(&mut self, id: i64, lease: Lease) {
        self.leases.insert(id, lease);
        self.touched.insert(id);
    }

    pub(crate) fn remove(&mut self, id: i64) {
        self.leases.remove(&id);
        self.touched.insert(id);
    }

    /// A positive id that no lease has, from where the request stands in the log. The ids of
    /// requests that follow each other do not, so that an id is hardly ever given twice.
    pub(crate) fn free_id(&self, index: LogIndex, sequence: u64) -> i64 {
        let seed = SplitMix64::new(index.get()).draw() ^ sequence;
        let mut id = (SplitMix64::new(seed).draw() >> 1) as i64;
        while id == 0 || self.contains(id) {
            id = id.checked_add(1).unwrap_or(1);
        }
        id
    }

    /// Appends the leases touched since the last call to `batch`, and returns them as they are now;
    /// `None` for one that is gone.
    pub(crate) fn write_touched(&mut self, batch: &mut WriteBatch) -> Vec<(i64, Option<Lease>)> {
        let mut changes = Vec::with_capacity(self.touched.len());
        while let Some(id) = self.touched.pop_first() {
            let lease = self.get(id);
            let key = lease_key(id).to_vec();
            match lease {
                Some(lease) => batch.put(LEASES, key, lease.encode()),
                None => batch.delete(LEASES, key),
            }
            changes.push((id, lease));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(renewed_at: u64) -> Lease {
        Lease { granted_ttl: 9, renewed_at: LogIndex::new(renewed_at), remaining_ttl: None }
    }

    #[test]
    fn chosen_ids_are_free_and_positive() {
        let mut leases = Leases::default();
        for _ in 0..3 {
            for sequence in 0..100 {
                let id = leases.free_id(LogIndex::new(7), sequence);
                assert!(id > 0 && !leases.contains(id), "{id}");
                leases.set(id, lease(7));
            }
        }
        assert_eq!(leases.iter().count(), 300);
        // Written down from the first run: every version must choose alike.
        let none = Leases::default();
        assert_eq!(none.free_id(LogIndex::new(1), 1), 8_430_369_225_095_084_303);
    }

    #[test]
    fn what_was_touched_is_written_once() {
        let mut leases = Leases::default();
        leases.set(1, lease(1));
        leases.set(2, lease(2));
        leases.set(2, lease(3));
        leases.remove(1);
        let mut batch = WriteBatch::new();
        assert_eq!(leases.write_touched(&mut batch), [(1, None), (2, Some(lease(3)))]);
        let mut expected = WriteBatch::new();
        expected.delete(LEASES, lease_key(1).to_vec());
        expected.put(LEASES, lease_key(2).to_vec(), lease(3).encode());
        assert_eq!(batch, expected);
        assert_eq!(leases.write_touched(&mut batch), []);
        let rows = [Ok((Bytes::copy_from_slice(&lease_key(2)), lease(3).encode()))];
        assert_eq!(Leases::load(rows.into_iter()).unwrap().get(2), Some(lease(3)));
    }
}
