//! Small helpers around files and folders, with errors that name the path.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::StorageError;

/// Makes the names in a folder durable: files created, renamed or removed in it.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StorageError> {
    let folder = File::open(path).map_err(|error| StorageError::io("open", path, error))?;
    folder.sync_all().map_err(|error| StorageError::io("sync", path, error))
}

/// Creates a folder and those above it that are missing, durably.
pub(crate) fn create_folder(path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    fs::create_dir(path).map_err(|error| StorageError::io("create", path, error))?;
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Removes a folder with all it holds; nothing happens if there is none.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Replaces `folder/name` by `content` in one step: after a crash the file is the old or the new
/// one.
pub(crate) fn replace_file(folder: &Path, name: &str, content: &[u8]) -> Result<(), StorageError> {
    let path = folder.join(name);
    let draft = folder.join(format!("{name}.new"));
    let mut file =
        File::create(&draft).map_err(|error| StorageError::io("create", &draft, error))?;
    file.write_all(content).map_err(|error| StorageError::io("write", &draft, error))?;
    file.sync_all().map_err(|error| StorageError::io("sync", &draft, error))?;
    drop(file);
    fs::rename(&draft, &path).map_err(|error| StorageError::io("rename", &path, error))?;
    sync_folder(folder)
}
