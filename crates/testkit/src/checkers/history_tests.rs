//! Good and bad histories, made by hand.

use prost::Message;
use quorate_kv_api::{
    AlarmMember, AlarmResponse, CompactionRequest, CompactionResponse, Compare, CompareResult,
    KeyValue, LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesResponse, LeaseStatus,
    LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader,
    SortOrder, SortTarget, TargetUnion, TxnResponse,
};
use quorate_mvcc::{Response, StoreHash};
use quorate_raft_node::{Command as LogCommand, CommittedEntry};
use quorate_types::{CommandId, LogIndex, LogPosition, MemberId, Term};

use super::*;

fn id(sequence: u64) -> CommandId {
    CommandId { origin: MemberId::new(1), incarnation: 1, sequence }
}

fn payload(value: &str) -> Bytes {
    put("k", value).encode_to_vec().into()
}

fn put(key: &'static str, value: &str) -> Command {
    PutRequest::new(key, value.to_owned()).into()
}

fn put_response(revision: i64) -> Response {
    Response::Put(PutResponse { header: Some(ResponseHeader::at(revision)), prev_kv: None })
}

fn answer(sequence: u64) -> Answer {
    let result = Ok(put_response(sequence as i64 + 1));
    Answer { id: id(sequence), index: LogIndex::new(sequence), result }
}

/// A log of commands: command 1 is applied at index 1, and so on. What they are answered with is
/// given for those that are no puts without options.
fn log_of(commands: &[Command], others: &[(u64, Response)]) -> AppliedLog {
    let mut log = AppliedLog::new();
    for (sequence, command) in (1..).zip(commands) {
        let payload = command.encode_to_vec().into();
        let commands = vec![LogCommand { id: id(sequence), floor: 1, payload }];
        let position = LogPosition::new(Term::new(1), LogIndex::new(sequence));
        let entry = CommittedEntry { position, commands, membership: None };
        let other = others.iter().find(|(other, _)| *other == sequence);
        let answer = match other {
            Some((_, response)) => Answer { result: Ok(response.clone()), ..answer(sequence) },
            None => answer(sequence),
        };
        log.applied(1, &[(entry, 0)], &[answer]).expect("the model agrees");
    }
    log
}

/// Puts of `k`: command 1 makes revision 2, and so on.
fn log(values: &[&str]) -> AppliedLog {
    let puts: Vec<Command> = values.iter().map(|value| put("k", value)).collect();
    log_of(&puts, &[])
}

fn record(call: Call, times: (u64, u64), ending: Ending) -> Record {
    let called = Instant::from_nanos(times.0);
    let ended = Some((Instant::from_nanos(times.1), ending));
    Record { member: 0, life: 0, limits: Limits::default(), call, called, ended }
}

fn write(value: &str, times: (u64, u64), ending: Ending) -> Record {
    record(Call::Write(payload(value)), times, ending)
}

fn kv(key: &'static str, numbers: [i64; 3], value: &'static str) -> KeyValue {
    let [create_revision, mod_revision, version] = numbers;
    let (key, value) = (key.into(), value.into());
    KeyValue { key, create_revision, mod_revision, version, value, lease: 0 }
}

/// A read of `k` that was last put at the revision it tells.
fn read(local: bool, times: (u64, u64), revision: i64, value: Option<&'static str>) -> Record {
    let kvs: Vec<KeyValue> =
        value.map(|value| kv("k", [2, revision, revision - 1], value)).into_iter().collect();
    let range = RangeRequest { serializable: local, ..RangeRequest::key("k") };
    let count = kvs.len() as i64;
    let header = Some(ResponseHeader::at(revision));
    let found = Found::Range(RangeResponse { header, kvs, more: false, count });
    record(Call::Range(range.into()), times, Ending::Read(Ok(found)))
}

fn check_log(history: &[Record], log: &AppliedLog, expected: Option<&str>) {
    let result = check(history, log);
    let found = result.as_ref().err().map(|violation| violation.checker);
    assert_eq!(found, expected, "{result:?}");
}

