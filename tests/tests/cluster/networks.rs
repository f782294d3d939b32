//! Clusters of other shapes: over TCP, with five members, through a bad network.

use std::net::TcpListener;
use std::time::Duration;

use quorate::hub::{Hub, LinkRules};
use quorate::{Cluster, Config, Node, OpenError, Range};
use tempfile::TempDir;

use super::group::{NAMES, quicken, wait_for};

/// Addresses of this machine that were free a moment ago.
fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").to_string())
}

fn open_over_tcp(folder: &TempDir, addresses: &[String; 3]) -> Result<Vec<Node>, OpenError> {
    let members = NAMES.iter().zip(addresses);
    let cluster = members.fold(Cluster::new("tcp"), |cluster, (name, address)| {
        cluster.member(*name, address.clone())
    });
    let open = |name: &str| {
        let mut config = Config::new(folder.path().join(name)).named(name).over_tcp();
        config.cluster = Some(cluster.clone());
        quicken(&mut config);
        Node::open(config)
    };
    NAMES.into_iter().map(open).collect()
}

#[test]
fn members_meet_over_tcp() {
    // Somebody else may take a free port first; then others are tried.
    let (folder, mut nodes) = wait_for("three free ports", || {
        let folder = TempDir::new().expect("a temporary folder");
        match open_over_tcp(&folder, &free_addresses()) {
            Ok(nodes) => Some((folder, nodes)),
            Err(OpenError::Transport(_)) => None,
            Err(error) => panic!("{error}"),
        }
    });
    for (i, node) in nodes.iter().enumerate() {
        node.put(format!("k{i}"), "v").wait().expect("written");
    }
    let lost = nodes.remove(0);
    lost.kill();
    nodes[0].put("after", "the loss of one").wait().expect("written");
    for node in &nodes {
        assert_eq!(node.range(Range::all().count_only()).wait().expect("read").count, 4);
    }
    // Names and addresses are remembered.
    let mut config = Config::new(folder.path().join(NAMES[0])).named(NAMES[0]).over_tcp();
    quicken(&mut config);
    let back = Node::open(config).expect("opens again");
    assert_eq!(back.range(Range::all().count_only()).wait().expect("read").count, 4);
}

#[test]
fn five_members_survive_the_loss_of_two() {
    let (folder, hub) = (TempDir::new().expect("a temporary folder"), Hub::new());
    let names = ["a", "b", "c", "d", "e"];
    let open = |name: &str| {
        let mut config = Config::new(folder.path().join(name)).named(name).in_process(&hub);
        config.cluster = Some(Cluster::of_names("five", names));
        quicken(&mut config);
        Node::open(config).expect("opens")
    };
    let mut nodes: Vec<Node> = names.into_iter().map(open).collect();
    nodes[3].put("k", "1").wait().expect("written");
    for _ in 0..2 {
        let leader = wait_for("a leader", || nodes.iter().position(|n| n.status().is_leader()));
        nodes.remove(leader).kill();
    }
    for node in &nodes {
        node.put("k", "2").wait().expect("three of five are a majority");
    }
    assert_eq!(nodes[2].get("k").wait().expect("read").expect("present").version, 4);
}

#[test]
fn a_bad_network_costs_time_and_nothing_else() {
    let (folder, hub) = (TempDir::new().expect("a temporary folder"), Hub::with_seed(7));
    let open = |name: &str| {
        let mut config = Config::new(folder.path().join(name)).named(name).in_process(&hub);
        config.cluster = Some(Cluster::of_names("bad network", NAMES));
        quicken(&mut config);
        Node::open(config).expect("opens")
    };
    let nodes = NAMES.map(open);
    let rules = LinkRules {
        drop_ppm: 50_000,
        duplicate_ppm: 100_000,
        reorder_ppm: 100_000,
        delay_max: Duration::from_millis(3),
        ..LinkRules::default()
    };
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.member_id() != from.member_id()) {
            hub.set_link(from.member_id(), to.member_id(), rules).expect("sound rules");
        }
    }
    let pending: Vec<_> = (0..150).map(|i| nodes[i % 3].put(format!("k{i}"), "v")).collect();
    for put in pending {
        put.wait().expect("written in the end");
    }
    let found = nodes[0].range(Range::all()).wait().expect("read");
    assert_eq!(found.count, 150);
    assert!(found.kvs.iter().all(|kv| kv.version == 1), "every put was applied once");
    let hashes = nodes.each_ref().map(|node| node.hash(0).wait().expect("hash"));
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}
