//! The state machine of a simulated member: the production one, with bugs if they are ordered.

use std::sync::Arc;

use quorate::KvMachine;
use quorate_mvcc::{Store, TABLES};
use quorate_raft_node::{CommittedEntry, MachineError, StateMachine};
use quorate_storage::StorageError;
use quorate_storage::memory::MemoryEngine;
use quorate_types::{ByteSize, CommandId};

use crate::effect::Answer;
use crate::sabotage::Sabotage;
use crate::state::logical_hash;

/// An engine with the tables of the store.
pub(crate) fn new_engine() -> MemoryEngine {
    MemoryEngine::new(TABLES)
}

/// The state machine of one life of a member.
pub(crate) struct Machine {
    pub(crate) kv: KvMachine,
    place: usize,
    sabotage: Option<Sabotage>,
}

impl Machine {
    pub(crate) fn open(
        engine: &MemoryEngine,
        place: usize,
        recent_events_size: ByteSize,
        sabotage: Option<Sabotage>,
    ) -> Result<Self, MachineError> {
        let store = Store::open(Arc::new(engine.clone())).map_err(MachineError::new)?;
        let store = store.with_recent_events_size(recent_events_size);
        Ok(Self { kv: KvMachine::new(store), place, sabotage })
    }

    /// Applies a run of entries; returns the answers to commands that were applied now.
    pub(crate) fn apply(&mut self, run: &[CommittedEntry]) -> Result<Vec<Answer>, MachineError> {
        let mut responses = Vec::new();
        let tampered = self.tamper(run);
        self.kv.apply(tampered.as_deref().unwrap_or(run), &mut responses)?;
        let mut commands = run.iter().flat_map(|entry| {
            entry.commands.iter().map(move |command| (entry.position.index, command.id))
        });
        let renamed = self.sabotage == Some(Sabotage::SkipDeduplication);
        let mut answers = Vec::with_capacity(responses.len());
        for (answered, result) in responses {
            if !renamed && answered.sequence >= EXTRA {
                continue;
            }
            // Answers come in the order of the commands, but not every command has one.
            let Some((index, id)) = commands.find(|(_, id)| renamed || *id == answered) else {
                let detail =
                    std::io::Error::other(format!("an answer to {answered:?}, never asked"));
                return Err(MachineError::new(detail));
            };
            answers.push(Answer { id, index, result });
        }
        Ok(answers)
    }

    /// The run as an ordered bug makes it.
    fn tamper(&self, run: &[CommittedEntry]) -> Option<Vec<CommittedEntry>> {
        let mut run = match self.sabotage? {
            Sabotage::SkipDeduplication => run.to_vec(),
            Sabotage::ApplyTwice | Sabotage::SkipApply if self.place == 0 => run.to_vec(),
            _ => return None,
        };
        for entry in &mut run {
            let index = entry.position.index.get();
            match self.sabotage {
                Some(Sabotage::SkipDeduplication) => {
                    for (sequence, command) in (index << 20..).zip(&mut entry.commands) {
                        command.id = CommandId { incarnation: EXTRA, sequence, ..command.id };
                        command.floor = 0;
                    }
                }
                Some(Sabotage::ApplyTwice) if index.is_multiple_of(16) => {
                    let Some(mut command) = entry.commands.last().cloned() else { continue };
                    command.id.sequence += EXTRA;
                    entry.commands.push(command);
                }
                Some(Sabotage::SkipApply) if index.is_multiple_of(16) => entry.commands.clear(),
                _ => {}
            }
        }
        Some(run)
    }

    /// A hash of the whole state, with everything that a snapshot carries and that no sweep would
    /// remove.
    pub(crate) fn state_hash(&self) -> Result<u64, StorageError> {
        logical_hash(&**self.kv.store().engine())
    }
}

/// Above every sequence and incarnation that a run comes to.
const EXTRA: u64 = 1 << 40;
