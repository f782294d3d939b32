//! Failing plans of built-in bugs become small.

use std::time::Instant;

use quorate_testkit::shrink::{Budget, Shrunk, shrink};
use quorate_testkit::{Failure, Options, Plan, Sabotage, run_plan};

/// The first plan of a bug that fails, and how.
fn failing(options: &Options) -> (Plan, Box<Failure>) {
    (0..400)
        .map(|seed| Plan::from_seed(seed, options))
        .find_map(|plan| run_plan(&plan, options).err().map(|failure| (plan, failure)))
        .unwrap_or_else(|| panic!("{:?} was not found", options.sabotage))
}

fn shrink_sabotage(sabotage: Sabotage, runs_max: u64) -> (Plan, Shrunk) {
    let options = Options { sabotage: Some(sabotage), ..Options::default() };
    let (plan, failure) = failing(&options);
    let budget = Budget { runs_max, ..Budget::default() };
    let shrunk = shrink(&plan, failure, &|plan| run_plan(plan, &options), budget);
    (plan, shrunk)
}

/// Shrinks the first failure of a bug; what is left must be small and must fail the same way.
fn check(sabotage: Sabotage, faults_max: usize, operations_max: usize) {
    let begun = Instant::now();
    let (plan, shrunk) = shrink_sabotage(sabotage, Budget::default().runs_max);
    let (faults, operations) = (shrunk.plan.faults.len(), shrunk.plan.operations.len());
    let summary = format!(
        "{sabotage:?}: {} to {faults} faults, {} to {operations} operations, {} to {} members, \
         {} runs, {:.1} s, {}",
        plan.faults.len(),
        plan.operations.len(),
        plan.members,
        shrunk.plan.members,
        shrunk.runs,
        begun.elapsed().as_secs_f64(),
        shrunk.failure.violation.checker,
    );
    // Shown by `--nocapture`, to compare versions.
    eprintln!("{summary}");
    assert!(faults <= faults_max && operations <= operations_max, "{summary}");
    let options = Options { sabotage: Some(sabotage), ..Options::default() };
    let again = run_plan(&shrunk.plan, &options).expect_err("it fails again");
    assert_eq!(again, shrunk.failure);
    assert!(run_plan(&shrunk.plan, &Options::default()).is_ok(), "the bug is the cause");
}

#[test]
fn lies_about_syncs_become_small() {
    check(Sabotage::SyncLies, 6, 20);
}

#[test]
fn early_reports_become_small() {
    check(Sabotage::ReportBeforeSync, 6, 20);
}

#[test]
fn early_messages_become_small() {
    check(Sabotage::SendBeforeSync, 6, 20);
}

#[test]
fn forgotten_votes_become_small() {
    check(Sabotage::ForgetVote, 6, 20);
}

#[test]
fn lies_about_flushes_become_small() {
    check(Sabotage::FlushLies, 6, 20);
}

#[test]
fn commands_applied_twice_become_small() {
    check(Sabotage::ApplyTwice, 6, 20);
}

#[test]
fn skipped_commands_become_small() {
    check(Sabotage::SkipApply, 6, 20);
}

#[test]
fn missing_deduplication_becomes_small() {
    check(Sabotage::SkipDeduplication, 6, 20);
}

#[test]
fn unconfirmed_reads_become_small() {
    check(Sabotage::ReadUnconfirmed, 6, 20);
}

#[test]
fn reads_of_deposed_leaders_become_small() {
    check(Sabotage::ReadAsLeader, 6, 20);
}

#[test]
fn false_failures_become_small() {
    check(Sabotage::UnknownIsFailure, 6, 20);
}

#[test]
fn shrinking_is_the_same_every_time() {
    let (_, first) = shrink_sabotage(Sabotage::ReadAsLeader, 150);
    let (_, second) = shrink_sabotage(Sabotage::ReadAsLeader, 150);
    assert_eq!(first.runs, 150);
    assert_eq!(first, second);
}
