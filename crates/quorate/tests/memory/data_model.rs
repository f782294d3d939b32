//! Ranges, compactions, watches and leases, as a caller sees them.

use std::time::Duration;

use quorate::{
    AlarmType, AutoCompaction, ByteSize, CompactionRequest, Config, Error, KvError,
    LeaseGrantRequest, MemoryData, Node, PutRequest, Range, SortOrder, SortTarget, Watch,
};

use crate::open;

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> KvError {
    match result {
        Err(Error::Refused(cause)) => cause,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_stream_of_a_range_equals_the_range() {
    let node = open();
    for i in 0..300 {
        node.put(format!("k/{i:04}"), vec![b'v'; i]).wait().unwrap();
    }
    let whole = node.range(Range::prefix("k/")).wait().unwrap();
    for (range, expected) in [
        (Range::prefix("k/"), 300),
        (Range::prefix("k/").limit(25), 25),
        (Range::prefix("k/").limit(10), 10),
        (Range::prefix("k/").limit(1_000), 300),
        (Range::prefix("k/").local(), 300),
        (Range::prefix("k/").revision(100), 99),
    ] {
        let unary = node.range(range.clone()).wait().unwrap();
        let parts: Vec<_> =
            node.range_stream(range).collect::<Result<_, _>>().expect("nothing fails");
        let kvs: Vec<_> = parts.iter().flat_map(|part| part.kvs.clone()).collect();
        assert_eq!((kvs.len(), &kvs), (expected, &unary.kvs));
        let last = parts.last().unwrap();
        assert_eq!((last.count, last.more), (unary.count, unary.more));
        assert!(parts.iter().rev().skip(1).all(|part| part.more && part.count == 0));
    }
    assert_eq!(whole.kvs.len(), 300);
    let sorted = Range::all().sort(SortTarget::Version, SortOrder::Ascend);
    let error = node.range_stream(sorted).next().unwrap();
    assert_eq!(refused(error), KvError::UnorderedStream);
    assert_eq!(node.range_stream(Range::prefix("none/")).count(), 1);
}

#[test]
fn a_stream_of_a_range_stays_at_its_revision() {
    let node = open();
    for i in 0..50 {
        node.put(format!("k/{i:04}"), "old").wait().unwrap();
    }
    let mut stream = node.range_stream(Range::prefix("k/"));
    let mut kvs = stream.next().unwrap().unwrap().kvs;
    for i in 0..50 {
        node.put(format!("k/{i:04}"), "new").wait().unwrap();
    }
    for part in stream {
        kvs.extend(part.unwrap().kvs);
    }
    assert_eq!(kvs.len(), 50);
    assert!(kvs.iter().all(|kv| &kv.value[..] == b"old"));
}

#[test]
fn ranges_are_filtered_by_revision() {
    let node = open();
    for i in 0..10 {
        node.put(format!("k{i}"), "1").wait().unwrap();
    }
    node.put("k0", "2").wait().unwrap();
    let keys = |range: Range| {
        let found = node.range(range).wait().unwrap();
        found.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(Range::prefix("k").min_mod_revision(11)), ["k0", "k9"]);
    assert_eq!(keys(Range::prefix("k").max_mod_revision(3)), ["k1"]);
    assert_eq!(keys(Range::prefix("k").min_create_revision(11)), ["k9"]);
    assert_eq!(keys(Range::prefix("k").max_create_revision(3)), ["k0", "k1"]);
}

#[test]
fn a_read_waits_for_its_revision() {
    let node = open();
    let written = node.put("k", "v").wait().unwrap().header.unwrap().revision;
    let found = node.range(Range::key("k").at_least(written)).wait().unwrap();
    assert_eq!(found.kvs.len(), 1);
    let mut later = node.range(Range::key("k").at_least(written + 1));
    assert!(later.wait_timeout(Duration::from_millis(1)).is_none());
    node.put("k", "w").wait().unwrap();
    assert_eq!(&later.wait().unwrap().kvs[0].value[..], b"w");
    let hasty = node.client().with_timeout(Duration::from_millis(20));
    let never = hasty.range(Range::key("k").at_least(written + 100)).wait();
    assert!(matches!(never, Err(Error::TimedOut)), "{never:?}");
}

#[test]
fn compactions_refuse_what_lies_below() {
    let node = open();
    for i in 0..20 {
        node.put("k", format!("{i}")).wait().unwrap();
    }
    let before = node.hash(0).wait().unwrap();
    node.compact_with(CompactionRequest { revision: 15, physical: true }).wait().unwrap();
    let after = node.hash(0).wait().unwrap();
    assert_ne!(before.hash, after.hash);
    assert_eq!(after.compact_revision, 15);
    assert!(node.range(Range::key("k").revision(15)).wait().is_ok());
    let below = KvError::Compacted { requested: 14, compact_revision: 15 };
    assert_eq!(refused(node.range(Range::key("k").revision(14)).wait()), below);
    assert!(matches!(refused(node.compact(15).wait()), KvError::Compacted { .. }));
    assert!(matches!(refused(node.compact(99).wait()), KvError::FutureRevision { .. }));
    let mut watcher = node.watch(Watch::key("k").from_revision(14)).wait().unwrap();
    assert_eq!(refused(watcher.next().unwrap()), below);
    assert!(watcher.next().is_none());
}

#[test]
fn a_leader_compacts_on_its_own() {
    let mut config = Config::in_memory(&MemoryData::new());
    config.auto_compaction = AutoCompaction::Periodic(Duration::from_secs(1));
    let node = Node::open(config).unwrap();
    for i in 0..10 {
        node.put("k", format!("{i}")).wait().unwrap();
    }
    // Periods of a tenth of a second; only the compaction itself is waited for.
    let mut watcher = node.watch(Watch::key("none").progress_every(Duration::from_millis(50)));
    let mut watcher = watcher.wait_timeout(Duration::from_secs(5)).unwrap().unwrap();
    loop {
        watcher.next().unwrap().unwrap();
        if node.hash(0).wait().unwrap().compact_revision >= 11 {
            break;
        }
    }
    assert!(matches!(
        refused(node.range(Range::key("k").revision(5)).wait()),
        KvError::Compacted { .. }
    ));
}

#[test]
fn watches_give_every_change_in_order() {
    let node = open();
    node.put("a", "before").wait().unwrap();
    let mut now = node.watch(Watch::all().with_prev_kv()).wait().unwrap();
    let mut past = node.watch(Watch::key("a").from_revision(1)).wait().unwrap();
    let mut puts = node.watch(Watch::prefix("a").without_deletes()).wait().unwrap();
    node.txn().then(quorate::put("a", "1")).then(quorate::put("b", "2")).commit().wait().unwrap();
    let first = now.next().unwrap().unwrap();
    assert_eq!(first.events.len(), 2, "the events of a transaction come together");
    assert_eq!(&first.events[0].prev_kv.as_ref().unwrap().value[..], b"before");
    node.delete("a").wait().unwrap();
    let second = now.next().unwrap().unwrap();
    assert!(second.events[0].is_delete());
    let revisions: Vec<i64> =
        past.events().take(3).map(|event| event.unwrap().revision()).collect();
    assert_eq!(revisions, [2, 3, 4]);
    assert_eq!(puts.events().next().unwrap().unwrap().revision(), 3);
    assert!(puts.next_timeout(Duration::from_millis(5)).is_none());
    assert_eq!(now.progress().wait().unwrap(), Some(4));
    node.put("z", "0").wait().unwrap();
    assert_eq!(now.progress().wait().unwrap(), None);
    assert_eq!(puts.progress().wait().unwrap(), Some(5));
    let future = node.watch(Watch::all().from_revision(100)).wait().unwrap();
    assert_eq!(future.progress().wait().unwrap(), None);
    assert_eq!(refused(node.watch(Watch::between("b", "a")).wait()), KvError::EmptyWatchRange);
}

#[test]
fn a_response_begun_by_events_goes_on() {
    let node = open();
    let mut watcher = node.watch(Watch::all()).wait().unwrap();
    let txn =
        ["a", "b", "c"].into_iter().fold(node.txn(), |txn, key| txn.then(quorate::put(key, "1")));
    let revision = txn.commit().wait().unwrap().header.unwrap().revision;
    assert_eq!(&watcher.events().next().unwrap().unwrap().kv.unwrap().key[..], b"a");
    assert_eq!(watcher.next_revision(), revision);
    let rest = watcher.next().unwrap().unwrap();
    let keys: Vec<_> = rest.events.iter().map(|event| event.kv.clone().unwrap().key).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(watcher.next_revision(), revision + 1);
}

#[test]
fn large_revisions_are_cut_where_asked() {
    let node = open();
    let watch = Watch::all().fragmented(ByteSize::new(100));
    let mut watcher = node.watch(watch).wait().unwrap();
    let txn =
        (0..5).fold(node.txn(), |txn, i| txn.then(quorate::put(format!("k{i}"), vec![b'x'; 60])));
    txn.commit().wait().unwrap();
    let mut events = 0;
    let mut parts = 0;
    loop {
        let response = watcher.next().unwrap().unwrap();
        events += response.events.len();
        parts += 1;
        if !response.fragment {
            break;
        }
    }
    assert_eq!(events, 5);
    assert!(parts > 1);
}

#[test]
fn a_watch_can_be_awaited_and_ends_with_its_member() {
    let node = open();
    let client = node.client();
    let mut watcher = node.watch(Watch::all()).wait().unwrap();
    let waiting = std::thread::spawn(move || {
        let first = watcher.next().unwrap();
        (first.map(|response| response.events.len()), watcher.next())
    });
    node.put("k", "v").wait().unwrap();
    // The thread waits, or will; either way the end of the member ends it.
    node.close().unwrap();
    let (first, second) = waiting.join().unwrap();
    match (first, second) {
        (Ok(1), Some(Err(Error::Stopped(_)))) | (Err(Error::Stopped(_)), None) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.leases().wait(), Err(Error::Stopped(_))));
}

#[test]
fn only_so_many_watches_wait() {
    let mut config = Config::in_memory(&MemoryData::new());
    config.limits.watches_max = 2;
    let node = Node::open(config).unwrap();
    let mut watchers: Vec<_> = (0..3).map(|_| node.watch(Watch::all()).wait().unwrap()).collect();
    assert!(watchers[0].next_timeout(Duration::from_millis(1)).is_none());
    assert!(watchers[1].next_timeout(Duration::from_millis(1)).is_none());
    let error = watchers[2].next_timeout(Duration::from_millis(1)).unwrap();
    assert_eq!(refused(error), KvError::TooManyWatches { limit: 2 });
    watchers.remove(0);
    let mut third = node.watch(Watch::all()).wait().unwrap();
    assert!(third.next_timeout(Duration::from_millis(1)).is_none());
}

#[test]
fn leases_end_and_take_their_keys() {
    let node = open();
    let granted = node.lease_grant_with(LeaseGrantRequest { ttl: 100, id: 7 }).wait().unwrap();
    assert_eq!((granted.id, granted.ttl), (7, 100));
    let twice = node.lease_grant_with(LeaseGrantRequest { ttl: 100, id: 7 }).wait();
    assert_eq!(refused(twice), KvError::LeaseExists { lease: 7 });
    for key in ["b", "a"] {
        node.put_with(PutRequest { lease: 7, ..PutRequest::new(key, "v") }).wait().unwrap();
    }
    let found = node.lease_time_to_live(7, true).wait().unwrap();
    assert_eq!((found.granted_ttl, &found.keys[..]), (100, &["a".into(), "b".into()][..]));
    assert!((99..=101).contains(&found.ttl), "{found:?}");
    assert_eq!(node.leases().wait().unwrap().leases.len(), 1);
    assert_eq!(node.lease_keep_alive(7).wait().unwrap().ttl, 100);
    let mut watcher = node.watch(Watch::all()).wait().unwrap();
    node.lease_revoke(7).wait().unwrap();
    assert_eq!(watcher.next().unwrap().unwrap().events.len(), 2, "in one revision");
    assert_eq!(node.lease_keep_alive(7).wait().unwrap().ttl, 0);
    assert_eq!(node.lease_time_to_live(7, false).wait().unwrap().ttl, -1);
    assert_eq!(refused(node.lease_revoke(7).wait()), KvError::LeaseNotFound { lease: 7 });
    let put = PutRequest { lease: 7, ..PutRequest::new("k", "v") };
    assert_eq!(refused(node.put_with(put).wait()), KvError::LeaseNotFound { lease: 7 });
    let long = node.lease_grant(9_000_000_001).wait();
    let (ttl, limit) = (9_000_000_001, 9_000_000_000);
    assert_eq!(refused(long), KvError::LeaseTtlTooLarge { ttl, limit });
}

#[test]
fn a_lease_expires_unless_it_is_kept() {
    let mut config = Config::in_memory(&MemoryData::new());
    config.heartbeat_interval = Duration::from_millis(10);
    config.election_timeout = Duration::from_millis(100);
    config.limits.lease_ttl_min = 1;
    let node = Node::open(config).unwrap();
    let (dying, kept) = (node.lease_grant(1).wait().unwrap(), node.lease_grant(1).wait().unwrap());
    assert_eq!((dying.ttl, kept.ttl), (1, 1));
    let keeper = node.lease_keeper(kept.id, kept.ttl);
    for (key, lease) in [("dying", dying.id), ("kept", kept.id)] {
        node.put_with(PutRequest { lease, ..PutRequest::new(key, "v") }).wait().unwrap();
    }
    let mut watcher = node.watch(Watch::all()).wait().unwrap();
    let gone = watcher.events().next().unwrap().unwrap();
    assert!(gone.is_delete());
    assert_eq!(&gone.kv.unwrap().key[..], b"dying");
    assert!(watcher.next_timeout(Duration::from_millis(1_500)).is_none());
    assert!(!keeper.is_lost());
    let lost = keeper.lost();
    node.lease_revoke(kept.id).wait().unwrap();
    lost.wait().unwrap();
    assert!(keeper.is_lost());
}

#[test]
fn an_exceeded_quota_refuses_puts_until_it_is_cleared() {
    let mut config = Config::in_memory(&MemoryData::new());
    config.space_quota = Some(ByteSize::mib(1));
    let node = Node::open(config).unwrap();
    let mut error = None;
    for i in 0..200 {
        if let Err(refusal) = node.put(format!("{i}"), vec![0; 20_000]).wait() {
            error = Some(refused::<()>(Err(refusal)));
            break;
        }
    }
    assert_eq!(error, Some(KvError::NoSpace));
    let me = node.member_id();
    while node.alarms().wait().unwrap().alarms.is_empty() {}
    let alarm = node.alarms().wait().unwrap().alarms[0];
    assert_eq!((alarm.member_id, alarm.alarm), (me.get(), AlarmType::NoSpace.into()));
    assert_eq!(refused(node.put("small", "").wait()), KvError::NoSpace);
    let revision = node.delete_prefix("1").wait().unwrap().header.unwrap().revision;
    node.delete_prefix("2").wait().unwrap();
    node.compact_with(CompactionRequest { revision, physical: true }).wait().unwrap();
    assert_eq!(node.clear_alarm(me, AlarmType::NoSpace).wait().unwrap().alarms.len(), 1);
    node.put("small", "").wait().unwrap();
}
