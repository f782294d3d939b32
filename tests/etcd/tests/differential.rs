//! The same random operations on Quorate and on every etcd found.

use std::env;
use std::io::{Write, stderr};
use std::time::Instant;

use quorate_etcd_tests::etcd::{Binary, HOW_TO_GET, binaries};
use quorate_etcd_tests::generate::{ALL, Shares};
use quorate_etcd_tests::run::{Settings, Subject, run};

/// The default of `QUORATE_DIFFERENTIAL_OPERATIONS`, for each etcd.
const OPERATIONS: u64 = 5_000;
/// The same between two versions of etcd.
const OPERATIONS_BETWEEN_VERSIONS: u64 = 2_000;
/// Among so many, each kind comes up.
const OPERATIONS_OF_ALL_KINDS: u64 = 1_000;
/// The default of `QUORATE_DIFFERENTIAL_SEED`.
const SEED: u64 = 1;

#[test]
fn quorate_answers_as_etcd_does() {
    let settings = settings(OPERATIONS);
    for peer in &peers(1) {
        compare("quorate", Subject::Quorate, peer, ALL, settings);
    }
}

/// What the comparison itself is worth: two servers whose answers are known to be etcd's.
#[test]
fn an_etcd_answers_as_an_older_one_does() {
    let settings = settings(OPERATIONS_BETWEEN_VERSIONS);
    for pair in peers(2).windows(2) {
        let [older, newer] = pair else { unreachable!("a window of two has two") };
        compare(&format!("etcd {}", newer.version), Subject::Etcd(newer), older, ALL, settings);
    }
}

fn compare(name: &str, subject: Subject<'_>, peer: &Binary, shares: Shares, settings: Settings) {
    let begun = Instant::now();
    let summary = run(subject, peer, shares, settings).unwrap_or_else(|cause| panic!("{cause}"));
    let seconds = begun.elapsed().as_secs();
    say(&format!("{name} and etcd {} in {seconds} s: {summary}", peer.version));
    for (kind, _) in shares.iter().filter(|_| settings.operations >= OPERATIONS_OF_ALL_KINDS) {
        assert!(summary.operations.contains_key(kind), "no {kind:?} was drawn");
    }
}

/// Every etcd found. If that is less than `count`, the test is skipped or, where peers are
/// required, fails.
fn peers(count: usize) -> Vec<Binary> {
    let found = binaries().unwrap_or_else(|cause| panic!("{cause}"));
    if found.len() < count {
        let missing = format!("{} of {count} versions of etcd found; {HOW_TO_GET}", found.len());
        let required = env::var("QUORATE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "{missing}");
        say(&format!("SKIPPED: {missing}"));
    }
    found
}

fn settings(operations: u64) -> Settings {
    Settings {
        operations: number("QUORATE_DIFFERENTIAL_OPERATIONS", operations),
        seed: number("QUORATE_DIFFERENTIAL_SEED", SEED),
    }
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        Err(_) => default,
    }
}

/// Past the capture of test output, which hides what a passing test says.
fn say(text: &str) {
    writeln!(stderr(), "differential: {text}").expect("standard error takes text");
}
