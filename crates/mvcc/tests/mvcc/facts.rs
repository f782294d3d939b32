//! What etcd was seen to do, as tables.

use bytes::Bytes;
use quorate_kv_api::{
    Compare, CompareResult, DeleteRangeRequest, KvError, OpResponse, PutRequest, RangeRequest,
    RangeResponse, RequestOp, SortOrder, SortTarget, TargetUnion, TxnRequest, TxnResponse,
};
use quorate_mvcc::{RequestError, Response};

use crate::harness::Single;

fn put(single: &mut Single, key: &'static str, value: &'static str) -> i64 {
    match single.apply(PutRequest::new(key, value)) {
        Ok(Response::Put(response)) => response.header.expect("it is there").revision,
        other => panic!("a put is answered as one: {other:?}"),
    }
}

fn delete(single: &mut Single, key: &'static str, range_end: &'static str) -> (i64, i64) {
    let request =
        DeleteRangeRequest { key: key.into(), range_end: range_end.into(), prev_kv: false };
    match single.apply(request) {
        Ok(Response::DeleteRange(response)) => {
            (response.deleted, response.header.expect("it is there").revision)
        }
        other => panic!("a deletion is answered as one: {other:?}"),
    }
}

fn txn(single: &mut Single, request: TxnRequest) -> Result<TxnResponse, KvError> {
    match single.apply(request)? {
        Response::Txn(response) => Ok(response),
        other => panic!("a transaction is answered as one: {other:?}"),
    }
}

fn range(single: &Single, request: &RangeRequest) -> RangeResponse {
    single.store.reader().range(request).expect("the range is accepted")
}

fn keys(response: &RangeResponse) -> String {
    let keys = response.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned());
    keys.collect::<Vec<_>>().join(" ")
}

fn all() -> RangeRequest {
    RangeRequest { range_end: "\0".into(), ..RangeRequest::key("\0") }
}

fn success(ops: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { success: ops, ..TxnRequest::default() }
}

#[test]
fn revisions() {
    let mut single = Single::new();
    let hash = single.store.reader().hash(0).unwrap();
    assert_eq!((hash.revision, hash.compact_revision), (1, -1));
    assert_eq!(hash.hash, crc32c::crc32c(b"key"));
    assert_eq!(put(&mut single, "a", "1"), 2);
    assert_eq!(put(&mut single, "a", "1"), 3, "the same value is a new revision");
    assert_eq!(delete(&mut single, "zz", ""), (0, 3));
    assert_eq!(txn(&mut single, TxnRequest::default()).unwrap().header.unwrap().revision, 3);
    let nothing = success(vec![DeleteRangeRequest::key("zz").into(), all().into()]);
    assert_eq!(txn(&mut single, nothing).unwrap().header.unwrap().revision, 3);
    put(&mut single, "b", "1");
    assert_eq!(delete(&mut single, "a", "c"), (2, 5));
    assert_eq!(delete(&mut single, "b", "a"), (0, 5), "a range that ends before it starts");
}

#[test]
fn generations() {
    let mut single = Single::new();
    put(&mut single, "a", "1");
    put(&mut single, "a", "2");
    let kv = range(&single, &RangeRequest::key("a")).kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (2, 3, 2, 0));
    delete(&mut single, "a", "");
    put(&mut single, "a", "3");
    let kv = range(&single, &RangeRequest::key("a")).kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
    for (revision, value) in [(1, None), (2, Some("1")), (3, Some("2")), (4, None), (5, Some("3"))]
    {
        let response = range(&single, &RangeRequest { revision, ..RangeRequest::key("a") });
        let found = response.kvs.first().map(|kv| kv.value.clone());
        assert_eq!(found, value.map(Bytes::from), "at revision {revision}");
        assert_eq!(response.header.unwrap().revision, 5, "the header tells the current revision");
    }
}

