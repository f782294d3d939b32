//! What happens at the worst moment of a watch.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use quorate_kv_api::{KeySpan, PutRequest};
use quorate_mvcc::{Store, WatchPosition, WatchQuery, Watching};
use quorate_types::ByteSize;

use crate::concurrency::{Meddling, apply, meddling};
use crate::harness::Single;
use crate::snapshots::{blocks, stage};

type Shared = Arc<Mutex<Store>>;

/// A store whose watches always read the tables.
fn forgetful() -> (Arc<Meddling>, Shared) {
    let (engine, store) = meddling();
    (engine, Arc::new(Mutex::new(store.with_recent_events_size(ByteSize::new(0)))))
}

fn put(store: &Shared, index: u64, key: &'static str) {
    let mut store = store.lock().expect("nobody panics with it");
    apply(&mut store, index, PutRequest::new(key, index.to_string()));
}

fn query(revision: i64) -> WatchQuery {
    WatchQuery::new(KeySpan::Key("k".into()), revision)
}

/// The values told, from the batch that there must be.
fn told(watching: Watching) -> Vec<Bytes> {
    let Watching::Batch(batch) = watching else { panic!("there is something to tell") };
    batch.events.into_iter().map(|event| event.kv.expect("an event has a key").value).collect()
}

// Finds the known bug M36, which no simulated run can reach.
#[test]
fn an_event_between_the_look_and_the_wait() {
    let (engine, store) = forgetful();
    let reader = store.lock().expect("nobody panics with it").reader();
    put(&store, 1, "other");
    // The view is taken after the store was asked where it stands.
    let during = store.clone();
    *engine.before_view.lock().unwrap() = Some(Box::new(move || put(&during, 2, "k")));
    let watching = reader.watch(&query(1), Box::new(|| panic!("it does not wait")));
    assert_eq!(told(watching.unwrap()), ["2"]);
}

#[test]
fn an_event_after_the_look_is_told_by_the_next_batch() {
    let (engine, store) = forgetful();
    let reader = store.lock().expect("nobody panics with it").reader();
    put(&store, 1, "k");
    let during = store.clone();
    *engine.before_view.lock().unwrap() = Some(Box::new(move || put(&during, 2, "k")));
    let batch = reader.watch_now(&query(1)).unwrap();
    assert_eq!((batch.events.len(), batch.revision, batch.next), (1, 2, WatchPosition::at(3)));
    let watching = reader.watch(&query(3), Box::new(|| panic!("it does not wait")));
    assert_eq!(told(watching.unwrap()), ["2"]);
}

#[test]
fn a_look_while_a_snapshot_is_installed() {
    let mut ahead = Single::new();
    let (engine, store) = forgetful();
    let mut store = Arc::into_inner(store).unwrap().into_inner().unwrap();
    for index in 1..=6 {
        let command = PutRequest::new("k", index.to_string());
        ahead.apply(command.clone()).unwrap();
        if index <= 2 {
            apply(&mut store, index, command);
        }
    }
    let (reader, seen) = (store.reader(), Arc::new(Mutex::new(Vec::new())));
    let Ok(Watching::Waiting(ticket)) = reader.watch(&query(4), Box::new(|| {})) else {
        panic!("there is nothing to tell");
    };
    let during = {
        let (reader, seen) = (reader.clone(), seen.clone());
        // The tables hold what comes, but the store is still where it was.
        move || {
            let batch = reader.watch_now(&query(3)).unwrap();
            assert_eq!((batch.revision, batch.next), (3, WatchPosition::at(4)));
            seen.lock().unwrap().extend(batch.events);
            let watching = reader.watch(&query(4), Box::new(|| {}));
            assert!(matches!(watching, Ok(Watching::Waiting(_))));
        }
    };
    *engine.after_commit.lock().unwrap() = Some(Box::new(during));
    let staged = stage(&store, &blocks(ahead.store.snapshot().unwrap())).unwrap();
    store.install(staged).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(ticket.position(), WatchPosition::at(4));
    let watching =
        reader.watch(&WatchQuery { from: ticket.position(), ..query(0) }, Box::new(|| {}));
    assert_eq!(told(watching.unwrap()), ["3", "4", "5", "6"]);
}
