//! Why nothing could be measured.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a run ended early.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    /// The command line makes no sense.
    #[error("{detail}, see --help")]
    InvalidUsage { detail: String },
    /// The data folder lies in memory, where a sync costs nothing.
    #[error("{} is on {kind}, which is no disk; choose another folder with --data", path.display())]
    InvalidDisk { path: PathBuf, kind: String },
    /// A file could not be used.
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The operating system gave no thread.
    #[error("cannot start a caller's thread")]
    Thread(#[source] io::Error),
    /// A member did not open.
    #[error("cannot open member {name}")]
    Open {
        name: &'static str,
        #[source]
        source: quorate::OpenError,
    },
    /// The members did not agree on a leader in time.
    #[error("the members have no leader")]
    NoLeader,
    /// A request failed outside a measurement, or because the member stopped.
    #[error("cannot go on with {case}")]
    Request {
        case: String,
        #[source]
        source: quorate::Error,
    },
}

impl BenchError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::InvalidUsage { detail: detail.into() }
    }
}

/// The message of an error and of everything behind it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
