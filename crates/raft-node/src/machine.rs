//! The seam between consensus and what is replicated.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::StorageError;
use quorate_types::{CommandId, LogPosition};

/// One command as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Names the command for ever; the state machine applies each name once.
    pub id: CommandId,
    /// All commands of the same life of the origin with a smaller sequence have been answered: the
    /// state machine may forget them, and must not apply one that turns up late.
    pub floor: u64,
    /// What to do, opaque to consensus.
    pub payload: Bytes,
}

/// One committed log entry, ready to be applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedEntry {
    /// Where the entry stands. Positions ascend without gaps.
    pub position: LogPosition,
    /// The commands in order; empty for an entry that only moves the log.
    pub commands: Vec<Command>,
    /// The encoded membership that holds from this entry on, if it changed.
    pub membership: Option<Bytes>,
}

/// The replicated state machine: a pure function of the committed log.
///
/// One thread owns it. All failures are final for the member: consensus stops it and reports the
/// cause.
pub trait StateMachine: Send + 'static {
    /// What a command yields for its caller.
    type Response: Send + 'static;

    /// The position of the last entry applied; zero at first. After a crash it may be an earlier
    /// one than before, and the entries from there on are applied again.
    fn applied(&self) -> LogPosition;

    /// The encoded membership last applied; empty if none ever was.
    fn membership(&self) -> Bytes;

    /// Applies a run of entries in one atomic change that includes the new applied position. Adds
    /// to `responses` the answer of every command that was applied now; commands applied before get
    /// none.
    ///
    /// # Errors
    ///
    /// Any failure of the store below.
    fn apply(
        &mut self,
        entries: &[CommittedEntry],
        responses: &mut Vec<(CommandId, Self::Response)>,
    ) -> Result<(), MachineError>;

    /// A handle that makes the applied state durable from another thread.
    fn flusher(&self) -> Arc<dyn Flusher>;

    /// Opens a consistent picture of the present state, to be sent to a peer.
    ///
    /// # Errors
    ///
    /// Any failure of the store below.
    fn snapshot(&self) -> Result<Box<dyn SnapshotSource>, MachineError>;

    /// A handle that collects a peer's snapshot beside the present state, from another thread.
    fn stager(&self) -> Arc<dyn Stager>;

    /// Replaces the whole state by a collected one. Durable when this returns; a crash leaves
    /// either the old state or the new.
    ///
    /// # Errors
    ///
    /// Any failure of the store below.
    fn install(&mut self, staged: Box<dyn Staged>) -> Result<(), MachineError>;
}

/// Makes applied state durable.
pub trait Flusher: Send + Sync {
    /// Returns when everything applied before the call is durable.
    ///
    /// # Errors
    ///
    /// The failure of the disk; the member must stop.
    fn flush(&self) -> Result<(), StorageError>;
}

/// A consistent picture of the state, as a sequence of blocks.
pub trait SnapshotSource: Send {
    /// The position of the last entry that the picture contains.
    fn position(&self) -> LogPosition;

    /// The encoded membership at that position; empty if none was ever applied.
    fn membership(&self) -> Bytes;

    /// The next block, or `None` after the last. A block is at most 64 MiB long.
    ///
    /// # Errors
    ///
    /// Any failure of the store below.
    fn next_block(&mut self) -> Result<Option<Bytes>, MachineError>;
}

/// Starts collections of foreign snapshots.
pub trait Stager: Send + Sync {
    /// Starts an empty collection.
    ///
    /// # Errors
    ///
    /// Any failure of the store below.
    fn begin(&self) -> Result<Box<dyn Staged>, MachineError>;
}

/// A snapshot being collected. Dropping it forgets it.
pub trait Staged: Send {
    /// Adds the next block.
    ///
    /// # Errors
    ///
    /// A block that is damaged or out of order, or a failure of the store below.
    fn push(&mut self, block: &[u8]) -> Result<(), MachineError>;

    /// Ends the collection and tells its position.
    ///
    /// # Errors
    ///
    /// If blocks are missing.
    fn finish(&mut self) -> Result<LogPosition, MachineError>;

    /// For the state machine to get its own type back in [`StateMachine::install`].
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

/// Why the state machine cannot go on. Opaque to consensus; cloneable, so that every caller can be
/// told.
#[derive(Clone, Debug, thiserror::Error)]
#[error("state machine failed")]
pub struct MachineError(#[source] pub Arc<dyn Error + Send + Sync>);

impl MachineError {
    /// Wraps the cause.
    pub fn new(cause: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(cause))
    }
}