fn check_history(history: &[Record], values: &[&str], expected: Option<&str>) {
    check_log(history, &log(values), expected);
}

// The order of calls.

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
fn a_refused_revision_and_a_hash_tell_the_time_too() {
    let write_a = write("a", (0, 10), Ending::Answered(answer(1)));
    let future = |current| {
        let range = RangeRequest { revision: 9, ..RangeRequest::key("k") };
        let cause = KvError::FutureRevision { requested: 9, current };
        record(Call::Range(range.into()), (11, 20), Ending::Read(Err(cause)))
    };
    check_history(&[write_a.clone(), future(2)], &["a"], None);
    check_history(&[write_a.clone(), future(1)], &["a"], Some("real-time-order"));
    let stale = StoreHash { hash: crc("key"), revision: 1, compact_revision: -1 };
    let hash = |call| record(call, (11, 20), Ending::Read(Ok(Found::Hash(stale))));
    check_history(&[write_a.clone(), hash(Call::Hash(1))], &["a"], None);
    check_history(&[write_a, hash(Call::Hash(0))], &["a"], Some("real-time-order"));
}

// What was asked for, and what was applied.

#[test]
fn a_lost_write_or_an_answer_to_something_else_is_found() {
    let wrong = [
        write("a", (0, 10), Ending::Answered(answer(2))),
        write("b", (0, 10), Ending::Answered(answer(1))),
    ];
    check_history(&wrong, &["a", "b"], Some("answer-true"));
    let lost = [write("a", (0, 10), Ending::Answered(answer(1)))];
    check_history(&lost, &[], Some("answer-true"));
    let other = Answer { result: Ok(put_response(9)), ..answer(1) };
    let other = [write("a", (0, 10), Ending::Answered(other))];
    check_history(&other, &["a"], Some("answer-true"));
    let refused = Answer { result: Err(KvError::KeyNotFound), ..answer(1) };
    check_history(&[write("a", (0, 10), Ending::Answered(refused))], &["a"], Some("answer-true"));
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
    check_history(&history, &["a", "a"], Some("nothing-invented"));
    check_history(&history, &["a", "b"], Some("nothing-invented"));
}

#[test]
fn calls_may_carry_the_same_bytes() {
    let calls = |second: Ending, third: Ending| {
        [
            write("a", (0, 10), Ending::Answered(answer(1))),
            write("a", (0, 10), second),
            write("a", (0, 10), third),
        ]
    };
    let history = calls(Ending::Unknown, Ending::Failed);
    check_history(&history, &["a"], None);
    check_history(&history, &["a", "a"], None);
    check_history(&history, &["a", "a", "a"], Some("failed-without-effect"));
    let history = calls(Ending::Unknown, Ending::Unknown);
    check_history(&history, &["a", "a", "a", "a"], Some("nothing-invented"));
    let history = calls(Ending::Answered(answer(1)), Ending::Unknown);
    check_history(&history, &["a", "a"], Some("answer-true"));
}

#[test]
fn a_wrong_prev_kv_is_found() {
    let with_prev = PutRequest { prev_kv: true, ..PutRequest::new("k", "b") };
    let with_prev = Command::from(with_prev);
    let header = Some(ResponseHeader::at(3));
    let response = |value| {
        let prev_kv = Some(kv("k", [2, 2, 1], value));
        Response::Put(PutResponse { header, prev_kv })
    };
    let log = log_of(&[put("k", "a"), with_prev.clone()], &[(2, response("a"))]);
    let history = |value| {
        let answer = Answer { result: Ok(response(value)), ..answer(2) };
        let call = Call::Write(with_prev.encode_to_vec().into());
        let first = write("a", (0, 10), Ending::Unknown);
        [first, record(call, (0, 10), Ending::Answered(answer))]
    };
    check_log(&history("a"), &log, None);
    check_log(&history("b"), &log, Some("answer-true"));
}

