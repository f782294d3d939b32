//! The log on a disk that loses power or fails, in this process.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use quorate_storage::raft_engine_log::{DiskHook, DiskOperation};
use quorate_storage::{LogStore, StorageError};
use quorate_types::{LogIndex, SplitMix64};
use tempfile::TempDir;

use super::stores::{Held, HeldLog, content_of, engine_in_memory, explain_log, open_log};
use super::stream::{Member, Step};

/// A disk below the log. It notes what is not synced, fails one operation if told to, and takes
/// nothing more once the power is off.
struct Disk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    off: bool,
    /// How many operations there were.
    count: u64,
    /// Which operation fails, and with what error of the operating system.
    fails: Option<(u64, i32)>,
    /// What could be undone, oldest first.
    unsynced: Vec<Change>,
}

enum Change {
    /// The file had this size, and these bytes in place of as many as were written.
    Written {
        path: PathBuf,
        offset: u64,
        size: usize,
        old: Vec<u8>,
        old_size: u64,
        /// A sync failed: later ones succeed without these bytes.
        is_given_up: bool,
    },
    /// The file held this.
    Removed { path: PathBuf, content: Vec<u8> },
}

impl Change {
    fn give_up(&mut self) {
        if let Self::Written { is_given_up, .. } = self {
            *is_given_up = true;
        }
    }
}

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Nothing,
    Everything,
    /// Those from some byte on.
    Tail,
    /// Any sectors and any removals: a disk writes in any order.
    Sectors,
}

impl Disk {
    fn new(fails: Option<(u64, i32)>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { fails, ..State::default() }) })
    }

    /// From now on nothing reaches the disk.
    fn turn_off(&self) {
        self.state.lock().expect("no panic").off = true;
    }

    /// Undoes some of what was not synced; returns how many changes that could be.
    fn lose(&self, loss: Loss, random: &mut SplitMix64) -> usize {
        let unsynced = std::mem::take(&mut self.state.lock().expect("no panic").unsynced);
        let count = unsynced.len();
        let torn = random.below(count as u64 + 1) as usize;
        for (place, change) in unsynced.into_iter().enumerate().rev() {
            match (loss, change) {
                (Loss::Nothing, _) => {}
                (Loss::Tail, _) if place < torn => {}
                (Loss::Sectors, Change::Removed { .. }) if random.below(2) == 0 => {}
                (_, Change::Removed { path, content }) => {
                    fs::write(path, content).expect("a file can come back");
                }
                (loss, change @ Change::Written { .. }) => {
                    let tears = matches!(loss, Loss::Sectors) || place == torn;
                    undo_write(change, tears.then_some(loss), random);
                }
            }
        }
        count
    }
}

/// Takes a write back: whole, or some sectors of it, or its end from some byte on.
fn undo_write(change: Change, tear: Option<Loss>, random: &mut SplitMix64) {
    let Change::Written { path, offset, size, old, old_size, .. } = change else { return };
    // A file that is gone, or has another name now, has nothing to lose.
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else { return };
    let kept = match tear {
        Some(Loss::Tail) => random.below(size as u64) as usize,
        _ => 0,
    };
    let mut place = kept;
    while place < size {
        let to_sector_end = SECTOR - (offset as usize + place) % SECTOR;
        let end = size.min(place + to_sector_end);
        if !matches!(tear, Some(Loss::Sectors)) || random.below(2) == 0 {
            let mut bytes = old.get(place..end.min(old.len())).unwrap_or_default().to_vec();
            bytes.resize(end - place, 0);
            file.seek(SeekFrom::Start(offset + place as u64)).expect("a place in a file");
            file.write_all(&bytes).expect("writable");
        }
        place = end;
    }
    // A file that grew by the write may end where it began.
    if tear.is_none() && old_size <= offset && random.below(2) == 0 {
        file.set_len(offset).expect("a file can be cut");
    }
}

impl DiskHook for Disk {
    fn before(&self, path: &Path, operation: DiskOperation) -> io::Result<()> {
        let mut state = self.state.lock().expect("no panic");
        if state.off {
            return Err(io::Error::other("the power is off"));
        }
        state.count += 1;
        let is_of = |change: &Change| match change {
            Change::Written { path: written, is_given_up, .. } => written == path && !is_given_up,
            Change::Removed { path: removed, .. } => removed.parent() == Some(path),
        };
        if let Some((number, error)) = state.fails
            && number == state.count
        {
            if operation == DiskOperation::Sync {
                // The operating system takes the pages for clean now: no later sync writes them.
                state.unsynced.iter_mut().filter(|change| is_of(change)).for_each(Change::give_up);
            }
            return Err(io::Error::from_raw_os_error(error));
        }
        match operation {
            DiskOperation::Write { offset, size } => {
                let size = usize::try_from(size).expect("a write fits into memory");
                let (old, old_size) = read_at(path, offset, size)?;
                let path = path.to_owned();
                let is_given_up = false;
                let change = Change::Written { path, offset, size, old, old_size, is_given_up };
                state.unsynced.push(change);
            }
            DiskOperation::Sync => state.unsynced.retain(|change| !is_of(change)),
            DiskOperation::Remove => {
                let content = fs::read(path)?;
                state.unsynced.retain(|change| !is_of(change));
                state.unsynced.push(Change::Removed { path: path.to_owned(), content });
            }
            // raft-engine itself syncs the folder after a new file, which is not seen here.
            DiskOperation::Rename | DiskOperation::Create => {
                state.unsynced.retain(|change| matches!(change, Change::Written { .. }));
            }
            _ => {}
        }
        Ok(())
    }
}

