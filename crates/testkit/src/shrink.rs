//! Makes failing plans small: fewer faults, operations and watches, less noise, rounder numbers.
//!
//! All noise of a run comes from streams that depend on a purpose, an entity and a counter, so a
//! plan without one fault or operation runs like the plan with it until that would have mattered.
//! That is why taking things away one after another leads far. Where much goes at once, a few other
//! seeds of the noise are tried, too; so the seed of the small plan may be another one.
//!
//! Nothing here knows kinds of faults or requests: parts are taken out of the lists of a plan, and
//! values are made simpler in its JSON form. A change counts if [`Plan::validate`] accepts it and
//! the run still breaks the same promise.

mod lists;
mod members;
mod noise;
mod values;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::checkers::consensus::hash_bytes;
use crate::plan::Plan;
use crate::report::{Failure, Report};

/// How much work shrinking may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// How many plans are run at most. Default 2,000.
    pub runs_max: u64,
    /// When no further run begins. Default 60 s. If this ends the work, the result depends on how
    /// fast the machine is; if `runs_max` does or nothing is left to try, it does not.
    pub time_max: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { runs_max: 2_000, time_max: Duration::from_secs(60) }
    }
}

/// What shrinking came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk {
    /// The smallest plan found that breaks the same promise.
    pub plan: Plan,
    /// How it breaks it.
    pub failure: Box<Failure>,
    /// How many plans were run.
    pub runs: u64,
    /// How many of them broke the same promise and were smaller than the one before.
    pub steps: u64,
}

/// Runs a plan: whatever a plan means to the caller.
pub type Runner<'a> = dyn Fn(&Plan) -> Result<Report, Box<Failure>> + 'a;

/// Looks for the smallest plan that breaks the same promise as `plan` does: the same checker must
/// find it, and for a panic its text must be the same but for numbers.
///
/// `failure` is what `runner` says about `plan`. The result depends on nothing but the plan, the
/// runner and the budget.
///
/// ```
/// use quorate_testkit::shrink::{Budget, shrink};
/// use quorate_testkit::{Options, Plan, Sabotage, run_plan};
/// let options = Options { sabotage: Some(Sabotage::SkipApply), ..Options::default() };
/// let plan = Plan::from_seed(1, &options);
/// let failure = run_plan(&plan, &options).expect_err("a member that skips commands is found");
/// let shrunk = shrink(&plan, failure, &|plan| run_plan(plan, &options), Budget::default());
/// assert!(shrunk.plan.operations.len() <= plan.operations.len());
/// assert!(shrunk.plan.faults.len() <= plan.faults.len());
/// ```
pub fn shrink(plan: &Plan, failure: Box<Failure>, runner: &Runner<'_>, budget: Budget) -> Shrunk {
    let mut search = Search {
        runner,
        budget,
        begun: Instant::now(),
        plan: plan.clone(),
        failure,
        runs: 0,
        steps: 0,
        tried: BTreeSet::new(),
    };
    loop {
        let steps = search.steps;
        search.all_at_once();
        search.cut_end();
        search.cut_start();
        search.calm_sections();
        search.smaller_limits();
        search.fewer_watches();
        search.fewer_operations();
        search.fewer_faults();
        search.fewer_members();
        search.calm_fields();
        search.simpler_values();
        if search.steps == steps || search.is_over() {
            let Search { plan, failure, runs, steps, .. } = search;
            return Shrunk { plan, failure, runs, steps };
        }
    }
}

/// A search under way.
struct Search<'a> {
    runner: &'a Runner<'a>,
    budget: Budget,
    begun: Instant,
    /// The smallest plan so far, and how it fails.
    plan: Plan,
    failure: Box<Failure>,
    runs: u64,
    steps: u64,
    /// Hashes of the plans that were tried, for not trying them again.
    tried: BTreeSet<u64>,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.runs >= self.budget.runs_max || self.begun.elapsed() >= self.budget.time_max
    }

    /// As [`Self::accepts`]; if it does not, a few other seeds are tried. What breaks a promise by
    /// rare chance meets that chance with another seed, though hardly with the same one once much
    /// has changed.
    fn accepts_some(&mut self, candidate: &Plan, reseeds: u64) -> bool {
        // Another seed alone makes nothing smaller.
        *candidate != self.plan
            && (0..=reseeds).any(|more| {
                let seed = candidate.seed.wrapping_add(more);
                self.accepts(Plan { seed, ..candidate.clone() })
            })
    }

    /// Runs a candidate; takes it for the new plan if it breaks the same promise.
    fn accepts(&mut self, candidate: Plan) -> bool {
        if self.is_over() || candidate == self.plan || candidate.validate().is_err() {
            return false;
        }
        if !self.tried.insert(hash_bytes(0, candidate.to_json().as_bytes())) {
            return false;
        }
        self.runs += 1;
        match (self.runner)(&candidate) {
            Err(failure) if is_same(&self.failure, &failure) => {
                self.steps += 1;
                self.plan = candidate;
                self.failure = failure;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

/// Whether two failures are of the same kind.
fn is_same(known: &Failure, found: &Failure) -> bool {
    let (known, found) = (&known.violation, &found.violation);
    if known.checker != found.checker {
        return false;
    }
    // All panics share one checker, and one panic may hide behind another.
    known.checker != "panic" || without_digits(&known.detail) == without_digits(&found.detail)
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
#[path = "shrink/tests.rs"]
mod tests;
