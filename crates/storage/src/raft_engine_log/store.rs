//! The log store.

use std::any::Any;
use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::RwLock;
use quorate_types::{ByteSize, LogPosition};
use raft_engine::{Command, Config, Engine, ReadableSize, RecoveryMode};

use super::disk::{DiskHook, GuardedFileSystem, storage_error};
use super::meta::{META_KEY, META_REGION, Meta};
use super::options::RaftEngineLogOptions;
use super::reader::{RaftEngineLogReader, RaftEntry, encode};
use super::tail_check::check_and_repair;
use crate::files::create_folder;
use crate::latch::Latch;
use crate::log::check_batch;
use crate::{LogBatch, LogReader, LogState, LogStore, StorageError};

/// A [`LogStore`] on raft-engine. The folder is free for the next owner when the store and all its
/// readers are gone.
///
/// Batches that drop entries (a reset, a replaced suffix, a purge) are synced even when that is
/// not asked for: raft-engine may then remove files that hold only dropped entries.
///
/// ```
/// use quorate_storage::raft_engine_log::{RaftEngineLog, RaftEngineLogOptions};
/// use quorate_storage::{HardState, LogBatch, LogStore};
///
/// let folder = tempfile::tempdir()?;
/// let mut log = RaftEngineLog::open(folder.path(), RaftEngineLogOptions::default())?;
/// assert_eq!(log.begin()?, 1);
/// let hard_state = Some(HardState { vote: 7, ..HardState::default() });
/// log.append(&LogBatch { hard_state, ..LogBatch::default() }, true)?;
/// drop(log);
/// let log = RaftEngineLog::open(folder.path(), RaftEngineLogOptions::default())?;
/// assert_eq!(log.state().hard_state.vote, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RaftEngineLog {
    shared: Arc<Shared>,
    meta: Meta,
    /// The newest record that is known to be synced.
    synced: u64,
    /// Removes files, now or some time ago.
    remover: Option<JoinHandle<()>>,
    purge_threshold: ByteSize,
}

/// What the store shares with its readers and the thread that removes files.
pub(super) struct Shared {
    /// Taken only by `drop`.
    engine: Option<Engine<GuardedFileSystem>>,
    pub(super) path: PathBuf,
    pub(super) latch: Arc<Latch>,
    /// What readers may ask for, and the region that holds it.
    state: RwLock<(LogState, u64)>,
    /// Locked for reading while entries are read, for writing while entries are replaced or files
    /// removed.
    pub(super) changes: RwLock<()>,
    /// Locked as long as the store is open.
    _lock: File,
}

impl RaftEngineLog {
    /// Opens the log in the folder `path`, which is created if it is missing.
    ///
    /// Reads and checks all files. What a crash left half written at the end is cut off.
    ///
    /// # Errors
    ///
    /// [`StorageError::InvalidOption`]; [`StorageError::Locked`] if the folder is in use;
    /// [`StorageError::Corrupt`] if a file is damaged or missing; [`StorageError::Io`].
    pub fn open(
        path: impl AsRef<Path>,
        options: RaftEngineLogOptions,
    ) -> Result<Self, StorageError> {
        Self::open_with(path.as_ref(), &options, None)
    }

    /// Like [`RaftEngineLog::open`], with a hook that sees each change of the disk from then on.
    ///
    /// # Errors
    ///
    /// As [`RaftEngineLog::open`].
    pub fn open_with_hook(
        path: impl AsRef<Path>,
        options: RaftEngineLogOptions,
        hook: Arc<dyn DiskHook>,
    ) -> Result<Self, StorageError> {
        Self::open_with(path.as_ref(), &options, Some(hook))
    }

    fn open_with(
        path: &Path,
        options: &RaftEngineLogOptions,
        hook: Option<Arc<dyn DiskHook>>,
    ) -> Result<Self, StorageError> {
        options.validate()?;
        let Some(name) = path.to_str() else {
            let error = std::io::Error::other("the path is not UTF-8");
            return Err(StorageError::io("open", path, error));
        };
        create_folder(path)?;
        let lock = lock(path)?;
        let checked = check_and_repair(path)?;
        let latch = Arc::new(Latch::default());
        let config = config(name, options);
        let disk = Arc::new(GuardedFileSystem::new(Arc::clone(&latch), hook));
        let engine = catch_unwind(AssertUnwindSafe(|| Engine::open_with_file_system(config, disk)));
        let engine = match engine {
            _ if latch.is_stopped() => Err(latch.failure()),
            Ok(engine) => engine.map_err(|error| translate("open", path, error)),
            // The files are whole, so what made raft-engine panic is in what they say.
            Err(panic) => Err(corrupt(path, panic_text(&*panic))),
        }?;
        let meta = read_meta(path, &engine, checked)?;
        let shared = Shared {
            engine: Some(engine),
            path: path.into(),
            latch,
            state: RwLock::new((meta.state(), meta.region)),
            changes: RwLock::new(()),
            _lock: lock,
        };
        let mut log = Self {
            shared: Arc::new(shared),
            meta,
            synced: meta.number,
            remover: None,
            purge_threshold: options.purge_threshold,
        };
        log.drop_stale()?;
        Ok(log)
    }

