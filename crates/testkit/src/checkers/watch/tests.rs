//! Good and bad answers to watches, made by hand: one for each rule.

use bytes::Bytes;
use quorate_kv_api::{Event, EventType, KeySpan, KeyValue, PutRequest, RangeRequest};
use quorate_kv_api::{PutResponse, RangeResponse, ResponseHeader};
use quorate_mvcc::WatchBatch;
use quorate_raft_node::{Command as LogCommand, CommittedEntry};
use quorate_types::{CommandId, Instant, LogIndex, LogPosition, MemberId, Term};

use super::*;
use crate::checkers::model::Model;
use crate::effect::Answer;

/// Revision 2 puts `a`, 3 puts `b`, 4 deletes `a` and puts `b` and `c`, 5 puts `a` again.
fn model() -> Model {
    use quorate_kv_api::{DeleteRangeRequest, TxnRequest};
    let mut model = Model::new();
    let put = |key: &'static str, value: &'static str| PutRequest::new(key, value);
    let txn = TxnRequest {
        success: vec![
            DeleteRangeRequest::key("a").into(),
            put("b", "4").into(),
            put("c", "4").into(),
        ],
        ..TxnRequest::default()
    };
    let commands: [Command; 4] =
        [put("a", "2").into(), put("b", "3").into(), txn.into(), put("a", "5").into()];
    for (sequence, command) in (1..).zip(commands) {
        let payload = command.encode_to_vec().into();
        let outcome = model.apply(sequence, id(sequence), 1, &payload);
        assert!(outcome.is_some_and(|outcome| outcome.changed));
    }
    model
}

fn truth<'a>(model: &'a Model, compactions: &[(i64, i64)]) -> Truth<'a> {
    let compacted = |&(revision, head): &(i64, i64)| Compacted { revision, head };
    Truth {
        changes: model.history(),
        revision: model.revision(),
        compactions: compactions.iter().map(compacted).collect(),
    }
}

fn kv(key: &'static str, numbers: [i64; 3], value: &'static str) -> KeyValue {
    let [create_revision, mod_revision, version] = numbers;
    let (key, value) = (key.into(), value.into());
    KeyValue { key, create_revision, mod_revision, version, value, lease: 0 }
}

