//! What a member with its data in memory does for its callers.

mod data_model;
mod locks;

use quorate::{Config, MemoryData, Node};

/// A member alone.
fn open() -> Node {
    Node::open(Config::in_memory(&MemoryData::new())).expect("a member can be opened in memory")
}
