//! Consensus for one member: a sans-IO core and the threads that drive it.
//!
//! - [`core`] decides; it does no I/O and reads no clock.
//! - [`driver`] carries out what the core decided: threads for consensus, log, state machine,
//!   flushes and snapshots.
//! - [`StateMachine`] is what is replicated; this crate knows nothing about it but this trait.

pub mod core;
pub mod driver;
mod log_group;
mod machine;
mod membership;
mod recovery;
mod wire;

pub use log_group::LogGroup;
pub use machine::{
    Command, CommittedEntry, Flusher, MachineError, SnapshotSource, Staged, Stager, StateMachine,
};
pub use membership::Membership;
pub use recovery::{RecoveryError, committed_entry, recover};
