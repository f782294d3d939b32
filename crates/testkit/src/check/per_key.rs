//! Linearizability of each key by search: a second opinion that knows nothing of the log.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate::seam::{Request, Response};
use quorate::{
    DeleteRangeRequest, OpResponse, PutRequest, RangeRequest, RangeResponse, TxnRequest,
    TxnResponse,
};
use quorate_kv_api::{Command, CommandKind, KeySpan, OpRequest};

use super::Checker;
use crate::actors::record::{CallRecord, RunHistory};
use crate::linear::{self, Limits, Model, Operation, Step, Verdict};

/// Every key by itself is linearizable: there is an order of all calls that touch it, in which each
/// saw what the one before left. Calls that touch several keys count for each of them.
///
/// Looks at keys that only actors write.
pub fn linearizable() -> impl Checker {
    Linearizable
}

struct Linearizable;

impl Checker for Linearizable {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        let operations = operations(history);
        let limits = Limits::default().with_steps(STEPS_MAX);
        match linear::check(&Key, &operations, &limits) {
            Verdict::Linearizable(_) => Ok(()),
            Verdict::NotLinearizable(found) => Err(found.explain(&Key, &operations)),
            Verdict::Unknown(exhausted) => Err(format!("gave up: {exhausted:?}")),
        }
    }
}

/// A key with the revision of its last change.
struct Key;

/// What a key holds, and since which revision: exactly, or not before that one, if nobody was told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Held {
    value: Option<Bytes>,
    revision: i64,
    exact: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Input {
    Read,
    /// Another value, or nothing, from now on.
    Write(Option<Bytes>),
}

/// The revision of the write, or of the last change of what was read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Output {
    Written(i64),
    Found(Bytes, i64),
    Absent,
}

impl Model for Key {
    type Input = Input;
    type Output = Output;
    type State = Held;

    fn init(&self) -> Held {
        Held { value: None, revision: 0, exact: true }
    }

    fn step(&self, state: &Held, input: &Input, output: Option<&Output>) -> Step<Held> {
        match (input, output) {
            (Input::Read, None) => Step::Same,
            (Input::Read, Some(Output::Absent)) => Step::same_if(state.value.is_none()),
            (Input::Read, Some(Output::Found(value, revision))) => {
                let same = state.value.as_ref() == Some(value);
                let exactly = state.exact && state.revision == *revision;
                let possibly = !state.exact && state.revision <= *revision;
                match (same && possibly, same && exactly) {
                    (true, _) => {
                        Step::To(Held { revision: *revision, exact: true, ..state.clone() })
                    }
                    (_, exactly) => Step::same_if(exactly),
                }
            }
            (Input::Write(value), Some(Output::Written(revision))) => {
                if *revision <= state.revision {
                    return Step::Refused;
                }
                Step::To(Held { value: value.clone(), revision: *revision, exact: true })
            }
            (Input::Write(value), None) => {
                let revision = state.revision + 1;
                Step::To(Held { value: value.clone(), revision, exact: false })
            }
            (Input::Read, Some(Output::Written(_)))
            | (Input::Write(_), Some(Output::Found(..) | Output::Absent)) => Step::Refused,
        }
    }

    fn state_size(&self, state: &Held) -> usize {
        size_of::<Held>() + state.value.as_ref().map_or(0, Bytes::len)
    }
}

/// What each call means for each key that it touches.
fn operations(history: &RunHistory) -> Vec<Operation<Input, Output>> {
    let keys = written_keys(history);
    let mut calls = Calls { keys: &keys, operations: Vec::new() };
    history.calls.iter().for_each(|call| calls.add(call));
    calls.operations
}

/// All keys that actors put values into, and nothing but values.
fn written_keys(history: &RunHistory) -> BTreeSet<Bytes> {
    let mut puts = Vec::new();
    for call in &history.calls {
        let Request::Write(command) = &call.request else { continue };
        match &command.kind {
            Some(CommandKind::Put(put)) => puts.push(put),
            Some(CommandKind::Txn(txn)) => collect_puts(txn, &mut puts),
            _ => {}
        }
    }
    let mut keys: BTreeSet<Bytes> = puts.iter().map(|put| put.key.clone()).collect();
    // Such a put changes a key and leaves a value that the request does not tell.
    for put in puts.iter().filter(|put| put.ignore_value) {
        keys.remove(&put.key);
    }
    keys
}

fn collect_puts<'a>(txn: &'a TxnRequest, puts: &mut Vec<&'a PutRequest>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(OpRequest::Put(put)) => puts.push(put),
            Some(OpRequest::Txn(nested)) => collect_puts(nested, puts),
            _ => {}
        }
    }
}

struct Calls<'a> {
    keys: &'a BTreeSet<Bytes>,
    operations: Vec<Operation<Input, Output>>,
}

