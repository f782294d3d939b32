//! What actors did as a history to be written to files.
//!
//! Calls of single keys take the form that `simulate check --model kv` reads: `put`, `get` and
//! `delete` with a key. The others are told with all they asked for and were answered.

use std::collections::BTreeMap;

use quorate::seam::{Request, Response};
use quorate::{DeleteRangeRequest, KeyValue, RangeRequest};
use quorate_kv_api::{Command, CommandKind};
use serde_json::{Value, json};

use crate::actors::record::{CallRecord, RunHistory};
use crate::record::{History, HistoryEvent, Kind};

/// The calls of a run, in the order in which they began and ended.
///
/// ```
/// use quorate_testkit::{RunHistory, export};
/// assert_eq!(export::history(&RunHistory::default()).to_json_lines(), "");
/// ```
pub fn history(run: &RunHistory) -> History {
    let processes = processes(run);
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (place, call) in run.calls.iter().enumerate() {
        events.push((call.called.as_nanos(), false, place));
        if let Some((at, _)) = &call.ended {
            events.push((at.as_nanos(), true, place));
        }
    }
    // At one time calls come before ends: they overlap.
    events.sort_unstable();
    let mut history = History::new();
    for (time, ends, place) in events {
        let (call, process) = (&run.calls[place], processes[place]);
        let mut event = if ends { end_of(call, process) } else { begin_of(call, process) };
        event.time = time;
        history.push(event);
    }
    history
}

/// Who makes each call. A process makes one call at a time, and none after one whose outcome it
/// does not know: then the actor goes on as another process.
fn processes(run: &RunHistory) -> Vec<u64> {
    let mut slots: Vec<(usize, Option<u64>)> = Vec::new();
    let mut processes = Vec::new();
    for call in &run.calls {
        let called = call.called.as_nanos();
        let free = slots.iter().position(|(actor, until)| {
            *actor == call.actor && until.is_some_and(|until| until < called)
        });
        let until = match &call.ended {
            Some((at, result)) if kind_of(result) != Kind::Info => Some(at.as_nanos()),
            _ => None,
        };
        let slot = free.unwrap_or_else(|| {
            slots.push((call.actor, None));
            slots.len() - 1
        });
        slots[slot].1 = until;
        processes.push(slot as u64);
    }
    processes
}

fn kind_of(result: &Result<Response, quorate::Error>) -> Kind {
    match result {
        Ok(_) => Kind::Ok,
        Err(error) if error.is_outcome_unknown() => Kind::Info,
        Err(_) => Kind::Fail,
    }
}

fn begin_of(call: &CallRecord, process: u64) -> HistoryEvent {
    let (function, key, value) = asked(&call.request);
    HistoryEvent { key, ..HistoryEvent::new(process, Kind::Invoke, function, value) }
}

fn end_of(call: &CallRecord, process: u64) -> HistoryEvent {
    let (function, key, asked) = asked(&call.request);
    let Some((_, result)) = &call.ended else {
        return HistoryEvent::new(process, Kind::Info, function, asked);
    };
    let (value, error) = match result {
        Ok(response) => (answered(function, asked, response), None),
        Err(error) => (asked, Some(error.to_string())),
    };
    let event = HistoryEvent::new(process, kind_of(result), function, value);
    HistoryEvent { key, error, ..event }
}

