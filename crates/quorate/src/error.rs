//! What can go wrong, as callers see it.

use std::path::PathBuf;
use std::sync::Arc;

use quorate_kv_api::KvError;
use quorate_mvcc::StoreError;
use quorate_raft_node::core::ProposeError;
use quorate_raft_node::driver::{StartError, StopCause};
use quorate_storage::StorageError;
use quorate_transport::TransportError;
use thiserror::Error;

use crate::recipes::RecipeError;

/// Why a request failed.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let node = quorate::Node::open(quorate::Config::new(folder.path()))?;
/// let error = node.put("", "no key").wait().unwrap_err();
/// assert!(!error.is_retryable() && !error.is_outcome_unknown());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refuses the request as it is. Nothing happened.
    #[error(transparent)]
    Refused(KvError),
    /// Too many requests wait on this member already. Nothing happened.
    #[error("too many requests wait on this member")]
    Overloaded,
    /// No majority answered in time, and the request was not carried out and will not be.
    #[error("request timed out")]
    TimedOut,
    /// No majority answered in time. The write may have happened, or may still happen.
    #[error("request timed out, its outcome is unknown")]
    OutcomeUnknown,
    /// The member has stopped. A write that was waiting may have happened.
    #[error("the member has stopped")]
    Stopped(#[source] StopCause),
    /// The state could not be read.
    #[error("cannot read the store")]
    Store(#[source] StoreError),
    /// A recipe cannot go on, although its requests were answered.
    #[error(transparent)]
    Recipe(RecipeError),
}

impl Error {
    /// Whether the same request may succeed later, on this member as it runs now. A write for which
    /// [`Self::is_outcome_unknown`] holds may then happen twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Overloaded | Self::TimedOut | Self::OutcomeUnknown => true,
            Self::Refused(cause) => cause.is_retryable(),
            Self::Stopped(_) | Self::Recipe(_) => false,
            Self::Store(cause) => cause.is_retryable(),
        }
    }

    /// Whether a write may have happened, or may still happen, although no success was reported.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::OutcomeUnknown | Self::Stopped(_) => true,
            Self::Refused(_) | Self::Overloaded | Self::TimedOut | Self::Recipe(_) => false,
            Self::Store(cause) => cause.is_outcome_unknown(),
        }
    }
}

impl From<ProposeError> for Error {
    fn from(cause: ProposeError) -> Self {
        match cause {
            ProposeError::Overloaded => Self::Overloaded,
            ProposeError::TimedOut => Self::TimedOut,
            _ => Self::OutcomeUnknown,
        }
    }
}

impl From<KvError> for Error {
    fn from(cause: KvError) -> Self {
        Self::Refused(cause)
    }
}

impl From<RecipeError> for Error {
    fn from(cause: RecipeError) -> Self {
        Self::Recipe(cause)
    }
}

/// A value of [`Config`](crate::Config) that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("config field {field} is {found}, but must be {expected}")]
pub struct ConfigError {
    /// The name of the field.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What is allowed.
    pub expected: String,
}

/// Why a member could not be opened.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A value of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder belongs to another member or cluster than the one configured.
    #[error("data folder {path} belongs to {found}, not to {expected}")]
    ForeignData {
        /// The data folder.
        path: PathBuf,
        /// The member whose data it holds.
        found: String,
        /// The member that was to be opened.
        expected: String,
    },
    /// A later version of Quorate wrote the data folder.
    #[error("{path} has format version {found}, this version of Quorate knows up to {supported}")]
    NewerFormat {
        /// The file that tells the version.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// The data folder is in use, cannot be accessed, or is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state machine refused the state found.
    #[error("cannot open the state")]
    Store(#[source] StoreError),
    /// The network cannot be used.
    #[error("cannot open the transport")]
    Transport(#[source] TransportError),
    /// Recovery or start of the member's threads failed.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl OpenError {
    /// Whether opening may succeed later without a change of anything: another member may give up
    /// the folder, or the network address.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Storage(StorageError::Locked { .. })
                | Self::Transport(_)
                | Self::Start(StartError::Transport(_) | StartError::Thread { .. })
        )
    }

    /// Never: nothing is written for callers while opening.
    pub fn is_outcome_unknown(&self) -> bool {
        false
    }

    pub(crate) fn io(action: &'static str, path: &std::path::Path, error: std::io::Error) -> Self {
        let (path, source) = (path.to_owned(), Arc::new(error));
        Self::Storage(StorageError::Io { action, path, source })
    }
}
