//! The engine and its views.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use parking_lot::RwLock;
use rocksdb::{IteratorMode, Snapshot};
use self_cell::self_cell;

use super::generation::{Generation, range_options};
use super::options::{DbOptions, RocksOptions};
use super::pointer::{generation_path, generations, leftovers, read_pointer, write_pointer};
use super::restore::RocksRestore;
use crate::files::{create_folder, remove_folder};
use crate::latch::Latch;
use crate::{Direction, Engine, KeyRange, Restore, Scan, StorageError, Table, View, WriteBatch};

/// An [`Engine`] on RocksDB. A handle: clones share one database, which closes with the last of
/// them and of their views.
///
/// Closing flushes. Naming a table that the engine was not opened with is a bug of the caller and
/// panics, except in [`Restore::put`].
///
/// ```
/// use quorate_storage::rocks::{RocksEngine, RocksOptions};
/// use quorate_storage::{Engine, Table, WriteBatch};
///
/// const LIVE: Table = Table("live");
/// let folder = tempfile::tempdir()?;
/// let engine = RocksEngine::open(folder.path(), &[LIVE], RocksOptions::default())?;
/// let mut batch = WriteBatch::new();
/// batch.put(LIVE, "key", "value");
/// engine.write(&batch)?;
/// engine.flush()?;
/// assert_eq!(engine.get(LIVE, b"key")?.unwrap(), "value");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RocksEngine {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    /// The folder that holds the generations.
    pub(super) path: PathBuf,
    pub(super) options: DbOptions,
    /// The generation that counts.
    pub(super) current: RwLock<Arc<Generation>>,
    /// The number of the next generation; never given out twice while the engine is open.
    pub(super) next_number: AtomicU64,
    pub(super) latch: Latch,
}

impl RocksEngine {
    /// Opens the engine in the folder `path`, which is created if it is missing. Tables that the
    /// database does not have yet are created; those that it has besides `tables` stay as they are.
    ///
    /// # Errors
    ///
    /// [`StorageError::InvalidOption`]; [`StorageError::Locked`] if the folder is in use;
    /// [`StorageError::Corrupt`] if files are missing or damaged; [`StorageError::Io`].
    pub fn open(
        path: impl AsRef<Path>,
        tables: &[Table],
        options: RocksOptions,
    ) -> Result<Self, StorageError> {
        options.validate()?;
        let path = path.as_ref();
        create_folder(path)?;
        let options = DbOptions::new(&options);
        let (number, generation) = match read_pointer(path)? {
            Some(number) => (number, open_generation(path, number, tables, &options)?),
            None => (FIRST_GENERATION, create_first(path, tables, &options)?),
        };
        // Only now is it sure that nobody else works in the folder: the database is locked.
        for leftover in leftovers(path, number)? {
            remove_folder(&leftover)?;
        }
        let shared = Shared {
            path: path.into(),
            options,
            current: RwLock::new(Arc::new(generation)),
            next_number: AtomicU64::new(number + 1),
            latch: Latch::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The generation that counts, unless the engine stopped.
    fn current(&self) -> Result<Arc<Generation>, StorageError> {
        self.shared.latch.check()?;
        Ok(Arc::clone(&self.shared.current.read()))
    }
}

fn open_generation(
    path: &Path,
    number: u64,
    tables: &[Table],
    options: &DbOptions,
) -> Result<Generation, StorageError> {
    let folder = generation_path(path, number);
    if !folder.is_dir() {
        let detail = format!("the folder of generation {number} is missing");
        return Err(StorageError::Corrupt { path: folder, offset: 0, detail });
    }
    Generation::open(&folder, tables, options, false)
}

/// Creates the first generation. One that is there already without being named must be empty: a
/// crash came before it was named. Otherwise the file that names it was lost.
fn create_first(
    path: &Path,
    tables: &[Table],
    options: &DbOptions,
) -> Result<Generation, StorageError> {
    let folder = generation_path(path, FIRST_GENERATION);
    let lost = |folder: PathBuf| StorageError::Corrupt {
        path: folder,
        offset: 0,
        detail: "holds data, but the file CURRENT-GENERATION is missing".to_owned(),
    };
    for number in generations(path)? {
        if number != FIRST_GENERATION {
            return Err(lost(generation_path(path, number)));
        }
        if let Ok(old) = Generation::open(&folder, tables, options, false)
            && old.database().latest_sequence_number() > 0
        {
            return Err(lost(folder));
        }
    }
    remove_folder(&folder)?;
    let generation = Generation::open(&folder, tables, options, true)?;
    write_pointer(path, FIRST_GENERATION)?;
    Ok(generation)
}

impl Engine for RocksEngine {
    fn write(&self, batch: &WriteBatch) -> Result<(), StorageError> {
        // The lock is held so that a restore cannot replace the database under the write.
        let current = self.shared.current.read();
        self.shared.latch.check()?;
        current.write(batch).map_err(|cause| self.shared.latch.stop(cause))
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.current()?.get(table, key)
    }

    fn view(&self) -> Result<Arc<dyn View>, StorageError> {
        let snapshot =
            RocksView::new(self.current()?, |generation| generation.database().snapshot());
        Ok(Arc::new(snapshot))
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.current()?.flush().map_err(|cause| self.shared.latch.stop(cause))
    }

    fn restore(&self) -> Result<Box<dyn Restore>, StorageError> {
        self.shared.latch.check()?;
        Ok(Box::new(RocksRestore::new(Arc::clone(&self.shared))?))
    }

    fn size_bytes(&self) -> u64 {
        self.shared.current.read().size_bytes()
    }
}

self_cell!(
    /// A snapshot together with the database that it is of.
    struct RocksView {
        owner: Arc<Generation>,
        #[covariant]
        dependent: Snapshot,
    }
);

impl View for RocksView {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let generation = self.borrow_owner();
        let value = self.borrow_dependent().get_pinned_cf(generation.family(table), key);
        let value = value.map_err(|error| generation.error("read", &error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, table: Table, range: &KeyRange, direction: Direction) -> Scan<'_> {
        if range.end.as_ref().is_some_and(|end| *end <= range.start) {
            return Box::new(std::iter::empty());
        }
        let generation = self.borrow_owner();
        let mode = match direction {
            Direction::Forward => IteratorMode::Start,
            Direction::Backward => IteratorMode::End,
        };
        let family = generation.family(table);
        let pairs = self.borrow_dependent().iterator_cf_opt(family, range_options(range), mode);
        // RocksDB's iterator ends after an error.
        Box::new(pairs.map(|pair| match pair {
            Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
            Err(error) => Err(generation.error("read", &error)),
        }))
    }
}

/// The number of the generation that a new engine begins with.
const FIRST_GENERATION: u64 = 1;
