//! The same random calls on a memory store and a real one: every answer must be the same.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::memory::{MemoryEngine, MemoryLog};
use quorate_storage::rocks::RocksEngine;
use quorate_storage::{
    Direction, Engine, EntryKind, HardState, KeyRange, LogBatch, LogEntry, LogStore, Table, View,
    WriteBatch,
};
use quorate_types::{LogIndex, LogPosition, SplitMix64, Term};
use tempfile::TempDir;

use super::stores::{Content, HeldLog, TABLES, content_of, open_engine, open_log, restore};

#[test]
fn the_engines_give_the_same_answers() {
    for seed in 0..ENGINE_SEEDS {
        let mut pair = EnginePair::new(seed);
        while pair.calls < ENGINE_CALLS {
            pair.calls += 1;
            pair.call();
        }
        pair.reopen();
    }
}

#[test]
fn the_logs_give_the_same_answers() {
    for seed in 0..LOG_SEEDS {
        let mut pair = LogPair::new(seed);
        while pair.calls < LOG_CALLS {
            pair.calls += 1;
            pair.call();
        }
        pair.reopen();
    }
}

struct EnginePair {
    seed: u64,
    calls: u64,
    random: SplitMix64,
    folder: TempDir,
    memory: MemoryEngine,
    /// `None` only while it is opened again.
    real: Option<RocksEngine>,
    /// Views of both, taken at the same time.
    views: Vec<(Arc<dyn View>, Arc<dyn View>)>,
}

impl EnginePair {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let real = Some(open_engine(folder.path()).expect("opens"));
        let memory = MemoryEngine::new(&TABLES);
        let random = SplitMix64::new(seed);
        Self { seed, calls: 0, random, folder, memory, real, views: Vec::new() }
    }

    fn real(&self) -> &RocksEngine {
        self.real.as_ref().expect("it is open")
    }

    fn call(&mut self) {
        match self.random.below(1_000) {
            0..400 => self.write(),
            400..600 => self.get(),
            600..900 => self.scan(),
            900..950 => self.take_view(),
            950..980 => self.drop_view(),
            980..992 => {
                self.memory.flush().expect("memory does not fail");
                self.real().flush().expect("flushes");
            }
            992..997 => self.compare_all(),
            997..999 => self.restore(),
            _ => self.reopen(),
        }
    }

    fn write(&mut self) {
        let mut batch = WriteBatch::new();
        for _ in 0..self.random.below(6) {
            let (table, key) = (self.table(), self.key());
            match self.random.below(12) {
                0..7 => batch.put(table, key, self.value()),
                7..10 => batch.delete(table, key),
                10 => batch.delete_range(table, self.range()),
                _ => batch.delete_range(table, KeyRange { start: key, end: None }),
            }
        }
        self.memory.write(&batch).expect("memory does not fail");
        self.real().write(&batch).expect("written");
    }

    fn get(&mut self) {
        let (table, key) = (self.table(), self.key());
        let expected = self.memory.get(table, &key).expect("memory does not fail");
        let found = self.real().get(table, &key).expect("readable");
        assert_eq!(found, expected, "{}: {key:?} in {table:?}", self.context());
    }

    /// A scan of some pairs in both views that were taken at one time, or in new ones.
    fn scan(&mut self) {
        let (table, range) = (self.table(), self.range());
        let direction =
            if self.random.below(2) == 0 { Direction::Forward } else { Direction::Backward };
        let limit = usize::try_from(self.random.below(60)).expect("a small number");
        let place = self.random.below(self.views.len() as u64 + 1);
        let place = usize::try_from(place).expect("a small number");
        let views = self.views.get(place).cloned().unwrap_or_else(|| self.view_both());
        let pairs = |view: &dyn View| -> Vec<(Bytes, Bytes)> {
            let scan = view.scan(table, &range, direction).take(limit);
            scan.collect::<Result<_, _>>().expect("readable")
        };
        let (expected, found) = (pairs(&*views.0), pairs(&*views.1));
        let context = self.context();
        assert!(found == expected, "{context}: {table:?} {range:?} {direction:?} {limit}");
        if let Some((key, _)) = expected.last() {
            let values = [&views.0, &views.1].map(|view| view.get(table, key).expect("readable"));
            assert_eq!(values[0], values[1], "{context}: {key:?} in a view");
        }
    }

    fn take_view(&mut self) {
        if self.views.len() < VIEWS_MAX {
            self.views.push(self.view_both());
        }
    }

    fn drop_view(&mut self) {
        let place = self.random.below(self.views.len() as u64);
        if !self.views.is_empty() {
            self.views.remove(usize::try_from(place).expect("a small number"));
        }
    }

    fn restore(&mut self) {
        let mut content = Content::new();
        for _ in 0..self.random.below(80) {
            let key = (self.table(), self.key());
            let value = self.value();
            content.insert(key, value);
        }
        restore(&self.memory, &content, &|| {}).expect("memory does not fail");
        restore(self.real(), &content, &|| {}).expect("restored");
        self.compare_all();
    }

    fn reopen(&mut self) {
        self.views.clear();
        self.memory.reopen();
        self.real = None;
        self.real = Some(open_engine(self.folder.path()).expect("opens again"));
        self.compare_all();
    }

    fn compare_all(&self) {
        let expected = content_of(&self.memory).expect("memory does not fail");
        let found = content_of(self.real()).expect("readable");
        assert!(found == expected, "{}: all tables", self.context());
    }

    fn view_both(&self) -> (Arc<dyn View>, Arc<dyn View>) {
        let memory = self.memory.view().expect("memory does not fail");
        (memory, self.real().view().expect("a view"))
    }

    fn table(&mut self) -> Table {
        TABLES[usize::try_from(self.random.below(3)).expect("a small number")]
    }

    /// One of 240 keys; some are prefixes of others, one is empty, some end in the largest byte.
    fn key(&mut self) -> Bytes {
        let number = self.random.below(240);
        let mut key = vec![b'k'; usize::try_from(number % 4).expect("a small number")];
        if number > 0 {
            key.push(u8::try_from(255 - number / 4 * 4).expect("below 256"));
        }
        key.into()
    }

    fn range(&mut self) -> KeyRange {
        let start = self.key();
        let end = (self.random.below(4) > 0).then(|| self.key());
        KeyRange { start, end }
    }

    fn value(&mut self) -> Bytes {
        let limit = if self.random.below(16) == 0 { 5_000 } else { 40 };
        value_of(self.random.below(limit), self.random.draw())
    }

    fn context(&self) -> String {
        format!("engine seed {}, call {}", self.seed, self.calls)
    }
}

