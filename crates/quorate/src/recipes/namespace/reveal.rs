//! What comes out of a namespace: keys lose the prefix.

use bytes::Bytes;
use quorate_kv_api::{DeleteRangeResponse, KeyValue, OpResponse, TxnResponse};

use crate::seam::Response;

/// Cuts the prefix from every key of a response.
pub(super) fn response(prefix: &Bytes, response: &mut Response) {
    match response {
        Response::Put(put) => values(prefix, &mut put.prev_kv),
        Response::DeleteRange(deleted) => values(prefix, &mut deleted.prev_kvs),
        Response::Txn(response) => txn(prefix, response),
        Response::Range(range) => values(prefix, &mut range.kvs),
        Response::LeaseTimeToLive(found) => lease_keys(prefix, &mut found.keys),
        Response::Watch(answer) => {
            for event in &mut answer.batch.events {
                values(prefix, &mut event.kv);
                values(prefix, &mut event.prev_kv);
            }
        }
        // Without keys.
        Response::Compaction(_)
        | Response::LeaseGrant(_)
        | Response::LeaseRevoke(_)
        | Response::LeaseKeepAlive(_)
        | Response::Alarm(_)
        | Response::Chore(_)
        | Response::Hash(_)
        | Response::Leases(_)
        | Response::Done => {}
    }
}

fn txn(prefix: &Bytes, response: &mut TxnResponse) {
    for op in &mut response.responses {
        match &mut op.response {
            Some(OpResponse::Range(range)) => values(prefix, &mut range.kvs),
            Some(OpResponse::Put(put)) => values(prefix, &mut put.prev_kv),
            Some(OpResponse::DeleteRange(DeleteRangeResponse { prev_kvs, .. })) => {
                values(prefix, prev_kvs);
            }
            Some(OpResponse::Txn(response)) => txn(prefix, response),
            None => {}
        }
    }
}

fn values<'a>(prefix: &Bytes, kvs: impl IntoIterator<Item = &'a mut KeyValue>) {
    for kv in kvs {
        assert!(kv.key.starts_with(prefix), "a confined request gives keys of its namespace");
        kv.key = kv.key.slice(prefix.len()..);
    }
}

/// Leaves out the keys outside. A lease is not confined, so it may have any; the bare prefix would
/// be an empty key inside, which there is not.
fn lease_keys(prefix: &Bytes, keys: &mut Vec<Bytes>) {
    keys.retain(|key| key.len() > prefix.len() && key.starts_with(prefix));
    for key in keys {
        *key = key.slice(prefix.len()..);
    }
}