impl Calls<'_> {
    fn add(&mut self, call: &CallRecord) {
        let answer = match &call.ended {
            Some((_, Ok(response))) => Some(response),
            Some((_, Err(error))) if !error.is_outcome_unknown() => return,
            _ => None,
        };
        match (&call.request, answer) {
            (Request::Write(command), answer) => self.add_write(call, command, answer),
            (Request::Range(read), Some(Response::Range(found))) => {
                self.add_range(call, &read.range, found);
            }
            (Request::ReadTxn(txn), Some(Response::Txn(found))) => {
                self.add_txn(call, txn, Some(found), None);
            }
            _ => {}
        }
    }

    fn add_write(&mut self, call: &CallRecord, command: &Command, answer: Option<&Response>) {
        let revision = answer.and_then(|answer| match answer {
            Response::Put(put) => put.header,
            Response::DeleteRange(deleted) => deleted.header,
            Response::Txn(txn) => txn.header,
            _ => None,
        });
        let revision = revision.map(|header| header.revision);
        match &command.kind {
            Some(CommandKind::Put(put)) => {
                let end = revision.map(Output::Written);
                self.push(call, &put.key, Input::Write(Some(put.value.clone())), end);
            }
            Some(CommandKind::DeleteRange(delete)) => {
                let deleted = match answer {
                    Some(Response::DeleteRange(deleted)) => Some(deleted.deleted),
                    _ => None,
                };
                self.add_delete(call, delete, deleted, revision);
            }
            Some(CommandKind::Txn(txn)) => {
                let found = match answer {
                    Some(Response::Txn(found)) => Some(found),
                    _ => None,
                };
                self.add_txn(call, txn, found, revision);
            }
            _ => {}
        }
    }

    fn add_delete(
        &mut self,
        call: &CallRecord,
        delete: &DeleteRangeRequest,
        deleted: Option<i64>,
        revision: Option<i64>,
    ) {
        match (deleted, delete.range_end.is_empty()) {
            (Some(0), _) => {
                self.keys_in(&delete.span()).into_iter().for_each(|key| {
                    self.push(call, &key, Input::Read, Some(Output::Absent));
                });
            }
            (Some(_), true) => {
                let end = revision.map(Output::Written);
                self.push(call, &delete.key, Input::Write(None), end);
            }
            // Which keys it deleted is not told.
            _ => self.keys_in(&delete.span()).into_iter().for_each(|key| {
                self.push(call, &key, Input::Write(None), None);
            }),
        }
    }

    fn add_range(&mut self, call: &CallRecord, range: &RangeRequest, found: &RangeResponse) {
        let plain = range.revision <= 0 && !range.serializable && !range.count_only;
        if !plain || range.keys_only {
            return;
        }
        for kv in &found.kvs {
            let end = Output::Found(kv.value.clone(), kv.mod_revision);
            self.push(call, &kv.key, Input::Read, Some(end));
        }
        let filtered = range.min_mod_revision != 0
            || range.max_mod_revision != 0
            || range.min_create_revision != 0
            || range.max_create_revision != 0;
        if filtered || found.more || range.limit > 0 {
            return;
        }
        let present: BTreeSet<&Bytes> = found.kvs.iter().map(|kv| &kv.key).collect();
        for key in self.keys_in(&range.span()) {
            if !present.contains(&key) {
                self.push(call, &key, Input::Read, Some(Output::Absent));
            }
        }
    }

    fn add_txn(
        &mut self,
        call: &CallRecord,
        txn: &TxnRequest,
        found: Option<&TxnResponse>,
        revision: Option<i64>,
    ) {
        let Some(found) = found else {
            // Either branch may have been taken, or none.
            txn.success.iter().chain(&txn.failure).for_each(|op| self.add_unknown(call, op));
            return;
        };
        let branch = if found.succeeded { &txn.success } else { &txn.failure };
        for (op, response) in branch.iter().zip(&found.responses) {
            match (&op.request, &response.response) {
                (Some(OpRequest::Put(put)), _) => {
                    let end = revision.map(Output::Written);
                    self.push(call, &put.key, Input::Write(Some(put.value.clone())), end);
                }
                (Some(OpRequest::DeleteRange(delete)), Some(OpResponse::DeleteRange(deleted))) => {
                    self.add_delete(call, delete, Some(deleted.deleted), revision);
                }
                (Some(OpRequest::Range(range)), Some(OpResponse::Range(found))) => {
                    self.add_range(call, range, found);
                }
                (Some(OpRequest::Txn(nested)), Some(OpResponse::Txn(found))) => {
                    self.add_txn(call, nested, Some(found), revision);
                }
                _ => {}
            }
        }
    }

    fn add_unknown(&mut self, call: &CallRecord, op: &quorate::RequestOp) {
        match &op.request {
            Some(OpRequest::Put(put)) => {
                self.push(call, &put.key, Input::Write(Some(put.value.clone())), None);
            }
            Some(OpRequest::DeleteRange(delete)) => self.add_delete(call, delete, None, None),
            Some(OpRequest::Txn(nested)) => self.add_txn(call, nested, None, None),
            _ => {}
        }
    }

    fn keys_in(&self, span: &KeySpan) -> Vec<Bytes> {
        self.keys.iter().filter(|key| span.contains(key)).cloned().collect()
    }

    fn push(&mut self, call: &CallRecord, key: &Bytes, input: Input, output: Option<Output>) {
        if !self.keys.contains(key) {
            return;
        }
        let name = String::from_utf8_lossy(key).into_owned();
        let process = call.actor as u64;
        let operation = Operation::called(process, call.called.as_nanos(), input).of(name);
        let operation = match (output, &call.ended) {
            (Some(output), Some((at, _))) => operation.returned(at.as_nanos(), output),
            _ => operation,
        };
        self.operations.push(operation);
    }
}

/// Histories with revisions need little search.
const STEPS_MAX: u64 = 20_000_000;
