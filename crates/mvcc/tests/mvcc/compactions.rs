//! Random commands and compactions, swept now and then, over crashes and snapshots, against the
//! model, which knows the state at every revision.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_kv_api::{Command as KvCommand, CompactionRequest, KvError, RangeRequest};
use quorate_mvcc::{Entry, RequestError, Response, Store};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{Direction, Engine, KeyRange, Table};

use crate::generate::{command, config};
use crate::harness::{dump, engine, entry, hash, numbered, open};
use crate::model::{Model, Remains};
use crate::snapshots::{blocks, stage};

#[derive(Clone, Debug)]
enum Step {
    Apply(KvCommand),
    /// Compacts at so many revisions before the newest.
    Compact(i64),
    /// Sweeps so many records, so many times.
    Sweep(usize, usize),
    Flush,
    /// Loses what was not flushed but so many batches, and applies the log again.
    Crash(usize),
    /// Goes on with the store on another engine, which got a snapshot of it.
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => command().prop_map(Step::Apply),
        3 => prop_oneof![2 => Just(0i64), 3 => 0i64..6].prop_map(Step::Compact),
        4 => (0usize..5, 1usize..4).prop_map(|(records, times)| Step::Sweep(records, times)),
        1 => Just(Step::Flush),
        1 => (0usize..12).prop_map(Step::Crash),
        1 => Just(Step::Move),
    ]
}

/// A store that sweeps, one that never does, and the model of both.
struct Run {
    model: Model,
    engine: MemoryEngine,
    /// `None` only while the engine crashes.
    store: Option<Store>,
    calm_engine: MemoryEngine,
    calm: Store,
    log: Vec<Entry>,
    results: Vec<Result<Response, KvError>>,
}

impl Run {
    fn new() -> Self {
        let (engine, calm_engine) = (engine(), engine());
        let (store, calm) = (Some(open(&engine)), open(&calm_engine));
        let model = Model::new();
        Self { model, engine, store, calm_engine, calm, log: vec![], results: vec![] }
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("it is opened after each crash")
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Apply(command) => self.apply(command),
            Step::Compact(before) => {
                let revision = self.model.revision() - before;
                self.apply(&CompactionRequest { revision, physical: false }.into());
            }
            Step::Sweep(records, times) => {
                let sweeper = self.store().sweeper();
                for _ in 0..*times {
                    let is_more = sweeper.step(*records).expect("memory does not fail");
                    assert_eq!(is_more, sweeper.swept() < self.model.compacted());
                }
            }
            Step::Flush => self.engine.flush().expect("memory does not fail"),
            Step::Crash(kept) => self.crash(*kept),
            Step::Move => self.move_on(),
        }
    }

    fn apply(&mut self, command: &KvCommand) {
        let index = self.log.len() as u64 + 1;
        self.log.push(entry(index, vec![numbered(index, command)]));
        self.results.push(self.model.apply(command));
        let run = &self.log[self.log.len() - 1..];
        let store = self.store.as_mut().expect("it is opened after each crash");
        for store in [store, &mut self.calm] {
            let mut outcomes = Vec::new();
            store.apply(run, &mut outcomes).expect("memory does not fail");
            assert_eq!(outcomes.pop().map(|outcome| outcome.result).as_ref(), self.results.last());
        }
    }

    fn crash(&mut self, kept: usize) {
        let swept = self.store().sweeper().swept();
        self.store = None;
        self.engine.crash_keeping(kept);
        let mut store = open(&self.engine);
        assert!(store.sweeper().swept() <= swept);
        let applied = store.applied().index.get() as usize;
        let mut outcomes = Vec::new();
        store.apply(&self.log, &mut outcomes).expect("memory does not fail");
        let results: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result).collect();
        assert_eq!(results, self.results[applied..]);
        self.store = Some(store);
    }

    fn move_on(&mut self) {
        let to_engine = engine();
        let mut to = open(&to_engine);
        // It has a sweep of its own behind it.
        let half = &self.log[..self.log.len() / 2];
        to.apply(half, &mut Vec::new()).expect("memory does not fail");
        let sweeper = to.sweeper();
        sweeper.step(3).expect("memory does not fail");
        let from = self.store();
        let snapshot = blocks(from.snapshot().expect("memory does not fail"));
        let staged = stage(&to, &snapshot).expect("the snapshot is whole");
        to.install(staged).expect("memory does not fail");
        assert_eq!(sweeper.swept(), from.sweeper().swept());
        assert_eq!(dump(&to_engine), dump(&self.engine));
        (self.engine, self.store) = (to_engine, Some(to));
    }

    /// Reads everything at every revision, and those that can not be read.
    fn check(&mut self) {
        let (compacted, current) = (self.model.compacted(), self.model.revision());
        for revision in (compacted - 2).max(1)..=current + 1 {
            let all = RangeRequest { range_end: "\0".into(), revision, ..RangeRequest::key("\0") };
            let found = match self.store().reader().range(&all) {
                Ok(response) => Ok(response),
                Err(RequestError::Refused(cause)) => Err(cause),
                Err(failure) => panic!("memory does not fail: {failure}"),
            };
            assert_eq!(found, self.model.range(&all), "at {revision} of {compacted}..{current}");
        }
        for revision in compacted.max(1)..=current {
            let expected = self.model.hash(revision);
            assert_eq!(hash(self.store(), revision), expected, "at {revision}, swept");
            assert_eq!(hash(&self.calm, revision), expected, "at {revision}, not swept");
        }
        let reader = self.store().reader();
        assert_eq!((reader.revision(), reader.compact_revision()), (current, compacted));
        let refused = reader.hash(compacted - 1);
        assert!(
            matches!(refused, Err(RequestError::Refused(KvError::Compacted { .. }))) || {
                compacted <= 1
            }
        );
    }

    /// Sweeps both stores to the end.
    fn finish(&mut self) {
        for store in [self.store.as_ref().expect("it is open"), &self.calm] {
            while store.sweeper().step(2).expect("memory does not fail") {}
            assert_eq!(store.sweeper().swept(), self.model.compacted());
        }
        assert_eq!(remains(&self.engine), self.model.remains());
        assert_eq!(dump(&self.engine), dump(&self.calm_engine));
    }
}

fn remains(engine: &MemoryEngine) -> Remains {
    let view = engine.view().expect("a memory engine has views");
    let keys = |table| {
        let rows = view.scan(Table(table), &KeyRange::all(), Direction::Forward);
        rows.map(|row| row.expect("memory can be read").0).collect::<Vec<Bytes>>()
    };
    let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("it has eight bytes"));
    let history = keys("history");
    Remains {
        history: history.iter().map(|key| (number(&key[..8]), number(&key[8..]))).collect(),
        versions_count: keys("versions").len(),
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn sweeps_change_nothing_that_can_be_seen(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for (number, step) in steps.iter().enumerate() {
            run.step(step);
            if number % 4 == 0 || matches!(step, Step::Sweep(..) | Step::Crash(_)) {
                run.check();
            }
        }
        run.check();
        run.finish();
        run.check();
    }
}
