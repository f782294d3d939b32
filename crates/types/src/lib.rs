//! Plain types that every Quorate crate shares: ids, log positions, time and sizes.
//!
//! Nothing here does I/O or reads a clock. Time is a number that somebody hands in: see
//! [`Instant`].

mod command;
mod ids;
mod log;
mod mutant;
#[cfg(feature = "mutants")]
pub mod mutants;
mod random;
mod size;
mod time;

pub use command::CommandId;
pub use ids::{ClusterId, MemberId};
pub use log::{LogIndex, LogPosition, Term};
pub use random::SplitMix64;
pub use size::ByteSize;
pub use time::Instant;
