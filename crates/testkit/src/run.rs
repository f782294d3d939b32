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
/// As for [`run_seed`].
pub fn run_plan(plan: &Plan, options: &Options) -> Result<Report, Box<Failure>> {
    run_world(plan, World::new(plan, options.sabotage, options.lines_max))
}

/// Plays a script under a plan; returns what the actors did, too.
pub(crate) fn run_script(
    plan: &Plan,
    options: &Options,
    script: &Script,
    checkers: &[Arc<dyn Checker>],
) -> (Result<Report, Box<Failure>>, RunHistory) {
    let failure =
        |violation, at| Box::new(Failure { seed: plan.seed, violation, at, lines: Vec::new() });
    let cast = match Cast::start(script, plan.members, plan.seed) {
        Ok(cast) => cast,
        Err(error) => {
            let violation = Violation::new("threads", error.to_string());
            return (Err(failure(violation, Instant::ZERO)), RunHistory::default());
        }
    };
    let notebook = cast.notebook();
    let world = World::new(plan, options.sabotage, options.lines_max).with_cast(cast);
    let result = run_world(plan, world);
    let history = notebook.history();
    let checked = result.and_then(|report| {
        checkers.iter().try_for_each(|checker| {
            checker.check(&history).map_err(|problem| {
                let violation = Violation::new(checker.name(), problem);
                failure(violation, Instant::ZERO + report.virtual_time)
            })
        })?;
        Ok(report)
    });
    (checked, history)
}

fn run_world(plan: &Plan, mut world: World<'_>) -> Result<Report, Box<Failure>> {
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let seed = plan.seed;
    let violation = match result {
        Ok(Ok(())) => {
            return Ok(Report {
                seed,
                trace_hash: world.trace.hash(),
                checkpoints: world.trace.take_checkpoints(),
                events: world.trace.events(),
                virtual_time: world.now() - Instant::ZERO,
                counts: world.counts,
                features: world.features(),
                lines: world.trace.take_lines(),
            });
        }
        Ok(Err(violation)) => violation,
        Err(panic) => Violation::new("panic", panic_text(&*panic)),
    };
    let lines = world.trace.take_lines();
    Err(Box::new(Failure { seed, violation, at: world.now(), lines }))
}
