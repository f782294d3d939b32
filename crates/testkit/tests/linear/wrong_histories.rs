//! What is wrong with a history is said with its place.

use quorate_testkit::linear::{CasRegister, KeyValue, Register};
use quorate_testkit::record::{History, HistoryEvent, Json, Kind, Problem, Recorded, operations};
use serde_json::json;

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = History::read(text).expect_err("this is no history");
    assert_eq!(error.to_string(), expected);
}

#[track_caller]
fn not_of<M: Recorded>(model: &M, text: &str, expected: &str) {
    let history = History::read(text).expect("the format is right");
    let Err(error) = operations(model, &history) else { panic!("this was understood") };
    assert_eq!(error.to_string(), expected);
}

fn register() -> CasRegister<Json> {
    CasRegister::default()
}

#[test]
fn texts_of_no_format() {
    refused("", "there are no events");
    refused(" \n\n", "there are no events");
    refused("\nhello", "line 2: neither JSON lines, nor EDN, nor a log of Jepsen");
    refused("INFO  jepsen.core - ready\n", "there are no events");
    refused("[]", "there are no events");
}

#[test]
fn broken_json() {
    let good = r#"{"process":0,"type":"invoke","f":"read"}"#;
    refused(&format!("{good}\n{{\"process\":"), "line 2, column 11: EOF while parsing a value");
    refused(r#"{"process":0,"type":"invoke"}"#, "line 1: missing field `f`");
    let kind = "line 1: unknown variant `no`, expected one of `invoke`, `ok`, `fail`, `info`";
    refused(r#"{"process":0,"type":"no","f":"read"}"#, kind);
    let deep = format!("{{\"value\":{}", "[".repeat(100_000));
    refused(&deep, "line 1, column 136: recursion limit exceeded");
    refused(
        "{\"index\":5,\"process\":0,\"type\":\"ok\",\"f\":\"x\"}\n\
             {\"index\":5,\"process\":0,\"type\":\"ok\",\"f\":\"x\"}",
        "line 2: event 5 comes after event 5",
    );
}

#[test]
fn broken_edn() {
    refused("{:process 0", "line 1, column 12: `}` is missing");
    refused("{:process 0]", "line 1, column 12: `]` closes nothing");
    refused("[{:process 0}", "line 1: the field `type` is missing");
    refused("[1]", "line 1: an event must be a map");
    refused("{:process \"x\"}", "line 1: the field `process` cannot be \"x\"");
    refused("{:process 0 :type :no}", "line 1: the field `type` cannot be \":no\"");
    refused("{:process 0 :type :ok}", "line 1: the field `f` is missing");
    refused("{:process 0 :type :ok :f :x :time -1}", "line 1: the field `time` cannot be -1");
    refused("\n{:a \"\\q\"}", "line 2, column 8: `\\q` means nothing in a text");
    refused("{:a \"\\ud834x\"}", "line 1, column 12: half a character");
    refused(
        "{:a 99999999999999999999}",
        "line 1, column 5: `99999999999999999999` is no number I can hold",
    );
    refused("{:a \"b", "line 1, column 7: a text has no end");
    refused("{:process 0 :type :ok :f :x} :y", "line 1: an event must be a map");
    refused(
        "[{:process 0 :type :ok :f :x}] 1",
        "line 1, column 33: something follows the end of the history",
    );
    for bracket in ["[", "(", "{", "#{", "#a ", "#_", "#_["] {
        let deep = format!("{{:a {}", bracket.repeat(100_000));
        let error = History::read(&deep).expect_err("nothing closes");
        let is_deep = matches!(error.problem, Problem::TooDeep { .. });
        assert!(is_deep || bracket == "#_", "{bracket}: {error}");
    }
}

#[test]
fn broken_logs() {
    let good = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n";
    refused(&format!("{good}oops"), "line 2: this is no line of a log");
    let cut = |length: usize| good[..length].to_owned();
    refused(&cut(20), "line 1: the field `process` is missing");
    refused(&cut(25), "line 1: the field `type` cannot be :in");
    refused(&cut(30), "line 1: the field `f` is missing");
    refused(&cut(35), "line 1: the field `value` is missing");
    refused("INFO  jepsen.util - 0\t:ok\t:read\t[1", "line 1, column 35: `]` is missing");
    let more = "INFO  jepsen.util - 0\t:ok\t:read\t1\t2\t3";
    refused(more, "line 1, column 38: something follows the end of the event");
    let time = "INFO  jepsen.util - 0\t:ok\t:read\t1\t{:time :x}";
    refused(time, "line 1: the field `time` cannot be \":x\"");
}

#[test]
fn calls_that_do_not_fit_together() {
    let line = |process: u64, kind: &str, rest: &str| {
        format!("INFO  jepsen.util - {process}\t:{kind}\t:{rest}\n")
    };
    let call = line(1, "invoke", "read\tnil");
    let end = line(1, "ok", "read\tnil");
    let nothing = "line 1: process 1 has no call that could end with `ok`";
    not_of(&register(), &end, nothing);
    let twice = format!("{call}{end}{end}");
    not_of(&register(), &twice, "line 3: process 1 has no call that could end with `ok`");
    let busy = "line 2: process 1 calls while its earlier call has not ended";
    not_of(&register(), &call.repeat(2), busy);
    let other = format!("{call}{}", line(1, "ok", "write\t1"));
    not_of(&register(), &other, "line 2: process 1 ends another call than the one it began");
    // After an unknown outcome a process may go on, but that call has ended.
    let info = line(1, "info", "read\tnil");
    let after = format!("{call}{info}{call}{end}{end}");
    not_of(&register(), &after, "line 5: process 1 has no call that could end with `ok`");
}

#[test]
fn calls_that_a_model_does_not_know() {
    let call = |function: &str, value: &str| {
        format!("{{:process 0, :type :invoke, :f :{function}, :value {value}}}")
    };
    let known = "line 1: there is no function \"get\", only read, write and cas";
    not_of(&register(), &call("get", "nil"), known);
    not_of(&register(), &call("cas", "[1]"), "line 1: a cas needs a pair of values, not [1]");
    let known = "line 1: there is no function \"cas\", only read and write";
    not_of(&Register::<Json>::default(), &call("cas", "[1 2]"), known);
    let text = "line 1: a value to put must be a text, not 1";
    not_of(&KeyValue, &call("put", "1"), text);
    let known = "line 1: there is no function \"cas\", only get, put, append and delete";
    not_of(&KeyValue, &call("cas", "[1 2]"), known);
    let get = format!("{}\n{{:process 0 :type :ok :f :get :value 5}}", call("get", "nil"));
    not_of(&KeyValue, &get, "line 2: a get cannot find 5");
}

#[test]
fn histories_that_were_not_read_have_no_lines() {
    let mut history = History::new();
    history.push(HistoryEvent::new(3, Kind::Ok, "read", json!(1)));
    let error = operations(&register(), &history).expect_err("nothing was called");
    assert_eq!(error.to_string(), "process 3 has no call that could end with `ok`");
}
