//! The recipes of `quorate` under faults.

use quorate_testkit::plan::{FaultClass, Faults, Level};
use quorate_testkit::recipes;

#[test]
fn a_lock_has_one_holder_at_a_time_and_loses_no_write() {
    let summary = recipes::locks().seeds(0..200).run();
    assert!(summary.faults > 1_000, "{summary}");
}

#[test]
fn leaders_follow_each_other_and_are_observed_in_order() {
    recipes::elections().seeds(0..200).run();
}

/// What no lock can make right is found: a write on its way when the session ends.
#[test]
fn a_lock_without_fencing_is_found_to_be_broken() {
    let faults =
        Faults::none().with(FaultClass::Pauses, Level::High).with(FaultClass::Delay, Level::High);
    let found = recipes::locks_without_fencing().faults(faults).seeds(0..300).try_run();
    let found = found.expect_err("the bug is found");
    assert_eq!(found.failure.violation.checker, "locks", "{found}");
    assert!(found.failure.violation.detail.contains("the earlier token"), "{found}");
}