    /// Drops entries that were dropped before, if a crash brought any back: raft-engine does not
    /// copy the commands that drop entries when it copies the entries.
    fn drop_stale(&mut self) -> Result<(), StorageError> {
        let (region, first) = (self.meta.region, self.meta.start.index.next().get());
        let engine = self.shared.engine();
        let mut others = engine.raft_groups();
        others.retain(|other| *other != region && *other != META_REGION);
        let is_early = engine.first_index(region).is_some_and(|index| index < first);
        if others.is_empty() && !is_early {
            return Ok(());
        }
        self.write(self.meta, true, |batch| {
            for other in others {
                batch.add_command(other, Command::Clean);
            }
            batch.add_command(region, Command::Compact { index: first });
            Ok(())
        })
    }

    /// Writes one record with `meta` and whatever `fill` adds.
    fn write(
        &mut self,
        mut meta: Meta,
        sync: bool,
        fill: impl FnOnce(&mut raft_engine::LogBatch) -> raft_engine::Result<()>,
    ) -> Result<(), StorageError> {
        meta.number = self.meta.number + 1;
        meta.synced = self.synced;
        let engine = self.shared.engine();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = raft_engine::LogBatch::default();
            batch.put(META_REGION, META_KEY.to_vec(), meta.encode())?;
            fill(&mut batch)?;
            engine.write(&mut batch, sync)
        }));
        let latch = &self.shared.latch;
        // Asked first: the guard lets raft-engine believe that a failed sync succeeded.
        if latch.is_stopped() {
            return Err(latch.failure());
        }
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(latch.stop(self.shared.translate("write", error))),
            Err(panic) => return Err(latch.stop(self.shared.panicked(&*panic))),
        }
        self.meta = meta;
        if sync {
            self.synced = meta.number;
        }
        *self.shared.state.write() = (meta.state(), meta.region);
        Ok(())
    }

    /// Removes files in the background if there are more than the threshold, unless that is under
    /// way.
    fn remove_files(&mut self) {
        if self.remover.as_ref().is_some_and(|remover| !remover.is_finished()) {
            return;
        }
        self.join_remover();
        let shared = Arc::clone(&self.shared);
        let remover = thread::Builder::new().name("quorate-log-purge".to_owned());
        // Without a thread the files stay until the next purge.
        self.remover = remover.spawn(move || shared.remove_files()).ok();
    }

    fn join_remover(&mut self) {
        if let Some(remover) = self.remover.take() {
            // The thread catches panics of raft-engine itself.
            let _ = remover.join();
        }
    }
}

impl LogStore for RaftEngineLog {
    fn state(&self) -> LogState {
        self.meta.state()
    }

    fn begin(&mut self) -> Result<u64, StorageError> {
        self.shared.latch.check()?;
        let meta = Meta { incarnation: self.meta.incarnation + 1, ..self.meta };
        self.write(meta, true, |_| Ok(()))?;
        Ok(self.meta.incarnation)
    }

    fn append(&mut self, batch: &LogBatch, sync: bool) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        check_batch(&self.meta.state(), batch);
        if batch.is_empty() && (!sync || self.synced == self.meta.number) {
            return Ok(());
        }
        let old = self.meta;
        let mut meta = old;
        meta.hard_state = batch.hard_state.unwrap_or(old.hard_state);
        if let Some(position) = batch.reset {
            (meta.start, meta.last) = (position, position.index);
            meta.region = old.region + 1;
        }
        let replaces = batch.entries.first().is_some_and(|first| first.position.index <= old.last);
        let drops = batch.reset.is_some() || replaces;
        if let Some(entry) = batch.entries.last() {
            meta.last = entry.position.index;
        }
        let shared = Arc::clone(&self.shared);
        let _exclusive = drops.then(|| shared.changes.write());
        self.write(meta, sync || drops, |encoded| {
            if meta.region != old.region {
                encoded.add_command(old.region, Command::Clean);
            }
            let entries: Vec<_> = batch.entries.iter().map(encode).collect();
            encoded.add_entries::<RaftEntry>(meta.region, &entries)
        })
    }

    fn purge(&mut self, through: LogPosition) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        let start = self.meta.start;
        if through == start {
            return Ok(());
        }
        assert!(
            through.index > start.index && through.index <= self.meta.last,
            "cannot purge through {through}: no such entry in {:?}",
            self.meta.state()
        );
        let meta = Meta { start: through, ..self.meta };
        // Readers learn of it first, or else they would ask for what is gone.
        self.shared.state.write().0 = meta.state();
        self.write(meta, true, |batch| {
            let index = through.index.next().get();
            batch.add_command(meta.region, Command::Compact { index });
            Ok(())
        })?;
        if self.shared.engine().get_used_size() as u64 > self.purge_threshold.bytes() {
            self.remove_files();
        }
        Ok(())
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(RaftEngineLogReader { shared: Arc::clone(&self.shared) })
    }
}

