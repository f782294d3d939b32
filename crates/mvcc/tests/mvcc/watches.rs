//! Watches against the list of all events: slow and fast ones, over crashes, snapshots and
//! compactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use prost::Message;
use quorate_kv_api::{
    Command as KvCommand, CommandKind, Event, KeySpan, KvError, OpRequest, TxnRequest,
};
use quorate_mvcc::{
    Entry, Milestone, RequestError, Store, Ticket, WatchBatch, WatchPosition, WatchQuery, Watching,
};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{Engine, Table, WriteBatch};
use quorate_types::ByteSize;

use crate::generate::{command, config, key, range_end};
use crate::harness::{engine, open};
use crate::model::Model;
use crate::properties::pack;
use crate::snapshots::{blocks, stage};

const META: Table = Table("meta");

/// Where the compact revision stands in the record `head`.
const COMPACT_REVISION: std::ops::Range<usize> = 9..17;

/// Writes the compact revision of a store that is closed.
fn set_compact_revision(engine: &MemoryEngine, revision: i64) {
    let head = engine.get(META, b"head").expect("memory can be read").expect("a store has a head");
    let mut head = head.to_vec();
    head[COMPACT_REVISION].copy_from_slice(&revision.to_be_bytes());
    let mut batch = WriteBatch::new();
    batch.put(META, &b"head"[..], head);
    engine.write(&batch).expect("memory does not fail");
}

fn compact_revision(engine: &MemoryEngine) -> i64 {
    let head = engine.get(META, b"head").expect("memory can be read").expect("a store has a head");
    i64::from_be_bytes(head[COMPACT_REVISION].try_into().expect("it has eight bytes"))
}

/// A command that a compaction does not make fail: here it is not part of the log.
fn any_present_command() -> impl Strategy<Value = KvCommand> {
    command().prop_map(|mut command| {
        if let Some(CommandKind::Txn(txn)) = &mut command.kind {
            read_the_present(txn);
        }
        command
    })
}

fn read_the_present(txn: &mut TxnRequest) {
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(OpRequest::Range(range)) => range.revision = 0,
            Some(OpRequest::Txn(nested)) => read_the_present(nested),
            _ => {}
        }
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// So many entries are applied, in one run.
    Apply(usize),
    /// A watcher asks, so many times, whether it was woken or not.
    Ask(prop::sample::Index, usize),
    /// A watcher asks without waiting.
    Look(prop::sample::Index),
    /// The machine stops; so many batches were not lost.
    Crash(usize),
    /// All revisions but so many are compacted.
    Compact(i64),
    /// A snapshot comes that is so many entries ahead, with all but so many revisions compacted.
    Install(usize, Option<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..5).prop_map(Step::Apply),
        8 => (any::<prop::sample::Index>(), 1usize..4).prop_map(|(who, n)| Step::Ask(who, n)),
        2 => any::<prop::sample::Index>().prop_map(Step::Look),
        1 => (0usize..4).prop_map(Step::Crash),
        1 => (0i64..6).prop_map(Step::Compact),
        1 => (0usize..8, prop::option::of(0i64..6)).prop_map(|(n, left)| Step::Install(n, left)),
    ]
}

fn query() -> impl Strategy<Value = WatchQuery> {
    let from = (0i64..25, prop_oneof![3 => Just(0i64), 1 => 0i64..3])
        .prop_map(|(revision, event)| WatchPosition { revision, event });
    let span = (key(), range_end()).prop_map(|(key, end)| KeySpan::new(&key, &end));
    let span = span.prop_filter("the span is not empty", |span| !span.is_empty());
    let fragment = prop::option::of(prop_oneof![Just(0u64), 30u64..150]);
    let mostly = || prop::bool::weighted(0.8);
    (span, from, mostly(), mostly(), any::<bool>(), fragment).prop_map(
        |(span, from, puts, deletes, prev_kv, fragment_bytes)| WatchQuery {
            span,
            from,
            puts,
            deletes,
            prev_kv,
            fragment_bytes,
        },
    )
}

/// A watch and all that it was told.
struct Watcher {
    /// What was asked for at first.
    query: WatchQuery,
    /// The events wanted, by the model.
    wanted: Vec<(WatchPosition, Event)>,
    /// How many of them came.
    told: usize,
    next: WatchPosition,
    ticket: Option<Ticket>,
    woken: Arc<AtomicUsize>,
    is_refused: bool,
}

