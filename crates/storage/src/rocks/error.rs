//! From what RocksDB says to what we say.

use std::io;
use std::path::{Path, PathBuf};

use rocksdb::ErrorKind;

use crate::StorageError;

/// Translates `error`, which came while the engine did `action` on the database in `path`.
pub(super) fn translate(action: &'static str, path: &Path, error: &rocksdb::Error) -> StorageError {
    let message = error.as_ref();
    match error.kind() {
        ErrorKind::Corruption => corrupt(path, message),
        ErrorKind::IOError if is_lock_conflict(message) => {
            StorageError::Locked { path: path.into() }
        }
        // The folder is there but the database is not, or not all of it.
        ErrorKind::InvalidArgument if message.contains("does not exist") => corrupt(path, message),
        ErrorKind::IOError if action == "open" && message.contains("No such file") => {
            corrupt(path, message)
        }
        _ => {
            let kind = if message.contains("No space left on device") {
                io::ErrorKind::StorageFull
            } else {
                io::ErrorKind::Other
            };
            let file = file_in(path, message).unwrap_or_else(|| path.into());
            StorageError::io(action, file, io::Error::new(kind, message.to_owned()))
        }
    }
}

fn corrupt(path: &Path, message: &str) -> StorageError {
    StorageError::Corrupt {
        path: file_in(path, message).unwrap_or_else(|| path.into()),
        offset: offset_in(message).unwrap_or(0),
        detail: message.to_owned(),
    }
}

fn is_lock_conflict(message: &str) -> bool {
    message.contains("lock hold by current process") || message.contains("While lock file")
}

/// The file of the database that `message` names, if any. RocksDB writes the whole path, or for
/// some errors only the file's name after a slash.
fn file_in(path: &Path, message: &str) -> Option<PathBuf> {
    let folder = path.to_str()?;
    let is_end = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | ';');
    if let Some(start) = message.find(folder) {
        let name = &message[start + folder.len()..];
        let name = &name[..name.find(is_end).unwrap_or(name.len())];
        let name = name.trim_matches(['/', '.']);
        return (!name.is_empty()).then(|| path.join(name));
    }
    let word = message.split(is_end).find(|word| word.ends_with(".sst"))?;
    Some(path.join(Path::new(word).file_name()?))
}

/// The number after the word "offset".
fn offset_in(message: &str) -> Option<u64> {
    let mut words = message.split_whitespace();
    words.find(|word| *word == "offset")?;
    words.next()?.trim_end_matches([',', '.', ';']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_rocksdb_give_file_and_offset() {
        fn check(message: &str, file: Option<&str>, offset: Option<u64>) {
            let folder = Path::new("/data/state/generation-1");
            assert_eq!(file_in(folder, message), file.map(|file| folder.join(file)), "{message}");
            assert_eq!(offset_in(message), offset, "{message}");
        }
        check(
            "Corruption: block checksum mismatch: stored = 5, computed = 6, type = 4  in \
             /data/state/generation-1/000011.sst offset 4081 size 120",
            Some("000011.sst"),
            Some(4081),
        );
        check(
            "Corruption: Can't access /000012.sst: IO error: No such file or directory: While open",
            Some("000012.sst"),
            None,
        );
        check("Corruption: truncated record", None, None);
    }
}
