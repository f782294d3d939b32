//! Stores without a disk, for tests, simulations and members that may forget everything.
//!
//! [`MemoryEngine`] and [`MemoryLog`] are handles: clones share one content, so a simulator can
//! keep a handle while a member owns another. Both tell what is durable from what is not, and lose
//! the latter on command:
//!
//! ```
//! use quorate_storage::memory::MemoryEngine;
//! use quorate_storage::{Engine, Table, WriteBatch};
//!
//! const LIVE: Table = Table("live");
//! let engine = MemoryEngine::new(&[LIVE]);
//! for (key, flush) in [("a", true), ("b", false), ("c", false)] {
//!     let mut batch = WriteBatch::new();
//!     batch.put(LIVE, key, "1");
//!     engine.write(&batch)?;
//!     if flush {
//!         engine.flush()?;
//!     }
//! }
//! // Of the two batches that were not flushed, the first happened to reach the disk.
//! engine.crash_keeping(1);
//! assert!(engine.get(LIVE, b"a")?.is_some());
//! assert!(engine.get(LIVE, b"b")?.is_some());
//! assert!(engine.get(LIVE, b"c")?.is_none());
//! # Ok::<(), quorate_storage::StorageError>(())
//! ```
//!
//! Nothing here reads a clock, draws a random number or depends on hash order: the same calls give
//! the same results on every machine.

mod content;
mod engine;
mod fault;
mod log;
mod scan;

pub use engine::MemoryEngine;
pub use log::MemoryLog;
