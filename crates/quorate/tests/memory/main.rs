//! What a member with its data in memory does for its callers.

mod barriers;
mod data_model;
mod late;
mod live_config;
mod locks;
mod namespace;
mod queues;
mod registry;
mod shared_locks;
mod transactions;

use std::time::Duration;

use quorate::hub::Hub;
use quorate::{Cluster, Config, MemoryData, Node};

/// A member alone.
fn open() -> Node {
    Node::open(Config::in_memory(&MemoryData::new())).expect("a member can be opened in memory")
}

/// Three members of one cluster.
fn open_three() -> (Hub, [Node; 3]) {
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("test", names);
    let nodes = names.map(|name| {
        let config = Config::in_memory(&MemoryData::new()).named(name);
        let mut config = config.cluster(cluster.clone()).in_process(&hub);
        config.heartbeat_interval = Duration::from_millis(20);
        config.election_timeout = Duration::from_millis(200);
        Node::open(config).expect("a member can be opened in memory")
    });
    (hub, nodes)
}

/// What helpers of the tests expect of it.
const ANSWERED: &str = "a member alone answers what a test asks";
