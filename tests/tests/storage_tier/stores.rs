//! Both stores of a member: what they hold, how they are opened, and which states the memory
//! stores allow after a crash.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use quorate_storage::memory::{MemoryEngine, MemoryLog};
use quorate_storage::raft_engine_log::{DiskHook, RaftEngineLog, RaftEngineLogOptions};
use quorate_storage::rocks::{RocksEngine, RocksOptions};
use quorate_storage::{
    Direction, Engine, KeyRange, LogBatch, LogEntry, LogState, LogStore, StorageError, Table,
};
use quorate_types::ByteSize;

use super::stream::Step;

/// The tables that every engine here is opened with.
pub(crate) const TABLES: [Table; 3] = [APPLIED, HISTORY, LIVE];
pub(crate) const APPLIED: Table = Table("applied");
pub(crate) const HISTORY: Table = Table("history");
pub(crate) const LIVE: Table = Table("live");

/// All pairs of all tables.
pub(crate) type Content = BTreeMap<(Table, Bytes), Bytes>;

/// What a log holds.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct HeldLog {
    pub(crate) state: LogState,
    pub(crate) entries: Vec<LogEntry>,
}

/// What both stores hold.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Held {
    pub(crate) log: HeldLog,
    pub(crate) content: Content,
}

impl HeldLog {
    pub(crate) fn of(log: &dyn LogStore) -> Result<Self, StorageError> {
        let state = log.state();
        let (first, end) = (state.start.index.next(), state.last.next());
        Ok(Self { state, entries: log.reader().entries(first, end, u64::MAX)? })
    }

    /// A memory log that holds this durably.
    pub(crate) fn in_memory(&self) -> MemoryLog {
        let mut log = MemoryLog::new();
        (0..self.state.incarnation).for_each(|_| {
            log.begin().expect("memory does not fail");
        });
        let batch = LogBatch {
            hard_state: Some(self.state.hard_state),
            reset: Some(self.state.start),
            entries: self.entries.clone(),
        };
        log.append(&batch, true).expect("memory does not fail");
        log
    }
}

impl Held {
    pub(crate) fn of(log: &dyn LogStore, engine: &dyn Engine) -> Result<Self, StorageError> {
        Ok(Self { log: HeldLog::of(log)?, content: content_of(engine)? })
    }
}

pub(crate) fn content_of(engine: &dyn Engine) -> Result<Content, StorageError> {
    let view = engine.view()?;
    let mut content = Content::new();
    for table in TABLES {
        for pair in view.scan(table, &KeyRange::all(), Direction::Forward) {
            let (key, value) = pair?;
            content.insert((table, key), value);
        }
    }
    Ok(content)
}

/// Replaces the content of `engine`; `half_way` is called when half of it is collected.
pub(crate) fn restore(
    engine: &dyn Engine,
    content: &Content,
    half_way: &dyn Fn(),
) -> Result<(), StorageError> {
    let mut restore = engine.restore()?;
    for (place, ((table, key), value)) in content.iter().enumerate() {
        if place == content.len() / 2 {
            half_way();
        }
        restore.put(*table, key, value)?;
    }
    restore.commit()
}

/// A memory engine that holds `content` durably.
pub(crate) fn engine_in_memory(content: &Content) -> MemoryEngine {
    let engine = MemoryEngine::new(&TABLES);
    restore(&engine, content, &|| {}).expect("memory does not fail");
    engine
}

/// Opens the log of a member's folder with files so small that they are changed and removed often.
pub(crate) fn open_log(
    folder: &Path,
    hook: Option<Arc<dyn DiskHook>>,
) -> Result<RaftEngineLog, StorageError> {
    let options = RaftEngineLogOptions {
        target_file_size: ByteSize::kib(64),
        purge_threshold: ByteSize::kib(128),
    };
    let path = folder.join("log");
    let mut attempts = 0;
    loop {
        let opened = match &hook {
            Some(hook) => RaftEngineLog::open_with_hook(&path, options.clone(), Arc::clone(hook)),
            None => RaftEngineLog::open(&path, options.clone()),
        };
        // A process that another thread is just starting holds copies of all open files, and with
        // them the lock of a log that was closed meanwhile, until it runs its own program.
        let is_locked = matches!(opened, Err(StorageError::Locked { .. }));
        if !is_locked || attempts == OPEN_ATTEMPTS_MAX {
            return opened;
        }
        attempts += 1;
        thread::sleep(Duration::from_millis(1));
    }
}

/// Opens the engine of a member's folder with memory so small that RocksDB flushes on its own, too.
pub(crate) fn open_engine(folder: &Path) -> Result<RocksEngine, StorageError> {
    let options = RocksOptions {
        block_cache_size: ByteSize::mib(1),
        write_buffer_size: ByteSize::mib(1),
        ..RocksOptions::default()
    };
    RocksEngine::open(folder.join("state"), &TABLES, options)
}

/// Opens both stores of the folder and reads all they hold.
pub(crate) fn read_folder(folder: &Path) -> Result<Held, StorageError> {
    let (log, engine) = (open_log(folder, None)?, open_engine(folder)?);
    Held::of(&log, &engine)
}

/// What a crash did to calls that were not durable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Survival {
    /// How many calls could have been lost.
    pub(crate) at_risk: usize,
    /// How many of them were there.
    pub(crate) kept: usize,
}

/// Looks for `found` among the states that the memory log allows after a crash: it held `before`,
/// the first `done` of `steps` returned, and the next one may have begun.
pub(crate) fn explain_log(
    before: &HeldLog,
    steps: &[Step],
    done: usize,
    found: &HeldLog,
) -> Option<Survival> {
    let crash = |issued: usize, kept: Option<usize>| {
        let mut log = before.in_memory();
        for step in &steps[..issued] {
            step.run_on_log(&mut log).expect("memory does not fail");
        }
        let at_risk = log.unsynced_batches();
        log.crash_keeping(kept.unwrap_or(at_risk));
        (at_risk, HeldLog::of(&log).expect("memory does not fail"))
    };
    explain(steps.len(), done, found, crash)
}

/// The same for the engine.
pub(crate) fn explain_content(
    before: &Content,
    steps: &[Step],
    done: usize,
    found: &Content,
) -> Option<Survival> {
    let crash = |issued: usize, kept: Option<usize>| {
        let engine = engine_in_memory(before);
        for step in &steps[..issued] {
            step.run_on_engine(&engine, &|| {}).expect("memory does not fail");
        }
        let at_risk = engine.unflushed_batches();
        engine.crash_keeping(kept.unwrap_or(at_risk));
        (at_risk, content_of(&engine).expect("memory does not fail"))
    };
    explain(steps.len(), done, found, crash)
}

/// Tries every crash after `done` steps and, if there is one, after the step that was under way.
/// `crash` keeps some of the calls at risk, or all, and says how many there were.
fn explain<T: PartialEq>(
    step_count: usize,
    done: usize,
    found: &T,
    crash: impl Fn(usize, Option<usize>) -> (usize, T),
) -> Option<Survival> {
    for issued in done..=(done + 1).min(step_count) {
        let (at_risk, whole) = crash(issued, None);
        if whole == *found {
            return Some(Survival { at_risk, kept: at_risk });
        }
        if let Some(kept) = (0..at_risk).find(|kept| crash(issued, Some(*kept)).1 == *found) {
            return Some(Survival { at_risk, kept });
        }
    }
    None
}

const OPEN_ATTEMPTS_MAX: u32 = 2_000;
