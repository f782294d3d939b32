//! Why the state machine cannot go on, and why a read got no answer.

use std::sync::Arc;

use bytes::Bytes;
use quorate_kv_api::KvError;
use quorate_storage::StorageError;
use thiserror::Error;

/// A failure of the store itself. After one of these from [`Store::apply`] or [`Store::install`]
/// the store refuses all further writes until it is opened anew.
///
/// [`Store::apply`]: crate::Store::apply
/// [`Store::install`]: crate::Store::install
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine failed.
    #[error("the state engine failed")]
    Storage(#[from] StorageError),
    /// The tables were written by a version of this crate that is newer than this one.
    #[error("state has format {found}, this version knows formats up to {supported}")]
    NewerFormat {
        /// The format of the tables.
        found: u32,
        /// The newest format this version knows.
        supported: u32,
    },
    /// A record cannot be what this crate wrote.
    #[error("corrupt record in table {table} at key {key:?}: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key of the record.
        key: Bytes,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A block of a snapshot is damaged, out of order, or from elsewhere.
    #[error("malformed snapshot block {block}: {detail}")]
    MalformedSnapshot {
        /// Which block of the stream was expected, from 0.
        block: u64,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A snapshot was to be finished or installed before its last block came.
    #[error("snapshot is incomplete after {blocks} blocks")]
    IncompleteSnapshot {
        /// How many blocks came.
        blocks: u64,
    },
    /// An earlier write failed; the store must be opened anew.
    #[error("the state machine stopped after an earlier failure: {cause}")]
    Stopped {
        /// The first failure.
        cause: Arc<StoreError>,
    },
    /// The store was dropped, or stopped after a failure, so there is nothing to wait for.
    #[error("the state machine was closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn corrupt(table: quorate_storage::Table, key: &[u8], detail: &'static str) -> Self {
        Self::Corrupt { table: table.0, key: Bytes::copy_from_slice(key), detail }
    }

    /// Whether the same call may succeed later without opening the store anew. Only a snapshot can
    /// be staged again from its first block.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::MalformedSnapshot { .. } | Self::IncompleteSnapshot { .. })
    }

    /// Whether what was to be written may have been written all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Storage(cause) if cause.is_outcome_unknown())
    }
}

/// Why a request got no response.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request itself is refused.
    #[error("request refused: {0}")]
    Refused(KvError),
    /// The store failed.
    #[error(transparent)]
    Failed(StoreError),
}

impl RequestError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(cause) => cause.is_retryable(),
            Self::Failed(cause) => cause.is_retryable(),
        }
    }

    /// Whether the request may have taken effect all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Refused(cause) => cause.is_outcome_unknown(),
            Self::Failed(cause) => cause.is_outcome_unknown(),
        }
    }
}

impl From<KvError> for RequestError {
    fn from(cause: KvError) -> Self {
        Self::Refused(cause)
    }
}

impl From<StoreError> for RequestError {
    fn from(cause: StoreError) -> Self {
        Self::Failed(cause)
    }
}

impl From<StorageError> for RequestError {
    fn from(cause: StorageError) -> Self {
        Self::Failed(cause.into())
    }
}
