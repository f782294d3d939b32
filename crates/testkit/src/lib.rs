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

mod actors;
pub mod check;
mod checkers;
mod counts;
pub mod coverage;
mod effect;
pub mod export;
pub mod linear;
mod live;
mod machine;
mod member;
mod members;
mod mirror;
#[cfg(feature = "mutants")]
pub mod mutants;
mod network;
mod peek;
pub mod plan;
mod queue;
pub mod recipes;
pub mod record;
mod report;
pub mod rng;
mod run;
mod sabotage;
pub mod shrink;
mod sim;
mod state;
pub mod timeline;
mod trace;
mod violation;
mod world;

pub use actors::actor::{Actor, Trouble};
pub use actors::record::{CallRecord, Note, Notes, RunHistory};
pub use counts::{Counts, FaultKind};
pub use live::Live;
pub use members::{MembersRange, MembersRangeError};
pub use plan::{FaultClass, Faults, Level, Plan, PlanError};
pub use quorate::Instant;
pub use report::{Failure, Report};
pub use run::{Options, run_plan, run_seed};
pub use sabotage::Sabotage;
pub use sim::{Found, Manual, Nemesis, Nodes, Shape, Sim, Summary, Workload, manual, millis, secs};
pub use timeline::Timeline;
pub use violation::Violation;
