//! The file that names the generation that counts, and the names of folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::files::replace_file;

/// The folder of generation `number`.
pub(super) fn generation_path(state: &Path, number: u64) -> PathBuf {
    state.join(format!("{GENERATION_PREFIX}{number:016}"))
}

/// The folder where a restore collects the files of generation `number`.
pub(super) fn restore_path(state: &Path, number: u64) -> PathBuf {
    state.join(format!("{RESTORE_PREFIX}{number:016}"))
}

/// The generation that counts, or `None` if none was ever completed.
pub(super) fn read_pointer(state: &Path) -> Result<Option<u64>, StorageError> {
    let path = state.join(POINTER_NAME);
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", path, error)),
    };
    match decode(&content) {
        Some(number) => Ok(Some(number)),
        None => Err(StorageError::Corrupt {
            path,
            offset: 0,
            detail: format!("no name of a generation: {}", String::from_utf8_lossy(&content)),
        }),
    }
}

/// Lets generation `number` count from now on, durably and in one step.
pub(super) fn write_pointer(state: &Path, number: u64) -> Result<(), StorageError> {
    replace_file(state, POINTER_NAME, encode(number).as_bytes())
}

/// The numbers of all generations in the folder, whole or not, in no special order.
pub(super) fn generations(state: &Path) -> Result<Vec<u64>, StorageError> {
    let numbers = |name: &str| name.strip_prefix(GENERATION_PREFIX)?.parse().ok();
    Ok(names(state)?.iter().filter_map(|name| numbers(name)).collect())
}

/// The folders that crashed or finished restores left behind.
pub(super) fn leftovers(state: &Path, current: u64) -> Result<Vec<PathBuf>, StorageError> {
    let current = generation_path(state, current);
    let is_ours =
        |name: &str| name.starts_with(GENERATION_PREFIX) || name.starts_with(RESTORE_PREFIX);
    let ours = names(state)?.into_iter().filter(|name| is_ours(name));
    Ok(ours.map(|name| state.join(name)).filter(|path| *path != current).collect())
}

fn names(state: &Path) -> Result<Vec<String>, StorageError> {
    let failed = |error| StorageError::io("list", state, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(state).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// One line: the version of the file, the number of the generation, and the CRC-32 of both.
fn encode(number: u64) -> String {
    let line = format!("{POINTER_VERSION} {number:016}");
    let checksum = crc32fast::hash(line.as_bytes());
    format!("{line} {checksum:08x}\n")
}

fn decode(content: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(content).ok()?;
    let number = line.split(' ').nth(1)?.parse().ok()?;
    (encode(number) == line).then_some(number)
}

const POINTER_NAME: &str = "CURRENT-GENERATION";
const POINTER_VERSION: u32 = 1;
const GENERATION_PREFIX: &str = "generation-";
const RESTORE_PREFIX: &str = "restore-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_is_one_line_with_a_checksum() {
        assert_eq!(encode(7), "1 0000000000000007 05d01aec\n");
        assert_eq!(decode(encode(7).as_bytes()), Some(7));
        for damaged in ["", "1", "1 0000000000000008 05d01aec\n", "1 0000000000000007 05d01aec"] {
            assert_eq!(decode(damaged.as_bytes()), None, "{damaged}");
        }
    }
}