/// Bytes that do not repeat.
fn value_of(size: u64, seed: u64) -> Bytes {
    let mut random = SplitMix64::new(seed);
    let mut bytes: Vec<u8> = Vec::new();
    let size = usize::try_from(size).expect("a small size");
    while bytes.len() < size {
        bytes.extend_from_slice(&random.draw().to_be_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

struct LogPair {
    seed: u64,
    calls: u64,
    random: SplitMix64,
    folder: TempDir,
    memory: MemoryLog,
    /// `None` only while it is opened again.
    real: Option<Box<dyn LogStore>>,
    term: u64,
}

impl LogPair {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let real: Box<dyn LogStore> = Box::new(open_log(folder.path(), None).expect("opens"));
        let random = SplitMix64::new(seed);
        Self { seed, calls: 0, random, folder, memory: MemoryLog::new(), real: Some(real), term: 1 }
    }

    fn call(&mut self) {
        match self.random.below(1_000) {
            0..350 => self.append(),
            350..850 => self.read(),
            850..950 => self.purge(),
            950..960 => self.reset(),
            960..970 => {
                let number = self.memory.begin().expect("memory does not fail");
                assert_eq!(self.real().begin().expect("begins"), number, "{}", self.context());
            }
            970..995 => self.compare_all(),
            _ => self.reopen(),
        }
        let (expected, found) = (self.memory.state(), self.real().state());
        assert_eq!(found, expected, "{}", self.context());
    }

    fn real(&mut self) -> &mut dyn LogStore {
        &mut **self.real.as_mut().expect("it is open")
    }

    fn append(&mut self) {
        let state = self.memory.state();
        let length = state.last.get() - state.start.index.get();
        let back = if self.random.below(8) == 0 { self.random.below(length + 1) } else { 0 };
        let mut batch = LogBatch::default();
        if self.random.below(4) == 0 {
            self.term += 1;
            let (vote, commit) = (self.random.below(9), LogIndex::new(self.random.below(99)));
            batch.hard_state = Some(HardState { term: Term::new(self.term), vote, commit });
        }
        let count = self.random.below(6);
        batch.entries = self.entries(state.last.get() - back + 1, count);
        self.append_both(&batch);
    }

    /// The log starts again somewhere, also before where it was.
    fn reset(&mut self) {
        let index = LogIndex::new(self.random.below(self.memory.state().last.get() + 50));
        let reset = Some(LogPosition::new(Term::new(self.term), index));
        let count = self.random.below(4);
        let entries = self.entries(index.get() + 1, count);
        self.append_both(&LogBatch { hard_state: None, reset, entries });
    }

    fn append_both(&mut self, batch: &LogBatch) {
        let sync = self.random.below(20) == 0;
        self.memory.append(batch, sync).expect("memory does not fail");
        self.real().append(batch, sync).expect("appended");
    }

    /// `count` entries from `first` on.
    fn entries(&mut self, first: u64, count: u64) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        for index in first..first + count {
            let size = if self.random.below(16) == 0 { 6_000 } else { 100 };
            let data = value_of(self.random.below(size), self.random.draw());
            let kind = match self.random.below(5) {
                0 => EntryKind::Membership,
                _ => EntryKind::Normal,
            };
            let position = LogPosition::new(Term::new(self.term), LogIndex::new(index));
            entries.push(LogEntry { position, kind, data });
        }
        entries
    }

    /// Some range, which may lie outside of the log: the errors must be the same, too.
    fn read(&mut self) {
        let state = self.memory.state();
        let (start, last) = (state.start.index.get(), state.last.get());
        let place = |random: &mut SplitMix64| {
            LogIndex::new((start + random.below(last - start + 4)).saturating_sub(1))
        };
        let (first, end) = (place(&mut self.random), place(&mut self.random));
        let bytes_max = match self.random.below(4) {
            0 => self.random.below(100),
            1 => self.random.below(20_000),
            _ => u64::MAX,
        };
        let expected = self.memory.reader().entries(first, end, bytes_max);
        let found = self.real().reader().entries(first, end, bytes_max);
        let context = self.context();
        match (&found, &expected) {
            (Ok(found), Ok(expected)) => {
                assert!(found == expected, "{context}: {first}..{end} up to {bytes_max} bytes");
            }
            _ => {
                let [found, expected] = [&found, &expected].map(|answer| format!("{answer:?}"));
                assert_eq!(found, expected, "{context}: {first}..{end}");
            }
        }
    }

    /// Purges mostly much, so that the log stays short.
    fn purge(&mut self) {
        let state = self.memory.state();
        let length = state.last.get() - state.start.index.get();
        let left = self.random.below(40).min(length);
        let through = LogIndex::new(state.last.get() - left);
        let through = match self.memory.reader().entries(through, through.next(), 1) {
            Ok(entries) => entries[0].position,
            // The start of the log is no entry, and may be purged through all the same.
            Err(_) => state.start,
        };
        self.memory.purge(through).expect("memory does not fail");
        self.real().purge(through).expect("purged");
    }

    fn reopen(&mut self) {
        self.memory.reopen();
        self.real = None;
        let context = self.context();
        let log = open_log(self.folder.path(), None);
        let log = log.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        self.real = Some(Box::new(log));
        self.compare_all();
    }

    fn compare_all(&mut self) {
        let expected = HeldLog::of(&self.memory).expect("memory does not fail");
        let found = HeldLog::of(self.real()).expect("readable");
        assert!(found == expected, "{}: {:?} {:?}", self.context(), found.state, expected.state);
    }

    fn context(&self) -> String {
        format!("log seed {}, call {}", self.seed, self.calls)
    }
}

/// Together 100,000 calls.
const ENGINE_SEEDS: u64 = 10;
const ENGINE_CALLS: u64 = 5_000;
const LOG_SEEDS: u64 = 10;
const LOG_CALLS: u64 = 5_000;
const VIEWS_MAX: usize = 4;
