//! Where members keep their data while they are measured.

use std::path::Path;

use tempfile::TempDir;

use crate::error::BenchError;
use crate::process::FileSystem;

/// A new folder below `parent` for everything, removed afterwards.
///
/// # Errors
///
/// [`BenchError::File`]; [`BenchError::InvalidDisk`] if it is kept in memory, where a sync costs
/// nothing.
pub fn data_folder(parent: &Path) -> Result<TempDir, BenchError> {
    let failed = |error| BenchError::file(parent, error);
    std::fs::create_dir_all(parent).map_err(failed)?;
    let path = parent.canonicalize().map_err(failed)?;
    if let Some(found) = FileSystem::of(&path).filter(FileSystem::is_memory) {
        return Err(BenchError::InvalidDisk { path, kind: found.kind });
    }
    tempfile::Builder::new().prefix("quorate-bench-").tempdir_in(&path).map_err(failed)
}