#[test]
fn a_refusal_of_the_shape_must_be_due() {
    let empty = Call::Write(put("", "v").encode_to_vec().into());
    let refused = |call: &Call, cause| record(call.clone(), (0, 9), Ending::Refused(cause));
    check_history(&[refused(&empty, KvError::EmptyKey)], &[], None);
    check_history(&[refused(&empty, KvError::DuplicateKey)], &[], Some("refusal"));
    check_history(&[record(empty, (0, 9), Ending::Failed)], &[], Some("refusal"));
    let fine = Call::Range(RangeRequest::key("k").into());
    check_history(&[refused(&fine, KvError::EmptyKey)], &[], Some("refusal"));
}

// What reads find.

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

/// `a`, `b` and `c` are put at revisions 2 to 4, and `a` again at 5.
fn puts() -> [Command; 4] {
    [put("a", "x"), put("b", "z"), put("c", "y"), put("a", "w")]
}

const A_FIRST: ([i64; 3], &str) = ([2, 2, 1], "x");
const A_SECOND: ([i64; 3], &str) = ([2, 5, 2], "w");

fn a(version: ([i64; 3], &'static str)) -> KeyValue {
    kv("a", version.0, version.1)
}

fn b() -> KeyValue {
    kv("b", [3, 3, 1], "z")
}

fn c() -> KeyValue {
    kv("c", [4, 4, 1], "y")
}

fn every() -> RangeRequest {
    RangeRequest { range_end: "d".into(), ..RangeRequest::key("a") }
}

fn found(kvs: Vec<KeyValue>, more: bool, count: i64) -> RangeResponse {
    RangeResponse { header: Some(ResponseHeader::at(5)), kvs, more, count }
}

/// Checks one read after the puts, whose callers wait still.
fn check_one(call: Call, result: Result<Found, KvError>, expected: Option<&str>) {
    let mut history: Vec<Record> = puts()
        .iter()
        .map(|put| record(Call::Write(put.encode_to_vec().into()), (0, 9), Ending::Unknown))
        .collect();
    history.push(record(call, (1, 5), Ending::Read(result)));
    check_log(&history, &log_of(&puts(), &[]), expected);
}

/// A log that compacts up to 3 after the puts, and then up to 5; no revision is made by that.
fn compacted() -> AppliedLog {
    let compact = |revision| CompactionRequest { revision, physical: false }.into();
    let commands: Vec<Command> = puts().into_iter().chain([3, 5].map(compact)).collect();
    let response = CompactionResponse { header: Some(ResponseHeader::at(5)) };
    log_of(&commands, &[5, 6].map(|sequence| (sequence, Response::Compaction(response))))
}

/// Checks one read of `a` at a revision, whenever the compactions came.
fn check_compacted(revision: i64, result: Result<RangeResponse, KvError>, expected: Option<&str>) {
    let log = compacted();
    let unknown = |command: &crate::checkers::applied::AppliedCommand| {
        record(Call::Write(command.payload.clone()), (0, 9), Ending::Unknown)
    };
    let mut history: Vec<Record> = log.commands().iter().map(unknown).collect();
    let range = RangeRequest { revision, ..RangeRequest::key("a") };
    history.push(record(Call::Range(range.into()), (1, 5), Ending::Read(result.map(Found::Range))));
    check_log(&history, &log, expected);
}

#[test]
fn reads_are_refused_as_far_as_the_store_was_compacted_at_some_moment() {
    let refused =
        |requested, compact_revision| Err(KvError::Compacted { requested, compact_revision });
    for (revision, compact_revision) in [(2, 3), (2, 5), (4, 5)] {
        check_compacted(revision, refused(revision, compact_revision), None);
    }
    for (revision, compact_revision) in [(2, 4), (4, 3), (4, 4), (5, 5)] {
        check_compacted(revision, refused(revision, compact_revision), Some("read-replay"));
    }
    // Before the compactions everything could be read, at the same revision.
    check_compacted(2, Ok(found(vec![a(A_FIRST)], false, 1)), None);
    check_compacted(2, Ok(found(vec![a(A_SECOND)], false, 1)), Some("read-replay"));
}

#[test]
fn leases_and_alarms_are_listed_as_they_were() {
    let commands = [LeaseGrantRequest { id: 7, ttl: 2 }.into()];
    let granted = LeaseGrantResponse {
        header: Some(ResponseHeader::at(1)),
        id: 7,
        ttl: 2,
        error: String::new(),
    };
    let log = log_of(&commands, &[(1, Response::LeaseGrant(granted))]);
    let check = |call: Call, found: Found, expected: Option<&str>| {
        let write = Call::Write(commands[0].encode_to_vec().into());
        let write = record(write, (0, 9), Ending::Unknown);
        check_log(&[write, record(call, (1, 5), Ending::Read(Ok(found)))], &log, expected);
    };
    let header = Some(ResponseHeader::at(1));
    let listed = |ids: &[i64]| {
        let leases = ids.iter().map(|id| LeaseStatus { id: *id }).collect();
        Found::Leases(LeaseLeasesResponse { header, leases })
    };
    check(Call::Leases, listed(&[]), None);
    check(Call::Leases, listed(&[7]), None);
    check(Call::Leases, listed(&[8]), Some("read-replay"));
    let asked = LeaseTimeToLiveRequest { id: 7, keys: true };
    let told = |ttl, granted_ttl, keys| {
        let found = LeaseTimeToLiveResponse { header, id: 7, ttl, granted_ttl, keys };
        (Call::LeaseTimeToLive(asked), Found::LeaseTimeToLive(found))
    };
    for ((ttl, granted_ttl), expected) in [
        ((1, 2), None),
        ((-1, 0), None),
        ((1, 3), Some("read-replay")),
        ((-1, 2), Some("read-replay")),
        ((100, 2), Some("read-replay")),
    ] {
        let (call, found) = told(ttl, granted_ttl, vec![]);
        check(call, found, expected);
    }
    let (call, found) = told(1, 2, vec!["a".into()]);
    check(call, found, Some("read-replay"));
    let alarm = AlarmMember { member_id: 1, alarm: 1 };
    let alarms = |alarms| Found::Alarms(AlarmResponse { header, alarms });
    check(Call::Alarms, alarms(vec![]), None);
    check(Call::Alarms, alarms(vec![alarm]), Some("read-replay"));
}

fn check_range_read(range: &RangeRequest, response: RangeResponse, expected: Option<&str>) {
    check_one(Call::Range(range.clone().into()), Ok(Found::Range(response)), expected);
}

#[test]
fn a_wrong_count_or_more_is_found() {
    let limited = RangeRequest { limit: 2, ..every() };
    let kvs = vec![a(A_SECOND), b()];
    check_range_read(&limited, found(kvs.clone(), true, 3), None);
    check_range_read(&limited, found(kvs.clone(), true, 2), Some("read-replay"));
    check_range_read(&limited, found(kvs, false, 3), Some("read-replay"));
    let exact = RangeRequest { limit: 3, ..every() };
    let kvs = vec![a(A_SECOND), b(), c()];
    check_range_read(&exact, found(kvs.clone(), false, 3), None);
    check_range_read(&exact, found(kvs, true, 3), Some("read-replay"));
    let count = RangeRequest { count_only: true, ..every() };
    check_range_read(&count, found(vec![], false, 3), None);
    check_range_read(&count, found(vec![], false, 4), Some("read-replay"));
}

#[test]
fn a_wrong_sort_before_the_limit_is_found() {
    let mut sorted = RangeRequest { limit: 2, ..every() };
    sorted.set_sort_order(SortOrder::Descend);
    sorted.set_sort_target(SortTarget::Value);
    check_range_read(&sorted, found(vec![b(), c()], true, 3), None);
    // Cut first, then sorted.
    let wrong = found(vec![b(), a(A_SECOND)], true, 3);
    check_range_read(&sorted, wrong, Some("read-replay"));
}

#[test]
fn wrong_filters_and_values_that_should_be_left_out_are_found() {
    let filtered = RangeRequest { max_mod_revision: 4, ..every() };
    check_range_read(&filtered, found(vec![b(), c()], false, 3), None);
    check_range_read(&filtered, found(vec![b()], false, 3), Some("read-replay"));
    let keys = RangeRequest { keys_only: true, ..RangeRequest::key("b") };
    let bare = KeyValue { value: Bytes::new(), ..b() };
    check_range_read(&keys, found(vec![bare], false, 1), None);
    check_range_read(&keys, found(vec![b()], false, 1), Some("read-replay"));
}

#[test]
fn an_old_read_that_shows_later_data_is_found() {
    let old = RangeRequest { revision: 3, ..every() };
    check_range_read(&old, found(vec![a(A_FIRST), b()], false, 2), None);
    check_range_read(&old, found(vec![a(A_SECOND), b()], false, 2), Some("read-replay"));
    check_range_read(&old, found(vec![a(A_FIRST), b(), c()], false, 3), Some("read-replay"));
    let refused = Err(KvError::FutureRevision { requested: 3, current: 5 });
    check_one(Call::Range(old.into()), refused, Some("read-replay"));
}

#[test]
fn a_wrong_branch_of_a_transaction_is_found() {
    let newer = Compare::key("a", CompareResult::Greater, TargetUnion::ModRevision(4));
    let txn = TxnRequest {
        compare: vec![newer],
        success: vec![RangeRequest::key("b").into()],
        failure: vec![RangeRequest { revision: -2, ..RangeRequest::key("c") }.into()],
    };
    let response = |succeeded, kvs| {
        let range = found(kvs, false, 1);
        let header = range.header;
        let responses = vec![quorate_kv_api::OpResponse::Range(range).into()];
        Ok(Found::Txn(TxnResponse { header, succeeded, responses }))
    };
    let call = || Call::ReadTxn(txn.clone());
    check_one(call(), response(true, vec![b()]), None);
    check_one(call(), response(true, vec![c()]), Some("read-replay"));
    check_one(call(), response(false, vec![b()]), Some("read-replay"));
    let compacted = |requested| Err(KvError::Compacted { requested, compact_revision: -1 });
    check_one(call(), compacted(-2), None);
    check_one(call(), compacted(-3), Some("read-replay"));
}

#[test]
fn another_hash_is_found() {
    let hash = |hash, revision| Ok(Found::Hash(StoreHash { hash, revision, compact_revision: -1 }));
    check_one(Call::Hash(1), hash(crc("key"), 1), None);
    check_one(Call::Hash(1), hash(crc("key") ^ 1, 1), Some("read-hash"));
    check_one(Call::Hash(2), hash(crc("key"), 1), Some("read-hash"));
    check_one(Call::Hash(0), hash(crc("key"), 5), Some("read-hash"));
    check_one(Call::Hash(9), hash(crc("key"), 9), Some("read-hash"));
}

/// The hash of a store that holds nothing is that of this name.
fn crc(name: &str) -> u32 {
    assert_eq!(name, "key");
    let empty = quorate_mvcc::Store::open(std::sync::Arc::new(crate::machine::new_engine()));
    let empty = empty.expect("a fresh engine is a store");
    empty.reader().hash(0).expect("the present is there").hash
}

#[test]
fn a_long_history_is_accepted() {
    let count = 100_000;
    let command = |number: u64| put("k", if number.is_multiple_of(3) { "same" } else { "other" });
    let commands: Vec<Command> = (1..=count).map(command).collect();
    let log = log_of(&commands, &[]);
    let mut history = Vec::new();
    for (number, command) in (1..).zip(&commands) {
        let times = (number * 4, number * 4 + 6);
        let call = Call::Write(command.encode_to_vec().into());
        history.push(record(call, times, Ending::Answered(answer(number))));
        let value = if number.is_multiple_of(3) { "same" } else { "other" };
        let read_times = (times.1 - 2, times.1 - 1);
        history.push(read(number.is_multiple_of(5), read_times, number as i64 + 1, Some(value)));
    }
    check_log(&history, &log, None);
    let older = read(false, (count * 4 + 9, count * 4 + 10), 7, Some("same"));
    history.push(older);
    check_log(&history, &log, Some("real-time-order"));
}