impl Watcher {
    fn new(query: WatchQuery, events: &[(WatchPosition, Event)]) -> Self {
        let wants = |(at, event): &&(WatchPosition, Event)| {
            let key = &event.kv.as_ref().expect("an event has a key").key;
            *at >= query.from
                && query.span.contains(key)
                && (if event.is_delete() { query.deletes } else { query.puts })
        };
        let wanted: Vec<_> = events.iter().filter(wants).cloned().collect();
        let (next, woken) = (query.from, Arc::default());
        Self { query, wanted, told: 0, next, ticket: None, woken, is_refused: false }
    }

    fn query(&self) -> WatchQuery {
        WatchQuery { from: self.next, ..self.query.clone() }
    }

    /// All that is wanted up to `revision` came, and nothing else.
    fn check_complete(&self, revision: i64) {
        let missing = self.wanted.get(self.told).filter(|(at, _)| at.revision <= revision);
        assert_eq!(missing, None, "complete up to {revision}, after {} events", self.told);
    }

    fn check_next(&self, next: WatchPosition) {
        assert!(next >= self.next, "{next:?} comes after {:?}", self.next);
        if let Some((at, _)) = self.told.checked_sub(1).and_then(|last| self.wanted.get(last)) {
            assert!(next > *at, "{next:?} is told already");
        }
        if let Some((at, _)) = self.wanted.get(self.told) {
            assert!(next <= *at, "{next:?} leaves {at:?} out");
        }
    }

    fn take(&mut self, batch: &WatchBatch, compact_revision: i64) {
        let mut size = 0;
        for event in &batch.events {
            let (at, expected) = self.wanted.get(self.told).expect("no more events are wanted");
            let mut expected = expected.clone();
            if !self.query.prev_kv || at.revision <= compact_revision {
                expected.prev_kv = None;
            }
            assert_eq!(*event, expected, "at {at:?}");
            self.told += 1;
            size += event.encoded_len();
        }
        if let Some(limit) = self.query.fragment_bytes {
            assert!(batch.events.len() == 1 || size as u64 <= limit, "{size} of {limit}");
        }
        let (last, _) = &self.wanted[self.told - 1];
        let rest = self.wanted.get(self.told).filter(|(at, _)| at.revision == last.revision);
        assert_eq!(batch.fragment, rest.is_some(), "{last:?} and {rest:?}");
        assert!(!batch.fragment || self.query.fragment_bytes.is_some());
        assert!(last.revision <= batch.revision);
        self.check_next(batch.next);
        self.next = batch.next;
    }

    /// What is refused must have been out of reach.
    fn refuse(&mut self, error: RequestError, compacted: i64) {
        let RequestError::Refused(KvError::Compacted { requested, compact_revision }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((requested, compact_revision), (self.next.revision, compacted));
        assert!(requested < compacted, "{requested} is not before {compacted}");
        self.is_refused = true;
    }

    /// Goes on where it was if it was woken, or if the store that it waited for is gone.
    fn wake_up(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.next = ticket.position();
            self.check_next(self.next);
        }
        self.woken.store(0, Ordering::Relaxed);
    }

    fn ask(&mut self, store: &Store, compact_revision: i64) {
        if self.is_refused {
            return;
        }
        let revision = store.reader().revision();
        if self.ticket.is_some() && self.woken.load(Ordering::Relaxed) == 0 {
            return self.check_complete(revision);
        }
        self.wake_up();
        let woken = self.woken.clone();
        let wake = Box::new(move || {
            woken.fetch_add(1, Ordering::Relaxed);
        });
        match store.reader().watch(&self.query(), wake) {
            Ok(Watching::Batch(batch)) => {
                assert!(!batch.events.is_empty() && self.next.revision >= compact_revision);
                self.take(&batch, compact_revision);
            }
            Ok(Watching::Waiting(ticket)) => {
                self.check_complete(revision);
                assert_eq!(ticket.position(), self.next.max(WatchPosition::at(revision + 1)));
                self.ticket = Some(ticket);
            }
            Err(error) => self.refuse(error, compact_revision),
        }
    }

    fn look(&mut self, store: &Store, compact_revision: i64) {
        if self.is_refused {
            return;
        }
        let revision = store.reader().revision();
        self.wake_up();
        match store.reader().watch_now(&self.query()) {
            Ok(batch) if batch.events.is_empty() => {
                assert_eq!((batch.revision, batch.fragment), (revision, false));
                self.check_complete(revision);
                assert_eq!(batch.next, self.next.max(WatchPosition::at(revision + 1)));
                self.next = batch.next;
            }
            Ok(batch) => self.take(&batch, compact_revision),
            Err(error) => self.refuse(error, compact_revision),
        }
    }
}

/// A store that lives through what steps say.
struct World {
    engine: MemoryEngine,
    store: Option<Store>,
    entries: Vec<Entry>,
    ring: u64,
}

impl World {
    fn open(&self) -> Store {
        open(&self.engine).with_recent_events_size(ByteSize::new(self.ring))
    }