fn read_at(path: &Path, offset: u64, size: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let file_size = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(size as u64).read_to_end(&mut bytes)?;
    Ok((bytes, file_size))
}

/// What the rounds saw, so that the test is known to test something.
#[derive(Debug, Default)]
struct Seen {
    rounds: usize,
    failed: usize,
    unsynced_changes: usize,
    kept: usize,
    lost: usize,
    kinds_failed: BTreeMap<&'static str, usize>,
}

#[test]
fn a_log_that_loses_power_or_fails_holds_what_it_acknowledged() {
    let mut random = SplitMix64::new(SEED);
    let mut seen = Seen::default();
    for _ in 0..FOLDERS {
        let folder = TempDir::new().expect("a temporary folder");
        let mut held = Held::default();
        for _ in 0..LIVES {
            held = live(folder.path(), &held, &mut random, &mut seen);
        }
    }
    println!("{seen:?}");
    assert!(seen.failed > seen.rounds / 5 && seen.lost > seen.rounds / 10, "{seen:?}");
    assert!(seen.kept > seen.rounds / 10 && seen.unsynced_changes > seen.rounds, "{seen:?}");
}

/// One life of a log between two losses of power; returns what is there afterwards.
fn live(folder: &Path, held: &Held, random: &mut SplitMix64, seen: &mut Seen) -> Held {
    let seed = random.draw();
    let fails = (random.below(2) == 0).then(|| {
        (1 + random.below(OPERATIONS_MAX), if random.below(2) == 0 { EIO } else { ENOSPC })
    });
    let disk = Disk::new(fails);
    let loss = [Loss::Nothing, Loss::Everything, Loss::Tail, Loss::Sectors];
    let loss = loss[random.below(4) as usize];
    let context = format!("seed {seed}, {fails:?}, {loss:?}");
    let steps = Member::steps(seed, held, random.below(CALLS_MAX) as usize + 1);
    let engine = engine_in_memory(&held.content);
    let mut done = 0;
    match open_log(folder, Some(Arc::clone(&disk) as Arc<dyn DiskHook>)) {
        Err(error) => {
            seen.failed += 1;
            assert!(matches!(error, StorageError::Io { .. }), "{context}: {error:?}");
        }
        Ok(mut log) => {
            for step in &steps {
                if let Err(error) = step.run(&mut log, &engine, &|| {}) {
                    assert_final(&mut log, step, &error, &context);
                    seen.failed += 1;
                    *seen.kinds_failed.entry(action(&error)).or_default() += 1;
                    break;
                }
                done += 1;
            }
            disk.turn_off();
        }
    }
    disk.turn_off();
    seen.unsynced_changes += disk.lose(loss, random);
    let kept = random.below(engine.unflushed_batches() as u64 + 1) as usize;
    engine.crash_keeping(kept);

    let log = open_log(folder, None).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let found = HeldLog::of(&log).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let Some(survival) = explain_log(&held.log, &steps, done, &found) else {
        panic!("{context}: no crash after {done} calls leaves {:?}", found.state);
    };
    seen.rounds += 1;
    if survival.at_risk > 0 {
        seen.kept += usize::from(survival.kept == survival.at_risk);
        seen.lost += usize::from(survival.kept < survival.at_risk);
    }
    Held { log: found, content: content_of(&engine).expect("memory does not fail") }
}

/// Checks that the log does nothing more after `error`, whatever it is asked: a sync that is tried
/// again can succeed without the bytes on disk.
fn assert_final(log: &mut dyn LogStore, step: &Step, error: &StorageError, context: &str) {
    let is_known = matches!(error, StorageError::Io { .. } | StorageError::Stopped { .. });
    assert!(is_known, "{context}: {error:?}");
    let start = log.state().start;
    for _ in 0..3 {
        let refusals = [
            step.run_on_log(log),
            log.begin().map(drop),
            log.append(&Default::default(), true),
            log.purge(start),
            log.reader().entries(LogIndex::new(1), LogIndex::new(2), 1).map(drop),
        ];
        for refusal in refusals {
            let is_refused = matches!(refusal, Err(StorageError::Stopped { .. }));
            assert!(is_refused, "{context}: {refusal:?} after {error:?}");
        }
    }
}

/// What the log could not do.
fn action(error: &StorageError) -> &'static str {
    match error {
        StorageError::Io { action, .. } => action,
        StorageError::Stopped { cause } => action(cause),
        _ => "something else",
    }
}

const SEED: u64 = 0x90e4;
const FOLDERS: usize = 20;
const LIVES: usize = 12;
const CALLS_MAX: u64 = 200;
const OPERATIONS_MAX: u64 = 200;
const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
