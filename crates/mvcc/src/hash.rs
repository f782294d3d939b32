//! A hash over the history, to compare members.

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{KeySpan, KeyValue, KvError};
use quorate_storage::{Direction, KeyRange};
use quorate_types::mutant;

use crate::meta::Head;
use crate::read::{decode_live, visit_current};
use crate::record::{
    Change, HistoryRecord, OldVersion, REVISION_LEN, Revision, encode_version_key, key_value,
};
use crate::source::{Source, ViewSource};
use crate::versions::OldVersions;
use crate::{HISTORY, RequestError, StoreError, VERSIONS};

/// A hash over what happened in the store. Stores that hash to different values at the same
/// revision and compact revision differ.
///
/// Of the changes up to the compact revision only those count that were still in force at the
/// revision hashed. Where no key exists at that revision, those count that were in force at the
/// compact revision: this is what etcd's table holds then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreHash {
    /// CRC-32C over the table name `key` and, for each change in order, what etcd's table of that
    /// name holds: the revision as key and the marshalled `KeyValue`.
    pub hash: u32,
    /// The last revision covered.
    pub revision: i64,
    /// The revision compacted last; -1 if none ever was.
    pub compact_revision: i64,
}

/// A hash being computed from one picture of the store, in steps.
pub struct Hashing {
    source: ViewSource,
    revision: i64,
    compact_revision: i64,
    /// The main revision at which a change up to the compact revision must have been in force.
    at: i64,
    /// The first record of `history` not looked at yet.
    next: Revision,
    hash: u32,
}

impl Hashing {
    pub(crate) fn new(
        source: ViewSource,
        head: &Head,
        requested: i64,
    ) -> Result<Self, RequestError> {
        let revision = if requested == 0 { head.revision } else { requested };
        let compact_revision = head.compact_revision;
        // A negative revision covers nothing, whatever was compacted.
        if revision >= 0 && revision < compact_revision {
            return Err(KvError::Compacted { requested, compact_revision }.into());
        }
        if revision > head.revision {
            return Err(KvError::FutureRevision { requested, current: head.revision }.into());
        }
        let at = if is_empty_at(&source, revision)? { compact_revision } else { revision };
        let hash = crc32c::crc32c(b"key");
        Ok(Self { source, revision, compact_revision, at, next: Revision::default(), hash })
    }

    /// Looks at `records_max` records (one at least); the hash, if that was all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`], [`StoreError::Corrupt`].
    pub fn step(&mut self, records_max: usize) -> Result<Option<StoreHash>, StoreError> {
        // Negative revisions cover nothing.
        let end = Revision::new(self.revision.max(0).saturating_add(1), 0).to_key();
        let range = KeyRange::new(self.next.to_key().to_vec(), end.to_vec());
        let view = self.source.0.clone();
        let mut value = Vec::new();
        for (count, row) in view.scan(HISTORY, &range, Direction::Forward).enumerate() {
            let (key, record) = row?;
            let corrupt = |detail| StoreError::corrupt(HISTORY, &key, detail);
            let revision = Revision::from_key(&key).map_err(corrupt)?;
            if count == records_max.max(1) {
                self.next = revision;
                return Ok(None);
            }
            let record = HistoryRecord::decode(&record).map_err(corrupt)?;
            if self.counts(revision, &record)? {
                self.add(revision, record, &mut value);
            }
        }
        let Self { hash, revision, compact_revision, .. } = *self;
        Ok(Some(StoreHash { hash, revision, compact_revision }))
    }

    /// Adds a change; `value` is scratch space.
    fn add(&mut self, revision: Revision, record: HistoryRecord, value: &mut Vec<u8>) {
        let is_tombstone = matches!(record.change, Change::Delete);
        if is_tombstone {
            mutant!(M54, { return });
        }
        value.clear();
        // A vector grows as needed, so encoding cannot fail.
        etcd_value(revision, record).encode_raw(value);
        let key = &etcd_key(revision)[..ETCD_KEY_LEN + usize::from(is_tombstone)];
        self.hash = crc32c::crc32c_append(crc32c::crc32c_append(self.hash, key), value);
    }

    /// Whether a change counts. Of those up to the compact revision a sweep may have removed some
    /// that do not.
    fn counts(&self, revision: Revision, record: &HistoryRecord) -> Result<bool, StoreError> {
        if revision.main > self.compact_revision {
            return Ok(true);
        }
        if matches!(record.change, Change::Delete) {
            return Ok(false);
        }
        let key = encode_version_key(&record.key, revision);
        // Without a row it is the key's current version.
        let Some(value) = self.source.0.get(VERSIONS, &key)? else { return Ok(true) };
        let version = OldVersion::decode(&key, &value)
            .map_err(|detail| StoreError::corrupt(VERSIONS, &key, detail))?;
        Ok(version.was_current_at(self.at))
    }
}

/// Whether no key existed at a main revision. At the current revision that is the cost of one
/// lookup.
fn is_empty_at(source: &dyn Source, at: i64) -> Result<bool, StoreError> {
    let all = KeySpan::From(Bytes::new());
    let mut exists = false;
    visit_current(source, &all, |key, record| {
        exists = decode_live(&key, &record)?.revision.main <= at;
        Ok(!exists)
    })?;
    Ok(!exists && OldVersions::new(source, &all, at)?.next()?.is_none())
}

/// How long a revision is in etcd's table.
const ETCD_KEY_LEN: usize = REVISION_LEN + 1;

/// A revision as etcd's key, with the mark that only tombstones have.
fn etcd_key(revision: Revision) -> [u8; ETCD_KEY_LEN + 1] {
    let mut key = [0; ETCD_KEY_LEN + 1];
    key[..8].copy_from_slice(&revision.main.to_be_bytes());
    key[8] = b'_';
    key[9..ETCD_KEY_LEN].copy_from_slice(&revision.sub.to_be_bytes());
    key[ETCD_KEY_LEN] = b't';
    key
}

fn etcd_value(revision: Revision, record: HistoryRecord) -> KeyValue {
    match record.change {
        Change::Put { attributes, value } => {
            key_value(record.key, revision.main, attributes, value)
        }
        Change::Delete => KeyValue { key: record.key, ..KeyValue::default() },
    }
}
