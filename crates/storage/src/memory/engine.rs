//! The memory engine and its views.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use quorate_types::mutant;

use super::content::Content;
use super::fault::{Faults, Operation};
use super::scan::MemoryScan;
use crate::latch::Latch;
use crate::{Direction, Engine, KeyRange, Restore, Scan, StorageError, Table, View, WriteBatch};

/// An [`Engine`] in memory. A handle: clones share one content.
///
/// What was written but not flushed is lost by [`MemoryEngine::crash`]. Naming a table that the
/// engine was not made with is a bug of the caller and panics, except in [`Restore::put`].
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: RwLock<Current>,
    latch: Latch,
    faults: Faults,
}

#[derive(Debug)]
struct Current {
    store: Arc<Store>,
    /// How often the engine crashed or was opened again after a failure; tells restores that began
    /// before.
    lives: u64,
}

/// One content and the views of it. A restore or a crash makes a new store.
#[derive(Debug)]
struct Store {
    content: RwLock<Content>,
    /// For each batch number, how many views look at the content as that batch left it. Locked
    /// after `content` where both are.
    views: Mutex<BTreeMap<u64, usize>>,
}

impl MemoryEngine {
    /// An empty engine with these tables.
    pub fn new(tables: &[Table]) -> Self {
        let store = Arc::new(Store::new(Content::new(tables)));
        let current = RwLock::new(Current { store, lives: 0 });
        let shared = Shared { current, latch: Latch::default(), faults: Faults::default() };
        Self { shared: Arc::new(shared) }
    }

    /// How many batches a crash could take: those written since the last flush.
    pub fn unflushed_batches(&self) -> usize {
        let current = self.shared.current.read();
        let content = current.store.content.read();
        usize::try_from(content.newest - content.flushed).expect("every batch takes up memory")
    }

    /// Loses all batches that were not flushed, as if the machine lost its power and started again.
    ///
    /// The engine works again afterwards even if it had stopped. Views and restores taken before
    /// end with [`StorageError::Stopped`].
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Like [`MemoryEngine::crash`], but the first `batches` of the batches that were not flushed
    /// happened to be on disk (all of them if there are fewer) and are durable from then on.
    pub fn crash_keeping(&self, batches: usize) {
        let mut current = self.shared.current.write();
        // Views of the life before keep the old store and find nothing in it.
        let mut content = std::mem::replace(&mut *current.store.content.write(), Content::lost());
        let last = content.flushed.saturating_add(batches as u64).min(content.newest);
        content.roll_back_to(last);
        content.flushed = last;
        let lives = current.lives + 1;
        *current = Current { store: Arc::new(Store::new(content)), lives };
        self.shared.latch.clear();
    }

    /// Closes the engine in an orderly way and opens it again: everything is then durable. Views
    /// and restores taken before end as by [`MemoryEngine::crash`].
    ///
    /// An engine that stopped after a failure works again, but loses what was not flushed; crash it
    /// with [`MemoryEngine::crash_keeping`] instead to keep some of it.
    pub fn reopen(&self) {
        if self.shared.latch.is_stopped() {
            self.crash();
        } else {
            self.crash_keeping(usize::MAX);
        }
    }

    /// Lets the next write fail with `kind`; nothing of its batch is taken in.
    pub fn fail_next_write(&self, kind: io::ErrorKind) {
        self.shared.faults.fail_next_write(kind);
    }

    /// Lets the next flush, or commit of a restore, fail with `kind`. A crash may keep batches all
    /// the same.
    pub fn fail_next_flush(&self, kind: io::ErrorKind) {
        self.shared.faults.fail_next_sync(kind);
    }

    /// Lets the next read of a value, or step of a scan, find damaged bytes.
    pub fn corrupt_next_read(&self) {
        self.shared.faults.corrupt_next_read();
    }

    /// Takes back an order of [`MemoryEngine::corrupt_next_read`] that was not carried out yet.
    pub fn forget_damage(&self) {
        self.shared.faults.forget_read();
    }

    /// Takes back every order of a failure that was not carried out yet.
    pub fn forget_failures(&self) {
        self.shared.faults.forget();
    }

