//! What can go wrong in a store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_types::{LogIndex, LogPosition};
use thiserror::Error;

/// A failure of the disk, or of what stands on it. Cloneable, so that every caller of a stopped
/// member can be told the same cause.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused an operation: disk full, permission, a failed sync.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb: "open", "write", "sync".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The bytes on disk are not what was written.
    #[error("corrupt data in {path} at byte {offset}: {detail}")]
    Corrupt {
        /// The file or folder.
        path: PathBuf,
        /// Where in the file the damage was seen; 0 if the store cannot tell.
        offset: u64,
        /// What was expected and what was found.
        detail: String,
    },
    /// An earlier write or sync failed; the store refuses all work until it is opened anew.
    #[error("the store stopped after an earlier failure: {cause}")]
    Stopped {
        /// The first failure.
        cause: Arc<StorageError>,
    },
    /// Another process, or another member in this process, holds the folder.
    #[error("data folder {path} is in use by another member")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// An option of a store is out of its range.
    #[error("option {field} is {found}, allowed are {min} to {max}")]
    InvalidOption {
        /// The field of the options.
        field: &'static str,
        /// Its value, in the unit of the field.
        found: u64,
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
    },
    /// The log does not hold the entry: it was purged or never written.
    #[error("log entry {index} is not in the log, which holds entries after {start} up to {last}")]
    NoSuchEntry {
        /// The entry asked for.
        index: LogIndex,
        /// The position before the first entry.
        start: LogPosition,
        /// The last entry.
        last: LogIndex,
    },
}

impl StorageError {
    /// Builds an [`StorageError::Io`].
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    /// An [`StorageError::InvalidOption`] if `found` is not in `range`.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn check_option(
        field: &'static str,
        found: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<(), Self> {
        if range.contains(&found) {
            return Ok(());
        }
        Err(Self::InvalidOption { field, found, min: *range.start(), max: *range.end() })
    }

    /// Whether the same call may succeed later without opening the store anew. Never: a failed
    /// disk operation is final.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// Whether the write may have reached the disk all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}
