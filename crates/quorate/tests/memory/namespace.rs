//! Handles confined to a prefix.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quorate::recipes::{Mutex, Session, transact};
use quorate::seam::Response;
use quorate::{
    Client, Compare, DeleteRangeRequest, Error, KeyValue, KvError, LeaseGrantRequest, Limits, Node,
    OpResponse, PutRequest, Range, RangeRequest, RequestOp, TxnRequest, Watch, mod_revision, put,
    value, version,
};

use crate::{ANSWERED, open};

/// A request, to be made inside of a namespace and on a store of its own.
#[derive(Clone, Debug)]
enum Call {
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Range(RangeRequest),
    Stream(RangeRequest),
    Txn(TxnRequest),
    Watch(Bytes, Bytes, bool),
    LeaseKeys,
}

/// Keys that are near to each other, to the ends of ranges and to those of a prefix.
fn key() -> impl Strategy<Value = Bytes> {
    let keys: [&[u8]; 9] = [b"\0", b"a", b"a\0", b"b", b"p", b"p/", b"p0", b"\xff", b"\xff\xff"];
    proptest::sample::select(keys.to_vec()).prop_map(Bytes::from_static)
}

fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![Just(Bytes::new()), Just(Bytes::from_static(b"\0")), key()]
}

fn put_request() -> impl Strategy<Value = PutRequest> {
    (key(), 0..3_u32, any::<bool>(), any::<bool>(), 0..8_u32).prop_map(
        |(key, number, lease, prev_kv, keep)| PutRequest {
            lease: if lease && keep != 1 { LEASE } else { 0 },
            prev_kv,
            ignore_value: keep == 0,
            ignore_lease: keep == 1,
            ..PutRequest::new(key, if keep == 0 { String::new() } else { number.to_string() })
        },
    )
}

fn deletion() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

