//! The world in one's own hands: step by step, for authors of harnesses and for exact scenarios.

use std::time::Duration;

use quorate::Error;
use quorate::seam::{Request, Response};
use quorate_raft_node::core::Probe;
use quorate_types::Instant;

use crate::plan::{CutMode, Fault, Plan, Step, Target};
use crate::run::Options;
use crate::violation::Violation;
use crate::world::World;

/// A simulated cluster that does nothing but what it is told. Every promise is checked after each
/// step.
///
/// ```
/// use quorate_testkit::{Faults, Options, Plan, manual, millis, secs};
/// use quorate::{PutRequest, seam::Request};
///
/// let options = Options { members: Some(3), faults: Faults::none(), ..Options::default() };
/// let plan = Plan { operations: Vec::new(), ..Plan::from_seed(1, &options) };
/// manual(&plan, &options, |sim| {
///     let leader = loop {
///         sim.run_for(millis(100))?;
///         if let Some(leader) = sim.leader() {
///             break leader;
///         }
///     };
///     sim.isolate(leader);
///     sim.run_for(secs(5))?;
///     let follower = (leader + 1) % 3;
///     let put = sim.call(follower, Request::Write(PutRequest::new("k", "v").into()), secs(5))?;
///     sim.run_for(secs(5))?;
///     assert!(sim.outcome(put).is_some(), "the others elected a leader");
///     sim.mend();
///     sim.run_for(secs(5))
/// })?;
/// # Ok::<(), quorate_testkit::Violation>(())
/// ```
pub struct Manual<'a> {
    world: World<'a>,
    cuts: Vec<(usize, usize, CutMode)>,
}

/// Makes the cluster of a plan, with its faults and operations, and hands it to `body`.
///
/// # Errors
///
/// The promise that was broken, or what `body` returned; also a plan that [`Plan::validate`]
/// refuses, by the name of `plan`.
pub fn manual<T>(
    plan: &Plan,
    options: &Options,
    body: impl FnOnce(&mut Manual<'_>) -> Result<T, Violation>,
) -> Result<T, Violation> {
    plan.validate().map_err(|error| Violation::new("plan", error.to_string()))?;
    let mut world = World::new(plan, options.sabotage, options.lines_max);
    world.open_all()?;
    world.begin_plan();
    body(&mut Manual { world, cuts: Vec::new() })
}

impl Manual<'_> {
    /// The time since the beginning.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// Lets the next event happen; returns false if nothing is left to happen.
    ///
    /// # Errors
    ///
    /// The promise that it broke.
    pub fn step(&mut self) -> Result<bool, Violation> {
        self.world.step()
    }

    /// Lets everything happen that is due within this time.
    ///
    /// # Errors
    ///
    /// The first promise that was broken.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        let end = self.now() + time;
        while self.world.next_at().is_some_and(|at| at <= end) {
            self.world.step()?;
        }
        self.world.advance_to(end);
        Ok(())
    }

    /// What a node's consensus looks like; nothing while it is down.
    pub fn probe(&self, node: usize) -> Option<Probe> {
        self.world.probe(node)
    }

    /// The node that leads in the newest term, if it runs.
    pub fn leader(&self) -> Option<usize> {
        self.world.leader()
    }

    /// A client of a node calls; returns the number of the call.
    ///
    /// # Errors
    ///
    /// The promise that was broken by the answer, if the call is answered at once.
    pub fn call(
        &mut self,
        node: usize,
        request: Request,
        timeout: Duration,
    ) -> Result<usize, Violation> {
        self.world.call_by_hand(node, request, timeout)
    }

    /// How a call ended; nothing while it is open. A call that failed without effect ends with
    /// [`Error::TimedOut`], whatever the cause.
    pub fn outcome(&self, call: usize) -> Option<Result<Response, Error>> {
        self.world.outcome(call)
    }

    /// Lets nothing pass from a node to another until [`Self::mend`].
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut_by(from, to, CutMode::Drop);
    }

    /// Holds messages from a node to another back until [`Self::mend`] releases them.
    pub fn hold(&mut self, from: usize, to: usize) {
        self.cut_by(from, to, CutMode::Hold);
    }

    fn cut_by(&mut self, from: usize, to: usize, mode: CutMode) {
        self.world.cut_link(from, to, mode);
        self.cuts.push((from, to, mode));
    }

    /// Cuts a node off from all others, until [`Self::mend`].
    pub fn isolate(&mut self, node: usize) {
        for other in (0..self.world.nodes()).filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Takes back everything that was cut or held by hand; releases what was held.
    pub fn mend(&mut self) {
        for (from, to, mode) in std::mem::take(&mut self.cuts) {
            self.world.mend_link(from, to, mode);
        }
    }

    /// A node loses its power and stays down for this long. Unsynced bytes may be lost, by the
    /// seed.
    ///
    /// # Errors
    ///
    /// The promise that was broken.
    pub fn crash(&mut self, node: usize, down: Duration) -> Result<(), Violation> {
        self.world.begin_fault(&Fault::Crash { target: Target::Member(node), down })
    }

    /// A node loses its power as soon as it comes to this step.
    ///
    /// # Errors
    ///
    /// The promise that was broken.
    pub fn crash_at(&mut self, node: usize, step: Step, down: Duration) -> Result<(), Violation> {
        self.world.begin_fault(&Fault::CrashAt { target: Target::Member(node), step, down })
    }

    /// A node stands still for this long.
    ///
    /// # Errors
    ///
    /// The promise that was broken.
    pub fn pause(&mut self, node: usize, lasting: Duration) -> Result<(), Violation> {
        let target = Target::Member(node);
        self.world.begin_fault(&Fault::Pause { target, lasting, frozen: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_no_cluster_can_follow_is_refused() {
        let options = Options::default();
        let mut plan = Plan::from_seed(1, &options);
        plan.clocks.clear();
        let refused = manual(&plan, &options, |_| Ok(())).expect_err("it has no clocks");
        assert_eq!(refused.checker, "plan");
    }
}
