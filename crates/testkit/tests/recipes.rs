//! The recipes of `quorate` under faults.

use std::collections::BTreeSet;
use std::path::Path;

use quorate::Error;
use quorate::recipes::{Mutex, RecipeError, Session};
use quorate_testkit::coverage::{PLAYED, PLAYED_EXEMPT};
use quorate_testkit::{Faults, Sim, ensure, recipes};

#[test]
fn a_lock_has_one_holder_at_a_time_and_loses_no_write() {
    let summary = recipes::locks().seeds(0..200).run();
    assert!(summary.faults > 1_000, "{summary}");
}

#[test]
fn leaders_follow_each_other_and_are_observed_in_order() {
    recipes::elections().seeds(0..200).run();
}

#[test]
fn items_of_queues_are_handed_out_once() {
    recipes::queues().seeds(0..200).run();
}

#[test]
fn there_are_never_more_holders_than_permits() {
    recipes::semaphores().seeds(0..100).run();
}

#[test]
fn transactions_keep_the_sum_of_accounts() {
    recipes::transactions().seeds(0..100).run();
}

#[test]
fn nothing_changes_under_readers() {
    recipes::read_locks().seeds(0..100).run();
}

/// What no lock can make right is found: a write on its way when the session ends.
#[test]
fn a_lock_without_fencing_is_found_to_be_broken() {
    let found = recipes::locks_without_fencing().faults(Faults::none()).seeds(0..500).try_run();
    let found = found.expect_err("the bug is found");
    assert_eq!(found.failure.violation.checker, "locks", "{found}");
    assert!(found.failure.violation.detail.contains("the earlier token"), "{found}");
}

/// Found by the simulation of locks, seed 15: the caller was told of an unknown lease.
#[test]
fn a_session_that_another_has_ended_is_told_to_be_lost() {
    Sim::new("ended")
        .nodes(3)
        .seeds(0..1)
        .faults(Faults::none())
        .actors(1, |me| {
            let db = me.db();
            let session = Session::open(&db, 60).wait()?;
            db.lease_revoke(session.lease()).wait()?;
            let refused = Mutex::new(&session, "lock").lock().wait();
            let is_lost = matches!(refused, Err(Error::Recipe(RecipeError::SessionLost { .. })));
            ensure!(is_lost, "{refused:?}");
            Ok(())
        })
        .run();
}

/// The text of a source file below the crates.
fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The source files right in a folder below the crates, without their ending.
fn files(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let entries = std::fs::read_dir(path).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("the folder can be listed").file_name());
    let names = names.map(|name| name.into_string().expect("names are text"));
    names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect()
}

fn public_functions(text: &str) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    text.split("pub fn ").skip(1).map(name).collect()
}

#[test]
fn every_call_of_the_recipes_is_played_or_said_not_to_be() {
    let exempt: BTreeSet<&str> = PLAYED_EXEMPT.iter().map(|exempt| exempt.call).collect();
    let simulations: Vec<String> = files("testkit/src/recipes")
        .iter()
        .map(|file| source(&format!("testkit/src/recipes/{file}.rs")))
        .chain([source("testkit/src/recipes.rs"), source("testkit/src/actors/background_tests.rs")])
        .collect();
    let simulations = simulations.concat();
    for file in files("quorate/src/recipes") {
        let file = format!("recipes/{file}");
        let has_calls = source(&format!("quorate/src/{file}.rs")).contains("pub fn ");
        let is_known = PLAYED.contains(&file.as_str()) || exempt.contains(file.as_str());
        assert!(is_known || !has_calls, "{file} is neither played nor exempt");
    }
    let mut unplayed = BTreeSet::new();
    for file in PLAYED {
        for function in public_functions(&source(&format!("quorate/src/{file}.rs"))) {
            let is_played = [".", "::", " "]
                .iter()
                .any(|before| simulations.contains(&format!("{before}{function}(")));
            if !is_played {
                unplayed.insert(format!("{file}::{function}"));
            }
        }
    }
    let of_calls = exempt.iter().filter(|call| call.contains("::"));
    let of_calls: BTreeSet<String> = of_calls.map(|call| (*call).to_owned()).collect();
    assert_eq!(unplayed, of_calls, "not played, and said not to be");
}