fn put(key: &'static str, numbers: [i64; 3], value: &'static str) -> Event {
    let kv = Some(kv(key, numbers, value));
    Event { r#type: EventType::Put.into(), kv, prev_kv: None }
}

fn deleted(key: &'static str, revision: i64) -> Event {
    let kv = Some(kv(key, [0, revision, 0], ""));
    Event { r#type: EventType::Delete.into(), kv, prev_kv: None }
}

/// All events of the model.
fn events() -> Vec<Event> {
    vec![
        put("a", [2, 2, 1], "2"),
        put("b", [3, 3, 1], "3"),
        deleted("a", 4),
        put("b", [3, 4, 2], "4"),
        put("c", [4, 4, 1], "4"),
        put("a", [5, 5, 1], "5"),
    ]
}

fn all(revision: i64) -> WatchQuery {
    WatchQuery::new(KeySpan::From(Bytes::from_static(b"\0")), revision)
}

fn batch(events: &[Event], next: (i64, i64)) -> WatchBatch {
    let next = WatchPosition { revision: next.0, event: next.1 };
    WatchBatch { events: events.to_vec(), next, revision: 5, fragment: false }
}

fn check_batch(query: &WatchQuery, batch: &WatchBatch, expected: Option<&str>) {
    check_compacted(query, batch, &[], expected);
}

fn check_compacted(
    query: &WatchQuery,
    batch: &WatchBatch,
    compactions: &[(i64, i64)],
    expected: Option<&str>,
) {
    let model = model();
    let result = super::batch::check(query, batch, &truth(&model, compactions));
    let found = result.as_ref().err().map(|violation| violation.checker);
    assert_eq!(found, expected, "{result:?}");
}

#[test]
fn everything_at_once_or_in_parts_is_fine() {
    let events = events();
    check_batch(&all(1), &batch(&events, (6, 0)), None);
    check_batch(&all(3), &batch(&events[1..5], (5, 0)), None);
    check_batch(&all(6), &batch(&[], (6, 0)), None);
    check_batch(&all(9), &batch(&[], (9, 0)), None);
    let only = WatchQuery { puts: false, ..all(1) };
    check_batch(&only, &batch(&events[2..3], (6, 0)), None);
    let key = WatchQuery { span: KeySpan::Key("b".into()), ..all(4) };
    check_batch(&key, &batch(&events[3..4], (6, 0)), None);
    // The same as it goes on at the next event wanted.
    check_batch(&key, &batch(&events[3..4], (4, 2)), None);
}

#[test]
fn what_was_not_asked_for_is_found() {
    let events = events();
    let only = WatchQuery { deletes: false, ..all(4) };
    check_batch(&only, &batch(&events[2..], (6, 0)), Some("watch-filter"));
    let key = WatchQuery { span: KeySpan::Key("b".into()), ..all(4) };
    check_batch(&key, &batch(&events[3..5], (6, 0)), Some("watch-filter"));
}

#[test]
fn another_order_is_found() {
    let mut events = events();
    events.swap(0, 1);
    check_batch(&all(1), &batch(&events, (6, 0)), Some("watch-order"));
    let late = [events[0].clone(), events[2].clone(), events[1].clone()];
    check_batch(&all(2), &batch(&late, (5, 0)), Some("watch-order"));
    let query = WatchQuery { span: KeySpan::Key("b".into()), ..all(1) };
    let turned = [put("b", [3, 4, 2], "4"), put("b", [3, 3, 1], "3")];
    check_batch(&query, &batch(&turned, (6, 0)), Some("watch-order"));
}

#[test]
fn what_comes_twice_is_found() {
    let events = events();
    let twice = [&events[..2], &events[1..]].concat();
    check_batch(&all(1), &batch(&twice, (6, 0)), Some("watch-unique"));
    // It was before the position, or is told again from the next one on.
    check_batch(&all(3), &batch(&events, (6, 0)), Some("watch-unique"));
    check_batch(&all(1), &batch(&events, (5, 0)), Some("watch-unique"));
}

#[test]
fn what_is_missing_is_found() {
    let events = events();
    for missing in 0..events.len() {
        let mut events = events.clone();
        events.remove(missing);
        check_batch(&all(1), &batch(&events, (6, 0)), Some("watch-reliable"));
    }
    // Nothing is left out because of a compaction, but what it took at its own revision.
    check_compacted(&all(1), &batch(&events[1..], (6, 0)), &[(4, 5)], Some("watch-reliable"));
}

#[test]
fn what_never_happened_is_found() {
    let mut events = events();
    events[3] = put("b", [3, 4, 2], "other");
    check_batch(&all(1), &batch(&events, (6, 0)), Some("watch-event"));
    events[3] = put("z", [4, 4, 1], "4");
    check_batch(&all(1), &batch(&events, (6, 0)), Some("watch-event"));
    // A key that is said to be new, and is not.
    events[3] = put("b", [4, 4, 1], "4");
    check_batch(&all(1), &batch(&events, (6, 0)), Some("watch-event"));
}

#[test]
fn a_false_progress_is_found() {
    let events = events();
    check_batch(&all(5), &batch(&[], (6, 0)), Some("watch-progress"));
    // That something is left is not excused by where it goes on.
    check_batch(&all(5), &batch(&[], (5, 0)), Some("watch-progress"));
    // A watch of the future does not go on in the present.
    check_batch(&all(9), &batch(&[], (6, 0)), Some("watch-progress"));
    check_batch(&all(1), &batch(&events, (7, 0)), Some("watch-progress"));
    let unknown = WatchBatch { revision: 6, ..batch(&[], (7, 0)) };
    check_batch(&all(6), &unknown, Some("watch-progress"));
    let key = WatchQuery { span: KeySpan::Key("c".into()), ..all(5) };
    check_batch(&key, &batch(&[], (5, 0)), Some("watch-progress"));
}

#[test]
fn a_torn_revision_is_found_unless_it_was_allowed_and_is_told() {
    let events = events();
    check_batch(&all(1), &batch(&events[..3], (4, 1)), Some("watch-atomic"));
    let told = WatchBatch { fragment: true, ..batch(&events[..3], (4, 1)) };
    check_batch(&all(1), &told, Some("watch-atomic"));
    let pieces = WatchQuery { fragment_bytes: Some(100), ..all(1) };
    check_batch(&pieces, &told, None);
    let from = WatchPosition { revision: 4, event: 1 };
    let rest = WatchQuery { from, ..pieces.clone() };
    check_batch(&rest, &batch(&events[3..5], (5, 0)), None);
    check_batch(&rest, &batch(&events[3..4], (4, 2)), Some("watch-atomic"));
    let whole = WatchBatch { fragment: true, ..batch(&events[3..5], (5, 0)) };
    check_batch(&rest, &whole, Some("watch-atomic"));
    let tiny = WatchQuery { fragment_bytes: Some(20), ..all(1) };
    check_batch(&tiny, &told, Some("watch-atomic"));
}

#[test]
fn what_a_key_held_before_is_told_if_it_was_asked_for() {
    let plain = events();
    let mut full = plain.clone();
    full[2].prev_kv = Some(kv("a", [2, 2, 1], "2"));
    full[3].prev_kv = Some(kv("b", [3, 3, 1], "3"));
    let query = WatchQuery { prev_kv: true, ..all(1) };
    check_batch(&query, &batch(&full, (6, 0)), None);
    check_batch(&query, &batch(&plain, (6, 0)), Some("watch-prev-kv"));
    check_batch(&all(1), &batch(&full, (6, 0)), Some("watch-prev-kv"));
    // What is compacted may be absent, but not wrong.
    let late = WatchQuery { prev_kv: true, ..all(4) };
    check_compacted(&late, &batch(&plain[2..], (6, 0)), &[(4, 5)], None);
    check_compacted(&late, &batch(&plain[2..], (6, 0)), &[(3, 5)], Some("watch-prev-kv"));
    check_compacted(&late, &batch(&plain[2..], (6, 0)), &[(4, 6)], Some("watch-prev-kv"));
    full[2].prev_kv = Some(kv("a", [2, 2, 1], "other"));
    check_compacted(&late, &batch(&full[2..], (6, 0)), &[(4, 5)], Some("watch-prev-kv"));
}

// Histories.

fn log() -> AppliedLog {
    let mut log = AppliedLog::new();
    for sequence in 1..=3 {
        let commands = vec![LogCommand { id: id(sequence), floor: 1, payload: payload() }];
        let position = LogPosition::new(Term::new(1), LogIndex::new(sequence));
        let entry = CommittedEntry { position, commands, membership: None };
        log.applied(1, &[(entry, 0)], &[answer(sequence)]).expect("the model agrees");
    }
    log
}

fn payload() -> Bytes {
    Command::from(PutRequest::new("k", "v")).encode_to_vec().into()
}

/// The answer to the command that makes the revision after `sequence`.
fn answer(sequence: u64) -> Answer {
    let header = Some(ResponseHeader::at(sequence as i64 + 1));
    let result = Ok(Response::Put(PutResponse { header, prev_kv: None }));
    Answer { id: id(sequence), index: LogIndex::new(sequence), result }
}

fn id(sequence: u64) -> CommandId {
    CommandId { origin: MemberId::new(1), incarnation: 1, sequence }
}

fn record(call: Call, times: (u64, u64), ending: Ending) -> Record {
    let at = Instant::from_nanos;
    let limits = quorate_kv_api::Limits::default();
    let ended = Some((at(times.1), ending));
    Record { member: 0, life: 0, limits, call, called: at(times.0), ended }
}

/// A watch of `k` from one revision up to another.
fn told(from: i64, next: i64) -> Record {
    let told = (from..next).map(|revision| put("k", [2, revision, revision - 1], "v"));
    let batch = WatchBatch { events: told.collect(), ..batch(&[], (next, 0)) };
    let batch = WatchBatch { revision: next - 1, ..batch };
    record(Call::Watch(all(from)), (50, 60), Ending::Read(Ok(Found::Watch(batch))))
}

fn refused(from: i64, requested: i64, compact_revision: i64) -> Record {
    let cause = KvError::Compacted { requested, compact_revision };
    record(Call::Watch(all(from)), (50, 60), Ending::Read(Err(cause)))
}

fn now(revision: i64) -> Record {
    let header = Some(ResponseHeader::at(revision));
    let found = Found::Range(RangeResponse { header, ..RangeResponse::default() });
    let call = Call::Range(RangeRequest::key("k").into());
    record(call, (10, 20), Ending::Read(Ok(found)))
}

fn check_history(history: &[Record], expected: Option<&str>) {
    let calls = (0..history.len()).filter(|place| !matches!(history[*place].call, Call::Write(_)));
    let result = check(history, &[Chain { calls: calls.collect() }], &log());
    let found = result.as_ref().err().map(|violation| violation.checker);
    assert_eq!(found, expected, "{result:?}");
}

#[test]
fn a_watcher_goes_on_where_it_was() {
    let failed = record(Call::Watch(all(4)), (70, 80), Ending::Failed);
    check_history(&[now(1), told(2, 4), failed.clone(), told(4, 5)], None);
    check_history(&[told(2, 4), failed.clone(), told(3, 5)], Some("watch-resume"));
    check_history(&[told(2, 3), failed], Some("watch-resume"));
    check_history(&[now(2), told(2, 4)], Some("watch-resume"));
}

#[test]
fn a_watch_from_now_on_misses_nothing_that_is_called_later() {
    let write = |called| record(Call::Write(payload()), (called, 90), Ending::Answered(answer(2)));
    check_history(&[now(2), write(21)], None);
    check_history(&[now(3), write(19)], None);
    check_history(&[now(3), write(21)], Some("watch-from-now"));
}

#[test]
fn a_compaction_that_never_was_is_found() {
    check_history(&[refused(2, 2, 3)], Some("watch-compacted"));
    check_history(&[refused(2, 2, -1)], Some("watch-compacted"));
    check_history(&[refused(-1, -1, -1)], None);
    let model = model();
    let truth = truth(&model, &[(3, 5)]);
    let check = |record: &Record| match &record.call {
        Call::Watch(query) => check_answer(record, query, &truth).map_err(|v| v.checker),
        _ => Ok(()),
    };
    assert_eq!(check(&refused(2, 2, 3)), Ok(()));
    assert_eq!(check(&refused(3, 3, 3)), Err("watch-compacted"));
    assert_eq!(check(&refused(2, 2, 4)), Err("watch-compacted"));
}

#[test]
fn an_end_has_a_cause_that_fits() {
    let empty = KeySpan::Range { start: "b".into(), end: "a".into() };
    let query = WatchQuery { span: empty, ..all(2) };
    let none = || Ending::Read(Err(KvError::EmptyWatchRange));
    check_history(&[record(Call::Watch(query), (1, 2), none())], None);
    check_history(&[record(Call::Watch(all(2)), (1, 2), none())], Some("watch-end"));
    check_history(&[record(Call::Watch(all(2)), (1, 2), Ending::Unknown)], Some("watch-end"));
    let other = Ending::Read(Err(KvError::KeyNotFound));
    check_history(&[record(Call::WatchNow(all(2)), (1, 2), other)], Some("watch-end"));
}
