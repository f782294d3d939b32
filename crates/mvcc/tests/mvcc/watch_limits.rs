//! Long ways back, full batches, large revisions, and requests that are refused.

use quorate_kv_api::{
    Command as KvCommand, DeleteRangeRequest, Event, KeySpan, KvError, PutRequest, TxnRequest,
};
use quorate_mvcc::Watching;
use quorate_mvcc::{RequestError, Store, StoreError, WatchBatch, WatchPosition, WatchQuery};
use quorate_types::ByteSize;

use crate::harness::{engine, open};
use crate::model::Model;
use crate::properties::pack;

/// A store after these commands, that remembers so many bytes of events.
fn store(commands: &[KvCommand], ring: u64) -> Store {
    let mut store = open(&engine()).with_recent_events_size(ByteSize::new(ring));
    store.apply(&pack(commands, &[100]), &mut Vec::new()).expect("memory does not fail");
    store
}

fn put(key: impl Into<bytes::Bytes>, value: impl Into<bytes::Bytes>) -> KvCommand {
    PutRequest::new(key, value).into()
}

fn everything() -> WatchQuery {
    WatchQuery::new(KeySpan::From("\0".into()), 1)
}

/// All batches up to the head.
fn batches(store: &Store, mut query: WatchQuery) -> Vec<WatchBatch> {
    let mut batches = Vec::new();
    loop {
        let batch = store.reader().watch_now(&query).expect("memory does not fail");
        if batch.events.is_empty() {
            assert_eq!(batch.next, WatchPosition::at(batch.revision + 1));
            return batches;
        }
        query.from = batch.next;
        batches.push(batch);
    }
}

fn lengths(batches: &[WatchBatch]) -> Vec<usize> {
    batches.iter().map(|batch| batch.events.len()).collect()
}

/// From the tables, and from memory.
const RINGS: [u64; 2] = [0, 1 << 30];

#[test]
fn a_batch_has_a_thousand_revisions_at_most() {
    let commands: Vec<_> = (0..2_200).map(|n| put("k", n.to_string())).collect();
    for ring in RINGS {
        let store = store(&commands, ring);
        let batches = batches(&store, everything());
        assert_eq!(lengths(&batches), [1000, 1000, 200]);
        assert!(batches.iter().all(|batch| batch.revision == 2_201 && !batch.fragment));
    }
}

#[test]
fn a_batch_ends_once_it_is_large() {
    let commands: Vec<_> = (0..5u8).map(|n| put("k", vec![n; 1 << 20])).collect();
    for ring in RINGS {
        let store = store(&commands, ring);
        assert_eq!(lengths(&batches(&store, everything())), [2, 2, 1]);
        let one = WatchQuery { fragment_bytes: Some(1 << 20), ..everything() };
        let batches = batches(&store, one);
        assert_eq!(lengths(&batches), [1; 5]);
        assert!(batches.iter().all(|batch| !batch.fragment));
    }
}

#[test]
fn a_revision_stays_in_one_piece_unless_it_may_be_cut() {
    let mut commands: Vec<_> = (0..1_500).map(|n| put(format!("k{n:04}"), "v")).collect();
    commands
        .push(DeleteRangeRequest { range_end: "\0".into(), ..DeleteRangeRequest::key("k") }.into());
    for ring in RINGS {
        let store = store(&commands, ring);
        let query = WatchQuery { puts: false, prev_kv: true, ..everything() };
        assert_eq!(lengths(&batches(&store, query.clone())), [1_500]);
        let query = WatchQuery { fragment_bytes: Some(10_000), ..query };
        let pieces = batches(&store, query);
        assert!(pieces.len() > 5, "{}", pieces.len());
        let (last, others) = pieces.split_last().expect("there are some");
        assert!(!last.fragment && others.iter().all(|piece| piece.fragment));
        let mut keys: Vec<_> = pieces.iter().flat_map(|piece| &piece.events).collect();
        keys.dedup_by(|a, b| a.kv == b.kv);
        assert_eq!(keys.len(), 1_500);
        assert!(keys.iter().all(|event| event.prev_kv.is_some()));
    }
}

