//! Readers beside the writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use quorate_kv_api::{DeleteRangeRequest, PutRequest, RangeRequest};
use quorate_mvcc::Reader;

use crate::harness::Single;

/// The key is put at even revisions, with its revision as value, and deleted at odd ones.
fn check(reader: &Reader, request: &RangeRequest) -> i64 {
    let known = reader.revision();
    let response = reader.range(request).expect("memory does not fail");
    let revision = response.header.expect("a response has a header").revision;
    assert!(revision >= known, "{revision} is older than {known}");
    match response.kvs.first() {
        Some(kv) => {
            assert_eq!(kv.value, revision.to_string());
            assert_eq!(kv.mod_revision, revision);
        }
        None => assert_eq!(revision % 2, 1, "the key exists at revision {revision}"),
    }
    revision
}

#[test]
fn every_read_is_true_at_its_revision() {
    let mut single = Single::new();
    let reader = single.store.reader();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let one = RangeRequest::key("k");
            let all = RangeRequest { range_end: "\0".into(), ..one.clone() };
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                for request in [&one, &all] {
                    let revision = check(&reader, request);
                    assert!(revision >= last, "{revision} comes after {last}");
                    last = revision;
                }
            }
        });
        for revision in (2..6000).step_by(2) {
            single.apply(PutRequest::new("k", revision.to_string())).expect("puts are accepted");
            single.apply(DeleteRangeRequest::key("k")).expect("deletions are accepted");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(single.store.reader().revision(), 5999);
}
