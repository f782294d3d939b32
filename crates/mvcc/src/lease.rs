//! Leases: keys that are deleted together when nobody renews what they are attached to.
//!
//! What leases there are, and which keys hang on them, is a function of the log: commands grant,
//! renew, revoke and expire them. When a lease's time is over is not: each member counts by its own
//! clock ([`Lessor`]), and the leader then *proposes* its end. The proposal names the log entry
//! that renewed the lease last, so a renewal that came before it in the log wins.

mod commands;
mod lessor;
mod read;
mod record;
mod set;
mod timing;

pub use lessor::{Lessor, LessorTiming};
pub(crate) use record::{attached_key, attachment, lease_key};
pub(crate) use set::Leases;
