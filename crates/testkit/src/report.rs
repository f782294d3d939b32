//! What a run was like.

use std::fmt;
use std::time::Duration;

use quorate_types::Instant;

use crate::timeline::Timeline;
use crate::violation::Violation;

/// How often things happened in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Calls of clients.
    pub operations: u64,
    /// Calls that were answered with a result.
    pub operations_done: u64,
    /// Calls that failed without effect.
    pub operations_failed: u64,
    /// Calls whose outcome nobody told.
    pub operations_unknown: u64,
    /// Messages sent.
    pub messages: u64,
    /// Messages lost.
    pub messages_lost: u64,
    /// Messages that arrived twice.
    pub messages_doubled: u64,
    /// Times a member lost its power.
    pub crashes: u64,
    /// Those of them at a certain step of a member's work.
    pub crashes_at_steps: u64,
    /// Times a member was opened.
    pub starts: u64,
    /// Times a member was paused.
    pub pauses: u64,
    /// Links cut and members cut off.
    pub cuts: u64,
    /// Writes that failed and stopped a member.
    pub disk_failures: u64,
    /// Times a member became slow.
    pub slowdowns: u64,
    /// Leader transfers asked for.
    pub transfers: u64,
    /// Times a member became leader.
    pub elections: u64,
    /// Flushes of a state.
    pub flushes: u64,
    /// Reads of old log entries for slow followers.
    pub fetches: u64,
    /// Snapshot streams begun.
    pub snapshots_sent: u64,
    /// Snapshots that replaced a state.
    pub snapshots_installed: u64,
    /// Times a peer's progress was found at or below what it had matched, and repaired.
    pub progress_repaired: u64,
    /// Messages that a core refused.
    pub messages_refused: u64,
    /// Whole states compared.
    pub states_compared: u64,
}

impl Counts {
    /// All faults together.
    pub fn faults(&self) -> u64 {
        self.crashes
            + self.pauses
            + self.cuts
            + self.disk_failures
            + self.slowdowns
            + self.transfers
            + self.messages_lost
            + self.messages_doubled
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for ((_, sum), (_, value)) in self.fields_mut().into_iter().zip(other.fields()) {
            *sum += value;
        }
    }

    /// All counts with their names.
    pub fn fields(&self) -> [(&'static str, u64); 23] {
        let mut copy = *self;
        copy.fields_mut().map(|(name, value)| (name, *value))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 23] {
        [
            ("operations", &mut self.operations),
            ("operations done", &mut self.operations_done),
            ("operations failed", &mut self.operations_failed),
            ("operations unknown", &mut self.operations_unknown),
            ("messages", &mut self.messages),
            ("messages lost", &mut self.messages_lost),
            ("messages doubled", &mut self.messages_doubled),
            ("crashes", &mut self.crashes),
            ("crashes at steps", &mut self.crashes_at_steps),
            ("starts", &mut self.starts),
            ("pauses", &mut self.pauses),
            ("cuts", &mut self.cuts),
            ("disk failures", &mut self.disk_failures),
            ("slowdowns", &mut self.slowdowns),
            ("transfers", &mut self.transfers),
            ("elections", &mut self.elections),
            ("flushes", &mut self.flushes),
            ("fetches", &mut self.fetches),
            ("snapshots sent", &mut self.snapshots_sent),
            ("snapshots installed", &mut self.snapshots_installed),
            ("progress repaired", &mut self.progress_repaired),
            ("messages refused", &mut self.messages_refused),
            ("states compared", &mut self.states_compared),
        ]
    }
}

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
