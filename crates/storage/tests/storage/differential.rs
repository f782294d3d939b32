//! Random operations: each store must agree with a simple model, and so with the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_storage::conformance::{EngineUnderTest, LogUnderTest, TABLES};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{
    Direction, Engine, EntryKind, HardState, KeyRange, LogBatch, LogEntry, LogState, LogStore,
    View, WriteBatch, WriteOp,
};
use quorate_types::{LogIndex, LogPosition, Term};

use crate::harness::{MemoryEngineHarness, MemoryLogHarness};

type Model = BTreeMap<(&'static str, Bytes), Bytes>;

#[derive(Clone, Debug)]
enum EngineStep {
    Write(Vec<WriteOp>),
    Flush,
    View,
    DropView,
    Restore(Vec<(u8, u8)>),
    Crash,
    Close,
}

fn key(number: u8) -> Bytes {
    // Some keys are prefixes of others, and one is empty.
    let mut key = vec![b'k'; usize::from(number % 4)];
    if number > 0 {
        key.push(number / 4);
    }
    key.into()
}

fn write_op() -> impl Strategy<Value = WriteOp> {
    let table = (0..TABLES.len()).prop_map(|place| TABLES[place]);
    (table, 0..24_u8, 0..24_u8, 0..8_u8).prop_map(|(table, number, other, kind)| match kind {
        0..=3 => WriteOp::Put { table, key: key(number), value: vec![other; 3].into() },
        4..=5 => WriteOp::Delete { table, key: key(number) },
        6 => WriteOp::DeleteRange { table, range: KeyRange::new(key(number), key(other)) },
        _ => WriteOp::DeleteRange { table, range: KeyRange { start: key(number), end: None } },
    })
}

fn engine_step() -> impl Strategy<Value = EngineStep> {
    prop_oneof![
        12 => prop::collection::vec(write_op(), 0..6).prop_map(EngineStep::Write),
        3 => Just(EngineStep::Flush),
        3 => Just(EngineStep::View),
        2 => Just(EngineStep::DropView),
        1 => prop::collection::vec((0..24_u8, 0..9_u8), 0..9).prop_map(EngineStep::Restore),
        1 => Just(EngineStep::Crash),
        1 => Just(EngineStep::Close),
    ]
}

fn apply(model: &mut Model, ops: &[WriteOp]) {
    for op in ops {
        match op {
            WriteOp::Put { table, key, value } => {
                model.insert((table.0, key.clone()), value.clone());
            }
            WriteOp::Delete { table, key } => {
                model.remove(&(table.0, key.clone()));
            }
            WriteOp::DeleteRange { table, range } => {
                model.retain(|(name, key), _| *name != table.0 || !range.contains(key));
            }
        }
    }
}

fn batch_of(ops: &[WriteOp]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for op in ops.iter().cloned() {
        match op {
            WriteOp::Put { table, key, value } => batch.put(table, key, value),
            WriteOp::Delete { table, key } => batch.delete(table, key),
            WriteOp::DeleteRange { table, range } => batch.delete_range(table, range),
        }
    }
    batch
}

fn assert_same(view: &dyn View, model: &Model) {
    for table in TABLES {
        for range in [KeyRange::all(), KeyRange::new(key(3), key(18))] {
            let expected =
                model.iter().filter(|((name, key), _)| *name == table.0 && range.contains(key));
            let expected: Vec<_> =
                expected.map(|((_, key), value)| (key.clone(), value.clone())).collect();
            let scan = |direction| -> Vec<_> {
                view.scan(table, &range, direction).collect::<Result<_, _>>().unwrap()
            };
            assert_eq!(scan(Direction::Forward), expected);
            let mut back = scan(Direction::Backward);
            back.reverse();
            assert_eq!(back, expected);
        }
        for number in 0..24 {
            let expected = model.get(&(table.0, key(number))).cloned();
            assert_eq!(view.get(table, &key(number)).unwrap(), expected);
        }
    }
}

fn restore(engine: &dyn Engine, numbers: &[(u8, u8)]) -> Model {
    let pairs = numbers.iter().map(|(number, value)| {
        ((TABLES[usize::from(number % 2)].0, key(number / 2)), Bytes::from(vec![*value]))
    });
    let model: Model = pairs.collect();
    let mut restore = engine.restore().unwrap();
    for table in TABLES {
        for ((_, key), value) in model.iter().filter(|((name, _), _)| *name == table.0) {
            restore.put(table, key, value).unwrap();
        }
    }
    restore.commit().unwrap();
    model
}

/// Runs the steps. After a crash the content must be that after some batch since the last flush.
fn check_engine(harness: &mut dyn EngineUnderTest, steps: &[EngineStep]) {
    let mut engine = harness.open();
    // The content after each batch that a crash may go back to, the durable one first.
    let mut contents: Vec<Model> = vec![Model::new()];
    let mut views: Vec<(Arc<dyn View>, Model)> = Vec::new();
    for step in steps {
        let newest = contents.last().unwrap().clone();
        match step {
            EngineStep::Write(ops) => {
                let mut next = newest;
                apply(&mut next, ops);
                engine.write(&batch_of(ops)).unwrap();
                contents.push(next);
            }
            EngineStep::Flush => {
                engine.flush().unwrap();
                contents = vec![newest];
            }
            EngineStep::View => views.push((engine.view().unwrap(), newest)),
            EngineStep::DropView => {
                if !views.is_empty() {
                    let (view, model) = views.remove(views.len() / 2);
                    assert_same(&*view, &model);
                }
            }
            EngineStep::Restore(numbers) => contents = vec![restore(&*engine, numbers)],
            EngineStep::Crash | EngineStep::Close => {
                views.clear();
                engine = match step {
                    EngineStep::Close => harness.close_and_reopen(engine),
                    _ => harness.crash(engine),
                };
                let view = engine.view().unwrap();
                let found = content_of(&*view);
                assert!(contents.contains(&found), "{found:?} is not the content after a batch");
                contents = vec![found];
            }
        }
        assert_same(&*engine.view().unwrap(), contents.last().unwrap());
    }
    for (view, model) in views {
        assert_same(&*view, &model);
    }
}

fn content_of(view: &dyn View) -> Model {
    let mut content = Model::new();
    for table in TABLES {
        for pair in view.scan(table, &KeyRange::all(), Direction::Forward) {
            let (key, value) = pair.unwrap();
            content.insert((table.0, key), value);
        }
    }
    content
}

#[derive(Clone, Debug)]
enum LogStep {
    /// How far back the first entry lies, how many there are, and whether to sync.
    Append(u8, u8, bool),
    HardState(u8),
    /// How many entries stay.
    Purge(u8),
    /// Where the log starts again, and with how many entries.
    Reset(u8, u8),
    Begin,
    Crash,
    Close,
}

fn append_step(back_max: u8) -> impl Strategy<Value = LogStep> {
    let parts = (0..back_max, 1..9_u8, any::<bool>());
    parts.prop_map(|(back, count, sync)| LogStep::Append(back, count, sync))
}

fn log_step() -> impl Strategy<Value = LogStep> {
    prop_oneof![
        8 => append_step(2),
        2 => append_step(20),
        2 => any::<u8>().prop_map(LogStep::HardState),
        2 => (0..20_u8).prop_map(LogStep::Purge),
        1 => (0..60_u8, 0..4_u8).prop_map(|(start, count)| LogStep::Reset(start, count)),
        1 => Just(LogStep::Begin),
        1 => Just(LogStep::Crash),
        2 => Just(LogStep::Close),
    ]
}

#[derive(Clone, PartialEq, Debug, Default)]
struct LogModel {
    state: LogState,
    entries: Vec<LogEntry>,
}

impl LogModel {
    /// Entries with data that no other entry has.
    fn make_entries(first: u64, count: u8, step: usize) -> Vec<LogEntry> {
        let make = |index| LogEntry {
            position: LogPosition::new(Term::new(step as u64), LogIndex::new(index)),
            kind: if index % 5 == 0 { EntryKind::Membership } else { EntryKind::Normal },
            data: vec![step as u8; (index as usize * 397) % 3_000].into(),
        };
        (first..first + u64::from(count)).map(make).collect()
    }

    fn append(&mut self, batch: &LogBatch) {
        self.state.hard_state = batch.hard_state.unwrap_or(self.state.hard_state);
        if let Some(position) = batch.reset {
            self.entries.clear();
            self.state.start = position;
        }
        if let Some(first) = batch.entries.first() {
            self.entries.retain(|entry| entry.position.index < first.position.index);
        }
        self.entries.extend(batch.entries.iter().cloned());
        let count = self.entries.len() as u64;
        self.state.last = LogIndex::new(self.state.start.index.get() + count);
    }

    fn of(log: &dyn LogStore) -> Self {
        let state = log.state();
        let (first, end) = (state.start.index.next(), state.last.next());
        Self { state, entries: log.reader().entries(first, end, u64::MAX).unwrap() }
    }
}

/// What `step` does to the log; `None` for a step that is not an append.
fn batch_for(model: &LogModel, step: &LogStep, number: usize) -> Option<LogBatch> {
    let mut batch = LogBatch::default();
    match step {
        LogStep::Append(back, count, _) => {
            let first = model.state.last.get().saturating_sub(u64::from(*back)) + 1;
            let first = first.max(model.state.start.index.get() + 1);
            batch.entries = LogModel::make_entries(first, *count, number);
        }
        LogStep::HardState(vote) => {
            let vote = u64::from(*vote);
            batch.hard_state = Some(HardState { vote, ..HardState::default() });
        }
        LogStep::Reset(start, count) => {
            let start = LogPosition::new(Term::new(7), LogIndex::new(u64::from(*start)));
            batch.reset = Some(start);
            batch.entries = LogModel::make_entries(start.index.get() + 1, *count, number);
        }
        _ => return None,
    }
    Some(batch)
}

/// Runs the steps. After a crash the log must be that after some change since the last sync.
fn check_log(harness: &mut dyn LogUnderTest, steps: &[LogStep]) {
    let mut log = harness.open();
    let mut models = vec![LogModel::default()];
    for (number, step) in steps.iter().enumerate() {
        let mut next = models.last().unwrap().clone();
        let mut is_synced = false;
        if let Some(batch) = batch_for(&next, step, number) {
            next.append(&batch);
            is_synced = matches!(step, LogStep::Append(_, _, true));
            log.append(&batch, is_synced).unwrap();
        }
        match step {
            LogStep::Purge(left) => {
                let count = next.entries.len().saturating_sub(usize::from(*left));
                if let Some(through) = next.entries.drain(..count).next_back() {
                    next.state.start = through.position;
                    log.purge(through.position).unwrap();
                }
            }
            LogStep::Begin => {
                next.state.incarnation += 1;
                is_synced = true;
                assert_eq!(log.begin().unwrap(), next.state.incarnation);
            }
            LogStep::Crash | LogStep::Close => {
                log = match step {
                    LogStep::Close => harness.close_and_reopen(log),
                    _ => harness.crash(log),
                };
                next = LogModel::of(&*log);
                let is_known = models.contains(&next);
                assert!(is_known, "step {number}: {:?} is none of the states", next.state);
                if matches!(step, LogStep::Close) {
                    assert_eq!(models.last(), Some(&next), "closing loses nothing here");
                }
                is_synced = true;
            }
            _ => {}
        }
        if is_synced {
            models.clear();
        }
        assert_eq!(LogModel::of(&*log), next, "after step {number}");
        models.push(next);
    }
}

/// A batch, and whether a flush follows it.
fn flushed_or_not() -> impl Strategy<Value = (Vec<WriteOp>, bool)> {
    (prop::collection::vec(write_op(), 1..6), any::<bool>())
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn the_memory_engine_agrees_with_the_model(
        kept in 0..6_usize,
        steps in prop::collection::vec(engine_step(), 1..60),
    ) {
        check_engine(&mut MemoryEngineHarness::new(kept), &steps);
    }

    #[test]
    fn the_memory_engine_keeps_as_many_batches_as_told(
        kept in 0..9_usize,
        batches in prop::collection::vec(flushed_or_not(), 1..20),
    ) {
        let engine = MemoryEngine::new(&TABLES);
        let mut contents = vec![Model::new()];
        for (ops, flush) in batches {
            let mut next = contents.last().unwrap().clone();
            apply(&mut next, &ops);
            contents.push(next);
            engine.write(&batch_of(&ops)).unwrap();
            if flush {
                engine.flush().unwrap();
                contents.drain(..contents.len() - 1);
            }
        }
        assert_eq!(engine.unflushed_batches(), contents.len() - 1);
        engine.crash_keeping(kept);
        let expected = &contents[kept.min(contents.len() - 1)];
        assert_same(&*engine.view().unwrap(), expected);
        let bytes = expected.iter().map(|((_, key), value)| key.len() + value.len());
        assert_eq!(engine.size_bytes(), bytes.sum::<usize>() as u64);
    }

    #[test]
    fn the_memory_log_agrees_with_the_model(
        kept in 0..6_usize,
        steps in prop::collection::vec(log_step(), 1..60),
    ) {
        check_log(&mut MemoryLogHarness::new(kept), &steps);
    }
}

#[cfg(feature = "rocksdb")]
mod on_disk {
    use super::*;
    use crate::disk::{RaftEngineHarness, RocksHarness, Unsynced};

    proptest! {
        #![proptest_config(cases(24))]

        #[test]
        fn the_rocksdb_engine_agrees_with_the_model(
            steps in prop::collection::vec(engine_step(), 1..40),
        ) {
            check_engine(&mut RocksHarness::new(), &steps);
        }

        #[test]
        fn the_raft_engine_log_agrees_with_the_model(
            mode in prop_oneof![
                Just(Unsynced::Kept),
                Just(Unsynced::Lost),
                Just(Unsynced::Torn),
                Just(Unsynced::OnlyLast),
            ],
            steps in prop::collection::vec(log_step(), 1..120),
        ) {
            check_log(&mut RaftEngineHarness::new(mode), &steps);
        }
    }
}
