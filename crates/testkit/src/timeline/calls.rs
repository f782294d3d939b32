//! Calls of clients and their answers in words.

use prost::Message;
use quorate_kv_api::{
    Command, CommandKind, DeleteRangeRequest, KeySpan, KeyValue, KvError, OpRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest,
};
use quorate_mvcc::Response;

use super::{Outcome, words};
use crate::checkers::history::{Call, Ending, Record};
use crate::effect::Found;

/// A call and how it ended.
pub(crate) fn describe_record(record: &Record) -> String {
    let (call, member, called) = (describe_call(&record.call), record.member + 1, record.called);
    let end = match &record.ended {
        Some((at, ending)) => format!("ended at {at:?}: {}", describe_ending(ending).1),
        None => "without an end".to_owned(),
    };
    format!("{call}, called at {called:?} on member {member}, {end}")
}

/// What is asked for.
pub(super) fn describe_call(call: &Call) -> String {
    match call {
        Call::Write(payload) => match Command::decode(payload.clone()).map(|c| c.kind) {
            Ok(Some(CommandKind::Put(put))) => describe_put(&put),
            Ok(Some(CommandKind::DeleteRange(delete))) => describe_delete(&delete),
            Ok(Some(CommandKind::Txn(txn))) => describe_txn(&txn),
            Ok(Some(other)) => words::plain(&format!("{other:?}"), &[]),
            Ok(None) | Err(_) => "bytes that are no command".to_owned(),
        },
        Call::Range(read) if call.is_content_with_lease() => {
            format!("{} by lease", describe_range(&read.range))
        }
        Call::Range(read) => describe_range(&read.range),
        Call::ReadTxn(txn) => describe_txn(txn),
        Call::Hash(revision) => format!("hash at {revision}"),
        Call::LeaseTimeToLive(request) => format!("time to live of lease {}", request.id),
        Call::Leases => "list the leases".to_owned(),
        Call::Alarms => "list the alarms".to_owned(),
        Call::Watch(query) | Call::WatchNow(query) => {
            format!("watch {} from {}", describe_span(&query.span), query.from.revision)
        }
        Call::Swept(revision) => format!("wait until revision {revision} is swept"),
    }
}

fn describe_put(put: &PutRequest) -> String {
    format!("put {}={}", words::bytes(&put.key), words::bytes(&put.value))
}

fn describe_delete(delete: &DeleteRangeRequest) -> String {
    format!("delete {}", describe_span(&delete.span()))
}

fn describe_range(range: &RangeRequest) -> String {
    let mut text = format!("read {}", describe_span(&range.span()));
    if range.revision > 0 {
        text.push_str(&format!(" at revision {}", range.revision));
    }
    if range.limit > 0 {
        text.push_str(&format!(" limit {}", range.limit));
    }
    if range.serializable {
        text.push_str(" local");
    }
    text
}

fn describe_span(span: &KeySpan) -> String {
    match span {
        KeySpan::Key(key) => words::bytes(key),
        KeySpan::From(start) => format!("{}..", words::bytes(start)),
        KeySpan::Range { start, end } => {
            format!("{}..{}", words::bytes(start), words::bytes(end))
        }
    }
}

fn describe_txn(txn: &TxnRequest) -> String {
    let branch = |ops: &[RequestOp]| {
        let texts: Vec<String> = ops.iter().map(describe_op).collect();
        if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
    };
    let (then, or_else) = (branch(&txn.success), branch(&txn.failure));
    match txn.compare.as_slice() {
        [] => format!("txn {then}"),
        compares => {
            let keys: Vec<String> = compares.iter().map(|c| words::bytes(&c.key)).collect();
            format!("txn if {} then {then} else {or_else}", keys.join(", "))
        }
    }
}

fn describe_op(op: &RequestOp) -> String {
    match &op.request {
        Some(OpRequest::Put(put)) => describe_put(put),
        Some(OpRequest::DeleteRange(delete)) => describe_delete(delete),
        Some(OpRequest::Range(range)) => describe_range(range),
        Some(OpRequest::Txn(txn)) => format!("({})", describe_txn(txn)),
        None => "an empty operation".to_owned(),
    }
}

/// How a call ended, and what was told.
pub(super) fn describe_ending(ending: &Ending) -> (Outcome, String) {
    match ending {
        Ending::Answered(answer) => {
            let text = match &answer.result {
                Ok(response) => describe_response(response),
                Err(cause) => refused(cause),
            };
            (Outcome::Done, format!("{text} at index {}", answer.index))
        }
        Ending::Read(Ok(found)) => (Outcome::Done, describe_found(found)),
        Ending::Read(Err(cause)) | Ending::Refused(cause) => (Outcome::Done, refused(cause)),
        Ending::Failed => (Outcome::Failed, "failed without an effect".to_owned()),
        Ending::Unknown => (Outcome::Unknown, "nobody knows the outcome".to_owned()),
    }
}

