//! Readers beside the writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use quorate_kv_api::{Command as KvCommand, DeleteRangeRequest, PutRequest, RangeRequest};
use quorate_mvcc::{Reader, SnapshotReader, StagedSnapshot, Store};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{Engine, Restore, StorageError, Table, View, WriteBatch};

use crate::harness::{Single, engine, entry, numbered};

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

type Hook = Box<dyn FnOnce() + Send>;

/// An engine that lets something happen just before its next lookup of a live key or its next view,
/// or just after its next write or the next replacement of its content.
pub(crate) struct Meddling {
    inner: MemoryEngine,
    before_get: Mutex<Option<Hook>>,
    pub(crate) before_view: Mutex<Option<Hook>>,
    after_write: Mutex<Option<Hook>>,
    pub(crate) after_commit: Arc<Mutex<Option<Hook>>>,
}

fn run(hook: &Mutex<Option<Hook>>) {
    let hook = hook.lock().expect("no hook panics").take();
    if let Some(hook) = hook {
        hook();
    }
}

impl Engine for Meddling {
    fn write(&self, batch: &WriteBatch) -> Result<(), StorageError> {
        self.inner.write(batch)?;
        run(&self.after_write);
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        if table == Table("live") {
            run(&self.before_get);
        }
        self.inner.get(table, key)
    }

    fn view(&self) -> Result<Arc<dyn View>, StorageError> {
        run(&self.before_view);
        self.inner.view()
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.inner.flush()
    }

    fn restore(&self) -> Result<Box<dyn Restore>, StorageError> {
        let (inner, after_commit) = (self.inner.restore()?, self.after_commit.clone());
        Ok(Box::new(MeddlingRestore { inner, after_commit }))
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }
}

struct MeddlingRestore {
    inner: Box<dyn Restore>,
    after_commit: Arc<Mutex<Option<Hook>>>,
}

impl Restore for MeddlingRestore {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.inner.put(table, key, value)
    }

    fn commit(self: Box<Self>) -> Result<(), StorageError> {
        self.inner.commit()?;
        run(&self.after_commit);
        Ok(())
    }
}

pub(crate) fn meddling() -> (Arc<Meddling>, Store) {
    let meddling = Arc::new(Meddling {
        inner: engine(),
        before_get: Mutex::default(),
        before_view: Mutex::default(),
        after_write: Mutex::default(),
        after_commit: Arc::default(),
    });
    let store = Store::open(meddling.clone()).expect("the engine is fresh");
    (meddling, store)
}

pub(crate) fn apply(store: &mut Store, index: u64, command: impl Into<KvCommand>) {
    let entry = entry(index, vec![numbered(index, &command.into())]);
    store.apply(&[entry], &mut Vec::new()).expect("memory does not fail");
}

/// The revision that a read of the key tells; checks that what it found is true there.
fn read(reader: &Reader) -> i64 {
    check(reader, &RangeRequest::key("k"))
}

#[test]
fn a_write_between_revision_and_lookup() {
    let (engine, mut store) = meddling();
    let reader = store.reader();
    apply(&mut store, 1, PutRequest::new("k", "2"));
    let store = Arc::new(Mutex::new(store));
    let meddle = |index: u64, command: KvCommand| {
        let store = store.clone();
        let hook = move || apply(&mut store.lock().expect("no hook panics"), index, command);
        *engine.before_get.lock().expect("no hook panics") = Some(Box::new(hook));
    };
    meddle(2, DeleteRangeRequest::key("k").into());
    assert_eq!(read(&reader), 3);
    meddle(3, PutRequest::new("k", "4").into());
    assert_eq!(read(&reader), 4);
}

#[test]
fn a_read_between_write_and_its_end() {
    let (engine, mut store) = meddling();
    let commands: [KvCommand; 3] = [
        PutRequest::new("k", "2").into(),
        DeleteRangeRequest::key("k").into(),
        PutRequest::new("k", "4").into(),
    ];
    for (index, command) in (1..).zip(commands) {
        let reader = store.reader();
        let hook = move || assert_eq!(read(&reader), index as i64 + 1);
        *engine.after_write.lock().expect("no hook panics") = Some(Box::new(hook));
        apply(&mut store, index, command);
    }
}

#[test]
fn handles_can_move_between_threads() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Clone + Send + Sync>() {}
    is_send::<Store>();
    is_send::<SnapshotReader>();
    is_send::<StagedSnapshot>();
    is_shared::<Reader>();
}
