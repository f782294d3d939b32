//! Members in this process, with their data in memory.

use std::time::Duration;

use quorate::hub::Hub;
use quorate::{Cluster, Config, Error, MemoryData, Node, Range, StopCause, put, value};

struct Three {
    hub: Hub,
    cluster: Cluster,
    data: Vec<MemoryData>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Three {
    fn new() -> Self {
        let data = NAMES.map(|_| MemoryData::new()).to_vec();
        Self { hub: Hub::new(), cluster: Cluster::of_names("test", NAMES), data }
    }

    fn open(&self, index: usize) -> Node {
        let config = Config::in_memory(&self.data[index]).named(NAMES[index]);
        let mut config = config.cluster(self.cluster.clone()).in_process(&self.hub);
        config.heartbeat_interval = Duration::from_millis(20);
        config.election_timeout = Duration::from_millis(200);
        Node::open(config).expect("the member opens")
    }
}

#[test]
fn one_member_keeps_what_it_was_told() {
    let data = MemoryData::new();
    let node = Node::open(Config::in_memory(&data)).expect("opens");
    for i in 0..100 {
        node.put(format!("key/{i:03}"), format!("{i}")).wait().expect("written");
    }
    let found = node.range(Range::prefix("key/").limit(10)).wait().expect("read");
    assert_eq!((found.kvs.len(), found.count, found.more), (10, 100, true));
    node.kill();
    let node = Node::open(Config::in_memory(&data)).expect("opens again");
    assert_eq!(node.range(Range::all().count_only()).wait().expect("read").count, 100);
}

#[test]
fn three_members_agree_and_survive_the_leader() {
    let three = Three::new();
    let mut nodes: Vec<Option<Node>> = (0..3).map(|i| Some(three.open(i))).collect();
    for i in 0..300 {
        let node = nodes[i % 3].as_ref().expect("open");
        node.put(format!("k{i}"), "v").wait().expect("written");
    }
    for node in nodes.iter().flatten() {
        assert_eq!(node.range(Range::all().count_only()).wait().expect("read").count, 300);
    }
    let leader = (0..3).find(|i| nodes[*i].as_ref().expect("open").status().is_leader());
    let leader = leader.expect("somebody leads");
    nodes[leader].take().expect("open").kill();
    let other = nodes[(leader + 1) % 3].as_ref().expect("open");
    let swapped = other.txn().when(value("k7").equals("v")).then(put("k7", "w")).commit();
    assert!(swapped.wait().expect("a new leader").succeeded);
    nodes[leader] = Some(three.open(leader));
    let back = nodes[leader].as_ref().expect("open");
    let found = back.get("k7").wait().expect("read").expect("present");
    assert_eq!(&found.value[..], b"w");
    let hashes: Vec<_> = nodes.iter().flatten().map(|n| n.hash(0).wait().expect("hash")).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
    for node in nodes.into_iter().flatten() {
        node.close().expect("closes");
    }
}

#[test]
fn reads_by_lease_see_every_write_and_need_nobody_at_the_leader() {
    let three = Three::new();
    let nodes: Vec<Node> = (0..3).map(|i| three.open(i)).collect();
    let by_lease = || {
        let count = |node: &Node| node.status().consensus.expect("runs").counters.reads_by_lease;
        nodes.iter().map(count).sum::<u64>()
    };
    let mut written = 0;
    while written < 60 || (by_lease() == 0 && written < 10_000) {
        let writer = &nodes[written % 3];
        writer.put("k", format!("{written}")).wait().expect("written");
        for node in &nodes {
            let found = node.range(Range::key("k").lease()).wait().expect("read");
            assert_eq!(&found.kvs[0].value[..], written.to_string().as_bytes());
        }
        written += 1;
    }
    assert!(by_lease() > 0, "no lease was ever held");
}

#[test]
fn without_a_majority_requests_time_out_and_say_what_is_known() {
    let three = Three::new();
    let nodes: Vec<Node> = (0..3).map(|i| three.open(i)).collect();
    nodes[0].put("k", "v").wait().expect("written");
    let alone = nodes[0].with_timeout(Duration::from_millis(300));
    three.hub.isolate(nodes[0].member_id());
    let write = alone.put("k", "w").wait().expect_err("no majority");
    assert!(matches!(write, Error::OutcomeUnknown | Error::TimedOut), "{write}");
    let read = alone.get("k").wait().expect_err("no majority");
    assert!(matches!(read, Error::TimedOut), "{read}");
    assert!(alone.range(Range::key("k").local()).wait().is_ok());
    three.hub.heal();
    nodes[0].put("k", "x").wait().expect("written");
}

#[test]
fn callers_of_a_closed_member_are_told() {
    let node = Node::open(Config::in_memory(&MemoryData::new())).expect("opens");
    let client = node.client();
    node.close().expect("closes");
    let error = client.put("k", "v").wait().expect_err("closed");
    assert!(matches!(error, Error::Stopped(StopCause::Closed)), "{error}");
    let error = client.range(Range::all().local()).wait().expect_err("closed");
    assert!(matches!(error, Error::Stopped(StopCause::Closed)), "{error}");
}