fn read() -> impl Strategy<Value = RangeRequest> {
    let kind = (any::<bool>(), 0..10);
    (key(), range_end(), 0_i64..4, 0..3, 0..5, kind).prop_map(
        |(key, range_end, limit, sort_order, sort_target, (keys_only, count_only))| RangeRequest {
            key,
            range_end,
            limit,
            sort_order,
            sort_target,
            keys_only,
            count_only: count_only == 0,
            ..RangeRequest::default()
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    (key(), range_end(), 0..4).prop_map(|(key, end, kind)| match kind {
        0 => value(key).up_to(end).equals("1"),
        1 => version(key).up_to(end).greater(0),
        2 => version(key).up_to(end).less(1),
        _ => mod_revision(key).up_to(end).less(BASE + 5),
    })
}

/// The same deletion with an end, if it goes to the end of all keys. With that of a namespace it
/// may be found to delete a key that the same transaction puts, which etcd's rule overlooks where
/// there is none.
fn bounded(deletion: DeleteRangeRequest) -> DeleteRangeRequest {
    let is_endless = deletion.range_end == "\0";
    let range_end = if is_endless { b"\xff\xff\xff"[..].into() } else { deletion.range_end };
    DeleteRangeRequest { range_end, ..deletion }
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let op = prop_oneof![
        put_request().prop_map(RequestOp::from),
        deletion().prop_map(bounded).prop_map(RequestOp::from),
        read().prop_map(RequestOp::from),
    ];
    let flat = (vec(compare(), 0..3), vec(op.clone(), 0..3), vec(op, 0..3))
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
        .boxed();
    (flat.clone(), prop::option::of(flat)).prop_map(|(mut outer, inner)| {
        outer.success.extend(inner.map(RequestOp::from));
        outer
    })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => put_request().prop_map(Call::Put),
        1 => deletion().prop_map(Call::Delete),
        2 => read().prop_map(Call::Range),
        1 => read().prop_map(Call::Stream),
        4 => txn().prop_map(Call::Txn),
        2 => (key(), range_end(), any::<bool>()).prop_map(|(k, e, prev)| Call::Watch(k, e, prev)),
        1 => Just(Call::LeaseKeys),
    ]
}

/// Makes a call and describes its answer without what differs between clusters.
fn answer(client: &Client, call: &Call) -> String {
    let response = match call.clone() {
        Call::Put(request) => client.put_with(request).wait().map(Response::Put),
        Call::Delete(request) => client.delete_with(request).wait().map(Response::DeleteRange),
        Call::Range(request) => client.range(request.into()).wait().map(Response::Range),
        Call::Txn(request) => client.txn_with(request).wait().map(Response::Txn),
        Call::Stream(request) => {
            let parts: Vec<_> = client.range_stream(request.into()).collect();
            let kvs = |part: Result<_, Error>| part.map(|part: quorate::RangeResponse| part.kvs);
            return format!("{:?}", parts.into_iter().map(kvs).collect::<Vec<_>>());
        }
        Call::Watch(key, end, prev_kv) => {
            let watch = Watch::between(key, end).from_revision(BASE + 1);
            let watch = if prev_kv { watch.with_prev_kv() } else { watch };
            let watcher = client.watch(watch).wait();
            let next = watcher.map(|mut watcher| watcher.next_timeout(Duration::ZERO));
            let events = next.map(|next| next.map(|next| next.map(|next| next.events)));
            return format!("{events:?}");
        }
        Call::LeaseKeys => {
            return format!(
                "{:?}",
                client.lease_time_to_live(LEASE, true).wait().expect(ANSWERED).keys
            );
        }
    };
    let response = response.map(|mut response| {
        let header = response.header_mut().expect("each of them has one");
        (header.cluster_id, header.member_id, header.raft_term) = (0, 0, 0);
        response
    });
    format!("{response:?}")
}

fn all(client: &Client) -> Vec<KeyValue> {
    client.range(Range::all()).wait().expect(ANSWERED).kvs
}

/// Keys around a prefix, those next to its ends and the bare prefix among them.
fn surroundings(prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> =
        [&b"\0"[..], b"a", b"b", b"p", b"p.", b"p0", b"q", b"\xfe\xff", b"\xff", b"\xff\xff"]
            .map(<[u8]>::to_vec)
            .to_vec();
    keys.push([&prefix[..prefix.len() - 1], &[prefix[prefix.len() - 1] - 1, 0xff]].concat());
    keys.retain(|key| !key.starts_with(prefix));
    keys.push(prefix.to_vec());
    keys
}

/// A store with keys around a prefix, and an empty one, both at the same revision.
fn pair(prefix: &[u8]) -> (Node, Node) {
    let (shared, own) = (open(), open());
    for node in [&shared, &own] {
        node.lease_grant_with(LeaseGrantRequest { ttl: 1_000, id: LEASE }).wait().expect(ANSWERED);
    }
    for (i, key) in surroundings(prefix).into_iter().enumerate() {
        let lease = if i % 2 == 0 { LEASE } else { 0 };
        shared.put_with(PutRequest { lease, ..PutRequest::new(key, "1") }).wait().expect(ANSWERED);
    }
    let revision = |node: &Node| {
        node.range(Range::all()).wait().expect(ANSWERED).header.expect(ANSWERED).revision
    };
    while revision(&shared) < BASE {
        shared.put(prefix.to_vec(), "last").wait().expect(ANSWERED);
    }
    while revision(&own) < BASE - 1 {
        own.put("x", "1").wait().expect(ANSWERED);
    }
    own.delete("x").wait().expect(ANSWERED);
    for node in [&shared, &own] {
        node.compact(BASE).wait().expect(ANSWERED);
    }
    (shared, own)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_namespace_is_a_store_of_its_own(
        prefix in proptest::sample::select(vec![&b"p/"[..], b"a", b"p", b"\xff", b"b\xff\xff"]),
        cut in 0..3_usize,
        calls in vec(call(), 1..40),
    ) {
        let (shared, own) = pair(prefix);
        let (outer, inner) = prefix.split_at(cut.min(prefix.len()));
        let inside = shared.namespaced(outer).namespaced(inner);
        let around = outside(&shared, prefix);
        for call in &calls {
            prop_assert_eq!(answer(&inside, call), answer(&own, call), "{:?}", call);
        }
        prop_assert_eq!(outside(&shared, prefix), around);
        prop_assert_eq!(all(&inside), all(&own));
        let there = all(&shared).into_iter().filter(|kv| is_inside(kv, prefix));
        let expected = all(&own).into_iter().map(|kv| {
            let key = [prefix, &kv.key[..]].concat().into();
            KeyValue { key, ..kv }
        });
        prop_assert!(there.eq(expected));
    }
}

fn is_inside(kv: &KeyValue, prefix: &[u8]) -> bool {
    kv.key.starts_with(prefix) && kv.key != prefix
}

fn outside(node: &Node, prefix: &[u8]) -> Vec<KeyValue> {
    all(node).into_iter().filter(|kv| !is_inside(kv, prefix)).collect()
}

#[test]
fn recipes_run_inside() {
    let node = open();
    let inside = node.namespaced("app/");
    let session = Session::open(&inside, 10).wait().unwrap();
    let outer = Session::open(&node, 10).wait().unwrap();
    let guard = Mutex::new(&session, "lock").lock().wait().unwrap();
    let _other = Mutex::new(&outer, "lock").try_lock().wait().unwrap().expect("another lock");
    assert!(Mutex::new(&outer, "app/lock").try_lock().wait().unwrap().is_none());
    assert!(guard.key().starts_with("lock/"));
    let done = transact(&inside, |tx| -> Result<usize, Error> {
        tx.put("k", "v");
        Ok(tx.prefix("")?.len())
    });
    assert_eq!(done.unwrap().value, 2);
    assert!(node.get("app/k").wait().unwrap().is_some());
}

#[test]
fn what_is_refused_inside() {
    let node = open();
    let inside = node.namespaced("app/");
    let refused = |error: Error| match error {
        Error::Refused(cause) => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(inside.put("", "v").wait().unwrap_err()), KvError::EmptyKey);
    assert_eq!(refused(inside.get("").wait().unwrap_err()), KvError::EmptyKey);
    assert_eq!(refused(inside.delete("").wait().unwrap_err()), KvError::EmptyKey);
    // The prefix counts.
    let limit = Limits::default().request_bytes_max;
    let size = u64::from(limit) + 1;
    let fits = vec![0; limit as usize - 14];
    node.put("k", fits.clone()).wait().unwrap();
    let error = refused(inside.put("k", fits).wait().unwrap_err());
    assert!(matches!(error, KvError::RequestTooLarge { size: found, .. } if found >= size));
    assert_eq!(node.range(Range::prefix("app/")).wait().unwrap().count, 0);
}

#[test]
fn a_deletion_to_the_end_stays_inside() {
    let node = open();
    let inside = node.namespaced("app/");
    for key in ["a", "app/", "app/a", "app/b", "app0", "z"] {
        node.put(key, "").wait().unwrap();
    }
    let to_the_end = DeleteRangeRequest { key: "b".into(), range_end: "\0".into(), prev_kv: true };
    let txn = inside.txn().then(to_the_end.into()).commit().wait().unwrap();
    let Some(OpResponse::DeleteRange(deleted)) = &txn.responses[0].response else { panic!() };
    assert_eq!(deleted.prev_kvs[0].key, "b");
    assert_eq!((deleted.deleted, all(&node).len()), (1, 5));
    let txn = inside.txn().then(to_the_end_of_all().into()).then(put("a", "1"));
    assert!(matches!(txn.commit().wait(), Err(Error::Refused(KvError::DuplicateKey))));
    assert_eq!(inside.delete_with(to_the_end_of_all()).wait().unwrap().deleted, 1);
    assert_eq!(all(&node).len(), 4);
}

fn to_the_end_of_all() -> DeleteRangeRequest {
    DeleteRangeRequest { key: "\0".into(), range_end: "\0".into(), prev_kv: false }
}

/// A lease that both stores have.
const LEASE: i64 = 5;

/// The revision at which the calls begin.
const BASE: i64 = 20;
