//! Checks all files of the log before raft-engine opens them, and cuts off what a crash left half
//! written.
//!
//! A crash may leave anything behind the last sync: zeros, old bytes, parts of records, even whole
//! records behind a hole. All of that was never acknowledged and must go. Behind the same bad bytes
//! there may as well be acknowledged records, if the bad bytes are damage. The records themselves
//! tell: each names the newest record that was synced before it. If the first bad record is number
//! n and any good record behind it says that n was synced, then n is damaged. Otherwise nothing
//! from n on was synced before the last record was written, and n is where the torn tail begins.
//!
//! The one case that cannot be told is damage to the very last record that was synced: it looks
//! like a torn one.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::meta::Meta;
use super::record::{FILE_HEADER_SIZE, Record, file_header_is_good};
use crate::StorageError;
use crate::files::sync_folder;

/// Checks the log in `folder` and repairs its torn tail. Returns the meta of the last record, or
/// `None` if the log holds no record.
///
/// Afterwards all that is in the files is durable, whatever happened to syncs before.
///
/// # Errors
///
/// [`StorageError::Corrupt`] with the file and the offset of the first bad record;
/// [`StorageError::Io`].
pub(super) fn check_and_repair(folder: &Path) -> Result<Option<Meta>, StorageError> {
    let rewritten = files(folder, REWRITE_SUFFIX)?;
    for (place, file) in rewritten.iter().enumerate() {
        let content = file.read()?;
        let end = file.good_end(&content, |_, _| Ok(()))?;
        if end.is_whole() {
            if place + 1 == rewritten.len() {
                file.write_again(&content, 0)?;
            }
            continue;
        }
        // These records are few, and are synced before the originals go: whatever stands behind a
        // bad one is reason to stop.
        let follows = |bytes| Record::parse(bytes, file.number).is_ok();
        let damage = place + 1 < rewritten.len() || end.rest(&content).any(follows);
        file.cut_off(&content, &end, damage, 0)?;
    }
    let last = check_appended(&files(folder, APPEND_SUFFIX)?)?;
    sync_folder(folder)?;
    Ok(last)
}

/// Checks the files that appends wrote to, oldest first.
fn check_appended(appended: &[LogFile]) -> Result<Option<Meta>, StorageError> {
    let mut last: Option<Meta> = None;
    for (place, file) in appended.iter().enumerate() {
        let content = file.read()?;
        let mut records: Vec<(u64, usize)> = Vec::new();
        let end = file.good_end(&content, |record, offset| {
            let Some(meta) = record.meta() else { return Err("a record without meta".to_owned()) };
            if let Some(last) = last.filter(|last| last.number + 1 != meta.number) {
                return Err(format!("record {} follows record {}", meta.number, last.number));
            }
            last = Some(meta);
            records.push((meta.number, offset));
            Ok(())
        })?;
        if place + 1 < appended.len() {
            if !end.is_whole() {
                return Err(file.corrupt(end.offset, end.found));
            }
            continue;
        }
        let last_number = last.map_or(0, |last| last.number);
        let synced = last.map_or(0, |last| last.synced);
        let unsynced = records.iter().find(|(number, _)| *number > synced);
        let unsynced = unsynced.map_or(0, |(_, offset)| *offset);
        if end.is_whole() {
            file.write_again(&content, unsynced)?;
            continue;
        }
        let was_synced = |bytes| {
            let found = Record::parse_append(bytes, file.number);
            found.is_some_and(|(_, meta)| meta.number > last_number && meta.synced > last_number)
        };
        // Files before a file go only when that file holds a synced record.
        let lost_all = last.is_none() && file.number > FIRST_FILE_NUMBER;
        let damage = lost_all || end.rest(&content).any(was_synced);
        file.cut_off(&content, &end, damage, unsynced)?;
    }
    Ok(last)
}

struct LogFile {
    path: PathBuf,
    number: u64,
}

/// Where the good records of a file end, and why.
struct GoodEnd {
    offset: usize,
    /// What is wrong with the bytes there; empty if it is the end of the file.
    found: &'static str,
}