#[test]
fn range_options() {
    let mut single = Single::new();
    // Values descend as keys ascend.
    for (key, value) in [("a", "3"), ("b", "2"), ("c", "1")] {
        put(&mut single, key, value);
    }
    let by_value = RangeRequest { sort_target: SortTarget::Value.into(), ..all() };
    let ascending = RangeRequest { sort_order: SortOrder::Ascend.into(), ..by_value.clone() };
    let descending = RangeRequest { sort_order: SortOrder::Descend.into(), ..all() };
    let table = [
        (all(), "a b c", false),
        (RangeRequest { limit: 2, ..all() }, "a b", true),
        (RangeRequest { limit: 3, ..all() }, "a b c", false),
        (RangeRequest { limit: -1, ..all() }, "a b c", false),
        (descending.clone(), "c b a", false),
        (RangeRequest { limit: 1, ..descending }, "c", true),
        (ascending.clone(), "c b a", false),
        (RangeRequest { limit: 1, ..ascending }, "c", true),
        // Without an order only the first limit + 1 keys are fetched and sorted.
        (RangeRequest { limit: 1, ..by_value.clone() }, "b", true),
        (by_value, "c b a", false),
        (RangeRequest { min_mod_revision: 3, ..all() }, "b c", false),
        (RangeRequest { min_mod_revision: 3, limit: 1, ..all() }, "b", true),
        (RangeRequest { max_create_revision: 3, limit: 2, ..all() }, "a b", false),
        (RangeRequest { min_create_revision: 9, ..all() }, "", false),
        (RangeRequest { count_only: true, limit: 1, ..all() }, "", false),
    ];
    for (request, expected, more) in table {
        let response = range(&single, &request);
        assert_eq!((keys(&response).as_str(), response.more), (expected, more), "{request:?}");
        assert_eq!(response.count, 3, "the count ignores limit and bounds: {request:?}");
    }
    let response = range(&single, &RangeRequest { keys_only: true, ..all() });
    assert!(response.kvs.iter().all(|kv| kv.value.is_empty() && kv.version == 1));
    let error = single.store.reader().range(&RangeRequest { revision: 5, ..all() }).unwrap_err();
    let expected = KvError::FutureRevision { requested: 5, current: 4 };
    assert!(matches!(error, RequestError::Refused(cause) if cause == expected));
}

#[test]
fn puts() {
    let mut single = Single::new();
    let keep_value = PutRequest { ignore_value: true, ..PutRequest::new("a", "") };
    let keep_lease = PutRequest { ignore_lease: true, ..PutRequest::new("a", "2") };
    assert_eq!(single.apply(keep_value.clone()), Err(KvError::KeyNotFound));
    assert_eq!(single.apply(keep_lease.clone()), Err(KvError::KeyNotFound));
    for lease in [7, -9] {
        let attached = PutRequest { lease, ..PutRequest::new("a", "1") };
        assert_eq!(single.apply(attached.clone()), Err(KvError::LeaseNotFound { lease }));
        let error = txn(&mut single, success(vec![attached.into()])).unwrap_err();
        assert_eq!(error, KvError::LeaseNotFound { lease });
    }
    put(&mut single, "a", "1");
    let with_prev = PutRequest { prev_kv: true, ..keep_value };
    let Ok(Response::Put(response)) = single.apply(with_prev) else { panic!("it is a put") };
    let prev_kv = response.prev_kv.unwrap();
    assert_eq!((prev_kv.value, prev_kv.version), ("1".into(), 1));
    assert_eq!(single.value("a"), Some("1".into()));
    single.apply(keep_lease).unwrap();
    assert_eq!(single.value("a"), Some("2".into()));
    let created = PutRequest { prev_kv: true, ..PutRequest::new("b", "1") };
    let Ok(Response::Put(response)) = single.apply(created) else { panic!("it is a put") };
    assert_eq!(response.prev_kv, None);
}

