//! The life of a member's stores as a stream of calls, made from a seed and from what the stores
//! held at its beginning: a parent and a child process that know both know the same stream.

use bytes::Bytes;
use quorate_storage::{
    Engine, EntryKind, HardState, KeyRange, LogBatch, LogEntry, LogStore, StorageError, Table,
    WriteBatch,
};
use quorate_types::{LogIndex, LogPosition, SplitMix64, Term};

use super::stores::{APPLIED, Content, HISTORY, Held, LIVE, restore};

/// One call of one store.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Begin,
    Append { batch: LogBatch, sync: bool },
    Purge(LogPosition),
    Write(WriteBatch),
    Flush,
    Restore(Content),
}

impl Step {
    /// Makes the call. `half_way` is called in the middle of a restore.
    pub(crate) fn run(
        &self,
        log: &mut dyn LogStore,
        engine: &dyn Engine,
        half_way: &dyn Fn(),
    ) -> Result<(), StorageError> {
        self.run_on_log(log)?;
        self.run_on_engine(engine, half_way)
    }

    /// Makes the call if it is one of the log.
    pub(crate) fn run_on_log(&self, log: &mut dyn LogStore) -> Result<(), StorageError> {
        match self {
            Self::Begin => log.begin().map(drop),
            Self::Append { batch, sync } => log.append(batch, *sync),
            Self::Purge(through) => log.purge(*through),
            Self::Write(_) | Self::Flush | Self::Restore(_) => Ok(()),
        }
    }

    /// Makes the call if it is one of the engine.
    pub(crate) fn run_on_engine(
        &self,
        engine: &dyn Engine,
        half_way: &dyn Fn(),
    ) -> Result<(), StorageError> {
        match self {
            Self::Write(batch) => engine.write(batch),
            Self::Flush => engine.flush(),
            Self::Restore(content) => restore(engine, content, half_way),
            Self::Begin | Self::Append { .. } | Self::Purge(_) => Ok(()),
        }
    }
}

/// Draws the calls that a member could make: it applies only what is synced, and purges only what
/// it applied and flushed. A restore that is not followed by a reset of the log, because of a
/// crash, is followed by it after opening.
pub(crate) struct Member {
    random: SplitMix64,
    step: u64,
    /// The entries after the start of the log.
    positions: Vec<LogPosition>,
    start: LogPosition,
    hard_state: HardState,
    synced: LogIndex,
    applied: LogPosition,
    flushed: LogPosition,
    /// Whether the log must still be reset to `applied`.
    reset_is_due: bool,
    /// How many of a hundred calls are flushes.
    flushes: u64,
    /// How many of a hundred calls are restores.
    restores: u64,
    /// One append in so many is synced.
    sync_interval: u64,
}

impl Member {
    /// The member that opened stores that hold `held`.
    pub(crate) fn new(seed: u64, held: &Held) -> Self {
        let mut random = SplitMix64::new(seed);
        let state = held.log.state;
        let applied = applied_in(&held.content);
        let flushes = 1 + 5 * random.below(2);
        let restores = 1 + random.below(3);
        let sync_interval = 2 + 6 * random.below(2);
        Self {
            random,
            step: 0,
            positions: held.log.entries.iter().map(|entry| entry.position).collect(),
            start: state.start,
            hard_state: state.hard_state,
            synced: state.last,
            applied,
            flushed: applied,
            reset_is_due: applied.index > state.last,
            flushes,
            restores,
            sync_interval,
        }
    }

    /// The first `count` calls of the member.
    pub(crate) fn steps(seed: u64, held: &Held, count: usize) -> Vec<Step> {
        let mut member = Self::new(seed, held);
        (0..count).map(|_| member.next()).collect()
    }

    /// The next call, taken as made.
    pub(crate) fn next(&mut self) -> Step {
        self.step += 1;
        if self.step == 1 {
            self.synced = self.last();
            return Step::Begin;
        }
        if self.reset_is_due {
            return self.reset();
        }
        match self.random.below(100) {
            0..40 => self.append(),
            40..80 if self.applied.index < self.synced => self.write(),
            number if (80..80 + self.flushes).contains(&number) => {
                self.flushed = self.applied;
                Step::Flush
            }
            86..96 => self.purge(),
            number if number >= 100 - self.restores => self.restore(),
            _ => self.append(),
        }
    }

    fn last(&self) -> LogIndex {
        LogIndex::new(self.start.index.get() + self.positions.len() as u64)
    }

    fn append(&mut self) -> Step {
        let free = self.last().get() - self.applied.index.get().max(self.start.index.get());
        // What is not applied may be replaced, by a leader of a later term.
        let back = if self.random.below(6) == 0 { self.random.below(free + 1) } else { 0 };
        let mut batch = LogBatch::default();
        if back > 0 || self.random.below(8) == 0 {
            batch.hard_state = Some(self.vote());
        }
        let kept = self.positions.len() - usize::try_from(back).expect("the log is short");
        self.positions.truncate(kept);
        let count = 1 + self.random.below(5);
        batch.entries = self.entries(count);
        let sync = self.random.below(self.sync_interval) == 0;
        self.appended(batch, sync)
    }

