//! A member's data folder, or what stands for it in memory.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "rocksdb")]
use quorate_mvcc::TABLES;
use quorate_storage::{Engine, LogStore, StorageError};

use crate::config::{Config, Data};
use crate::error::OpenError;
use crate::identity::Identity;
use crate::memory::MemoryData;

/// A member's stores, opened, and who it is.
pub(crate) struct OpenData {
    pub(crate) identity: Identity,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: Box<dyn LogStore>,
    pub(crate) place: Place,
}

/// Where the data is, kept from other members until it is dropped.
#[derive(Debug)]
pub(crate) enum Place {
    /// A locked folder. Closing the file unlocks it.
    Folder { path: PathBuf, _lock: File },
    /// Memory in use.
    Memory { in_use: Arc<AtomicBool> },
}

impl Place {
    /// The folder, or a name for memory.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Folder { path, .. } => path.clone(),
            Self::Memory { .. } => memory_path(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Memory { in_use } = self {
            in_use.store(false, Ordering::Release);
        }
    }
}

impl OpenData {
    /// Opens the data of a member, or founds it.
    pub(crate) fn open(config: &Config) -> Result<Self, OpenError> {
        match &config.data {
            Data::Folder(path) => open_folder(config, path),
            Data::Memory(data) => open_memory(config, data),
        }
    }
}

fn open_memory(config: &Config, data: &MemoryData) -> Result<OpenData, OpenError> {
    if data.in_use.swap(true, Ordering::AcqRel) {
        return Err(StorageError::Locked { path: memory_path() }.into());
    }
    let place = Place::Memory { in_use: data.in_use.clone() };
    let mut known = data.identity.lock();
    let identity = known.get_or_insert_with(|| Identity::found(config)).clone();
    identity.check(config, &memory_path())?;
    data.engine.reopen();
    data.log.reopen();
    let (engine, log) = (Arc::new(data.engine.clone()), Box::new(data.log.clone()));
    Ok(OpenData { identity, engine, log, place })
}

fn memory_path() -> PathBuf {
    PathBuf::from("(memory)")
}

fn open_folder(config: &Config, path: &Path) -> Result<OpenData, OpenError> {
    fs::create_dir_all(path).map_err(|error| OpenError::io("create", path, error))?;
    let place = Place::Folder { path: path.to_owned(), _lock: lock(path)? };
    let file = path.join("IDENTITY");
    let identity = match Identity::load(&file)? {
        Some(identity) => identity,
        None => {
            refuse_orphans(path)?;
            let identity = Identity::found(config);
            identity.store(&file)?;
            identity
        }
    };
    identity.check(config, path)?;
    let (engine, log) = open_stores(config, path)?;
    Ok(OpenData { identity, engine, log, place })
}

/// Takes the folder's lock, which holds against other processes and against other members of this
/// one.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("LOCK");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|error| OpenError::io("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::Locked { path: folder.to_owned() }.into())
        }
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &path, error)),
    }
}

/// Stores without an identity belong to a member that nobody can name: founding a new one on them
/// would give it a foreign past.
fn refuse_orphans(folder: &Path) -> Result<(), OpenError> {
    for store in ["log", "state"] {
        let path = folder.join(store);
        if path.exists() {
            let detail = format!("IDENTITY is missing beside {store}");
            return Err(StorageError::Corrupt { path, offset: 0, detail }.into());
        }
    }
    Ok(())
}

/// The state store and the log store of one member.
type Stores = (Arc<dyn Engine>, Box<dyn LogStore>);

#[cfg(feature = "rocksdb")]
fn open_stores(config: &Config, folder: &Path) -> Result<Stores, OpenError> {
    use quorate_storage::raft_engine_log::{RaftEngineLog, RaftEngineLogOptions};
    use quorate_storage::rocks::{RocksEngine, RocksOptions};

    let options = RocksOptions {
        block_cache_size: config.cache_size,
        write_buffer_size: config.write_buffer_size,
        ..RocksOptions::default()
    };
    let engine = RocksEngine::open(folder.join("state"), TABLES, options)?;
    let log = RaftEngineLog::open(folder.join("log"), RaftEngineLogOptions::default())?;
    Ok((Arc::new(engine), Box::new(log)))
}

#[cfg(not(feature = "rocksdb"))]
fn open_stores(_config: &Config, folder: &Path) -> Result<Stores, OpenError> {
    Err(OpenError::Config(crate::error::ConfigError {
        field: "data",
        found: format!("folder {}", folder.display()),
        expected: "memory, as the feature `rocksdb` is not built in".to_owned(),
    }))
}