impl GoodEnd {
    fn is_whole(&self) -> bool {
        self.found.is_empty()
    }

    /// Every suffix of `content` behind the first bad byte, longest first.
    fn rest<'a>(&self, content: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        (self.offset + 1..content.len()).map(|offset| &content[offset..])
    }
}

impl LogFile {
    fn read(&self) -> Result<Vec<u8>, StorageError> {
        fs::read(&self.path).map_err(|error| StorageError::io("read", &self.path, error))
    }

    /// Walks over the records until the first bad one; `accept` may refuse good ones.
    fn good_end(
        &self,
        content: &[u8],
        mut accept: impl FnMut(&Record<'_>, usize) -> Result<(), String>,
    ) -> Result<GoodEnd, StorageError> {
        if !file_header_is_good(content) {
            return Ok(GoodEnd { offset: 0, found: "the header of the file is damaged" });
        }
        let mut offset = FILE_HEADER_SIZE;
        while offset < content.len() {
            match Record::parse(&content[offset..], self.number) {
                Err(found) => return Ok(GoodEnd { offset, found }),
                Ok(record) => {
                    accept(&record, offset).map_err(|detail| self.corrupt(offset, &detail))?;
                    offset += record.size;
                }
            }
        }
        Ok(GoodEnd { offset, found: "" })
    }

    /// Removes what is behind `end`, unless that is `damage`. Good bytes from `unsynced` on are
    /// written again.
    fn cut_off(
        &self,
        content: &[u8],
        end: &GoodEnd,
        damage: bool,
        unsynced: usize,
    ) -> Result<(), StorageError> {
        if damage {
            return Err(self.corrupt(end.offset, end.found));
        }
        if end.offset == 0 {
            // A file is synced before anything goes into it: it was just being created.
            return fs::remove_file(&self.path)
                .map_err(|error| StorageError::io("remove", &self.path, error));
        }
        self.open()?
            .set_len(end.offset as u64)
            .map_err(|error| StorageError::io("truncate", &self.path, error))?;
        self.write_again(&content[..end.offset], unsynced)
    }

    /// Writes the bytes from `offset` on a second time and syncs them. If an earlier sync failed,
    /// the operating system may believe that they are on disk while they are not; now it must write
    /// them.
    fn write_again(&self, content: &[u8], offset: usize) -> Result<(), StorageError> {
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(offset as u64))
            .and_then(|_| file.write_all(&content[offset..]))
            .map_err(|error| StorageError::io("write", &self.path, error))?;
        file.sync_all().map_err(|error| StorageError::io("sync", &self.path, error))
    }

    fn open(&self) -> Result<File, StorageError> {
        let result = OpenOptions::new().write(true).open(&self.path);
        result.map_err(|error| StorageError::io("open", &self.path, error))
    }

    fn corrupt(&self, offset: usize, detail: &str) -> StorageError {
        let detail = detail.to_owned();
        StorageError::Corrupt { path: self.path.clone(), offset: offset as u64, detail }
    }
}

/// The files whose names end with `suffix`, oldest first, from the last gap in their numbers on:
/// raft-engine ignores those before a gap, which are removed files that a crash brought back.
fn files(folder: &Path, suffix: &str) -> Result<Vec<LogFile>, StorageError> {
    let failed = |error| StorageError::io("list", folder, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(suffix));
        let number = number.filter(|number| number.len() == FILE_NUMBER_WIDTH);
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push(LogFile { path: entry.path(), number });
        }
    }
    files.sort_by_key(|file| file.number);
    let gap = files.windows(2).rposition(|pair| pair[1].number != pair[0].number + 1);
    Ok(files.split_off(gap.map_or(0, |gap| gap + 1)))
}

const APPEND_SUFFIX: &str = ".raftlog";
const REWRITE_SUFFIX: &str = ".rewrite";
const FILE_NUMBER_WIDTH: usize = 16;
const FIRST_FILE_NUMBER: u64 = 1;