    fn reset(&mut self) -> Step {
        self.reset_is_due = false;
        self.start = self.applied;
        self.positions.clear();
        let mut batch = LogBatch { reset: Some(self.applied), ..LogBatch::default() };
        batch.hard_state = Some(self.vote());
        let count = self.random.below(3);
        batch.entries = self.entries(count);
        self.appended(batch, true)
    }

    fn appended(&mut self, batch: LogBatch, sync: bool) -> Step {
        // What was replaced is not synced any more.
        let first = batch.entries.first().map(|entry| entry.position.index.get());
        let before = first.map_or(self.last().get(), |first| first - 1);
        self.synced = if sync { self.last() } else { self.synced.min(LogIndex::new(before)) };
        Step::Append { batch, sync }
    }

    fn vote(&mut self) -> HardState {
        let term = Term::new(self.hard_state.term.get() + 1);
        let vote = 1 + self.random.below(3);
        self.hard_state = HardState { term, vote, commit: self.applied.index };
        self.hard_state
    }

    /// New entries at the end of the log.
    fn entries(&mut self, count: u64) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        for _ in 0..count {
            let position = LogPosition::new(self.hard_state.term, self.last().next());
            self.positions.push(position);
            let kind = match self.random.below(8) {
                0 => EntryKind::Membership,
                _ => EntryKind::Normal,
            };
            entries.push(LogEntry { position, kind, data: self.bytes(ENTRY_SIZE_MAX) });
        }
        entries
    }

    /// Applies some entries that are synced.
    fn write(&mut self) -> Step {
        let from = self.applied.index.get();
        let through = from + 1 + self.random.below(self.synced.get() - from);
        let place = usize::try_from(through - self.start.index.get()).expect("the log is short");
        self.applied = self.positions[place - 1];
        let mut batch = WriteBatch::new();
        for _ in 0..1 + self.random.below(5) {
            let (table, key) = self.key();
            match self.random.below(40) {
                0..30 => batch.put(table, key, self.bytes(VALUE_SIZE_MAX)),
                30..39 => batch.delete(table, key),
                _ => {
                    let end = (self.random.below(4) > 0).then(|| self.key().1);
                    batch.delete_range(table, KeyRange { start: key, end });
                }
            }
        }
        batch.put(APPLIED, POSITION, encode(self.applied));
        Step::Write(batch)
    }

    /// Purges some of what is applied durably.
    fn purge(&mut self) -> Step {
        let count = self.flushed.index.get().saturating_sub(self.start.index.get());
        let count = count.min(self.positions.len() as u64);
        if count == 0 {
            return self.append();
        }
        let count = 1 + usize::try_from(self.random.below(count)).expect("the log is short");
        self.start = self.positions[count - 1];
        self.positions.drain(..count);
        Step::Purge(self.start)
    }

    /// Takes over a whole content that stands for later entries.
    fn restore(&mut self) -> Step {
        let index = self.applied.index.get().max(self.start.index.get()) + 1;
        let index = index + self.random.below(20);
        self.applied = LogPosition::new(self.hard_state.term, LogIndex::new(index));
        self.flushed = self.applied;
        self.reset_is_due = true;
        let mut content = Content::new();
        for _ in 0..self.random.below(300) {
            let key = self.key();
            let value = self.bytes(VALUE_SIZE_MAX);
            content.insert(key, value);
        }
        content.insert((APPLIED, Bytes::from_static(POSITION)), encode(self.applied));
        Step::Restore(content)
    }

    fn key(&mut self) -> (Table, Bytes) {
        let table = if self.random.below(2) == 0 { LIVE } else { HISTORY };
        (table, Bytes::from(format!("key/{:03}", self.random.below(120))))
    }

    /// Bytes that tell the step; mostly few, sometimes up to `size_max`.
    fn bytes(&mut self, size_max: u64) -> Bytes {
        let limit = if self.random.below(6) == 0 { size_max } else { 200 };
        let size = usize::try_from(self.random.below(limit)).expect("a small size");
        let noise = self.random.draw().to_be_bytes();
        let step = self.step.to_be_bytes();
        // Half of it cannot be compressed away.
        let mut bytes = Vec::with_capacity(size);
        let mut random = SplitMix64::new(u64::from_be_bytes(noise));
        while bytes.len() < size {
            bytes.extend_from_slice(&step);
            bytes.extend_from_slice(&random.draw().to_be_bytes());
        }
        bytes.truncate(size);
        bytes.into()
    }
}

fn encode(position: LogPosition) -> Bytes {
    let numbers = [position.term.get(), position.index.get()];
    numbers.map(u64::to_be_bytes).concat().into()
}

/// How far `content` says it was applied.
pub(crate) fn applied_in(content: &Content) -> LogPosition {
    let stored = content.get(&(APPLIED, Bytes::from_static(POSITION)));
    let Some(stored) = stored else { return LogPosition::default() };
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("16 bytes are stored"));
    let (term, index) = stored.split_at(8);
    LogPosition::new(Term::new(number(term)), LogIndex::new(number(index)))
}

const POSITION: &[u8] = b"position";
const ENTRY_SIZE_MAX: u64 = 12_000;
const VALUE_SIZE_MAX: u64 = 40_000;