fn refused(cause: &KvError) -> String {
    format!("refused: {cause}")
}

fn describe_response(response: &Response) -> String {
    let (header, text) = match response {
        Response::Compaction(compacted) => (compacted.header, String::new()),
        Response::LeaseGrant(granted) => {
            (granted.header, format!(", lease {} of {} s", granted.id, granted.ttl))
        }
        Response::LeaseRevoke(revoked) => (revoked.header, String::new()),
        Response::LeaseKeepAlive(renewed) => (renewed.header, format!(", {} s", renewed.ttl)),
        Response::Alarm(alarms) => (alarms.header, format!(", {} alarms", alarms.alarms.len())),
        Response::Chore(header) => (Some(*header), String::new()),
        Response::Put(put) => (put.header, String::new()),
        Response::DeleteRange(deleted) => {
            (deleted.header, format!(", {} deleted", deleted.deleted))
        }
        Response::Txn(txn) => {
            (txn.header, format!(", took {}", if txn.succeeded { "then" } else { "else" }))
        }
    };
    format!("revision {}{text}", header.map_or(0, |header| header.revision))
}

fn describe_found(found: &Found) -> String {
    match found {
        Found::Range(range) => {
            let revision = range.header.map_or(0, |header| header.revision);
            format!("revision {revision}: {}", describe_keys(&range.kvs, range.count))
        }
        Found::Txn(txn) => {
            let revision = txn.header.map_or(0, |header| header.revision);
            format!("revision {revision}, {} answers", txn.responses.len())
        }
        Found::Watch(batch) => {
            format!("revision {}, {} events", batch.revision, batch.events.len())
        }
        other => words::plain(&format!("{other:?}"), &[]),
    }
}

fn describe_keys(kvs: &[KeyValue], count: i64) -> String {
    let pair = |kv: &KeyValue| format!("{}={}", words::bytes(&kv.key), words::bytes(&kv.value));
    let mut texts: Vec<String> = kvs.iter().take(KEYS_SHOWN).map(pair).collect();
    match kvs.len() {
        0 if count > 0 => texts.push(format!("{count} keys")),
        0 => texts.push("nothing".to_owned()),
        found if found > KEYS_SHOWN => texts.push(format!("and {} more", found - KEYS_SHOWN)),
        _ => {}
    }
    texts.join(" ")
}

/// How many keys of a read are shown.
const KEYS_SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use quorate_kv_api::{Compare, CompareResult, RangeResponse, ResponseHeader, TargetUnion};

    use super::*;

    fn write(command: impl Into<Command>) -> Call {
        Call::Write(command.into().encode_to_vec().into())
    }

    #[test]
    fn calls_are_told_in_a_line() {
        let check = |call: Call, text: &str| assert_eq!(describe_call(&call), text);
        check(write(PutRequest::new("k", "v....")), "put k=v");
        check(write(DeleteRangeRequest::key("k")), "delete k");
        let range = RangeRequest { limit: 2, serializable: true, ..RangeRequest::key("a") };
        check(
            Call::Range(RangeRequest { range_end: "c".into(), ..range }.into()),
            "read a..c limit 2 local",
        );
        check(Call::Hash(7), "hash at 7");
        check(Call::Write("\u{7}".into()), "bytes that are no command");
        let txn = TxnRequest {
            compare: vec![Compare::key("k", CompareResult::Equal, TargetUnion::Version(1))],
            success: vec![PutRequest::new("k", "w").into()],
            failure: vec![],
        };
        check(write(txn), "txn if k then put k=w else nothing");
    }

    #[test]
    fn answers_are_told_in_a_line() {
        let header = Some(ResponseHeader { revision: 5, ..ResponseHeader::default() });
        let kv = KeyValue { key: "k".into(), value: "v".into(), ..KeyValue::default() };
        let range = RangeResponse { header, kvs: vec![kv], count: 1, more: false };
        let (outcome, text) = describe_ending(&Ending::Read(Ok(Found::Range(range))));
        assert_eq!((outcome, text.as_str()), (Outcome::Done, "revision 5: k=v"));
        assert_eq!(describe_ending(&Ending::Failed).0, Outcome::Failed);
    }
}