#[test]
fn a_key_that_changes_more_than_once_at_one_revision() {
    let txn = |success| TxnRequest { success, ..TxnRequest::default() };
    let put_k = |value: &'static str| txn(vec![PutRequest::new("k", value).into()]).into();
    let delete_k = || txn(vec![DeleteRangeRequest::key("k").into()]).into();
    let commands: [KvCommand; 5] = [
        txn(vec![put_k("1"), delete_k()]).into(),
        put("k", "2"),
        txn(vec![put_k("3"), put_k("4"), delete_k()]).into(),
        put("k", "5"),
        txn(vec![delete_k(), put_k("6"), delete_k(), put_k("7"), put_k("8")]).into(),
    ];
    let mut model = Model::new();
    for command in &commands {
        model.apply(command).expect("all are accepted");
    }
    let expected: Vec<Event> = model.events().into_iter().map(|(_, event)| event).collect();
    for ring in RINGS {
        let query = WatchQuery { prev_kv: true, ..everything() };
        let batch = store(&commands, ring).reader().watch_now(&query).expect("it can be read");
        assert_eq!(batch.events, expected);
    }
}

#[test]
fn a_long_way_without_anything_wanted() {
    let mut commands: Vec<_> = (0..25_000).map(|_| put("other", "")).collect();
    commands.push(put("k", "v"));
    for ring in RINGS {
        let store = store(&commands, ring);
        let query = WatchQuery::new(KeySpan::Key("k".into()), 1);
        let found = batches(&store, query);
        assert_eq!(lengths(&found), [1]);
        assert_eq!(found[0].events[0].revision(), 25_002);
        let query = WatchQuery::new(KeySpan::Key("absent".into()), 1);
        let Ok(Watching::Waiting(ticket)) = store.reader().watch(&query, Box::new(|| {})) else {
            panic!("there is nothing to tell");
        };
        assert_eq!(ticket.position(), WatchPosition::at(25_003));
    }
}

#[test]
fn refusals() {
    let store = store(&[put("k", "v")], 0);
    let reader = store.reader();
    let empty = KeySpan::Range { start: "b".into(), end: "a".into() };
    let empty = WatchQuery::new(empty, 9);
    let negative = WatchQuery::new(KeySpan::Key("k".into()), -1);
    for (query, expected) in [
        (empty, KvError::EmptyWatchRange),
        (negative, KvError::Compacted { requested: -1, compact_revision: -1 }),
    ] {
        let now = reader.watch_now(&query).unwrap_err();
        let waiting = reader.watch(&query, Box::new(|| panic!("it does not wait"))).unwrap_err();
        for error in [now, waiting] {
            assert!(matches!(&error, RequestError::Refused(cause) if *cause == expected));
        }
    }
}

#[test]
fn a_store_that_is_gone_tells_what_it_knew() {
    let store = store(&[put("k", "v")], 1 << 20);
    let reader = store.reader();
    drop(store);
    let watch = |revision| {
        reader.watch(&WatchQuery::new(KeySpan::Key("k".into()), revision), Box::new(|| {}))
    };
    assert!(matches!(watch(2), Ok(Watching::Batch(batch)) if batch.events.len() == 1));
    assert!(matches!(watch(3), Err(RequestError::Failed(StoreError::Closed))));
}

#[test]
fn a_store_that_failed_wakes_its_watches() {
    let engine = engine();
    let mut store = open(&engine);
    let (wake, woken) = std::sync::mpsc::channel();
    let query = WatchQuery::new(KeySpan::Key("k".into()), 2);
    let watching = store.reader().watch(&query, Box::new(move || wake.send(()).unwrap()));
    assert!(matches!(&watching, Ok(Watching::Waiting(_))));
    engine.fail_next_write(std::io::ErrorKind::StorageFull);
    assert!(store.apply(&pack(&[put("k", "v")], &[1]), &mut Vec::new()).is_err());
    assert!(woken.try_recv().is_ok());
}
