//! Why nothing could be measured.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a run ended early.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The command line makes no sense.
    #[error("{detail}, see --help")]
    InvalidUsage {
        /// What is wrong.
        detail: String,
    },
    /// The data folder lies in memory, where a sync costs nothing.
    #[error("{} is on {kind}, which is no disk; choose another folder with --data", path.display())]
    InvalidDisk {
        /// The folder.
        path: PathBuf,
        /// The kind of file system there.
        kind: String,
    },
    /// A file could not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no thread.
    #[error("cannot start a caller's thread")]
    Thread(#[source] io::Error),
    /// A member did not open.
    #[error("cannot open member {name}")]
    Open {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: quorate::OpenError,
    },
    /// The members did not agree on a leader in time.
    #[error("the members have no leader")]
    NoLeader,
    /// A request failed outside a measurement, or because the member stopped.
    #[error("cannot go on with {case}")]
    Request {
        /// What was measured.
        case: String,
        /// Why it failed.
        #[source]
        source: quorate::Error,
    },
}

impl BenchError {
    /// A file that could not be used.
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    /// A command line that makes no sense.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::InvalidUsage { detail: detail.into() }
    }
}

/// The message of an error and of everything behind it, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
