//! Running plans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use quorate_types::Instant;

use crate::actors::cast::Cast;
use crate::actors::record::RunHistory;
use crate::actors::script::{Script, panic_text};
use crate::check::Checker;
use crate::plan::{Faults, Plan};
use crate::report::{Failure, Report};
use crate::sabotage::Sabotage;
use crate::timeline::Recorder;
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
    /// Whether to note what happens, for [`Timeline`](crate::Timeline).
    pub timeline: bool,
    /// A bug to build in.
    pub sabotage: Option<Sabotage>,
    /// A known bug of the production code to select; what the thread has selected if nothing is
    /// given.
    #[cfg(feature = "mutants")]
    pub mutant: Option<quorate_types::mutants::Selection>,
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
    #[cfg(feature = "mutants")]
    let _selected = options.mutant.map(quorate_types::mutants::select);
    run_world(plan, options, None)
}

/// Plays a script under a plan; returns what the actors did, too.
pub(crate) fn run_script(
    plan: &Plan,
    options: &Options,
    script: &Script,
    checkers: &[Arc<dyn Checker>],
) -> (Result<Report, Box<Failure>>, RunHistory) {
    let failure = |violation, at, timeline| {
        let (seed, lines) = (plan.seed, Vec::new());
        Box::new(Failure { seed, violation, at, lines, timeline })
    };
    // Before the actors' threads start, which inherit it.
    #[cfg(feature = "mutants")]
    let _selected = options.mutant.map(quorate_types::mutants::select);
    let cast = match Cast::start(script, plan.members, plan.seed) {
        Ok(cast) => cast,
        Err(error) => {
            let violation = Violation::new("threads", error.to_string());
            return (Err(failure(violation, Instant::ZERO, None)), RunHistory::default());
        }
    };
    let notebook = cast.notebook();
    let result = run_world(plan, options, Some(cast));
    let history = notebook.history();
    let checked = result.and_then(|report| {
        checkers.iter().try_for_each(|checker| {
            checker.check(&history).map_err(|problem| {
                let violation = Violation::new(checker.name(), problem);
                let timeline = report.timeline.clone().map(|t| t.broken_by(&violation));
                failure(violation, Instant::ZERO + report.virtual_time, timeline)
            })
        })?;
        Ok(report)
    });
    (checked, history)
}

fn run_world(plan: &Plan, options: &Options, cast: Option<Cast>) -> Result<Report, Box<Failure>> {
    if let Err(error) = plan.validate() {
        let violation = Violation::new("plan", error.to_string());
        let (seed, at, lines) = (plan.seed, Instant::ZERO, Vec::new());
        return Err(Box::new(Failure { seed, violation, at, lines, timeline: None }));
    }
    let mut world = World::new(plan, options.sabotage, options.lines_max);
    if let Some(cast) = cast {
        world = world.with_cast(cast);
    }
    world.recorder = Recorder::new(options.timeline, plan.seed, plan.members);
    let violation = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => Some(Violation::new("panic", panic_text(&*panic))),
    };
    let seed = plan.seed;
    let lines = world.trace.take_lines();
    let timeline = world.recorder.finish(world.now(), violation.as_ref());
    if let Some(violation) = violation {
        return Err(Box::new(Failure { seed, violation, at: world.now(), lines, timeline }));
    }
    Ok(Report {
        seed,
        trace_hash: world.trace.hash(),
        checkpoints: world.trace.take_checkpoints(),
        events: world.trace.events(),
        virtual_time: world.now() - Instant::ZERO,
        counts: world.counts,
        features: world.features(),
        lines,
        timeline,
    })
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
