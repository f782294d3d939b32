//! The command `simulate`, run as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quorate_testkit::Plan;
use tempfile::TempDir;

fn simulate(words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_simulate");
    Command::new(program).args(words).output().expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("only text is printed")
}

fn check_refused(words: &[&str], expected: &str) {
    let output = simulate(words);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {complaint}");
    let first = complaint.lines().next().unwrap_or_default();
    assert_eq!(first, expected, "{words:?}");
    assert!(output.stdout.is_empty(), "{words:?}");
}

#[test]
fn bad_command_lines_are_refused_by_name() {
    check_refused(&[], "no command was given");
    check_refused(&["walk"], "there is no command walk");
    check_refused(&["run", "--sedes", "1"], "--sedes is unknown");
    check_refused(&["run", "--seeds"], "--seeds needs a value");
    check_refused(&["run", "--seeds", "9..3"], "--seeds cannot be 9..3");
    check_refused(&["run", "--members", "3..9"], "--members cannot be 3..9");
    check_refused(&["run", "--time", "soon"], "--time cannot be soon");
    check_refused(&["run", "--threads", "0"], "--threads cannot be 0");
    check_refused(&["run", "--sabotage", "Everything"], "--sabotage cannot be Everything");
    let unknown = "--faults does not know storms, of swarm,storms";
    check_refused(&["run", "--faults", "swarm,storms"], unknown);
    check_refused(&["replay"], "replay needs the file of a plan");
    check_refused(&["replay", "a", "b"], "b is one file too many, after a");
    check_refused(&["replay", "--what"], "--what is unknown");
    check_refused(&["shrink"], "shrink needs the file of a plan");
    check_refused(&["shrink", "a", "--runs", "none"], "--runs cannot be none");
    check_refused(&["determinism", "--sabotage", "SkipApply"], "--sabotage is unknown");
}

#[test]
fn plans_that_cannot_be_read_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("plan.json");
    let name = file.display().to_string();
    for command in ["replay", "shrink"] {
        let output = simulate(&[command, "/no/such/plan.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).starts_with("/no/such/plan.json: "));
    }
    for content in ["", "no plan", "{}", "{\"format\": 99}", "[1, 2]", "\u{feff}{}"] {
        std::fs::write(&file, content).expect("the folder can be written");
        let output = simulate(&["replay", &name]);
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(text(&output.stderr).starts_with(&format!("{name}: ")), "{content}");
    }
    std::fs::write(&file, [0xff, 0xfe, 0]).expect("the folder can be written");
    assert_eq!(simulate(&["replay", &name]).status.code(), Some(2));
}

#[test]
fn seeds_without_a_violation_end_well() {
    let output = simulate(&["run", "--seeds", "0..3", "--time", "2s", "--members", "3..4"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains(" elections") && told.contains("3 seeds in "), "{told}");
    let quiet = simulate(&["run", "--seeds", "5", "--time", "2s", "--faults", "none"]);
    assert!(text(&quiet.stdout).contains("           0 pauses\n"));
}

/// Lets a bug be found; returns the folder with the findings and what was printed.
fn find_bug() -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().display().to_string();
    let bug = ["--sabotage", "ReadAsLeader"];
    let output = simulate(&[&["run", "--seeds", "0..200", "--out", &out], &bug[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    (folder, text(&output.stdout))
}

fn read_plan(file: &Path) -> Plan {
    Plan::from_json(&std::fs::read_to_string(file).expect("it was written")).expect("a plan")
}

#[test]
fn a_violation_is_kept_shown_and_replayed() {
    let (folder, told) = find_bug();
    let file = |name: &str| folder.path().join(name);
    assert!(told.contains("VIOLATION seed "), "{told}");
    let (small, full) = (read_plan(&file("plan.json")), read_plan(&file("plan-full.json")));
    assert!(small.operations.len() < full.operations.len());
    let timeline = std::fs::read_to_string(file("timeline.txt")).expect("it was written");
    assert!(told.contains(timeline.trim_end()), "the timeline is printed");
    assert!(timeline.lines().count() <= 30 && timeline.contains("  VIOLATION  real-time-order: "));
    check_page(&file("timeline.html"), small.members);
    // The last line is the command that does it again.
    let last = told.trim_end().lines().last().expect("something was printed");
    let plan = file("plan.json").display().to_string();
    assert_eq!(last, format!("simulate replay {plan} --sabotage ReadAsLeader"));
    let words: Vec<&str> = last.split(' ').skip(1).collect();
    let again = simulate(&words);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stdout).contains(timeline.trim_end()));
    // Without the bug nothing is wrong.
    let page = file("replayed.html");
    let page_name = page.display().to_string();
    let sound = simulate(&["replay", &plan, "--trace", "--html", &page_name]);
    assert_eq!(sound.status.code(), Some(0));
    let told = text(&sound.stdout);
    assert!(told.contains("no promise was broken: ") && told.contains("message 1 -> 2: "));
    check_page(&page, small.members);
}

/// A page must be whole, have what is to be shown in it, and nothing from elsewhere.
fn check_page(file: &PathBuf, members: usize) {
    let page = std::fs::read_to_string(file).expect("it was written");
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    for tag in ["html", "head", "body", "title", "style", "noscript", "header", "pre"] {
        let count = |mark: String| page.matches(&mark).count();
        let opened = count(format!("<{tag}>")) + count(format!("<{tag} "));
        assert_eq!(opened, count(format!("</{tag}>")), "{tag}");
        assert!(opened > 0, "{tag}");
    }
    let marker = "<script type=\"application/json\" id=\"timeline\">";
    let start = page.find(marker).expect("the data") + marker.len();
    let data = &page[start..start + page[start..].find("</script>").expect("their end")];
    assert!(!data.contains(['<', '>', '&']));
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["members"], members);
    let states = data["states"].as_array().expect("a list");
    for member in 1..=members {
        assert!(states.iter().any(|state| state["member"] == member), "member {member}");
    }
    assert!(!page.contains("{{") && !page.contains("://"));
}

#[test]
fn a_plan_is_shrunk_from_its_file() {
    let (folder, _) = find_bug();
    let full = folder.path().join("plan-full.json").display().to_string();
    let small = folder.path().join("small.json").display().to_string();
    let bug = ["--sabotage", "ReadAsLeader"];
    let words = ["shrink", &full, "--out", &small, "--runs", "60"];
    let output = simulate(&[&words, &bug[..]].concat());
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains(" were left after 60 runs, in "), "{told}");
    let (full, small) = (read_plan(full.as_ref()), read_plan(small.as_ref()));
    assert!(small.operations.len() + small.faults.len() < full.operations.len());
    // Nothing is to be shrunk where nothing fails.
    let sound = folder.path().join("plan.json").display().to_string();
    assert_eq!(simulate(&["shrink", &sound]).status.code(), Some(1));
}

#[test]
fn runs_are_compared_with_those_of_another_process() {
    let output = simulate(&["determinism", "--seeds", "0..2", "--time", "2s", "--members", "3"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told, "2 seeds ran the same twice, the second time in another process\n");
}