#[test]
fn compares_with_a_missing_key() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    let value = |text: &'static str| TargetUnion::Value(text.into());
    let table = [
        (Equal, TargetUnion::Version(0), true),
        (Equal, TargetUnion::CreateRevision(0), true),
        (Equal, TargetUnion::ModRevision(0), true),
        (Equal, TargetUnion::Lease(0), true),
        (Greater, TargetUnion::Version(0), false),
        (Less, TargetUnion::ModRevision(1), true),
        (Equal, value(""), false),
        (NotEqual, value(""), false),
        (NotEqual, value("x"), false),
    ];
    let mut single = Single::new();
    put(&mut single, "present", "");
    for (result, union, expected) in table {
        for range_end in ["", "n"] {
            let compare = Compare {
                range_end: range_end.into(),
                ..Compare::key("missing", result, union.clone())
            };
            let request = TxnRequest { compare: vec![compare], ..TxnRequest::default() };
            let response = txn(&mut single, request).unwrap();
            assert_eq!(response.succeeded, expected, "{result:?} {union:?} {range_end:?}");
        }
    }
}

#[test]
fn compares_over_a_range() {
    let mut single = Single::new();
    put(&mut single, "a", "1");
    put(&mut single, "b", "1");
    put(&mut single, "b", "2");
    let mut holds = |compare: Compare| {
        let compare = Compare { range_end: "c".into(), ..compare };
        txn(&mut single, TxnRequest { compare: vec![compare], ..TxnRequest::default() })
            .unwrap()
            .succeeded
    };
    assert!(holds(Compare::key("a", CompareResult::Greater, TargetUnion::Version(0))));
    assert!(!holds(Compare::key("a", CompareResult::Equal, TargetUnion::Version(1))));
    assert!(holds(Compare::key("a", CompareResult::Less, TargetUnion::Value("3".into()))));
    // A union that does not fit the target counts as 0; a result that is none holds.
    let misfit = Compare::key("a", CompareResult::Greater, TargetUnion::Version(9));
    assert!(holds(Compare { target: 2, ..misfit.clone() }));
    assert!(holds(Compare { result: 9, ..misfit }));
}

#[test]
fn a_transaction_has_one_revision() {
    let mut single = Single::new();
    put(&mut single, "a", "1");
    let nested = success(vec![
        PutRequest::new("n", "1").into(),
        RangeRequest { count_only: true, ..all() }.into(),
    ]);
    let request = success(vec![
        RangeRequest::key("b").into(),
        PutRequest::new("b", "1").into(),
        RangeRequest::key("b").into(),
        nested.into(),
        DeleteRangeRequest::key("a").into(),
        RangeRequest { revision: 2, ..RangeRequest::key("a") }.into(),
    ]);
    let response = txn(&mut single, request).unwrap();
    assert_eq!(response.header.unwrap().revision, 3);
    let responses: Vec<_> = response.responses.into_iter().map(|op| op.response.unwrap()).collect();
    let [
        OpResponse::Range(before),
        OpResponse::Put(_),
        OpResponse::Range(after),
        OpResponse::Txn(nested),
        OpResponse::DeleteRange(deleted),
        OpResponse::Range(old),
    ] = &responses[..]
    else {
        panic!("the responses are of the kinds of the requests: {responses:?}");
    };
    assert_eq!((before.header.unwrap().revision, before.count), (2, 0));
    assert_eq!((after.header.unwrap().revision, after.kvs[0].mod_revision), (3, 3));
    assert_eq!(nested.header.unwrap(), Default::default(), "a nested header is empty");
    assert_eq!((deleted.header.unwrap().revision, deleted.deleted), (3, 1));
    assert_eq!(old.kvs[0].value, "1", "an old revision shows what was deleted since");
}

#[test]
fn nested_compares_see_the_state_before() {
    let mut single = Single::new();
    let absent = Compare::key("k", CompareResult::Equal, TargetUnion::Version(0));
    let nested = TxnRequest {
        compare: vec![absent],
        success: vec![PutRequest::new("saw", "absent").into()],
        failure: vec![PutRequest::new("saw", "present").into()],
    };
    txn(&mut single, success(vec![PutRequest::new("k", "v").into(), nested.into()])).unwrap();
    assert_eq!(single.value("saw"), Some("absent".into()));
}

