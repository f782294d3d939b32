//! What the benchmarks have in common: members to be measured, and what they are measured with.

pub mod arguments;
pub mod cluster;
pub mod error;
pub mod folder;
pub mod latency;
pub mod process;
pub mod random;
