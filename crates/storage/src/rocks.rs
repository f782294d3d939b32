//! The state store on RocksDB.
//!
//! - Each table is a column family. Batches are written without a write-ahead log: the Raft log is
//!   that log. [`Engine::flush`](crate::Engine::flush) writes the memtables of all tables out
//!   *together* (RocksDB's `atomic_flush`), so that what survives a crash is always the state after
//!   some batch.
//! - A database lives in a folder of its own, a *generation*. The file `CURRENT-GENERATION` names
//!   the one that counts. A restore builds the next generation beside it and then replaces that
//!   file in one step.
//! - The first failed write, flush or commit stops the engine until it is opened anew.
//!
//! `docs/disk_format.md` describes the folder.

mod engine;
mod error;
mod generation;
mod options;
mod pointer;
mod restore;

pub use engine::RocksEngine;
pub use options::RocksOptions;