#[test]
fn one_bad_operation_undoes_all() {
    let mut single = Single::new();
    put(&mut single, "a", "1");
    let keep = PutRequest { ignore_value: true, ..PutRequest::new("x", "") };
    let keep_a = PutRequest { ignore_value: true, ..PutRequest::new("a", "") };
    let from_a =
        DeleteRangeRequest { key: "a".into(), range_end: "\0".into(), ..Default::default() };
    let at = |revision| RangeRequest { revision, ..RangeRequest::key("a") };
    let table: [(RequestOp, KvError); 5] = [
        (keep.clone().into(), KvError::KeyNotFound),
        (success(vec![keep.into()]).into(), KvError::KeyNotFound),
        // Not even the revision that the transaction itself makes can be read.
        (at(3).into(), KvError::FutureRevision { requested: 3, current: 2 }),
        (at(-2).into(), KvError::Compacted { requested: -2, compact_revision: -1 }),
        (success(vec![from_a.into(), keep_a.into()]).into(), KvError::KeyNotFound),
    ];
    for (op, expected) in table {
        let request = success(vec![PutRequest::new("b", "1").into(), op]);
        assert_eq!(txn(&mut single, request), Err(expected));
        assert_eq!((single.value("b"), single.store.reader().revision()), (None, 2));
    }
    // The branch that is not taken is not looked at.
    let failure = vec![PutRequest { lease: 7, ..PutRequest::new("c", "") }.into()];
    txn(&mut single, TxnRequest { failure, ..TxnRequest::default() }).unwrap();
}

#[test]
fn a_key_may_change_twice_in_one_transaction() {
    let mut single = Single::new();
    put(&mut single, "k", "1");
    let put_k = success(vec![PutRequest::new("k", "2").into()]);
    let delete_k = success(vec![DeleteRangeRequest::key("k").into()]);
    txn(&mut single, success(vec![put_k.into(), delete_k.into()])).unwrap();
    for (revision, count) in [(1, 0), (2, 1), (3, 0)] {
        let response = range(&single, &RangeRequest { revision, ..RangeRequest::key("k") });
        assert_eq!(response.count, count, "at revision {revision}");
    }
    // etcd does not see that this deletion meets the put.
    put(&mut single, "k", "3");
    let from_k =
        DeleteRangeRequest { key: "k".into(), range_end: "\0".into(), ..Default::default() };
    txn(&mut single, success(vec![from_k.into(), PutRequest::new("k", "4").into()])).unwrap();
    let kv = range(&single, &RangeRequest::key("k")).kvs.remove(0);
    assert_eq!((kv.create_revision, kv.version, kv.value), (5, 1, "4".into()));
    let response = range(&single, &RangeRequest { revision: 4, ..RangeRequest::key("k") });
    assert_eq!(response.kvs[0].value, "3");
}

/// The keys and hashes of etcd's own test `TestHashByRevValue` (server/storage/mvcc/hash_test.go).
#[test]
fn hashes_are_those_of_etcd() {
    const NAMES: [&str; 7] = ["alice", "bob", "celine", "dominik", "eve", "frederica", "gorge"];
    let mut single = Single::new();
    for number in 0..=71usize {
        let key = if number == 30 { "zenek" } else { NAMES[number % 7] };
        single.apply(PutRequest::new(key, number.to_string())).unwrap();
    }
    let reader = single.store.reader();
    assert_eq!(reader.hash(35).unwrap().hash, 4_082_599_214);
    assert_eq!(reader.hash(73).unwrap().hash, 1_913_897_190);
    assert_eq!(reader.hash(0).unwrap(), reader.hash(73).unwrap());
    let expected = KvError::FutureRevision { requested: 74, current: 73 };
    let error = reader.hash(74).unwrap_err();
    assert!(matches!(error, RequestError::Refused(cause) if cause == expected));
}

/// With so many versions of one key, the search for those of a revision jumps over some.
#[test]
fn nothing_is_hashed_up_to_a_negative_revision() {
    let mut single = Single::new();
    for number in 0..100 {
        single.apply(PutRequest::new("k", number.to_string())).unwrap();
    }
    let reader = single.store.reader();
    assert_eq!(reader.hash(-1).unwrap().hash, reader.hash(1).unwrap().hash);
}
