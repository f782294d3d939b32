//! The same test on live members: their own threads, the real clock, real stores, and an in-process
//! network with faults of the same plan.
//!
//! What a live run finds it finds by chance: no run repeats another, and there is no look inside
//! the members. It is there to show that the simulation leaves nothing out.

mod cluster;
mod nemesis;
mod run;
mod scene;

use std::path::PathBuf;

pub(crate) use self::run::run_live;

/// Where the members of a live run keep their data.
#[derive(Clone, Debug)]
pub struct Live {
    pub(crate) folder: Option<PathBuf>,
}

impl Live {
    /// In memory. A crash keeps everything: the process lives on.
    pub fn in_memory() -> Self {
        Self { folder: None }
    }

    /// In a folder, which is made if it is absent; each seed uses a folder of its own in it, which
    /// is removed when the run went well. Needs the feature `rocksdb`.
    #[cfg(feature = "rocksdb")]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }
}
