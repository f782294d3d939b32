//! The conformance suite for each store, and what is particular to some of them.

#[path = "storage/differential.rs"]
mod differential;
#[cfg(feature = "rocksdb")]
#[path = "storage/disk.rs"]
mod disk;
#[path = "storage/harness.rs"]
mod harness;
#[path = "storage/memory.rs"]
mod memory;
#[cfg(feature = "rocksdb")]
#[path = "storage/raft_engine_log.rs"]
mod raft_engine_log;
#[cfg(feature = "rocksdb")]
#[path = "storage/rocks.rs"]
mod rocks;
