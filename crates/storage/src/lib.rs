//! The two stores of a member, as seams with several implementations.
//!
//! - [`Engine`] keeps the *state*: ordered tables, written without a write-ahead log of its own.
//!   What [`Engine::flush`] covered survives a crash; what was written later is lost in one piece.
//! - [`LogStore`] keeps the *Raft log* and the hard state. What an `append` with `sync` covered
//!   survives a crash; later bytes may be lost or torn, never confused with good ones.
//!
//! [`memory`] implements both without a disk and can lose on command what was not durable. With the
//! feature `rocksdb` (on by default) the engine `RocksEngine` and the log store `RaftEngineLog`
//! implement both for real disks. [`conformance`] is the suite that any other implementation should
//! pass.

pub mod conformance;
mod engine;
mod error;
#[cfg(feature = "rocksdb")]
mod files;
mod latch;
mod log;
pub mod memory;
#[cfg(feature = "rocksdb")]
pub mod raft_engine_log;
#[cfg(feature = "rocksdb")]
pub mod rocks;

pub use engine::{Direction, Engine, KeyRange, Restore, Scan, Table, View, WriteBatch, WriteOp};
pub use error::StorageError;
pub use log::{EntryKind, HardState, LogBatch, LogEntry, LogReader, LogState, LogStore};
