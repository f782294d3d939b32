//! What is run to find a bug.

use crate::plan::Plan;
use crate::recipes;
use crate::report::{Failure, Report};
use crate::run::{Options, run_plan};
use crate::sim::Sim;

/// What is run to find a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// The plan of a seed, as always.
    Plan,
    /// Actors that contend for a lock.
    Locks,
    /// Actors that lead one after the other.
    Elections,
    /// Actors that add to queues and take from them.
    Queues,
}

/// A run that has not begun.
pub(super) struct Prepared {
    plan: Plan,
    sim: Option<Sim>,
}

impl Scenario {
    /// The run of a seed. Only the options of [`Self::Plan`] count.
    pub(super) fn prepare(self, seed: u64, options: &Options) -> Prepared {
        let sim = match self {
            Self::Plan => return Prepared { plan: Plan::from_seed(seed, options), sim: None },
            Self::Locks => recipes::locks(),
            Self::Elections => recipes::elections(),
            Self::Queues => recipes::queues(),
        };
        Prepared { plan: sim.plan(seed), sim: Some(sim) }
    }
}

impl Prepared {
    pub(super) fn members(&self) -> usize {
        self.plan.members
    }

    pub(super) fn run(&self, options: &Options) -> Result<Report, Box<Failure>> {
        match &self.sim {
            None => run_plan(&self.plan, options),
            Some(sim) => sim.play(&self.plan, false).0,
        }
    }
}
