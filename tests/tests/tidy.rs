//! The project's own source keeps its own rules: layers, lengths, banned calls, clean text.
//!
//! Each failure lists every violation as `file:line: rule`. The rules and their own tests are in
//! `tests/src/tidy`.

use std::path::Path;

use quorate_tests::tidy::{self, Project, Violation};

#[test]
fn crates_depend_only_on_lower_layers() {
    check(tidy::layers);
}

#[test]
fn functions_fit_on_a_screen() {
    check(tidy::function_lengths);
}

#[test]
fn files_have_one_subject() {
    check(tidy::file_lengths);
}

#[test]
fn lines_fit_beside_each_other() {
    check(tidy::line_widths);
}

#[test]
fn the_core_and_the_state_machine_are_pure() {
    check(tidy::pure_core_calls);
}

#[test]
fn code_is_finished_and_quiet() {
    check(tidy::forbidden_calls);
}

#[test]
fn crates_begin_with_their_documentation() {
    check(tidy::crate_docs);
}

#[test]
fn files_name_no_developers_machine() {
    check(tidy::machine_paths);
}

fn check(rule: fn(&Project) -> Vec<Violation>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let project = Project::load(&root).expect("every text file of the checkout is readable");
    assert!(project.rust_sources().count() > 0, "no Rust files below {}", root.display());
    let violations: Vec<String> = rule(&project).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
