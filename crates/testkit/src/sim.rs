//! The front door for users: application code on simulated clusters, seed after seed.

mod builder;
mod environment;
mod manual;
mod outcome;
mod run;
mod traits;

pub use self::builder::{Nodes, Sim, millis, secs};
pub use self::manual::{Manual, manual};
pub use self::outcome::{Found, Summary};
pub use self::traits::{Nemesis, Shape, Workload};
