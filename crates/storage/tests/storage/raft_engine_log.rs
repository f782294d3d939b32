//! The log on raft-engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quorate_storage::conformance::{LogUnderTest, log_suite};
use quorate_storage::raft_engine_log::{DiskHook, RaftEngineLog, RaftEngineLogOptions};
use quorate_storage::{
    EntryKind, HardState, LogBatch, LogEntry, LogReader, LogStore, StorageError,
};
use quorate_types::{ByteSize, LogIndex, LogPosition, Term};

use crate::disk::{Disk, RaftEngineHarness, Unsynced, copy_folder, list, small_files};

const MODES: [Unsynced; 4] = [Unsynced::Kept, Unsynced::Lost, Unsynced::Torn, Unsynced::OnlyLast];

#[test]
fn the_log_conforms_whatever_a_crash_keeps() {
    for mode in MODES {
        log_suite(&|| Box::new(RaftEngineHarness::new(mode)));
    }
}

fn open(path: &Path) -> Result<RaftEngineLog, StorageError> {
    RaftEngineLog::open(path, small_files())
}

fn at(index: u64) -> LogPosition {
    LogPosition::new(Term::new(1), LogIndex::new(index))
}

/// One entry with `size` bytes, and a hard state that names it.
fn batch(index: u64, size: usize) -> LogBatch {
    let data = vec![index as u8; size].into();
    let entry = LogEntry { position: at(index), kind: EntryKind::Normal, data };
    let hard_state = HardState { vote: index, ..HardState::default() };
    LogBatch { hard_state: Some(hard_state), entries: vec![entry], reset: None }
}

/// Checks that the log holds whole batches made by [`batch`] up to its last index; returns that.
fn assert_whole(log: &RaftEngineLog) -> u64 {
    let state = log.state();
    assert_eq!(state.hard_state.vote, state.last.get(), "a batch is kept whole");
    let first = state.start.index.next();
    let found = log.reader().entries(first, state.last.next(), u64::MAX).unwrap();
    for (entry, index) in found.iter().zip(first.get()..) {
        assert_eq!(entry.position, at(index));
        assert!(entry.data.iter().all(|byte| *byte == index as u8), "entry {index}");
    }
    assert_eq!(found.len() as u64, state.last.get() - state.start.index.get());
    state.last.get()
}

/// A closed log with some batches of different sizes. Returns where the last one begins.
fn write_log(path: &Path, count: u64, sync: impl Fn(u64) -> bool) -> Vec<u64> {
    let disk = Arc::new(Disk::default());
    let hook = Arc::clone(&disk) as Arc<dyn DiskHook>;
    let mut log = RaftEngineLog::open_with_hook(path, small_files(), hook).unwrap();
    log.begin().unwrap();
    let mut starts = Vec::new();
    for index in 1..=count {
        let sync = sync(index);
        log.append(&batch(index, (index as usize * 7) % 60), false).unwrap();
        starts.push(disk.last_write().unwrap());
        if sync {
            log.append(&LogBatch::default(), true).unwrap();
        }
    }
    starts
}

fn only_file(path: &Path) -> PathBuf {
    path.join("0000000000000001.raftlog")
}

/// Opens a copy of the log with its file replaced by `content`.
fn open_spoiled(path: &Path, copy: &Path, content: &[u8]) -> Result<RaftEngineLog, StorageError> {
    let _ = fs::remove_dir_all(copy);
    copy_folder(path, copy);
    fs::write(only_file(copy), content).unwrap();
    open(copy)
}