impl Drop for RaftEngineLog {
    fn drop(&mut self) {
        self.join_remover();
    }
}

impl Shared {
    pub(super) fn engine(&self) -> &Engine<GuardedFileSystem> {
        self.engine.as_ref().expect("only `drop` takes the engine")
    }

    /// What readers may ask for, and the region that holds it.
    pub(super) fn state(&self) -> (LogState, u64) {
        *self.state.read()
    }

    pub(super) fn translate(
        &self,
        action: &'static str,
        error: raft_engine::Error,
    ) -> StorageError {
        translate(action, &self.path, error)
    }

    pub(super) fn corrupt(&self, detail: String) -> StorageError {
        corrupt(&self.path, detail)
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> StorageError {
        StorageError::io("write", &self.path, std::io::Error::other(panic_text(panic)))
    }

    /// Lets raft-engine remove the files that it needs no longer, and copy what keeps old ones
    /// alive. Must run on a thread of its own, see [`LogReader::entries`] of this store.
    fn remove_files(&self) {
        let _exclusive = self.changes.write();
        if self.latch.is_stopped() {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| self.engine().purge_expired_files())) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                self.latch.stop(self.translate("purge", error));
            }
            Err(panic) => {
                self.latch.stop(self.panicked(&*panic));
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let engine = self.engine.take();
        // Closing syncs, and raft-engine panics on what it does not expect; nobody can be told
        // here.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
    }
}

/// The text of a panic.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("raft-engine panicked: {}", text.unwrap_or_default())
}

fn lock(path: &Path) -> Result<File, StorageError> {
    let file_path = path.join(LOCK_NAME);
    let file =
        File::create(&file_path).map_err(|error| StorageError::io("open", &file_path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(StorageError::io("lock", file_path, error)),
    }
}

fn config(path: &str, options: &RaftEngineLogOptions) -> Config {
    Config {
        dir: path.to_owned(),
        // The files were checked and cut to whole records: anything else is a mistake.
        recovery_mode: RecoveryMode::AbsoluteConsistency,
        // One after another, so that batches are replayed in the order in which they were written.
        recovery_threads: 1,
        // Payloads are small or compressed already, and compressed entries could not be checked.
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(options.target_file_size.bytes()),
        purge_threshold: ReadableSize(options.purge_threshold.bytes()),
        ..Config::default()
    }
}

/// The meta of the log, checked against the last record and the entries that are there.
fn read_meta(
    path: &Path,
    engine: &Engine<GuardedFileSystem>,
    checked: Option<Meta>,
) -> Result<Meta, StorageError> {
    let stored = engine.get(META_REGION, META_KEY).map(|bytes| Meta::decode(&bytes));
    let meta = match (stored, checked) {
        (None, None) => Meta::empty(),
        (Some(Some(stored)), Some(checked)) if stored == checked => stored,
        (stored, checked) => {
            let detail = format!("the last record says {checked:?}, raft-engine says {stored:?}");
            return Err(corrupt(path, detail));
        }
    };
    let found = engine.first_index(meta.region).zip(engine.last_index(meta.region));
    let (start, last) = (meta.start.index, meta.last);
    let holds_all = match found {
        _ if start == last => true,
        Some((first, found)) => first <= start.next().get() && found == last.get(),
        None => false,
    };
    if !holds_all {
        let detail = format!("entries after {start} up to {last} expected, found {found:?}");
        return Err(corrupt(path, detail));
    }
    Ok(meta)
}

fn corrupt(path: &Path, detail: String) -> StorageError {
    StorageError::Corrupt { path: path.into(), offset: 0, detail }
}

fn translate(action: &'static str, path: &Path, error: raft_engine::Error) -> StorageError {
    use raft_engine::Error;
    match error {
        Error::Io(error) => storage_error(action, path, error),
        Error::Corruption(_) | Error::Codec(_) | Error::Protobuf(_) => {
            corrupt(path, error.to_string())
        }
        // A process that another thread just starts holds copies of all open files, and with them
        // a lock that was given up, until it runs its own program.
        Error::Other(cause) if cause.to_string().contains(LOCK_FAILURE) => {
            StorageError::Locked { path: path.into() }
        }
        other => StorageError::io(action, path, std::io::Error::other(other.to_string())),
    }
}

/// What raft-engine 0.4.2 says when its own lock is held (`file_pipe_log/pipe_builder.rs`).
const LOCK_FAILURE: &str = "Failed to lock file";

/// Our own lock file: raft-engine takes its own only after the files were checked.
const LOCK_NAME: &str = "OWNER-LOCK";
