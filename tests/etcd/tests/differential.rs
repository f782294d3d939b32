//! The same random operations on Quorate and on every etcd found.

use std::env;
use std::io::{Write, stderr};
use std::time::Instant;

use quorate_etcd_tests::etcd::{HOW_TO_GET, binaries};
use quorate_etcd_tests::generate::SUPPORTED;
use quorate_etcd_tests::run::{Settings, run};

/// The default of `QUORATE_DIFFERENTIAL_OPERATIONS`, for each etcd.
const OPERATIONS: u64 = 5_000;
/// The default of `QUORATE_DIFFERENTIAL_SEED`.
const SEED: u64 = 1;

#[test]
fn quorate_answers_as_etcd_does() {
    let settings = Settings {
        operations: number("QUORATE_DIFFERENTIAL_OPERATIONS", OPERATIONS),
        seed: number("QUORATE_DIFFERENTIAL_SEED", SEED),
    };
    let binaries = binaries().unwrap_or_else(|cause| panic!("{cause}"));
    if binaries.is_empty() {
        let required = env::var("QUORATE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "no etcd to compare with; get one: {HOW_TO_GET}");
        say(&format!("SKIPPED: no etcd to compare with; get one: {HOW_TO_GET}"));
        return;
    }
    for binary in &binaries {
        let begun = Instant::now();
        let summary = run(binary, settings).unwrap_or_else(|cause| panic!("{cause}"));
        let seconds = begun.elapsed().as_secs();
        say(&format!("etcd {} in {seconds} s: {summary}", binary.version));
        for (kind, _) in SUPPORTED {
            assert!(summary.operations.contains_key(kind), "no {kind:?} was drawn");
        }
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
