use quorate_types::Instant as VirtualTime;

use super::*;
use crate::plan::Fault;
use crate::run::Options;
use crate::violation::Violation;

fn failure(checker: &'static str, detail: &str, at: VirtualTime) -> Box<Failure> {
    let violation = Violation::new(checker, detail);
    Box::new(Failure { seed: 1, violation, at, lines: Vec::new(), timeline: None })
}

fn plan() -> Plan {
    let duration = Some(Duration::from_secs(2));
    Plan::from_seed(3, &Options { members: Some(3), duration, ..Options::default() })
}

fn report() -> Report {
    crate::run::run_plan(
        &Plan { faults: Vec::new(), operations: Vec::new(), ..plan() },
        &Options::default(),
    )
    .expect("a quiet cluster breaks no promise")
}

/// Fails if the plan has a transfer of leadership, and after it an operation that may take long.
fn fails(plan: &Plan) -> Option<VirtualTime> {
    let transfer = |fault: &Fault| matches!(fault, Fault::TransferLeader { .. });
    let transfer = plan.faults.iter().find(|timed| transfer(&timed.fault))?.at;
    let mut after = plan.operations.iter().filter(|operation| operation.at > transfer);
    after.find(|operation| operation.timeout >= LONG).map(|operation| operation.at)
}

const LONG: Duration = Duration::from_secs(1);

fn start() -> Plan {
    (0..)
        .map(|seed| Plan::from_seed(seed, &Options { members: Some(3), ..Options::default() }))
        .find(|plan| fails(plan).is_some())
        .expect("there are endlessly many seeds")
}

#[test]
fn what_is_not_needed_goes() {
    let (plan, quiet) = (start(), report());
    let runner = |plan: &Plan| match fails(plan) {
        Some(at) => Err(failure("invented", "it failed", at)),
        None => Ok(quiet.clone()),
    };
    let first = runner(&plan).expect_err("it fails");
    let shrunk = shrink(&plan, first.clone(), &runner, Budget::default());
    assert_eq!((shrunk.plan.faults.len(), shrunk.plan.operations.len()), (1, 1));
    assert_eq!(shrunk.plan.members, 1);
    let zero = Fault::TransferLeader { asked: 0, to: 0 };
    assert_eq!(shrunk.plan.faults[0].fault, zero);
    assert_eq!(shrunk.plan.operations[0].timeout, LONG);
    assert_eq!(shrunk.plan.network.lost_ppm, 0);
    assert_eq!(shrunk.failure.violation.checker, "invented");
    assert!(shrunk.runs < 1_000 && shrunk.steps < shrunk.runs, "{} runs", shrunk.runs);
    // The same once more, and nothing is left to do for the result.
    assert_eq!(shrink(&plan, first, &runner, Budget::default()), shrunk);
    let again = shrink(&shrunk.plan, shrunk.failure.clone(), &runner, Budget::default());
    assert_eq!((again.plan, again.steps), (shrunk.plan, 0));
}

#[test]
fn another_violation_is_not_taken_for_the_same() {
    let (plan, whole) = (plan(), plan().operations.len());
    let runner = |plan: &Plan| {
        let checker = if plan.operations.len() == whole { "first" } else { "second" };
        Err(failure(checker, "", VirtualTime::MAX))
    };
    let first = runner(&plan).expect_err("it always fails");
    let shrunk = shrink(&plan, first, &runner, Budget::default());
    assert_eq!(shrunk.plan.operations.len(), whole);
    assert!(shrunk.plan.faults.is_empty());
}

#[test]
fn panics_are_compared_by_their_text_but_for_numbers() {
    let of = |detail| failure("panic", detail, VirtualTime::ZERO);
    assert!(is_same(&of("index 7 of 3"), &of("index 12 of 3")));
    assert!(!is_same(&of("index 7"), &of("no index")));
    let of = |detail| failure("one-vote", detail, VirtualTime::ZERO);
    assert!(is_same(&of("a"), &of("b")));
}

#[test]
fn the_budget_bounds_the_runs() {
    let plan = plan();
    let runner = |_: &Plan| Err(failure("always", "", VirtualTime::MAX));
    let first = || failure("always", "", VirtualTime::MAX);
    let runs = |runs_max| {
        let budget = Budget { runs_max, ..Budget::default() };
        shrink(&plan, first(), &runner, budget)
    };
    assert_eq!(runs(5).runs, 5);
    assert_eq!((runs(0).runs, runs(0).plan), (0, plan.clone()));
    let late = Budget { time_max: Duration::ZERO, ..Budget::default() };
    assert_eq!(shrink(&plan, first(), &runner, late).runs, 0);
}
