//! The seam for the state store: ordered tables with atomic batches.

use std::sync::Arc;

use bytes::Bytes;

use crate::StorageError;

/// One ordered table of an engine, by name. Names are ASCII letters, digits and `_`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Table(pub &'static str);

/// Keys from `start` up to but without `end`; no `end` means to the last key of the table.
///
/// A range whose end is not after its start is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyRange {
    /// The first key that belongs to the range.
    pub start: Bytes,
    /// The first key that does not.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// All keys of a table.
    pub fn all() -> Self {
        Self::default()
    }

    /// `start` (included) to `end` (excluded).
    pub fn new(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// Whether `key` belongs to the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }
}

/// Which way a scan walks over the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// One change of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteOp {
    /// Sets the value of a key, new or not.
    Put {
        /// The table written.
        table: Table,
        /// The key; may be empty.
        key: Bytes,
        /// The value; may be empty.
        value: Bytes,
    },
    /// Removes a key; nothing happens if it is absent.
    Delete {
        /// The table written.
        table: Table,
        /// The key.
        key: Bytes,
    },
    /// Removes all keys of a range.
    DeleteRange {
        /// The table written.
        table: Table,
        /// The keys.
        range: KeyRange,
    },
}

impl WriteOp {
    /// The table that the change is about.
    pub fn table(&self) -> Table {
        match self {
            Self::Put { table, .. }
            | Self::Delete { table, .. }
            | Self::DeleteRange { table, .. } => *table,
        }
    }
}

/// Changes that become visible together, applied in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    ops: Vec<WriteOp>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.ops.push(WriteOp::Put { table, key: key.into(), value: value.into() });
    }

    /// Removes `key`.
    pub fn delete(&mut self, table: Table, key: impl Into<Bytes>) {
        self.ops.push(WriteOp::Delete { table, key: key.into() });
    }

    /// Removes all keys of `range`.
    pub fn delete_range(&mut self, table: Table, range: KeyRange) {
        self.ops.push(WriteOp::DeleteRange { table, range });
    }

    /// The changes in order.
    pub fn ops(&self) -> &[WriteOp] {
        &self.ops
    }

    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// A consistent picture of all tables at one moment, unmoved by later writes.
pub trait View: Send + Sync {
    /// The value of `key`, or `None` if it is absent.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`] or [`StorageError::Corrupt`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// The keys and values of `range` in key order, or in reverse for [`Direction::Backward`].
    ///
    /// An `Err` is the last item of the iterator.
    fn scan(&self, table: Table, range: &KeyRange, direction: Direction) -> Scan<'_>;
}

/// What [`View::scan`] walks over: keys and values.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), StorageError>> + Send + 'a>;

/// The state store: ordered tables, atomic batches, consistent views, explicit durability.
///
/// What an engine holds when it is opened is durable. Any number of threads read. Several may
/// write if their batches touch different keys; each batch is one step. After the
/// first failed write or flush every later write and flush must fail with the same cause, until the
/// store is opened anew.
pub trait Engine: Send + Sync {
    /// Makes all changes of `batch` visible together. They are durable only after a later `flush`.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]; the store then refuses all later writes.
    fn write(&self, batch: &WriteBatch) -> Result<(), StorageError>;

    /// The newest value of `key`.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`] or [`StorageError::Corrupt`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// A consistent picture of the present content. Cheap; holds back reclamation while it lives.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`].
    fn view(&self) -> Result<Arc<dyn View>, StorageError>;

    /// Returns when every batch written before the call is durable. May run beside `write` on
    /// another thread. After a crash the store holds a prefix of the batches written, never part of
    /// one, and at least those that the last successful flush covered.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]; the store then refuses all later writes.
    fn flush(&self) -> Result<(), StorageError>;

    /// Starts to collect a whole new content beside the present one.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`].
    fn restore(&self) -> Result<Box<dyn Restore>, StorageError>;

    /// Approximate bytes held on disk, or in memory if there is no disk.
    fn size_bytes(&self) -> u64;
}

/// A new content for an engine, collected beside the present one. Dropping it forgets it.
pub trait Restore: Send {
    /// Adds one pair. Tables come one after another, keys within a table strictly ascending.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`], or [`StorageError::Corrupt`] if the order is broken or the table
    /// unknown.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StorageError>;

    /// Replaces the engine's whole content by the collected one. It is durable when this returns;
    /// a crash leaves either the old content or the new. Views taken before keep the old content.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]; the old content then stays, and the store refuses later writes if it
    /// can not tell.
    fn commit(self: Box<Self>) -> Result<(), StorageError>;
}
