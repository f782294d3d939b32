//! The key-value store as the state machine of consensus.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use quorate_kv_api::KvError;
use quorate_mvcc::{Entry, Outcome, Response, SnapshotReader, StagedSnapshot, Store};
use quorate_raft_node::{
    CommittedEntry, Flusher, MachineError, SnapshotSource, Staged, Stager, StateMachine,
};
use quorate_storage::{Engine, StorageError};
use quorate_types::{CommandId, LogPosition, mutant};

/// Joins the two crates that do not know each other: the store below, consensus above.
pub struct KvMachine {
    store: Store,
    outcomes: Vec<Outcome>,
}

impl KvMachine {
    /// Takes over a store.
    pub fn new(store: Store) -> Self {
        Self { store, outcomes: Vec::new() }
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

impl StateMachine for KvMachine {
    type Response = Result<Response, KvError>;

    fn applied(&self) -> LogPosition {
        self.store.applied()
    }

    fn membership(&self) -> Bytes {
        self.store.membership()
    }

    fn apply(
        &mut self,
        entries: &[CommittedEntry],
        responses: &mut Vec<(CommandId, Self::Response)>,
    ) -> Result<(), MachineError> {
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        self.store.apply(&entries, &mut self.outcomes).map_err(MachineError::new)?;
        responses.extend(self.outcomes.drain(..).map(|outcome| (outcome.id, outcome.result)));
        Ok(())
    }

    fn flusher(&self) -> Arc<dyn Flusher> {
        Arc::new(EngineHandle(self.store.engine().clone()))
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotSource>, MachineError> {
        let reader = self.store.snapshot().map_err(MachineError::new)?;
        Ok(Box::new(Source(reader)))
    }

    fn stager(&self) -> Arc<dyn Stager> {
        Arc::new(EngineHandle(self.store.engine().clone()))
    }

    fn install(&mut self, staged: Box<dyn Staged>) -> Result<(), MachineError> {
        let staged: Box<StagedBlocks> =
            staged.into_any().downcast().expect("staged by this machine's own stager");
        self.store.install(staged.0).map_err(MachineError::new)
    }
}

fn entry(entry: &CommittedEntry) -> Entry {
    let command = |command: &quorate_raft_node::Command| quorate_mvcc::Command {
        id: command.id,
        floor: command.floor,
        payload: command.payload.clone(),
    };
    Entry {
        position: entry.position,
        commands: entry.commands.iter().map(command).collect(),
        membership: entry.membership.clone(),
    }
}

struct EngineHandle(Arc<dyn Engine>);

impl Flusher for EngineHandle {
    fn flush(&self) -> Result<(), StorageError> {
        mutant!(M59, self.0.flush(), Ok(()))
    }
}

impl Stager for EngineHandle {
    fn begin(&self) -> Result<Box<dyn Staged>, MachineError> {
        let staged = StagedSnapshot::begin(&self.0).map_err(MachineError::new)?;
        Ok(Box::new(StagedBlocks(staged)))
    }
}

struct Source(SnapshotReader);

impl SnapshotSource for Source {
    fn position(&self) -> LogPosition {
        self.0.position()
    }

    fn membership(&self) -> Bytes {
        self.0.membership()
    }

    fn next_block(&mut self) -> Result<Option<Bytes>, MachineError> {
        self.0.next_block().map_err(MachineError::new)
    }
}

struct StagedBlocks(StagedSnapshot);

impl Staged for StagedBlocks {
    fn push(&mut self, block: &[u8]) -> Result<(), MachineError> {
        self.0.push_block(block).map_err(MachineError::new)
    }

    fn finish(&mut self) -> Result<LogPosition, MachineError> {
        self.0.finish().map_err(MachineError::new)?;
        Ok(self.0.position())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
