//! The conformance suite for each store, and what is particular to some of them.

#[cfg(test)]
#[path = "storage/differential.rs"]
mod differential;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
#[path = "storage/disk.rs"]
mod disk;
#[cfg(test)]
#[path = "storage/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "storage/memory.rs"]
mod memory;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
#[path = "storage/raft_engine_log.rs"]
mod raft_engine_log;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
#[path = "storage/rocks.rs"]
mod rocks;
