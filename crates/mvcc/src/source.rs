//! Where records are read from: a view of the engine, or the engine under pending changes.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{Direction, KeyRange, Scan, StorageError, View};

use crate::lease::lease_key;
use crate::read::decode_live;
use crate::record::{LiveHeader, Revision};
use crate::{HISTORY, LEASES, LIVE, StoreError, VERSIONS};

/// Reads records of one moment.
pub(crate) trait Source {
    /// The record of a key in `live`.
    fn live(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// The record of a key in `live` without its value.
    fn live_header(&self, key: &[u8]) -> Result<Option<LiveHeader>, StoreError> {
        match self.live(key)? {
            Some(record) => decode_live(key, &record).map(Some),
            None => Ok(None),
        }
    }

    /// The records of a range of `live`, in key order.
    fn live_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError>;

    /// A record of `history`.
    fn history(&self, revision: Revision) -> Result<Option<Bytes>, StorageError>;

    /// The records of a range of `versions`, in key order.
    fn versions_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError>;

    /// Whether there is a lease of that id.
    fn has_lease(&self, id: i64) -> Result<bool, StorageError>;
}

/// Reads from a view.
pub(crate) struct ViewSource(pub(crate) Arc<dyn View>);

impl Source for ViewSource {
    fn live(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.0.get(LIVE, key)
    }

    fn live_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError> {
        Ok(self.0.scan(LIVE, range, Direction::Forward))
    }

    fn history(&self, revision: Revision) -> Result<Option<Bytes>, StorageError> {
        self.0.get(HISTORY, &revision.to_key())
    }

    fn versions_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError> {
        Ok(self.0.scan(VERSIONS, range, Direction::Forward))
    }

    fn has_lease(&self, id: i64) -> Result<bool, StorageError> {
        Ok(self.0.get(LEASES, &lease_key(id))?.is_some())
    }
}
