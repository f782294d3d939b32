//! A member's data without a disk.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use quorate_mvcc::TABLES;
use quorate_storage::memory::{MemoryEngine, MemoryLog};

use crate::identity::Identity;

/// The data of one member in memory, for tests. Clones share it, so a member can be closed and
/// opened again on the same data while one of them lives. At most one member at a time may use it.
///
/// ```
/// use quorate::{Config, MemoryData, Node};
/// let data = MemoryData::new();
/// let node = Node::open(Config::in_memory(&data))?;
/// node.put("kept", "until dropped").wait()?;
/// node.close()?;
/// let node = Node::open(Config::in_memory(&data))?;
/// assert!(node.get("kept").wait()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryData {
    pub(crate) engine: MemoryEngine,
    pub(crate) log: MemoryLog,
    pub(crate) identity: Arc<Mutex<Option<Identity>>>,
    /// Whether a member uses the data now.
    pub(crate) in_use: Arc<AtomicBool>,
}

impl MemoryData {
    /// Empty data.
    pub fn new() -> Self {
        Self {
            engine: MemoryEngine::new(TABLES),
            log: MemoryLog::new(),
            identity: Arc::default(),
            in_use: Arc::default(),
        }
    }
}

impl Default for MemoryData {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryData")
    }
}