    /// Carries out an ordered failure of a write or flush, after which the engine stops.
    fn check(&self, operation: Operation) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        let result = self.shared.faults.check(operation, ENGINE_PATH);
        result.map_err(|cause| self.shared.latch.stop(cause))
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &WriteBatch) -> Result<(), StorageError> {
        let current = self.shared.current.read();
        self.check(Operation::Write)?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut content = current.store.content.write();
        content.write(batch);
        let horizon = current.store.horizon(&content);
        content.collect_garbage(horizon, batch.ops().len() * 2 + GARBAGE_PER_WRITE);
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let current = self.shared.current.read();
        self.shared.latch.check()?;
        self.shared.faults.check(Operation::Read, ENGINE_PATH)?;
        let content = current.store.content.read();
        Ok(content.get(table, key, content.newest).cloned())
    }

    fn view(&self) -> Result<Arc<dyn View>, StorageError> {
        let current = self.shared.current.read();
        self.shared.latch.check()?;
        let store = Arc::clone(&current.store);
        let batch = store.register_view();
        Ok(Arc::new(MemoryView { shared: Arc::clone(&self.shared), store, batch }))
    }

    fn flush(&self) -> Result<(), StorageError> {
        let current = self.shared.current.read();
        self.check(Operation::Sync)?;
        let mut content = current.store.content.write();
        content.flushed = content.newest;
        let horizon = current.store.horizon(&content);
        content.collect_garbage(horizon, GARBAGE_PER_FLUSH);
        Ok(())
    }

    fn restore(&self) -> Result<Box<dyn Restore>, StorageError> {
        let current = self.shared.current.read();
        self.shared.latch.check()?;
        let names = current.store.content.read().table_names();
        Ok(Box::new(MemoryRestore {
            engine: self.clone(),
            lives: current.lives,
            tables: names.into_iter().map(|table| (table, Vec::new())).collect(),
            present: None,
            done: Vec::new(),
        }))
    }

    fn size_bytes(&self) -> u64 {
        self.shared.current.read().store.content.read().bytes
    }
}

impl Store {
    fn new(content: Content) -> Self {
        Self { content: RwLock::new(content), views: Mutex::new(BTreeMap::new()) }
    }

    /// Notes a view of the present content; returns the number of the batch it looks at.
    fn register_view(&self) -> u64 {
        // Garbage is collected under the write lock, so none goes between these two lines.
        let content = self.content.read();
        *self.views.lock().entry(content.newest).or_insert(0) += 1;
        content.newest
    }

    /// The newest batch such that nobody needs an older version than its.
    fn horizon(&self, content: &Content) -> u64 {
        let oldest = self.views.lock().first_key_value().map(|(batch, _)| *batch);
        oldest.map_or(content.flushed, |oldest| oldest.min(content.flushed))
    }
}

/// The content as one batch left it.
#[derive(Debug)]
pub(super) struct MemoryView {
    shared: Arc<Shared>,
    store: Arc<Store>,
    batch: u64,
}

impl MemoryView {
    /// Runs `read` under the lock, with the number of the batch to look at.
    pub(super) fn with_content<T>(
        &self,
        read: impl FnOnce(&Content, u64) -> T,
    ) -> Result<T, StorageError> {
        self.shared.faults.check(Operation::Read, ENGINE_PATH)?;
        let content = self.store.content.read();
        if content.is_lost() {
            let source = io::Error::other("the view was taken before a crash");
            let cause = Arc::new(StorageError::io("read", ENGINE_PATH, source));
            return Err(StorageError::Stopped { cause });
        }
        Ok(read(&content, mutant!(M16, self.batch, content.newest)))
    }
}

impl View for MemoryView {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.with_content(|content, batch| content.get(table, key, batch).cloned())
    }

    fn scan(&self, table: Table, range: &KeyRange, direction: Direction) -> Scan<'_> {
        Box::new(MemoryScan::new(self, table, range, direction))
    }
}

impl Drop for MemoryView {
    fn drop(&mut self) {
        let mut views = self.store.views.lock();
        if let Some(count) = views.get_mut(&self.batch) {
            *count -= 1;
            if *count == 0 {
                views.remove(&self.batch);
            }
        }
    }
}

struct MemoryRestore {
    engine: MemoryEngine,
    lives: u64,
    tables: Vec<(Table, Vec<(Bytes, Bytes)>)>,
    /// The table that pairs are being added to, by its place in `tables`.
    present: Option<usize>,
    /// Tables that came before; they must not come again.
    done: Vec<usize>,
}

impl MemoryRestore {
    /// Turns to `table` and returns its place.
    fn turn_to(&mut self, table: Table) -> Result<usize, StorageError> {
        if let Some(place) = self.present.filter(|place| self.tables[*place].0 == table) {
            return Ok(place);
        }
        let Some(place) = self.tables.iter().position(|(known, _)| *known == table) else {
            return Err(disorder(format!("unknown table {}", table.0)));
        };
        self.done.extend(self.present);
        if self.done.contains(&place) {
            return Err(disorder(format!("table {} comes twice", table.0)));
        }
        self.present = Some(place);
        Ok(place)
    }
}

