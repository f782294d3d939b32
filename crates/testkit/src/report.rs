//! What a run was like.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use quorate_types::Instant;

use crate::counts::Counts;
use crate::timeline::Timeline;
use crate::violation::Violation;

/// How a run went that broke no promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The seed of its plan.
    pub seed: u64,
    /// A hash over all events: equal for equal plans.
    pub trace_hash: u64,
    /// The hash after every 1,024 events, to find where two runs part.
    pub checkpoints: Vec<u64>,
    /// How many events there were.
    pub events: u64,
    /// The virtual time that passed.
    pub virtual_time: Duration,
    /// How often what happened.
    pub counts: Counts,
    /// How many calls with each feature were answered from a store, or refused for each cause; by
    /// the names in [`SURFACE`](crate::coverage::SURFACE).
    pub features: BTreeMap<&'static str, u64>,
    /// The newest lines of the trace, if they were asked for.
    pub lines: Vec<String>,
    /// What happened, if it was asked for.
    pub timeline: Option<Box<Timeline>>,
}

/// How a run went that broke a promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed of its plan.
    pub seed: u64,
    /// What was broken.
    pub violation: Violation,
    /// When, in virtual time.
    pub at: Instant,
    /// The events before, oldest first.
    pub lines: Vec<String>,
    /// What happened, if it was asked for.
    pub timeline: Option<Box<Timeline>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:?}: {}", self.seed, self.at, self.violation)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}
