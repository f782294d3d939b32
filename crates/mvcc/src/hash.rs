//! A hash over the history, to compare members.

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{KeyValue, KvError};
use quorate_storage::{Direction, KeyRange, View};
use quorate_types::mutant;

use crate::meta::Head;
use crate::record::{Change, HistoryRecord, REVISION_LEN, Revision, key_value};
use crate::{HISTORY, RequestError, StoreError};

/// A hash over what happened in the store. Stores that hash to different values at the same
/// revision and compact revision differ.
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

pub(crate) fn hash(
    view: &dyn View,
    head: &Head,
    requested: i64,
) -> Result<StoreHash, RequestError> {
    let revision = if requested == 0 { head.revision } else { requested };
    let compact_revision = head.compact_revision;
    if revision < compact_revision {
        return Err(KvError::Compacted { requested, compact_revision }.into());
    }
    if revision > head.revision {
        return Err(KvError::FutureRevision { requested, current: head.revision }.into());
    }
    let mut hash = crc32c::crc32c(b"key");
    // Negative revisions cover nothing.
    let end = Revision::new(revision.max(0).saturating_add(1), 0).to_key();
    let range = KeyRange { start: Bytes::new(), end: Some(Bytes::copy_from_slice(&end)) };
    let mut value = Vec::new();
    for row in view.scan(HISTORY, &range, Direction::Forward) {
        let (key, record) = row.map_err(StoreError::from)?;
        let corrupt = |detail| StoreError::corrupt(HISTORY, &key, detail);
        let revision = Revision::from_key(&key).map_err(corrupt)?;
        let record = HistoryRecord::decode(&record).map_err(corrupt)?;
        value.clear();
        let is_tombstone = matches!(record.change, Change::Delete);
        if is_tombstone {
            mutant!(M54, { continue });
        }
        // A vector grows as needed, so encoding cannot fail.
        etcd_value(revision, record).encode_raw(&mut value);
        hash = crc32c::crc32c_append(
            hash,
            &etcd_key(revision)[..ETCD_KEY_LEN + usize::from(is_tombstone)],
        );
        hash = crc32c::crc32c_append(hash, &value);
    }
    Ok(StoreHash { hash, revision, compact_revision })
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
