//! Harnesses for the stores on disk: they crash by copying the folder and spoiling what was not
//! synced.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use quorate_storage::conformance::{EngineUnderTest, LogUnderTest, TABLES};
use quorate_storage::raft_engine_log::{
    DiskHook, DiskOperation, RaftEngineLog, RaftEngineLogOptions,
};
use quorate_storage::rocks::{RocksEngine, RocksOptions};
use quorate_storage::{Engine, LogStore};
use quorate_types::ByteSize;
use tempfile::TempDir;

/// Copies a folder with all it holds, again and again until nothing changed meanwhile.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    loop {
        let _ = fs::remove_dir_all(to);
        let before = list(from);
        let is_copied = before.keys().all(|name| {
            let target = to.join(name);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(from.join(name), target).is_ok()
        });
        if is_copied && list(from) == before {
            fs::create_dir_all(to).unwrap();
            return;
        }
    }
}

/// All files in a folder and its folders, with their sizes.
pub(crate) fn list(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(present) = folders.pop() {
        for entry in fs::read_dir(present).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(metadata) = fs::metadata(&path) {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), metadata.len());
            }
        }
    }
    files
}

/// A RocksDB engine; a crash goes on with a copy of its folder.
pub(crate) struct RocksHarness {
    base: TempDir,
    life: u32,
}

impl RocksHarness {
    pub(crate) fn new() -> Self {
        Self { base: tempfile::tempdir().unwrap(), life: 0 }
    }

    fn path(&self) -> PathBuf {
        self.base.path().join(self.life.to_string())
    }

    fn hidden(&self) -> PathBuf {
        self.base.path().join("hidden")
    }
}

impl EngineUnderTest for RocksHarness {
    fn open(&mut self) -> Arc<dyn Engine> {
        Arc::new(RocksEngine::open(self.path(), &TABLES, RocksOptions::default()).unwrap())
    }

    fn close_and_reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        drop(engine);
        self.open()
    }

    fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let path = self.path();
        if self.hidden().exists() {
            let _ = fs::remove_dir_all(&path);
            fs::rename(self.hidden(), &path).unwrap();
        }
        self.life += 1;
        copy_folder(&path, &self.path());
        drop(engine);
        fs::remove_dir_all(path).unwrap();
        self.open()
    }

    fn fail_next_flush(&mut self) -> bool {
        fs::rename(self.path(), self.hidden()).unwrap();
        true
    }
}

/// What a crash does to bytes that were written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// They reached the disk all the same.
    Kept,
    /// None did: there are zeros.
    Lost,
    /// The first half of each write did.
    Torn,
    /// Only the last write did: the disk writes in any order.
    OnlyLast,
}

/// Notes what is not synced and fails one operation on demand.
#[derive(Default)]
pub(crate) struct Disk {
    unsynced: Mutex<BTreeMap<PathBuf, Vec<(u64, u64)>>>,
    /// How many operations there were.
    pub(crate) count: AtomicU64,
    /// The operation that fails, by its number; 0 for none.
    fails: AtomicU64,
    fails_next_sync: Mutex<bool>,
}

impl Disk {
    pub(crate) fn fail(&self, number: u64) {
        self.fails.store(number, Ordering::SeqCst);
    }

    /// Where the last write began that is not synced, in any file.
    pub(crate) fn last_write(&self) -> Option<u64> {
        self.unsynced.lock().values().filter_map(|writes| Some(writes.last()?.0)).max()
    }

    /// Copies the folder as a crash would leave it.
    pub(crate) fn crash(&self, from: &Path, to: &Path, mode: Unsynced) {
        copy_folder(from, to);
        for (path, writes) in &*self.unsynced.lock() {
            let path = to.join(path.strip_prefix(from).unwrap());
            let Ok(mut content) = fs::read(&path) else { continue };
            for (place, (offset, size)) in writes.iter().enumerate() {
                let (start, end) = (*offset as usize, (*offset + *size) as usize);
                let lost = match mode {
                    Unsynced::Kept => continue,
                    Unsynced::Lost => start..end,
                    Unsynced::Torn => start + (end - start) / 2..end,
                    Unsynced::OnlyLast if place + 1 == writes.len() => continue,
                    Unsynced::OnlyLast => start..end,
                };
                let lost = lost.start.min(content.len())..lost.end.min(content.len());
                content[lost].fill(0);
            }
            fs::write(path, content).unwrap();
        }
    }
}

impl DiskHook for Disk {
    fn before(&self, path: &Path, operation: DiskOperation) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let mut unsynced = self.unsynced.lock();
        match operation {
            DiskOperation::Write { offset, size } => {
                unsynced.entry(path.into()).or_default().push((offset, size));
            }
            DiskOperation::Sync => {
                if std::mem::take(&mut *self.fails_next_sync.lock()) {
                    return Err(io::Error::other("ordered by a test"));
                }
                unsynced.remove(path);
            }
            DiskOperation::Rename | DiskOperation::Remove => {
                unsynced.remove(path);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A raft-engine log with small files; a crash goes on with a spoiled copy of its folder.
pub(crate) struct RaftEngineHarness {
    base: TempDir,
    life: u32,
    mode: Unsynced,
    pub(crate) disk: Arc<Disk>,
}

impl RaftEngineHarness {
    pub(crate) fn new(mode: Unsynced) -> Self {
        let base = tempfile::tempdir().unwrap();
        Self { base, life: 0, mode, disk: Arc::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.base.path().join(self.life.to_string())
    }
}

/// Options with files as small as allowed.
pub(crate) fn small_files() -> RaftEngineLogOptions {
    RaftEngineLogOptions {
        target_file_size: ByteSize::kib(64),
        purge_threshold: ByteSize::kib(256),
    }
}

impl LogUnderTest for RaftEngineHarness {
    fn open(&mut self) -> Box<dyn LogStore> {
        let disk = Arc::clone(&self.disk) as Arc<dyn DiskHook>;
        Box::new(RaftEngineLog::open_with_hook(self.path(), small_files(), disk).unwrap())
    }

    fn close_and_reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore> {
        drop(log);
        self.open()
    }

    fn crash(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore> {
        let path = self.path();
        self.life += 1;
        self.disk.crash(&path, &self.path(), self.mode);
        drop(log);
        fs::remove_dir_all(path).unwrap();
        self.disk = Arc::default();
        self.open()
    }

    fn fail_next_sync(&mut self) -> bool {
        *self.disk.fails_next_sync.lock() = true;
        true
    }
}
