//! Why a run ends early.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quorate::{Error, OpenError, StopCause};

/// What ended the run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0} (--help tells more)")]
    Usage(String),
    #[error("cannot read {name}")]
    Input { name: String, source: io::Error },
    #[error("{name} holds more than {limit} bytes")]
    InputTooLarge { name: String, limit: u64 },
    #[error("no line of {name} can be used; bad lines: {count}, the first: {reason}")]
    NothingUsable { name: String, count: u64, reason: String },
    #[error("cannot use folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("{path} is not empty and holds no cluster of this example")]
    ForeignFolder { path: PathBuf },
    #[error("{path} is damaged: {detail}")]
    DamagedFolder { path: PathBuf, detail: &'static str },
    #[error("{path} holds a cluster {found}: {advice}")]
    OtherNetwork { path: PathBuf, found: &'static str, advice: &'static str },
    #[error("cannot find a free port on 127.0.0.1")]
    Port { source: io::Error },
    #[error("cannot open member {name}")]
    Open { name: &'static str, source: OpenError },
    #[error("member {name} did not close in good order")]
    Close { name: &'static str, source: StopCause },
    #[error("cannot {action}")]
    Request { action: &'static str, source: Error },
    #[error("the members chose no leader within {0:?}")]
    NoLeader(Duration),
    #[error("member {name} did not catch up within {limit:?}")]
    NoCatchUp { name: &'static str, limit: Duration },
    #[error("no write was acknowledged after the leader was killed")]
    NoFailover,
}

impl Failure {
    /// 2 if the caller gave something that cannot be used, 1 if the cluster failed.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Input { .. }
            | Self::InputTooLarge { .. }
            | Self::NothingUsable { .. }
            | Self::Folder { .. }
            | Self::ForeignFolder { .. }
            | Self::DamagedFolder { .. }
            | Self::OtherNetwork { .. } => 2,
            Self::Port { .. }
            | Self::Open { .. }
            | Self::Close { .. }
            | Self::Request { .. }
            | Self::NoLeader(_)
            | Self::NoCatchUp { .. }
            | Self::NoFailover => 1,
        }
    }
}
