//! No call of the public API is without a generator and a checker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quorate_testkit::coverage::{EXEMPT, SURFACE};
use quorate_testkit::{Options, run_seed};

/// The files of the crate `quorate` that make up what its users call.
const FILES: [&str; 6] = ["client", "request", "node", "lease", "alarm", "watch"];

/// Reads a source file below the crates, or all those of a folder.
fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if !path.is_dir() {
        return std::fs::read_to_string(&path).expect("the table names files that exist");
    }
    let entries = std::fs::read_dir(&path).expect("the folder can be listed");
    let files = entries.map(|entry| entry.expect("the folder can be listed").path());
    let read = |file| std::fs::read_to_string(file).expect("source files are text");
    files.filter(|file| file.is_file()).map(read).collect()
}

/// The names of the public functions of a source text.
fn public_functions(text: &str) -> Vec<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    text.split("pub fn ").skip(1).map(name).collect()
}

#[test]
fn every_public_call_is_in_the_table() {
    let known: BTreeSet<&str> = SURFACE
        .iter()
        .map(|covered| covered.call)
        .chain(EXEMPT.iter().map(|exempt| exempt.call))
        .collect();
    let mut found = 0;
    for file in FILES {
        for function in public_functions(&source(&format!("quorate/src/{file}.rs"))) {
            let call = format!("{file}::{function}");
            assert!(known.contains(call.as_str()), "{call} has no generator and no checker");
            found += 1;
        }
    }
    assert!(found >= 70, "only {found} public functions were found");
}

#[test]
fn every_row_of_the_table_names_what_exists() {
    let calls = SURFACE.iter().map(|covered| covered.call);
    for call in calls.chain(EXEMPT.iter().map(|exempt| exempt.call)) {
        let (file, name) = call.split_once("::").expect("a file and a name");
        let text = source(&format!("quorate/src/{file}.rs"));
        let exists = match name.starts_with("impl ") {
            true => text.contains(name),
            false => public_functions(&text).iter().any(|function| function == name),
        };
        assert!(exists, "{call} does not exist");
    }
    let draw = source("testkit/src/plan/draw.rs") + &source("testkit/src/plan/watches.rs");
    let checkers = ["checkers", "checkers/history", "checkers/watch", "world"]
        .map(|folder| source(&format!("testkit/src/{folder}")))
        .concat();
    for covered in SURFACE {
        let generator = format!("fn {}(", covered.generator);
        assert!(draw.contains(&generator), "no {generator}) draws {}", covered.call);
        for checker in covered.checkers {
            let name = format!("\"{checker}\"");
            assert!(checkers.contains(&name), "no {name} judges {}", covered.call);
        }
    }
    assert!(EXEMPT.iter().all(|exempt| !exempt.reason.is_empty()));
}

#[test]
fn every_feature_is_used_and_judged_in_forty_seeds() {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..40 {
        let report = run_seed(seed, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        for (name, count) in report.features {
            *counts.entry(name).or_default() += count;
        }
    }
    let listed: BTreeSet<&str> =
        SURFACE.iter().flat_map(|covered| covered.features).copied().collect();
    for feature in &listed {
        let count = counts.get(feature).copied().unwrap_or(0);
        assert!(count > 0, "{feature} was never used: {counts:#?}");
    }
    for feature in counts.keys() {
        assert!(listed.contains(feature), "{feature} is used and not in the table");
    }
}
