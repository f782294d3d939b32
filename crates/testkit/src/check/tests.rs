use quorate::seam::{Request, Response};
use quorate::{
    DeleteRangeRequest, DeleteRangeResponse, Error, KeyValue, OpResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use quorate_types::Instant;

use super::{Checker, linearizable, revisions, values};
use crate::actors::record::{CallRecord, RunHistory};

type Answer = Result<Response, Error>;

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

/// A call between two times; nothing as answer for one without end.
fn call(from: u64, to: u64, request: Request, answer: Option<Answer>) -> CallRecord {
    let ended = answer.map(|answer| (Instant::from_nanos(to), answer));
    CallRecord { actor: 0, node: 0, request, called: Instant::from_nanos(from), ended }
}

fn put_request(value: &'static str) -> Request {
    Request::Write(PutRequest::new("k", value).into())
}

fn put(from: u64, to: u64, value: &'static str, revision: i64) -> CallRecord {
    let response = PutResponse { header: header(revision), ..PutResponse::default() };
    call(from, to, put_request(value), Some(Ok(Response::Put(response))))
}

fn found(value: &'static str, mod_revision: i64) -> KeyValue {
    let (key, value) = ("k".into(), value.into());
    KeyValue { key, value, mod_revision, ..KeyValue::default() }
}

fn get(from: u64, to: u64, kvs: Vec<KeyValue>, revision: i64) -> CallRecord {
    let count = kvs.len() as i64;
    let response = RangeResponse { header: header(revision), kvs, count, more: false };
    call(
        from,
        to,
        Request::Range(RangeRequest::key("k").into()),
        Some(Ok(Response::Range(response))),
    )
}

fn delete(from: u64, to: u64, deleted: i64, revision: i64) -> CallRecord {
    let request = Request::Write(DeleteRangeRequest::key("k").into());
    let response =
        DeleteRangeResponse { header: header(revision), deleted, ..DeleteRangeResponse::default() };
    call(from, to, request, Some(Ok(Response::DeleteRange(response))))
}

fn check(checker: &dyn Checker, calls: &[CallRecord], problem: Option<&str>) {
    let history = RunHistory { calls: calls.to_vec(), ..RunHistory::default() };
    let result = checker.check(&history);
    match (result, problem) {
        (Ok(()), None) => {}
        (Err(found), Some(expected)) if found.contains(expected) => {}
        (result, _) => panic!("{result:?} instead of {problem:?} for {calls:#?}"),
    }
}

fn good() -> Vec<CallRecord> {
    vec![
        get(0, 1, vec![], 1),
        put(2, 5, "a", 2),
        get(3, 4, vec![found("a", 2)], 2),
        call(6, 0, put_request("b"), None),
        get(7, 8, vec![found("a", 2)], 2),
        get(9, 10, vec![found("b", 4)], 5),
        delete(11, 12, 1, 6),
        get(13, 14, vec![], 6),
        delete(15, 16, 0, 6),
    ]
}

#[test]
fn a_good_history_passes_every_check() {
    check(&revisions(), &good(), None);
    check(&values(), &good(), None);
    check(&linearizable(), &good(), None);
    check(&super::all(), &good(), None);
}

#[test]
fn revisions_that_go_back_or_stand_still_are_found() {
    let stale = [put(0, 1, "a", 5), get(2, 3, vec![], 4)];
    check(&revisions(), &stale, Some("revision 5 had been told"));
    check(&super::all(), &stale, Some("revisions: revision 5"));
    let overlapping = [put(0, 3, "a", 5), get(2, 4, vec![], 4)];
    check(&revisions(), &overlapping, None);
    let reused = [put(0, 1, "a", 5), put(2, 3, "b", 5)];
    check(&revisions(), &reused, Some("revision 5 had been told"));
    let mut local = stale.clone();
    let request = RangeRequest { serializable: true, ..RangeRequest::key("k") };
    local[1].request = Request::Range(request.into());
    check(&revisions(), &local, None);
}

#[test]
fn two_values_at_one_revision_are_found() {
    let two = [get(0, 1, vec![found("a", 2)], 2), get(0, 1, vec![found("b", 2)], 2)];
    check(&values(), &two, Some("was also read as"));
    let one = [get(0, 1, vec![found("a", 2)], 2), get(0, 1, vec![found("a", 2)], 3)];
    check(&values(), &one, None);
}

#[test]
fn stale_lost_and_invented_values_are_found() {
    let mut stale = good();
    stale.push(get(17, 18, vec![found("a", 2)], 6));
    check(&linearizable(), &stale, Some("cannot be placed"));
    let lost = [put(0, 1, "a", 2), get(2, 3, vec![], 2)];
    check(&linearizable(), &lost, Some("cannot be placed"));
    let invented = [put(0, 1, "a", 2), get(2, 3, vec![found("x", 3)], 3)];
    check(&linearizable(), &invented, Some("cannot be placed"));
    let undone = [put(0, 1, "a", 2), delete(2, 3, 0, 2)];
    check(&linearizable(), &undone, Some("cannot be placed"));
    let refused = Some(Err(Error::TimedOut));
    let came_back = [
        put(0, 1, "a", 2),
        call(2, 3, put_request("b"), refused),
        get(4, 5, vec![found("b", 3)], 3),
    ];
    check(&linearizable(), &came_back, Some("cannot be placed"));
}

#[test]
fn the_branch_of_a_transaction_that_was_taken_counts() {
    let request = TxnRequest {
        compare: Vec::new(),
        success: vec![PutRequest::new("k", "yes").into(), RangeRequest::key("k").into()],
        failure: vec![PutRequest::new("k", "no").into()],
    };
    let op = |response| ResponseOp { response: Some(response) };
    let read = RangeResponse { kvs: vec![found("yes", 2)], count: 1, ..RangeResponse::default() };
    let response = TxnResponse {
        header: header(2),
        succeeded: true,
        responses: vec![op(OpResponse::Put(PutResponse::default())), op(OpResponse::Range(read))],
    };
    let command = Request::Write(request.into());
    let txn = call(0, 1, command.clone(), Some(Ok(Response::Txn(response))));
    let right = get(2, 3, vec![found("yes", 2)], 2);
    check(&linearizable(), &[txn.clone(), right.clone()], None);
    let wrong = get(2, 3, vec![found("no", 2)], 2);
    check(&linearizable(), &[txn, wrong.clone()], Some("cannot be placed"));
    // Nobody knows which branch it took, if any.
    let unknown = call(0, 1, command, Some(Err(Error::OutcomeUnknown)));
    check(&linearizable(), &[unknown.clone(), wrong], None);
    check(&linearizable(), &[unknown.clone(), right], None);
    check(&linearizable(), &[unknown, get(2, 3, vec![], 1)], None);
}
