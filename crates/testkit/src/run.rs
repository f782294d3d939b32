//! Running plans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use quorate_types::Instant;

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
/// As for [`run_seed`].
pub fn run_plan(plan: &Plan, options: &Options) -> Result<Report, Box<Failure>> {
    let mut world = World::new(plan, options.sabotage, options.lines_max);
    world.recorder = Recorder::new(options.timeline, plan.seed, plan.members);
    let violation = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(Violation::new("panic", text.unwrap_or("without a text")))
        }
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
        lines,
        timeline,
    })
}