    fn store(&mut self) -> &mut Store {
        let reopened = self.store.take().unwrap_or_else(|| self.open());
        self.store.insert(reopened)
    }

    fn apply(&mut self, count: usize) {
        let applied = self.store().applied().index.get() as usize;
        let end = self.entries.len().min(applied.saturating_add(count));
        let entries = self.entries[applied.min(end)..end].to_vec();
        self.store().apply(&entries, &mut Vec::new()).expect("memory does not fail");
    }

    fn compact(&mut self, left: i64) {
        let revision = (self.store().reader().revision() - left).max(0);
        let revision = revision.max(compact_revision(&self.engine));
        self.store = None;
        set_compact_revision(&self.engine, revision);
    }

    /// Another store goes ahead; its snapshot is installed on this one.
    fn install(&mut self, count: usize, left: Option<i64>) {
        let applied = self.store().applied().index.get() as usize;
        let compacted = compact_revision(&self.engine);
        let ring = self.ring;
        let mut leader =
            Self { engine: engine(), store: None, entries: self.entries.clone(), ring };
        leader.apply(applied + count);
        leader.store = None;
        set_compact_revision(&leader.engine, compacted);
        if let Some(left) = left {
            leader.compact(left);
        }
        let snapshot = leader.store().snapshot().expect("memory can be read");
        let staged = stage(self.store(), &blocks(snapshot)).expect("the blocks are in order");
        self.store().install(staged).expect("memory does not fail");
    }

    fn step(&mut self, step: &Step, watchers: &mut [Watcher]) {
        match step {
            Step::Apply(count) => self.apply(*count),
            Step::Ask(who, times) => {
                let compacted = compact_revision(&self.engine);
                for _ in 0..*times {
                    watchers[who.index(watchers.len())].ask(self.store(), compacted);
                }
            }
            Step::Look(who) => {
                let compacted = compact_revision(&self.engine);
                watchers[who.index(watchers.len())].look(self.store(), compacted);
            }
            Step::Crash(kept) => {
                self.store = None;
                self.engine.crash_keeping(*kept);
            }
            Step::Compact(left) => self.compact(*left),
            Step::Install(count, left) => self.install(*count, *left),
        }
        if self.store.is_none() {
            // Whoever waited was told that the store is gone.
            for watcher in watchers.iter().filter(|watcher| watcher.ticket.is_some()) {
                assert_eq!(watcher.woken.load(Ordering::Relaxed), 1);
            }
            self.store();
        }
    }
}

fn check(commands: &[KvCommand], queries: Vec<WatchQuery>, steps: &[Step], ring: u64) {
    let mut model = Model::new();
    for command in commands {
        let _refused_or_not = model.apply(command);
    }
    let events = model.events();
    let mut watchers: Vec<_> = queries.into_iter().map(|q| Watcher::new(q, &events)).collect();
    let (engine, entries) = (engine(), pack(commands, &[1, 2]));
    open(&engine);
    engine.flush().expect("memory does not fail");
    let mut world = World { engine, store: None, entries, ring };
    for step in steps {
        world.step(step, &mut watchers);
    }
    // At last everybody comes to the end.
    world.apply(usize::MAX);
    let compacted = compact_revision(&world.engine);
    for watcher in &mut watchers {
        let store = world.store();
        while !watcher.is_refused {
            watcher.ask(store, compacted);
            if watcher.ticket.is_some() && watcher.woken.load(Ordering::Relaxed) == 0 {
                watcher.check_complete(i64::MAX);
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn everybody_is_told_everything_once(
        commands in prop::collection::vec(any_present_command(), 0..40),
        queries in prop::collection::vec(query(), 1..6),
        steps in prop::collection::vec(step(), 0..60),
        ring in prop::sample::select(vec![0, 400, 800, 3_000, 1 << 24]),
    ) {
        check(&commands, queries, &steps, ring);
    }
}

#[test]
fn a_milestone_is_told_once_it_is_reached() {
    let (engine, entries) =
        (engine(), pack(&[quorate_kv_api::PutRequest::new("k", "v").into()], &[1]));
    let mut store = open(&engine);
    let calls = Arc::new(AtomicUsize::new(0));
    let wake = || {
        let calls = calls.clone();
        Box::new(move || {
            calls.fetch_add(1, Ordering::Relaxed);
        })
    };
    assert!(store.reader().wait_for(Milestone::Revision(1), wake()).is_none());
    let next = store.reader().wait_for(Milestone::Revision(2), wake());
    let later = store.reader().wait_for(Milestone::Revision(3), wake());
    assert!(next.is_some() && later.is_some());
    store.apply(&entries, &mut Vec::new()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    drop(store);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
