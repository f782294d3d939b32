//! Known bugs of the production code must be found; only with the feature `mutants`.

use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_testkit::mutants::{Class, Measured, Mutant, Row, Selection, TABLE, measure, row};
use quorate_testkit::{Options, run_seed};
use quorate_types::mutant;
use quorate_types::mutants::select;

#[test]
fn every_bug_of_the_first_class_is_found_within_its_budget() {
    let rows: Vec<&Row> = TABLE.iter().filter(|row| row.class == Class::S).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut missed = Vec::new();
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let measured = measure(row, 1, 0, &Options::default());
            if !measured.is_found() {
                missed.push((row.mutant, measured.runs, measured.runs_reached));
            }
        }
        missed
    };
    let missed: Vec<_> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().expect("no search panics")).collect()
    });
    assert!(missed.is_empty(), "mutant, runs, runs that reached it: {missed:?}");
}

fn find(mutant: Mutant, options: &Options) -> Measured {
    measure(row(mutant), 1, 0, options)
}

#[test]
fn a_vote_that_is_not_written_is_found_by_its_own_checker() {
    let found = find(Mutant::M39, &Options::default());
    assert_eq!(found.checkers(), ["vote-durable"]);
}

#[test]
fn a_bug_in_one_member_only_is_found() {
    let selection = Selection { member: Some(2), ..Selection::of(Mutant::M73) };
    let options = Options { mutant: Some(selection), members: Some(3), ..Options::default() };
    let found = find(Mutant::M73, &options);
    assert!(found.is_found(), "{found:?}");
    let stranger = Selection { member: Some(9), ..selection };
    let options = Options { mutant: Some(stranger), ..options };
    run_seed(found.findings[0].seed, &options).expect("no such member has the bug");
}

#[test]
fn a_bug_that_acts_late_is_found() {
    let selection = Selection { after_hits: 200, ..Selection::of(Mutant::M66) };
    let options = Options { mutant: Some(selection), members: Some(5), ..Options::default() };
    let found = find(Mutant::M66, &options);
    assert!(found.is_found(), "{found:?}");
}

#[test]
fn a_run_selects_what_its_options_say_and_forgets_it() {
    let mutant = Some(Selection::of(Mutant::M31));
    let options = Options { mutant, ..Options::default() };
    assert!((0..10).any(|seed| run_seed(seed, &options).is_err()));
    let selected = select(Selection::of(Mutant::M55));
    let reports = (0..3).filter_map(|seed| run_seed(seed, &options).err());
    assert!(reports.into_iter().all(|failure| failure.violation.checker != "liveness"));
    assert_eq!(selected.hits(), 0);
}

#[test]
fn nothing_is_found_where_nothing_is_selected() {
    assert_eq!(mutant!(M39, "good", "bad"), "good");
    for seed in 0..20 {
        run_seed(seed, &Options::default()).expect("no promise is broken");
    }
}
