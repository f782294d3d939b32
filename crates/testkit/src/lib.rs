//! A deterministic simulator of whole Quorate clusters, with faults and checkers.
//!
//! One thread and one virtual time run the production code of every member: consensus
//! ([`quorate_raft_node::core::Core`]), recovery ([`quorate_raft_node::recover`]) and the state
//! machine, on memory stores that lose on command what was not durable. The simulator takes the
//! place of the threads, disks, clocks and the network only. A seed decides everything, so a run
//! that finds a bug can be repeated as often as needed.
//!
//! ```
//! use quorate_testkit::{Options, run_seed};
//! let first = run_seed(7, &Options::default())?;
//! let again = run_seed(7, &Options::default())?;
//! assert_eq!(first, again);
//! # Ok::<(), Box<quorate_testkit::Failure>>(())
//! ```
//!
//! The promises are checked by what the simulator knows and no member can know: what is truly
//! durable, what every other member applied, who was told what and when. [`Sabotage`] builds bugs
//! in, to show that the checkers find them.

mod checkers;
mod effect;
mod machine;
mod member;
mod mirror;
#[cfg(feature = "mutants")]
pub mod mutants;
mod network;
mod peek;
pub mod plan;
mod queue;
mod report;
pub mod rng;
mod run;
mod sabotage;
mod trace;
mod violation;
mod world;

pub use plan::Plan;
pub use report::{Counts, Failure, Report};
pub use run::{Options, run_plan, run_seed};
pub use sabotage::Sabotage;
pub use violation::Violation;
