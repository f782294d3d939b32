//! What all tests share.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{Command as KvCommand, KvError, RangeRequest};
use quorate_mvcc::{Command, Entry, Outcome, Response, Store, TABLES};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{Direction, Engine, KeyRange};
use quorate_types::{CommandId, LogIndex, LogPosition, MemberId, Term};

pub(crate) type Row = (&'static str, Bytes, Bytes);

pub(crate) fn engine() -> MemoryEngine {
    MemoryEngine::new(TABLES)
}

pub(crate) fn open(engine: &MemoryEngine) -> Store {
    Store::open(Arc::new(engine.clone())).expect("the engine holds a store")
}

pub(crate) fn id(sequence: u64) -> CommandId {
    CommandId { origin: MemberId::new(1), incarnation: 1, sequence }
}

pub(crate) fn numbered(sequence: u64, command: &KvCommand) -> Command {
    Command { id: id(sequence), floor: 1, payload: command.encode_to_vec().into() }
}

pub(crate) fn entry(index: u64, commands: Vec<Command>) -> Entry {
    let position = LogPosition::new(Term::new(1), LogIndex::new(index));
    Entry { position, commands, membership: None }
}

/// Every row of every table.
pub(crate) fn dump(engine: &MemoryEngine) -> Vec<Row> {
    let view = engine.view().expect("a memory engine has views");
    let mut rows = Vec::new();
    for table in TABLES {
        for row in view.scan(*table, &KeyRange::all(), Direction::Forward) {
            let (key, value) = row.expect("memory can be read");
            rows.push((table.0, key, value));
        }
    }
    rows
}

pub(crate) fn hash(store: &Store, revision: i64) -> u32 {
    store.reader().hash(revision).expect("the revision exists").hash
}

/// A store that gets one command after another.
pub(crate) struct Single {
    pub(crate) engine: MemoryEngine,
    pub(crate) store: Store,
    next: u64,
}

impl Single {
    pub(crate) fn new() -> Self {
        let engine = engine();
        let store = open(&engine);
        Self { engine, store, next: 1 }
    }

    /// The number of the next command and of its entry.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Numbers the next command and its entry anew.
    pub(crate) fn skip_to(&mut self, next: u64) {
        self.next = next;
    }

    pub(crate) fn apply(&mut self, command: impl Into<KvCommand>) -> Result<Response, KvError> {
        let entry = entry(self.next, vec![numbered(self.next, &command.into())]);
        self.next += 1;
        let mut outcomes: Vec<Outcome> = Vec::new();
        self.store.apply(&[entry], &mut outcomes).expect("memory does not fail");
        outcomes.pop().expect("the command is new").result
    }

    pub(crate) fn value(&self, key: &'static str) -> Option<Bytes> {
        let found = self.store.reader().range(&RangeRequest::key(key));
        found.expect("the store can be read").kvs.pop().map(|kv| kv.value)
    }
}
