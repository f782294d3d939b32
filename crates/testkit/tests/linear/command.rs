//! `simulate check` on files, good, bad and broken.

use std::process::Command;

use quorate_testkit::record::History;

/// Runs the command on a file with this text; returns its exit status and what it said.
fn check(text: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("history");
    std::fs::write(&file, text).expect("the folder can be written to");
    let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .arg("check")
        .arg(&file)
        .args(arguments)
        .output()
        .expect("the command runs");
    // Verdicts go to the output, problems beside it.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("it says text");
    (output.status.code().expect("it ends by itself"), said)
}

const BAD: &str = "\
INFO  jepsen.util - 0\t:invoke\t:write\t1
INFO  jepsen.util - 0\t:ok\t:write\t1
INFO  jepsen.util - 1\t:invoke\t:write\t2

INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:ok\t:read\t3
INFO  jepsen.util - 1\t:ok\t:write\t2
";

#[test]
fn a_good_history_gives_zero_in_every_format() {
    let history = History::read(&BAD.replace("\t3", "\t2")).expect("this is a log");
    for text in [history.to_log(), history.to_edn(), history.to_json_lines()] {
        for model in ["register", "cas-register"] {
            let (status, said) = check(&text, &["--model", model]);
            assert_eq!(status, 0, "{said}");
            assert!(said.starts_with("linearizable: 3 operations, 1 objects"), "{said}");
        }
    }
}

#[test]
fn a_bad_history_gives_one_and_says_why() {
    let (status, said) = check(BAD, &["--model", "register"]);
    assert_eq!(status, 1, "{said}");
    let expected = "\
not linearizable: the call at line 5, answered at line 6
1 of 3 answered operations have an order.
This one cannot be placed after them:
    process 2, from 3 to 4: read -> 3
The object could then only be in
    1 or 2
The order ends with
    process 0, from 0 to 1: write 1
Also under way were
    process 1, from 2 to 5: write 2
";
    assert_eq!(said, expected);
}

#[test]
fn the_key_of_a_bad_history_is_named() {
    let text = "\
{:process 0, :type :invoke, :f :put, :key \"a\", :value \"1\"}
{:process 0, :type :ok, :f :put, :key \"a\", :value \"1\"}
{:process 1, :type :invoke, :f :get, :key \"b\", :value nil}
{:process 1, :type :ok, :f :get, :key \"b\", :value \"1\"}
";
    let (status, said) = check(text, &["--model", "kv"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("of key \"b\""), "{said}");
    assert!(said.contains("process 1, from 2 to 3: get -> \"1\""), "{said}");
    assert!(said.lines().count() <= 16, "{said}");
}

#[test]
fn what_cannot_be_found_out_gives_two() {
    // Appends in any order, a put that may come between, and a value that none of them wrote.
    let mut text = "{:process 0 :type :invoke :f :put :value \"\"}".to_owned();
    for process in 1..=24 {
        let append =
            format!("{{:process {process} :type :invoke :f :append :value \"{process}\"}}");
        text.push_str(&append);
    }
    text.push_str("{:process 99 :type :invoke :f :get :value nil}");
    text.push_str("{:process 99 :type :ok :f :get :value \"?\"}");
    let (status, said) = check(&text, &["--model", "kv", "--memory", "1"]);
    assert_eq!(status, 2, "{said}");
    assert_eq!(said, "unknown: the memory was used up; give more with --memory\n");
}

#[test]
fn broken_files_and_words_give_two() {
    let (status, said) = check("INFO  jepsen.util - 0\t:ok\t:read\t1\n", &["--model", "register"]);
    assert_eq!(status, 2);
    let expected = "history: line 1: process 0 has no call that could end with `ok`\n";
    assert!(said.ends_with(expected), "{said}");
    let (status, said) = check("no history\n", &["--model", "register"]);
    assert_eq!(status, 2);
    assert!(said.contains("line 1: neither JSON lines, nor EDN"), "{said}");
    for (arguments, expected) in [
        (&["--model", "queue"][..], "--model cannot be queue"),
        (&[][..], "--model is missing"),
        (&["--model", "kv", "another"][..], "another is unknown"),
        (&["--model", "kv", "--memory", "0"][..], "--memory cannot be 0"),
    ] {
        let (status, said) = check(BAD, arguments);
        assert_eq!(status, 2, "{said}");
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_file_that_is_not_there_gives_two() {
    let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .args(["check", "no-such-file", "--model", "kv"])
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("no-such-file: "));
}

#[test]
fn columns_of_a_log_may_have_spaces_between_them() {
    let spaces = BAD.replace('\t', " ");
    assert_eq!(check(&spaces, &["--model", "register"]), check(BAD, &["--model", "register"]));
    let good = spaces.replace(":ok :read 3", ":ok :read 2");
    let (status, said) = check(&good, &["--model", "register"]);
    assert_eq!(status, 0, "{said}");
}
