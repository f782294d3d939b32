//! Running plans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use quorate_types::Instant;

use crate::plan::{Faults, Plan};
use crate::report::{Failure, Report};
use crate::sabotage::Sabotage;
use crate::violation::Violation;
use crate::world::World;

/// What is different from what the seed alone would do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many members, 7 at most; 1, 3 or 5 by the seed if nothing is given.
    pub members: Option<usize>,
    /// How long faults last in virtual time; 8 to 20 seconds by the seed if nothing is given.
    pub duration: Option<Duration>,
    /// Which faults there are; by default each class is off, low or high by the seed.
    pub faults: Faults,
    /// How many of the newest lines of the trace to keep; 0 makes a run faster.
    pub lines_max: usize,
    /// A bug to build in.
    pub sabotage: Option<Sabotage>,
}

/// Runs the plan of a seed and checks every promise on the way and at the end.
///
/// The same seed and options give the same events in the same order, on every machine.
///
/// # Errors
///
/// [`Failure`] with the first promise that was broken. A panic of a member counts as one.
///
/// ```
/// let report = quorate_testkit::run_seed(1, &quorate_testkit::Options::default())?;
/// assert!(report.counts.operations > 0);
/// # Ok::<(), Box<quorate_testkit::Failure>>(())
/// ```
pub fn run_seed(seed: u64, options: &Options) -> Result<Report, Box<Failure>> {
    let plan = Plan::from_seed(seed, options);
    run_plan(&plan, options)
}

/// Runs a plan, whatever seed it came from. Members, duration and faults are the plan's.
///
/// # Errors
///
/// As for [`run_seed`]; also a plan that [`Plan::validate`] refuses, by the name of `plan`.
pub fn run_plan(plan: &Plan, options: &Options) -> Result<Report, Box<Failure>> {
    if let Err(error) = plan.validate() {
        let violation = Violation::new("plan", error.to_string());
        let (seed, at, lines) = (plan.seed, Instant::ZERO, Vec::new());
        return Err(Box::new(Failure { seed, violation, at, lines }));
    }
    let mut world = World::new(plan, options.sabotage, options.lines_max);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let seed = plan.seed;
    match result {
        Ok(Ok(())) => Ok(Report {
            seed,
            trace_hash: world.trace.hash(),
            checkpoints: world.trace.take_checkpoints(),
            events: world.trace.events(),
            virtual_time: world.now() - Instant::ZERO,
            counts: world.counts,
            lines: world.trace.take_lines(),
        }),
        Ok(Err(violation)) => {
            let lines = world.trace.take_lines();
            Err(Box::new(Failure { seed, violation, at: world.now(), lines }))
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let violation = Violation::new("panic", text.unwrap_or("without a text"));
            let lines = world.trace.take_lines();
            Err(Box::new(Failure { seed, violation, at: world.now(), lines }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_no_run_can_work_with_is_a_failure_and_no_panic() {
        let mut plan = Plan::from_seed(1, &Options::default());
        plan.clocks.clear();
        let failure = run_plan(&plan, &Options::default()).expect_err("it has no clocks");
        assert_eq!(failure.violation.checker, "plan");
    }
}