impl Restore for MemoryRestore {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let place = self.turn_to(table)?;
        let pairs = &mut self.tables[place].1;
        if pairs.last().is_some_and(|(last, _)| &last[..] >= key) {
            return Err(disorder(format!("keys of table {} are not ascending", table.0)));
        }
        pairs.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let Self { engine, lives, tables, .. } = *self;
        let content = Content::restored(tables);
        let mut current = engine.shared.current.write();
        engine.shared.latch.check()?;
        if current.lives != lives {
            let source = io::Error::other("the restore began before a crash");
            let cause = Arc::new(StorageError::io("restore", ENGINE_PATH, source));
            return Err(StorageError::Stopped { cause });
        }
        engine.check(Operation::Sync)?;
        current.store = Arc::new(Store::new(content));
        Ok(())
    }
}

fn disorder(detail: String) -> StorageError {
    StorageError::Corrupt { path: ENGINE_PATH.into(), offset: 0, detail }
}

/// What errors name in place of a path.
const ENGINE_PATH: &str = "memory-engine";

/// How many old changes each write looks at besides two for each of its own. With two for one the
/// garbage shrinks while there is any; the rest lets small writes catch up.
const GARBAGE_PER_WRITE: usize = 16;

/// How many old changes a flush looks at: bounds how long readers wait, about a millisecond.
const GARBAGE_PER_FLUSH: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Table = Table("live");

    fn put(engine: &MemoryEngine, key: &'static str, value: &'static str) {
        let mut batch = WriteBatch::new();
        batch.put(LIVE, key, value);
        engine.write(&batch).unwrap();
    }

    #[test]
    fn garbage_goes_once_nobody_needs_it() {
        let engine = MemoryEngine::new(&[LIVE]);
        put(&engine, "key", "old");
        let view = engine.view().unwrap();
        for _ in 0..100 {
            put(&engine, "key", "new");
        }
        engine.flush().unwrap();
        assert_eq!(view.get(LIVE, b"key").unwrap().unwrap(), "old");
        let changes =
            |engine: &MemoryEngine| engine.shared.current.read().store.content.read().changes();
        assert!(changes(&engine) >= 100, "the view still needs the old version");
        drop(view);
        engine.flush().unwrap();
        assert_eq!(changes(&engine), 0);
        assert_eq!(engine.size_bytes(), 6);
    }

    #[test]
    fn a_view_ends_with_the_crash_and_a_restore_too() {
        let engine = MemoryEngine::new(&[LIVE]);
        put(&engine, "key", "1");
        let view = engine.view().unwrap();
        let restore = engine.restore().unwrap();
        engine.crash_keeping(1);
        assert!(matches!(view.get(LIVE, b"key"), Err(StorageError::Stopped { .. })));
        let mut scan = view.scan(LIVE, &KeyRange::all(), Direction::Backward);
        assert!(matches!(scan.next(), Some(Err(StorageError::Stopped { .. }))));
        assert!(scan.next().is_none());
        assert!(matches!(restore.commit(), Err(StorageError::Stopped { .. })));
        assert_eq!(engine.get(LIVE, b"key").unwrap().unwrap(), "1");
    }

    #[test]
    fn an_ordered_failure_stops_the_engine_until_it_is_reopened() {
        let engine = MemoryEngine::new(&[LIVE]);
        put(&engine, "key", "1");
        engine.flush().unwrap();
        put(&engine, "key", "2");
        engine.fail_next_flush(io::ErrorKind::StorageFull);
        assert!(matches!(engine.flush(), Err(StorageError::Io { action: "sync", .. })));
        assert!(matches!(engine.flush(), Err(StorageError::Stopped { .. })));
        assert!(matches!(engine.get(LIVE, b"key"), Err(StorageError::Stopped { .. })));
        engine.reopen();
        assert_eq!(engine.get(LIVE, b"key").unwrap().unwrap(), "1");
    }

    #[test]
    fn ordered_damage_is_found_once() {
        let engine = MemoryEngine::new(&[LIVE]);
        engine.corrupt_next_read();
        assert!(matches!(engine.get(LIVE, b"key"), Err(StorageError::Corrupt { .. })));
        assert_eq!(engine.get(LIVE, b"key").unwrap(), None);
        engine.corrupt_next_read();
        engine.forget_damage();
        assert_eq!(engine.get(LIVE, b"key").unwrap(), None);
        engine.fail_next_write(io::ErrorKind::Other);
        engine.forget_failures();
        put(&engine, "key", "1");
    }

    #[test]
    #[should_panic(expected = "the engine was opened without the table lost")]
    fn an_unknown_table_is_a_bug() {
        let _ = MemoryEngine::new(&[LIVE]).get(Table("lost"), b"key");
    }
}
