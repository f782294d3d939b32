//! Disks that fail, tables that hold something else, broken contracts.

use std::io::ErrorKind;
use std::sync::Arc;

use quorate_kv_api::{
    KvError, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, TxnRequest,
};
use quorate_mvcc::{RequestError, Store, StoreError};
use quorate_storage::{Engine, Table, WriteBatch};

use crate::harness::{Single, engine, entry, numbered, open};

const META: Table = Table("meta");
const LIVE: Table = Table("live");

#[test]
fn a_failed_write_stops_the_store() {
    let mut single = Single::new();
    single.apply(PutRequest::new("k", "1")).unwrap();
    single.engine.fail_next_write(ErrorKind::StorageFull);
    let put = |sequence| {
        let command = numbered(sequence, &PutRequest::new("k", "2").into());
        [entry(sequence, vec![command])]
    };
    let mut outcomes = Vec::new();
    let error = single.store.apply(&put(2), &mut outcomes).unwrap_err();
    assert!(matches!(error, StoreError::Storage(_)) && error.is_outcome_unknown(), "{error}");
    let error = single.store.apply(&put(3), &mut outcomes).unwrap_err();
    assert!(matches!(error, StoreError::Stopped { .. }), "{error}");
    assert_eq!(outcomes, []);

    single.engine.reopen();
    let mut store = open(&single.engine);
    store.apply(&put(2), &mut outcomes).unwrap();
    assert_eq!(outcomes.len(), 1);
}

#[test]
fn a_failed_read_is_reported() {
    let single = Single::new();
    single.engine.corrupt_next_read();
    let error = single.store.reader().range(&RangeRequest::key("k")).unwrap_err();
    assert!(matches!(error, RequestError::Failed(StoreError::Storage(_))), "{error}");
    assert!(!error.is_outcome_unknown() && !error.is_retryable());
}

fn open_with(table: Table, key: &'static str, value: &'static [u8]) -> Result<Store, StoreError> {
    let engine = engine();
    open(&engine);
    let mut batch = WriteBatch::new();
    batch.put(table, key, value);
    engine.write(&batch).expect("memory does not fail");
    Store::open(Arc::new(engine))
}

#[test]
fn tables_of_others_are_refused() {
    let newer = open_with(META, "format", &[0, 0, 0, 9]).err();
    assert!(matches!(newer, Some(StoreError::NewerFormat { found: 9, supported: 2 })), "{newer:?}");
    let others = [Table("sessions"), Table("leases")].map(|table| (table, "bad"));
    for (table, key) in [(META, "format"), (META, "head")].into_iter().chain(others) {
        let error = open_with(table, key, b"?").err();
        assert!(matches!(error, Some(StoreError::Corrupt { .. })), "{error:?}");
    }
    let engine = engine();
    let mut batch = WriteBatch::new();
    batch.put(LIVE, "k", "v");
    engine.write(&batch).unwrap();
    let error = Store::open(Arc::new(engine)).err();
    assert!(matches!(error, Some(StoreError::Corrupt { table: "meta", .. })), "{error:?}");
}

#[test]
fn corrupt_records_are_reported_with_their_key() {
    // The second is well formed, but its revision lies in the future.
    for record in [&b"?"[..], b"\x01\x63\x00\x02\x01\x00v"] {
        let mut store = open_with(LIVE, "k", record).unwrap();
        let put = numbered(1, &PutRequest::new("k", "v").into());
        let error = store.apply(&[entry(1, vec![put])], &mut Vec::new()).unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { table: "live", key, .. } if key == "k"),
            "{error}"
        );
    }
}

#[test]
fn a_key_that_is_not_attached_cannot_be_listed() {
    let mut store = open_with(Table("lease_keys"), "\0\0\0\0\0\0\0\x07k", b"\x01").unwrap();
    let commands = vec![
        numbered(1, &LeaseGrantRequest { id: 7, ttl: 9 }.into()),
        numbered(2, &PutRequest::new("k", "v").into()),
        numbered(3, &LeaseRevokeRequest { id: 7 }.into()),
    ];
    let error = store.apply(&[entry(1, commands)], &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { table: "lease_keys", .. }), "{error}");
}

#[test]
fn a_write_is_no_read_only_transaction() {
    let single = Single::new();
    let txn =
        TxnRequest { failure: vec![PutRequest::new("k", "v").into()], ..TxnRequest::default() };
    let error = single.store.reader().txn(&txn).unwrap_err();
    assert!(matches!(error, RequestError::Refused(KvError::NotReadOnly)), "{error}");
}

#[test]
#[should_panic(expected = "log positions ascend")]
fn positions_must_ascend() {
    let mut store = open(&engine());
    let _never_returns = store.apply(&[entry(2, vec![]), entry(1, vec![])], &mut Vec::new());
}