#[test]
fn a_flipped_bit_never_loses_what_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log"), folder.path().join("copy"));
    // The last batch that is told to be synced is number 7; 8 to 10 may be lost.
    let starts = write_log(&path, 10, |index| index <= 7);
    let whole = fs::read(only_file(&path)).unwrap();
    let unsynced = starts[7] as usize;
    assert_eq!(assert_whole(&open_spoiled(&path, &copy, &whole).unwrap()), 10);
    let mut losses = 0;
    for place in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        match open_spoiled(&path, &copy, &damaged) {
            Err(StorageError::Corrupt { path, offset, .. }) => {
                assert_eq!(path, only_file(&copy), "damage at {place}");
                assert!(offset <= place as u64, "damage at {place} is reported at {offset}");
                let next = starts.iter().find(|start| **start > offset);
                assert!(next.is_none_or(|next| (place as u64) < *next), "{place} {offset}");
            }
            Ok(log) => {
                let last = assert_whole(&log);
                assert!(place >= unsynced && last >= 7, "damage at {place} lost {last}");
                losses += 1;
            }
            Err(error) => panic!("damage at {place} is reported as {error:?}"),
        }
    }
    assert!(losses > 50, "damage behind the last sync looks like a torn tail");
}

#[test]
fn a_torn_tail_is_cut_off_at_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log"), folder.path().join("copy"));
    let starts = write_log(&path, 6, |_| true);
    let whole = fs::read(only_file(&path)).unwrap();
    for length in (0..whole.len()).step_by(5) {
        for padding in [0, 3, 5_000] {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + padding, 0);
            let mut log = open_spoiled(&path, &copy, &torn).unwrap();
            let last = assert_whole(&log);
            // Record 1 is that of `begin`; behind each batch is the record of its sync.
            let expected = starts.iter().filter(|start| {
                let end = starts.iter().find(|next| next > start);
                end.is_some_and(|end| length as u64 >= *end)
            });
            assert!(last >= expected.count() as u64, "cut to {length}, the log ends at {last}");
            log.append(&batch(last + 1, 9), true).unwrap();
            drop(log);
            assert_eq!(assert_whole(&open(&copy).unwrap()), last + 1, "cut to {length}");
        }
    }
}

#[test]
fn damage_in_older_files_and_missing_files_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log"), folder.path().join("copy"));
    let mut log = open(&path).unwrap();
    for index in 1..=30 {
        log.append(&batch(index, 10_000), true).unwrap();
    }
    drop(log);
    let logs: Vec<PathBuf> = list(&path)
        .into_keys()
        .filter(|name| name.extension().unwrap_or_default() == "raftlog")
        .collect();
    assert!(logs.len() > 3, "{logs:?}");
    for name in &logs[..logs.len() - 1] {
        copy_folder(&path, &copy);
        let mut content = fs::read(copy.join(name)).unwrap();
        let place = content.len() / 2;
        content[place] ^= 4;
        fs::write(copy.join(name), content).unwrap();
        match open(&copy).map(drop) {
            Err(StorageError::Corrupt { path, offset, .. }) => {
                assert_eq!(path, copy.join(name));
                assert!(offset > 0 && offset <= place as u64);
            }
            other => panic!("damage in {} must be reported, got {other:?}", name.display()),
        }
        copy_folder(&path, &copy);
        fs::remove_file(copy.join(name)).unwrap();
        let result = open(&copy).map(drop);
        assert!(matches!(result, Err(StorageError::Corrupt { .. })), "{result:?}");
    }
}

#[test]
fn purging_frees_files_and_what_is_left_survives() {
    for mode in MODES {
        let mut harness = RaftEngineHarness::new(mode);
        let mut log = harness.open();
        let size = |path: &Path| list(path).values().sum::<u64>();
        for index in 1..=400_u64 {
            log.append(&batch(index, 5_000), true).unwrap();
            if index > 20 {
                log.purge(at(index - 20)).unwrap();
            }
            if index % 97 == 0 {
                log = harness.crash(log);
                assert_eq!(log.state().last.get(), index);
                let first = LogIndex::new(index - 19);
                let left = log.reader().entries(first, LogIndex::new(index + 1), u64::MAX).unwrap();
                assert_eq!(left.len(), 20);
                assert!(left.iter().all(|entry| entry.data.len() == 5_000));
            }
        }
        // 2 MB were written; a threshold of 256 KiB leaves half as much again to be used anew.
        let path = harness.path();
        assert!(size(&path) < 1_000_000, "{} bytes are left: {:?}", size(&path), list(&path));
    }
}

