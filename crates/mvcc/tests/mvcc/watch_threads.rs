//! Watches on threads of their own beside the writer.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use quorate_kv_api::{Command as KvCommand, DeleteRangeRequest, Event, KeySpan, PutRequest};
use quorate_mvcc::{
    Entry, Milestone, Reader, RequestError, Store, StoreError, WatchPosition, WatchQuery, Watching,
};
use quorate_types::ByteSize;

use crate::harness::{engine, open};
use crate::model::Model;
use crate::properties::pack;
use crate::snapshots::{blocks, stage};

/// A flag to sleep on.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("nobody panics with it") = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().expect("nobody panics with it");
        while !*rung {
            rung = self.changed.wait(rung).expect("nobody panics with it");
        }
        *rung = false;
    }

    fn ringer(self: &Arc<Self>) -> Box<dyn FnOnce() + Send> {
        let bell = self.clone();
        Box::new(move || bell.ring())
    }
}

/// Collects what a watch is told until the store is gone.
fn follow(reader: &Reader, mut query: WatchQuery) -> Vec<Event> {
    let bell = Arc::new(Bell::default());
    let mut told = Vec::new();
    loop {
        match reader.watch(&query, bell.ringer()) {
            Ok(Watching::Batch(batch)) => {
                assert!(batch.events.iter().all(|event| event.revision() <= batch.revision));
                told.extend(batch.events);
                query.from = batch.next;
            }
            Ok(Watching::Waiting(ticket)) => {
                bell.wait();
                query.from = ticket.position();
            }
            Err(RequestError::Failed(StoreError::Closed)) => return told,
            Err(error) => panic!("{error}"),
        }
    }
}

fn commands() -> Vec<KvCommand> {
    (0..4_000u32)
        .map(|n| match n % 7 {
            6 => DeleteRangeRequest { range_end: "k2".into(), ..DeleteRangeRequest::key("k0") }
                .into(),
            _ => PutRequest::new(format!("k{}", n % 4), n.to_string()).into(),
        })
        .collect()
}

fn queries() -> Vec<WatchQuery> {
    let all = WatchQuery::new(KeySpan::From("\0".into()), 1);
    let one = WatchQuery { span: KeySpan::Key("k3".into()), ..all.clone() };
    let some = KeySpan::Range { start: "k1".into(), end: "k3".into() };
    let deletions = WatchQuery { puts: false, prev_kv: true, span: some, ..all.clone() };
    let pieces = WatchQuery { fragment_bytes: Some(1), ..all.clone() };
    let future = WatchQuery { from: WatchPosition::at(2_000), ..one.clone() };
    vec![all, one, deletions, pieces, future]
}

/// What a watch must be told of all events.
fn wanted(query: &WatchQuery, events: &[(WatchPosition, Event)]) -> Vec<Event> {
    let is_wanted = |(at, event): &&(WatchPosition, Event)| {
        let key = &event.kv.as_ref().expect("an event has a key").key;
        *at >= query.from && query.span.contains(key) && (event.is_delete() || query.puts)
    };
    let told = |(_, event): &(WatchPosition, Event)| {
        let prev_kv = event.prev_kv.clone().filter(|_| query.prev_kv);
        Event { prev_kv, ..event.clone() }
    };
    events.iter().filter(is_wanted).map(told).collect()
}

/// Waits for one revision after another.
fn count_up(reader: &Reader, last: i64) {
    for revision in (1..=last).step_by(37) {
        let mut waits = 0;
        // The installation of a snapshot wakes everybody; a store that is gone does so at once.
        while reader.revision() < revision {
            let bell = Arc::new(Bell::default());
            let ticket = reader.wait_for(Milestone::Revision(revision), bell.ringer());
            if ticket.is_some() {
                bell.wait();
            }
            waits += 1;
            assert!(waits < 1_000, "revision {revision} does not come");
        }
    }
}

/// Lets watches follow a store that `write` brings to the end of all commands and drops.
fn check(ring: u64, write: impl FnOnce(Store, &[Entry])) {
    let commands = commands();
    let mut model = Model::new();
    for command in &commands {
        model.apply(command).expect("all are accepted");
    }
    let events = model.events();
    let store = open(&engine()).with_recent_events_size(ByteSize::new(ring));
    thread::scope(|scope| {
        let mut followers = Vec::new();
        for query in queries() {
            let (reader, asked) = (store.reader(), query.clone());
            followers.push((query, scope.spawn(move || follow(&reader, asked))));
        }
        let (reader, last) = (store.reader(), model.revision());
        scope.spawn(move || count_up(&reader, last));
        write(store, &pack(&commands, &[1]));
        for (query, follower) in followers {
            let told = follower.join().expect("it does not panic");
            let wanted = wanted(&query, &events);
            assert!(told == wanted, "{} of {} for {query:?}", told.len(), wanted.len());
        }
    });
}

fn apply(store: &mut Store, run: &[Entry]) {
    store.apply(run, &mut Vec::new()).expect("memory does not fail");
}

/// Nothing in memory, a little, everything.
const RINGS: [u64; 3] = [0, 3_000, 1 << 24];

#[test]
fn nothing_is_lost_between_threads() {
    for ring in RINGS {
        check(ring, |mut store, entries| {
            for run in entries.chunks(3) {
                apply(&mut store, run);
            }
        });
    }
}

#[test]
fn nothing_is_lost_between_threads_while_snapshots_are_installed() {
    for ring in RINGS {
        check(ring, |mut store, entries| {
            let mut ahead = open(&engine());
            for (number, run) in entries.chunks(3).enumerate() {
                apply(&mut ahead, run);
                match number % 20 {
                    0..15 => apply(&mut store, run),
                    15..19 => {}
                    _ => {
                        let snapshot = ahead.snapshot().expect("memory can be read");
                        let staged = stage(&store, &blocks(snapshot)).expect("it is whole");
                        store.install(staged).expect("memory does not fail");
                    }
                }
            }
            // What is applied already is skipped.
            apply(&mut store, entries);
        });
    }
}