/// The function, the key if there is one only, and what is passed.
fn asked(request: &Request) -> (&'static str, Option<String>, Value) {
    match request {
        Request::Write(Command { kind: Some(CommandKind::Put(put)) }) => {
            ("put", Some(text(&put.key)), json!(text(&put.value)))
        }
        Request::Write(Command { kind: Some(CommandKind::DeleteRange(delete)) }) => {
            let DeleteRangeRequest { key, range_end, .. } = delete;
            match range_end.is_empty() {
                true => ("delete", Some(text(key)), Value::Null),
                false => ("delete-range", None, json!([text(key), text(range_end)])),
            }
        }
        Request::Write(command @ Command { kind: Some(CommandKind::Txn(_)) }) => {
            ("txn", None, json!(format!("{command:?}")))
        }
        Request::Write(command) => ("write", None, json!(format!("{command:?}"))),
        Request::Range(read) => match is_plain_get(&read.range) {
            true => ("get", Some(text(&read.range.key)), Value::Null),
            false => ("range", None, json!(format!("{read:?}"))),
        },
        Request::ReadTxn(txn) => ("read-txn", None, json!(format!("{txn:?}"))),
        Request::Hash(revision) => ("hash", None, json!(revision)),
        Request::Leases => ("leases", None, Value::Null),
        Request::Alarms => ("alarms", None, Value::Null),
        Request::Swept(revision) => ("swept", None, json!(revision)),
        Request::LeaseTimeToLive(request) => ("lease-time-to-live", None, json!(request.id)),
        Request::Watch(query) | Request::WatchNow(query) => {
            ("watch", None, json!(format!("{query:?}")))
        }
    }
}

fn is_plain_get(range: &RangeRequest) -> bool {
    *range == RangeRequest::key(range.key.clone())
}

fn answered(function: &str, asked: Value, response: &Response) -> Value {
    match response {
        Response::Put(_) => asked,
        Response::DeleteRange(_) if function == "delete" => asked,
        Response::DeleteRange(deleted) => json!(deleted.deleted),
        Response::Range(range) if function == "get" => {
            range.kvs.first().map_or(Value::Null, |kv| json!(text(&kv.value)))
        }
        Response::Range(range) => range.kvs.iter().map(pair).collect(),
        Response::Hash(hash) => json!(format!("{hash:?}")),
        other => json!(format!("{other:?}")),
    }
}

fn pair(kv: &KeyValue) -> Value {
    let of: BTreeMap<&str, Value> = BTreeMap::from([
        ("key", json!(text(&kv.key))),
        ("value", json!(text(&kv.value))),
        ("mod_revision", json!(kv.mod_revision)),
    ]);
    json!(of)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use quorate::{Error, PutRequest, PutResponse, RangeResponse};
    use quorate_types::Instant;

    use super::*;

    fn call(
        actor: usize,
        times: (u64, u64),
        request: Request,
        result: Result<Response, Error>,
    ) -> CallRecord {
        let ended = Some((Instant::from_nanos(times.1), result));
        CallRecord { actor, node: 0, request, called: Instant::from_nanos(times.0), ended }
    }

    #[test]
    fn calls_become_events_that_can_be_written_read_and_checked() {
        let put = |value| Request::Write(PutRequest::new("k", value).into());
        let done = || Ok(Response::Put(PutResponse::default()));
        let found = |value: &'static str| {
            let kv = KeyValue { key: "k".into(), value: value.into(), ..KeyValue::default() };
            let range = RangeResponse { kvs: vec![kv], count: 1, ..RangeResponse::default() };
            Ok(Response::Range(range))
        };
        let get = || Request::Range(RangeRequest::key("k").into());
        let run = RunHistory {
            notes: Vec::new(),
            calls: vec![
                call(0, (0, 10), put("a"), done()),
                call(1, (5, 9), get(), found("a")),
                call(0, (11, 20), put("b"), Err(Error::OutcomeUnknown)),
                call(0, (21, 30), get(), found("b")),
                call(1, (31, 32), put("c"), Err(Error::TimedOut)),
            ],
        };
        let history = history(&run);
        let kinds: Vec<_> =
            history.events().iter().map(|e| (e.process, e.kind, e.function.as_str())).collect();
        let expected = [
            (0, Kind::Invoke, "put"),
            (1, Kind::Invoke, "get"),
            (1, Kind::Ok, "get"),
            (0, Kind::Ok, "put"),
            (0, Kind::Invoke, "put"),
            (0, Kind::Info, "put"),
            (2, Kind::Invoke, "get"),
            (2, Kind::Ok, "get"),
            (1, Kind::Invoke, "put"),
            (1, Kind::Fail, "put"),
        ];
        assert_eq!(kinds, expected);
        for text in [history.to_json_lines(), history.to_edn()] {
            let read = History::read(&text).expect("it was written so");
            assert_eq!(read.events(), history.events());
        }
    }
}
