//! What goes into a namespace: keys get the prefix.

use bytes::Bytes;
use quorate_kv_api::{
    Command, CommandKind, Compare, KeySpan, OpRequest, RequestOp, TxnRequest, prefix_end,
};

use crate::seam::Request;

/// Puts the prefix in front of every key of a request.
pub(super) fn request(prefix: &Bytes, request: &mut Request) {
    match request {
        Request::Write(Command { kind: Some(kind) }) => command(prefix, kind),
        Request::Range(read) => span(prefix, &mut read.range.key, &mut read.range.range_end),
        Request::ReadTxn(request) => txn(prefix, request),
        Request::Watch(query) | Request::WatchNow(query) => watched(prefix, &mut query.span),
        // Without keys, or about the whole store.
        Request::Write(Command { kind: None })
        | Request::Hash(_)
        | Request::LeaseTimeToLive(_)
        | Request::Leases
        | Request::Alarms
        | Request::Swept(_) => {}
    }
}

fn command(prefix: &Bytes, kind: &mut CommandKind) {
    match kind {
        CommandKind::Put(request) => request.key = key(prefix, &request.key),
        CommandKind::DeleteRange(request) => {
            span(prefix, &mut request.key, &mut request.range_end);
        }
        CommandKind::Txn(request) => txn(prefix, request),
        // Without keys, or about the whole store.
        CommandKind::Compaction(_)
        | CommandKind::LeaseGrant(_)
        | CommandKind::LeaseRevoke(_)
        | CommandKind::Alarm(_)
        | CommandKind::LeaseCheckpoint(_)
        | CommandKind::LeaseKeepAlive(_)
        | CommandKind::LeaseExpire(_)
        | CommandKind::HashMark(_)
        | CommandKind::HashReport(_) => {}
    }
}

/// Nested as deep as the handle has allowed, see
/// [`Limits::TXN_DEPTH_MAX`](crate::Limits::TXN_DEPTH_MAX).
fn txn(prefix: &Bytes, request: &mut TxnRequest) {
    for Compare { key, range_end, .. } in &mut request.compare {
        span(prefix, key, range_end);
    }
    for op in request.success.iter_mut().chain(&mut request.failure) {
        operation(prefix, op);
    }
}

fn operation(prefix: &Bytes, op: &mut RequestOp) {
    match &mut op.request {
        Some(OpRequest::Range(request)) => {
            span(prefix, &mut request.key, &mut request.range_end);
        }
        Some(OpRequest::Put(request)) => request.key = key(prefix, &request.key),
        Some(OpRequest::DeleteRange(request)) => {
            span(prefix, &mut request.key, &mut request.range_end);
        }
        Some(OpRequest::Txn(request)) => txn(prefix, request),
        None => {}
    }
}

fn watched(prefix: &Bytes, keys: &mut KeySpan) {
    *keys = match keys {
        KeySpan::Key(only) => KeySpan::Key(key(prefix, only)),
        KeySpan::From(start) => KeySpan::new(&key(prefix, start), &prefix_end(prefix)),
        KeySpan::Range { start, end } => {
            KeySpan::Range { start: key(prefix, start), end: key(prefix, end) }
        }
    };
}

/// Confines what a `key` and a `range_end` select. That which goes on to the end of all keys goes
/// on to the end of the prefix.
fn span(prefix: &Bytes, first: &mut Bytes, range_end: &mut Bytes) {
    *first = key(prefix, first);
    *range_end = match &range_end[..] {
        [] => Bytes::new(),
        [0] => prefix_end(prefix),
        _ => key(prefix, range_end),
    };
}

fn key(prefix: &Bytes, key: &Bytes) -> Bytes {
    [&prefix[..], &key[..]].concat().into()
}
