//! Good and bad histories, made by hand.

use prost::Message;
use quorate_kv_api::{Command as KvCommand, PutRequest};
use quorate_raft_node::{Command, CommittedEntry};
use quorate_types::{LogIndex, LogPosition, MemberId, Term};

use super::*;

fn id(sequence: u64) -> CommandId {
    CommandId { origin: MemberId::new(1), incarnation: 1, sequence }
}

fn payload(value: &str) -> Bytes {
    KvCommand::from(PutRequest::new("k", value.to_owned())).encode_to_vec().into()
}

fn answer(sequence: u64) -> Answer {
    let revision = sequence as i64 + 1;
    Answer { id: id(sequence), index: LogIndex::new(sequence), effect: Effect::Put { revision } }
}

/// A log of puts of `k`: command 1 makes revision 2, and so on.
fn log(values: &[&str]) -> AppliedLog {
    let mut log = AppliedLog::new();
    for (sequence, value) in (1..).zip(values) {
        let commands = vec![Command { id: id(sequence), floor: 1, payload: payload(value) }];
        let position = LogPosition::new(Term::new(1), LogIndex::new(sequence));
        let entry = CommittedEntry { position, commands, membership: None };
        log.applied(1, &[(entry, 0)], &[answer(sequence)]).expect("the model agrees");
    }
    log
}

fn record(call: Call, times: (u64, u64), ending: Ending) -> Record {
    let called = Instant::from_nanos(times.0);
    let ended = Some((Instant::from_nanos(times.1), ending));
    Record { member: 0, life: 0, call, called, ended }
}

fn write(value: &str, times: (u64, u64), ending: Ending) -> Record {
    record(Call::Write(payload(value)), times, ending)
}

fn read(local: bool, times: (u64, u64), revision: i64, value: Option<&'static str>) -> Record {
    let kv = |value: &'static str| KeyValue {
        key: "k".into(),
        create_revision: 2,
        mod_revision: revision,
        version: revision - 1,
        value: value.into(),
        lease: 0,
    };
    let found = Found { revision, kvs: value.map(kv).into_iter().collect() };
    let span = KeySpan::Key("k".into());
    record(Call::Read { span, local }, times, Ending::Found(found))
}

fn check_history(history: &[Record], values: &[&str], expected: Option<&str>) {
    let result = check(history, &log(values));
    let found = result.as_ref().err().map(|violation| violation.checker);
    assert_eq!(found, expected, "{result:?}");
}

#[test]
fn overlapping_calls_may_come_in_any_order() {
    let history = [
        write("a", (0, 100), Ending::Answered(answer(2))),
        write("b", (0, 50), Ending::Answered(answer(1))),
        read(false, (0, 40), 1, None),
        read(false, (10, 60), 3, Some("a")),
        write("c", (0, 10), Ending::Failed),
        write("d", (0, 10), Ending::Unknown),
    ];
    check_history(&history, &["b", "a"], None);
    check_history(&history, &["b", "a", "d"], None);
}

#[test]
fn an_answer_to_something_else_is_found() {
    let wrong = [
        write("a", (0, 10), Ending::Answered(answer(2))),
        write("b", (0, 10), Ending::Answered(answer(1))),
    ];
    check_history(&wrong, &["a", "b"], Some("answer-true"));
    let lost = [write("a", (0, 10), Ending::Answered(answer(1)))];
    check_history(&lost, &[], Some("answer-true"));
    let effect = Effect::Put { revision: 9 };
    let other = [write("a", (0, 10), Ending::Answered(Answer { effect, ..answer(1) }))];
    check_history(&other, &["a"], Some("answer-true"));
}

#[test]
fn a_failed_call_that_happened_is_found() {
    let history = [write("a", (0, 10), Ending::Failed)];
    check_history(&history, &[], None);
    check_history(&history, &["a"], Some("failed-without-effect"));
}

#[test]
fn what_is_applied_twice_or_was_never_asked_for_is_found() {
    let history = [write("a", (0, 10), Ending::Unknown)];
    check_history(&history, &["a"], None);
    check_history(&history, &["a", "a"], Some("applied-once"));
    check_history(&history, &["a", "b"], Some("nothing-invented"));
}

#[test]
fn a_write_older_than_what_was_told_before_is_found() {
    let history = [
        write("a", (0, 10), Ending::Answered(answer(2))),
        write("b", (11, 20), Ending::Answered(answer(1))),
    ];
    check_history(&history, &["b", "a"], Some("real-time-order"));
}

#[test]
fn a_stale_read_is_found_unless_it_was_local() {
    let history =
        |local| [write("a", (0, 10), Ending::Answered(answer(1))), read(local, (11, 20), 1, None)];
    check_history(&history(true), &["a"], None);
    check_history(&history(false), &["a"], Some("real-time-order"));
}

#[test]
fn a_read_after_a_newer_read_must_not_go_back() {
    let history = [
        write("a", (0, 90), Ending::Answered(answer(1))),
        read(false, (1, 10), 2, Some("a")),
        Record { member: 1, ..read(false, (11, 20), 1, None) },
    ];
    check_history(&history, &["a"], Some("real-time-order"));
    let local = [
        write("a", (0, 90), Ending::Answered(answer(1))),
        read(true, (1, 10), 2, Some("a")),
        read(true, (11, 20), 1, None),
    ];
    check_history(&local, &["a"], Some("member-order"));
}

#[test]
fn a_read_of_what_was_never_there_is_found() {
    let write_a = write("a", (0, 90), Ending::Answered(answer(1)));
    let wrong_value = [write_a.clone(), read(false, (0, 9), 2, Some("b"))];
    check_history(&wrong_value, &["a"], Some("read-replay"));
    let too_early = [write_a.clone(), read(false, (0, 9), 1, Some("a"))];
    check_history(&too_early, &["a"], Some("read-replay"));
    let missing = [write_a.clone(), read(false, (0, 9), 2, None)];
    check_history(&missing, &["a"], Some("read-replay"));
    let future = [write_a, read(false, (0, 9), 3, Some("a"))];
    check_history(&future, &["a"], Some("read-revision"));
}