/// A life of a log that touches everything; stops at the first failure. Returns how far it was
/// synced.
fn live(log: &mut RaftEngineLog) -> (u64, Result<(), StorageError>) {
    let mut synced = 0;
    let result = (|| {
        log.begin()?;
        for index in 1..=40 {
            let sync = index % 3 == 0;
            log.append(&batch(index, 9_000), sync)?;
            if sync {
                synced = index;
            }
            if index > 12 && index % 5 == 0 {
                log.purge(at(index - 8))?;
                synced = index;
            }
        }
        Ok(())
    })();
    (synced, result)
}

#[test]
fn any_failed_operation_stops_the_log_without_a_panic() {
    let counted = Arc::new(Disk::default());
    let folder = tempfile::tempdir().unwrap();
    let hook = Arc::clone(&counted) as Arc<dyn DiskHook>;
    let mut log = RaftEngineLog::open_with_hook(folder.path(), small_files(), hook).unwrap();
    live(&mut log).1.unwrap();
    drop(log);
    let count = counted.count.load(Ordering::SeqCst);
    for number in 1..=count {
        let mode = MODES[number as usize % MODES.len()];
        let base = tempfile::tempdir().unwrap();
        let (path, copy) = (base.path().join("log"), base.path().join("copy"));
        let disk = Arc::new(Disk::default());
        disk.fail(number);
        let hook = Arc::clone(&disk) as Arc<dyn DiskHook>;
        let mut synced = 0;
        match RaftEngineLog::open_with_hook(&path, small_files(), hook) {
            Err(error) => {
                assert!(matches!(error, StorageError::Io { .. }), "{number}: {error:?}");
                disk.crash(&path, &copy, mode);
            }
            Ok(mut log) => {
                let (reached, result) = live(&mut log);
                synced = reached;
                if let Err(error) = result {
                    let is_first =
                        matches!(error, StorageError::Io { .. } | StorageError::Stopped { .. });
                    assert!(is_first, "{number}: {error:?}");
                    let next = log.append(&batch(1, 1), true);
                    assert!(matches!(next, Err(StorageError::Stopped { .. })), "{next:?}");
                }
                disk.crash(&path, &copy, mode);
            }
        }
        let last = assert_whole(&open(&copy).unwrap());
        assert!(last >= synced, "operation {number} failed, {mode:?}: {last} of {synced} left");
    }
}

#[test]
fn logs_of_one_process_do_not_mix_on_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut logs: Vec<RaftEngineLog> =
        ["a", "b"].iter().map(|name| open(&folder.path().join(name)).unwrap()).collect();
    for (log, byte) in logs.iter_mut().zip([1, 2]) {
        let mut batch = batch(1, 100);
        batch.entries[0].data = vec![byte; 100].into();
        log.append(&batch, true).unwrap();
    }
    for (log, byte) in logs.iter().zip([1, 2]) {
        let found = log.reader().entries(LogIndex::new(1), LogIndex::new(2), 1).unwrap();
        assert_eq!(found[0].data, vec![byte; 100]);
    }
}

#[test]
fn a_folder_in_use_is_locked_and_invalid_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(StorageError::Locked { .. })));
    let reader: Arc<dyn LogReader> = log.reader();
    drop(log);
    assert!(matches!(open(folder.path()), Err(StorageError::Locked { .. })));
    drop(reader);
    open(folder.path()).unwrap();
    let options = RaftEngineLogOptions { target_file_size: ByteSize::new(1), ..small_files() };
    let result = RaftEngineLog::open(folder.path(), options).map(drop);
    assert!(matches!(result, Err(StorageError::InvalidOption { field: "target_file_size", .. })));
}
