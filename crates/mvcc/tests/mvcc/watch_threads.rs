//! Watches on threads of their own beside the writer.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use quorate_kv_api::{Command as KvCommand, DeleteRangeRequest, Event, KeySpan, PutRequest};
use quorate_mvcc::{Milestone, Reader, RequestError, StoreError, WatchQuery, Watching};
use quorate_types::ByteSize;

use crate::harness::{engine, open};
use crate::model::Model;
use crate::properties::pack;

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
    let future = WatchQuery { from: quorate_mvcc::WatchPosition::at(2_000), ..one.clone() };
    vec![all, one, deletions, pieces, future]
}

#[test]
fn nothing_is_lost_between_threads() {
    let commands = commands();
    let mut model = Model::new();
    for command in &commands {
        model.apply(command).expect("all are accepted");
    }
    let events = model.events();
    // Nothing in memory, a little, everything.
    for ring in [0, 3_000, 1 << 24] {
        let mut store = open(&engine()).with_recent_events_size(ByteSize::new(ring));
        thread::scope(|scope| {
            let followers: Vec<_> = queries()
                .into_iter()
                .map(|query| {
                    let reader = store.reader();
                    let handle = scope.spawn({
                        let query = query.clone();
                        move || follow(&reader, query)
                    });
                    (query, handle)
                })
                .collect();
            let reader = store.reader();
            let end = model.revision();
            scope.spawn(move || {
                for revision in (1..=end).step_by(37) {
                    let bell = Arc::new(Bell::default());
                    if let Some(_ticket) =
                        reader.wait_for(Milestone::Revision(revision), bell.ringer())
                    {
                        bell.wait();
                    }
                    assert!(reader.revision() >= revision);
                }
            });
            for run in pack(&commands, &[1]).chunks(3) {
                store.apply(run, &mut Vec::new()).expect("memory does not fail");
            }
            drop(store);
            for (query, follower) in followers {
                let told = follower.join().expect("it does not panic");
                let wanted = events.iter().filter(|(at, event)| {
                    let key = &event.kv.as_ref().expect("an event has a key").key;
                    *at >= query.from
                        && query.span.contains(key)
                        && (event.is_delete() || query.puts)
                });
                let wanted: Vec<Event> = wanted
                    .map(|(_, event)| {
                        let prev_kv = event.prev_kv.clone().filter(|_| query.prev_kv);
                        Event { prev_kv, ..event.clone() }
                    })
                    .collect();
                assert!(told == wanted, "{} of {} for {query:?}", told.len(), wanted.len());
            }
        });
    }
}
