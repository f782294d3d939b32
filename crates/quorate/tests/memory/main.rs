//! What a member with its data in memory does for its callers.

mod data_model;
mod live_config;
mod locks;
mod namespace;
mod registry;
mod transactions;

use quorate::{Config, MemoryData, Node};

/// A member alone.
fn open() -> Node {
    Node::open(Config::in_memory(&MemoryData::new())).expect("a member can be opened in memory")
}

/// What helpers of the tests expect of it.
const ANSWERED: &str = "a member alone answers what a test asks";
