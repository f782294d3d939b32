//! Leases: against the model, in portions, over crashes and snapshots, and what etcd does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use quorate_kv_api::{
    Command as KvCommand, KvError, LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest,
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, PutRequest, RangeRequest, TxnRequest,
};
use quorate_mvcc::{Entry, Response, SnapshotReader, StagedSnapshot, Store, TABLES};
use quorate_storage::memory::MemoryEngine;
use quorate_storage::{Engine, Table, WriteBatch};
use quorate_types::{Instant, Term};

use crate::generate::{config, lease_id, leased_command};
use crate::harness::{Single, dump, engine, entry, hash, numbered, open};
use crate::model::{Lease, Model};

/// What is done next. Whether an expiry or a checkpoint fits the lease is decided when it comes.
#[derive(Clone, Debug)]
enum Step {
    Command(KvCommand),
    Expire { id: i64, fits: bool },
    Checkpoint { id: i64, fits: bool, remaining_ttl: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let grant = (lease_id(), -1i64..9).prop_map(|(id, ttl)| LeaseGrantRequest { id, ttl }.into());
    let revoke = lease_id().prop_map(|id| LeaseRevokeRequest { id }.into());
    let renew = lease_id().prop_map(|id| LeaseKeepAliveRequest { id }.into());
    let fits = || prop::bool::weighted(0.7);
    prop_oneof![
        12 => leased_command().prop_map(Step::Command),
        4 => grant.prop_map(Step::Command),
        1 => revoke.prop_map(Step::Command),
        2 => renew.prop_map(Step::Command),
        1 => (lease_id(), fits()).prop_map(|(id, fits)| Step::Expire { id, fits }),
        1 => (lease_id(), fits(), 0i64..10).prop_map(|(id, fits, remaining_ttl)| {
            Step::Checkpoint { id, fits, remaining_ttl }
        }),
    ]
}

fn resolve(step: &Step, model: &Model) -> KvCommand {
    let renewed_at = |id: i64, fits: bool| {
        let last = model.leases().get(&id).map_or(0, |lease| lease.renewed_at);
        if fits { last } else { last.saturating_sub(1) }
    };
    match *step {
        Step::Command(ref command) => command.clone(),
        Step::Expire { id, fits } => {
            LeaseExpireRequest { id, renewed_at: renewed_at(id, fits) }.into()
        }
        Step::Checkpoint { id, fits, remaining_ttl } => {
            let renewed_at = renewed_at(id, fits);
            let checkpoints = vec![LeaseCheckpoint { id, remaining_ttl, renewed_at }];
            LeaseCheckpointRequest { checkpoints }.into()
        }
    }
}

/// Entries, what their commands must answer, and the model after each entry; the first is fresh.
struct Story {
    entries: Vec<Entry>,
    answers: Vec<Result<Response, KvError>>,
    models: Vec<Model>,
}

fn story(steps: &[Step], per_entry: &[usize]) -> Story {
    let mut model = Model::new();
    let mut story = Story { entries: Vec::new(), answers: Vec::new(), models: vec![model.clone()] };
    let mut rest = steps;
    for &length in per_entry.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(length.min(rest.len()));
        model.index += 1;
        let mut commands = Vec::new();
        for step in now {
            let command = resolve(step, &model);
            story.answers.push(model.apply(&command));
            commands.push(numbered(story.answers.len() as u64, &command));
        }
        story.entries.push(entry(model.index, commands));
        story.models.push(model.clone());
        rest = later;
    }
    story
}

fn varint(bytes: &mut std::slice::Iter<'_, u8>) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.next().expect("the number goes on");
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("the number is too long");
}

/// Compares the tables, decoded as `docs/disk_format.md` tells, and the reads with the model.
fn check(engine: &MemoryEngine, store: &Store, model: &Model) {
    let mut leases = BTreeMap::new();
    let mut attachments = BTreeSet::new();
    let id_of = |key: &Bytes| i64::from_be_bytes(key[..8].try_into().expect("it has eight bytes"));
    for (table, key, value) in dump(engine) {
        if table == "leases" {
            let mut bytes = value[1..].iter();
            let ttl = varint(&mut bytes) as i64;
            let (renewed_at, remaining) = (varint(&mut bytes), varint(&mut bytes) as i64);
            leases.insert(id_of(&key), Lease { ttl, renewed_at, remaining });
        } else if table == "lease_keys" {
            assert_eq!(value, &b"\x01"[..]);
            attachments.insert((id_of(&key), key.slice(8..)));
        }
    }
    assert_eq!(&leases, model.leases());
    assert_eq!(attachments, model.attachments());
    let reader = store.reader();
    for id in [1, 2, -1] {
        let request = LeaseTimeToLiveRequest { id, keys: true };
        let response = reader.time_to_live(&request, Instant::ZERO).expect("memory can be read");
        let lease = model.leases().get(&id);
        assert_eq!(response.granted_ttl, lease.map_or(0, |lease| lease.ttl));
        assert_eq!(response.ttl == -1, lease.is_none());
        let keys = attachments.iter().filter(|(lease, _)| *lease == id);
        assert_eq!(response.keys, keys.map(|(_, key)| key.clone()).collect::<Vec<_>>());
        assert_eq!(response.header.expect("it has a header").revision, model.revision());
    }
    let mut listed: Vec<i64> =
        reader.leases(Instant::ZERO).leases.iter().map(|lease| lease.id).collect();
    listed.sort_unstable();
    assert_eq!(listed, leases.keys().copied().collect::<Vec<_>>());
    for revision in model.compacted().max(1)..=model.revision() {
        assert_eq!(hash(store, revision), model.hash(revision), "at revision {revision}");
    }
}

fn copy_to(from: SnapshotReader, to: &mut Store) {
    let mut from = from;
    let mut staged = StagedSnapshot::begin(to.engine()).expect("memory does not fail");
    while let Some(block) = from.next_block().expect("memory does not fail") {
        staged.push_block(&block).expect("the block is well formed");
    }
    to.install(staged).expect("the snapshot is whole");
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..6, 1..4)
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn leases_equal_the_model(
        steps in prop::collection::vec(step(), 1..60),
        (per_entry, per_run) in (lengths(), lengths()),
    ) {
        let story = story(&steps, &per_entry);
        let engine = engine();
        let mut store = open(&engine);
        let mut outcomes = Vec::new();
        let mut applied = 0;
        for length in per_run.into_iter().cycle() {
            let end = story.entries.len().min(applied + length);
            store.apply(&story.entries[applied..end], &mut outcomes).expect("memory works");
            applied = end;
            check(&engine, &store, &story.models[applied]);
            if applied == story.entries.len() {
                break;
            }
        }
        for (number, (outcome, expected)) in outcomes.into_iter().zip(&story.answers).enumerate() {
            prop_assert_eq!(&outcome.result, expected, "step {}: {:?}", number, steps[number]);
        }
        check(&engine, &open(&engine), &story.models[applied]);
    }

    #[test]
    fn leases_survive_crashes_and_snapshots(
        steps in prop::collection::vec(step(), 1..60),
        (per_entry, per_run) in (lengths(), lengths()),
        events in prop::collection::vec((1usize..8, 0..3, 0usize..6), 1..8),
    ) {
        let story = story(&steps, &per_entry);
        let engine = engine();
        let mut store = open(&engine);
        let mut end = 0;
        for (count, kind, kept) in events {
            end = story.entries.len().min(end + count);
            let mut rest = &story.entries[..end];
            for &length in per_run.iter().cycle() {
                let (run, later) = rest.split_at(length.min(rest.len()));
                store.apply(run, &mut Vec::new()).expect("memory works");
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            match kind {
                0 => engine.flush().expect("memory does not fail"),
                1 => {
                    drop(store);
                    engine.crash_keeping(kept);
                    store = open(&engine);
                }
                _ => {
                    // A member that was there from the beginning sends what it has.
                    let mut other = open(&crate::harness::engine());
                    let later = story.entries.len().min(end + kept);
                    other.apply(&story.entries[..later], &mut Vec::new()).expect("memory works");
                    copy_to(other.snapshot().expect("memory does not fail"), &mut store);
                }
            }
            let applied = store.applied().index.get() as usize;
            check(&engine, &store, &story.models[applied]);
        }
        store.apply(&story.entries, &mut Vec::new()).expect("memory works");
        check(&engine, &store, &story.models[story.entries.len()]);
    }
}

fn grant(single: &mut Single, id: i64, ttl: i64) -> LeaseGrantResponse {
    match single.apply(LeaseGrantRequest { id, ttl }) {
        Ok(Response::LeaseGrant(response)) => response,
        other => panic!("a grant is answered as one: {other:?}"),
    }
}

fn attach(single: &mut Single, key: &str, lease: i64) -> Result<Response, KvError> {
    single.apply(PutRequest { lease, ..PutRequest::new(key.to_owned(), "v") })
}

fn revision(single: &Single) -> i64 {
    single.store.reader().revision()
}

fn keys(single: &Single, id: i64) -> String {
    let request = LeaseTimeToLiveRequest { id, keys: true };
    let response = single.store.reader().time_to_live(&request, Instant::ZERO);
    let keys = response.expect("memory can be read").keys;
    let keys = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
    keys.collect::<Vec<_>>().join(" ")
}

#[test]
fn grants() {
    let mut single = Single::new();
    let response = grant(&mut single, 7, 10);
    assert_eq!((response.id, response.ttl, response.header.unwrap().revision), (7, 10, 1));
    let again = single.apply(LeaseGrantRequest { id: 7, ttl: 20 });
    assert_eq!(again, Err(KvError::LeaseExists { lease: 7 }));
    assert_eq!(grant(&mut single, -9, 10).id, -9);
    let mut chosen = BTreeSet::new();
    for _ in 0..100 {
        let id = grant(&mut single, 0, 5).id;
        assert!(id > 0 && chosen.insert(id), "{id}");
    }
    assert_eq!(single.store.reader().leases(Instant::ZERO).leases.len(), 102);
}

#[test]
fn chosen_ids_are_the_same_everywhere() {
    let commands = |count: u64| {
        (1..=count).map(|n| numbered(n, &LeaseGrantRequest { id: 0, ttl: 5 }.into())).collect()
    };
    let mut dumps = Vec::new();
    for warm in [false, true] {
        let engine = engine();
        let mut store = open(&engine);
        let entries = [entry(1, commands(20)), entry(2, commands(40))];
        if warm {
            store.apply(&entries[..1], &mut Vec::new()).unwrap();
            store = open(&engine);
        }
        let mut outcomes = Vec::new();
        store.apply(&entries, &mut outcomes).unwrap();
        dumps.push(dump(&engine));
        assert_eq!(store.reader().leases(Instant::ZERO).leases.len(), 40);
    }
    assert_eq!(dumps[0], dumps[1]);
}

#[test]
fn revocations() {
    let mut single = Single::new();
    let revoke = |single: &mut Single, id| single.apply(LeaseRevokeRequest { id });
    assert_eq!(revoke(&mut single, 7), Err(KvError::LeaseNotFound { lease: 7 }));
    grant(&mut single, 7, 10);
    revoke(&mut single, 7).unwrap();
    assert_eq!(revision(&single), 1, "an empty lease makes no revision");
    grant(&mut single, 7, 10);
    grant(&mut single, 8, 10);
    for (key, lease) in [("b", 7), ("a", 7), ("c", 8), ("d", 7)] {
        attach(&mut single, key, lease).unwrap();
    }
    assert_eq!((keys(&single, 7), keys(&single, 8)), ("a b d".into(), "c".into()));
    let Ok(Response::LeaseRevoke(response)) = revoke(&mut single, 7) else { panic!("it exists") };
    assert_eq!(response.header.unwrap().revision, 6, "all keys go in one revision");
    for (key, is_left) in [("a", false), ("b", false), ("c", true), ("d", false)] {
        assert_eq!(single.value(key).is_some(), is_left, "{key}");
    }
    assert_eq!(attach(&mut single, "a", 7), Err(KvError::LeaseNotFound { lease: 7 }));
}

#[test]
fn a_key_has_one_lease() {
    let mut single = Single::new();
    grant(&mut single, 7, 10);
    grant(&mut single, 8, 10);
    attach(&mut single, "a", 7).unwrap();
    attach(&mut single, "a", 8).unwrap();
    assert_eq!((keys(&single, 7), keys(&single, 8)), (String::new(), "a".into()));
    let kept = PutRequest { ignore_lease: true, ..PutRequest::new("a", "2") };
    single.apply(kept.clone()).unwrap();
    assert_eq!(keys(&single, 8), "a");
    let range = single.store.reader().range(&RangeRequest::key("a")).unwrap();
    assert_eq!(range.kvs[0].lease, 8);
    attach(&mut single, "a", 0).unwrap();
    single.apply(kept).unwrap();
    assert_eq!((keys(&single, 7), keys(&single, 8)), (String::new(), String::new()));
    single.apply(LeaseRevokeRequest { id: 8 }).unwrap();
    assert_eq!(single.value("a"), Some("2".into()));
}

#[test]
fn renewals() {
    let mut single = Single::new();
    let renew = |single: &mut Single, id| match single.apply(LeaseKeepAliveRequest { id }) {
        Ok(Response::LeaseKeepAlive(response)) => response.ttl,
        other => panic!("a renewal is answered as one: {other:?}"),
    };
    assert_eq!(renew(&mut single, 7), 0);
    grant(&mut single, 7, 10);
    let granted_at = single.next() - 1;
    attach(&mut single, "a", 7).unwrap();
    assert_eq!(renew(&mut single, 7), 10);
    let renewed_at = single.next() - 1;
    // An expiry that was proposed before the renewal comes after it.
    single.apply(LeaseExpireRequest { id: 7, renewed_at: granted_at }).unwrap();
    assert_eq!(renewed_at, granted_at + 2);
    assert_eq!(keys(&single, 7), "a");
    let expired = single.apply(LeaseExpireRequest { id: 7, renewed_at });
    assert!(matches!(expired, Ok(Response::Chore(header)) if header.revision == 3));
    // A renewal that was proposed before the expiry comes after it.
    assert_eq!((renew(&mut single, 7), single.value("a")), (0, None));
    single.apply(LeaseExpireRequest { id: 7, renewed_at }).unwrap();
    assert_eq!(revision(&single), 3);
}

#[test]
fn a_refused_transaction_attaches_nothing() {
    let mut single = Single::new();
    grant(&mut single, 7, 10);
    let put = |key: &'static str, lease| PutRequest { lease, ..PutRequest::new(key, "v") }.into();
    let success = vec![put("a", 7), put("b", 8)];
    let refused = single.apply(TxnRequest { success, ..TxnRequest::default() });
    assert_eq!(refused, Err(KvError::LeaseNotFound { lease: 8 }));
    assert_eq!((revision(&single), keys(&single, 7)), (1, String::new()));
    // The branch that is not taken may name any lease.
    let txn =
        TxnRequest { success: vec![put("a", 7)], failure: vec![put("b", 8)], compare: vec![] };
    single.apply(txn).unwrap();
    assert_eq!(keys(&single, 7), "a");
    // Outside of transactions the lease comes first, within them the key.
    let missing = PutRequest { ignore_value: true, lease: 8, ..PutRequest::new("c", "") };
    assert_eq!(single.apply(missing.clone()), Err(KvError::LeaseNotFound { lease: 8 }));
    let txn = TxnRequest { success: vec![missing.into()], ..TxnRequest::default() };
    assert_eq!(single.apply(txn), Err(KvError::KeyNotFound));
}

#[test]
fn many_keys_and_many_leases() {
    let mut commands = Vec::new();
    let mut add = |command: KvCommand| {
        let number = commands.len() as u64 + 1;
        commands.push(numbered(number, &command));
    };
    for id in 1..=5_000 {
        add(LeaseGrantRequest { id, ttl: 10 }.into());
    }
    for key in 0..10_000 {
        let lease = if key < 5_000 { 1 } else { key - 4_999 };
        add(PutRequest { lease, ..PutRequest::new(format!("{key:05}"), "v") }.into());
    }
    for id in 1..=5_000 {
        add(LeaseRevokeRequest { id }.into());
    }
    // In one run, all of it is pending when leases are revoked; in two, half of it is.
    for split in [commands.len(), 10_000] {
        let engine = engine();
        let mut store = open(&engine);
        let (first, second) = commands.split_at(split);
        store.apply(&[entry(1, first.to_vec())], &mut Vec::new()).unwrap();
        store.apply(&[entry(2, second.to_vec())], &mut Vec::new()).unwrap();
        assert_eq!(store.reader().revision(), 1 + 10_000 + 5_000);
        let left = dump(&engine);
        assert!(left.iter().all(|row| !["live", "leases", "lease_keys"].contains(&row.0)));
    }
}

#[test]
fn times_go_with_what_was_applied() {
    let second = |count: u64| Instant::from_nanos(count * 1_000_000_000);
    let term = Term::new(1);
    let mut single = Single::new();
    let lessor = single.store.lessor();
    lessor.tick(second(0), term, true);
    grant(&mut single, 7, 10);
    grant(&mut single, 8, 5);
    let ask = |single: &Single, id, now: Instant| {
        let request = LeaseTimeToLiveRequest { id, keys: false };
        let response = single.store.reader().time_to_live(&request, now).unwrap();
        (response.ttl, response.granted_ttl)
    };
    assert_eq!(ask(&single, 7, second(50)), (10, 10), "nothing is counted before a tick");
    lessor.tick(second(1), term, true);
    assert_eq!(ask(&single, 7, Instant::from_nanos(1_000_000_001)), (9, 10), "it is cut");
    assert_eq!(ask(&single, 7, second(12)), (0, 10));
    assert_eq!(ask(&single, 9, second(12)), (-1, 0));
    let order = |single: &Single| {
        let leases = single.store.reader().leases(second(1)).leases;
        leases.iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    assert_eq!(order(&single), [8, 7]);
    // What the leader proposes takes effect.
    let expire = lessor.tick(second(6), term, true);
    assert_eq!(expire.len(), 1);
    single.apply(expire[0].clone()).unwrap();
    assert_eq!((order(&single), ask(&single, 8, second(6))), (vec![7], (-1, 0)));
    single.apply(LeaseKeepAliveRequest { id: 7 }).unwrap();
    assert_eq!(ask(&single, 7, second(6)), (10, 10));
    assert_eq!(lessor.tick(second(11), term, true), []);
    assert_eq!(ask(&single, 7, second(11)), (10, 10));

    // Another member that takes this state over gives every lease its full time and a second more.
    let mut other = Single::new();
    grant(&mut other, 3, 1);
    other.store.lessor().tick(second(100), term, true);
    copy_to(single.store.snapshot().unwrap(), &mut other.store);
    assert_eq!(other.store.lessor().tick(second(102), term, true), []);
    assert_eq!((ask(&other, 7, second(102)), order(&other)), ((11, 10), vec![7]));
    // So does one that is opened again.
    let reopened = open(&single.engine);
    assert_eq!(reopened.lessor().tick(second(200), term, true), []);
    assert_eq!(reopened.lessor().next(), Some(second(211)));
}

#[test]
fn format_1_becomes_format_2() {
    let as_format_1 = || {
        let mut single = Single::new();
        single.apply(PutRequest::new("a", "v")).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(Table("meta"), "format", &[0u8, 0, 0, 1][..]);
        single.engine.write(&batch).unwrap();
        single
    };
    let format = |engine: &MemoryEngine| engine.get(Table("meta"), b"format").unwrap().unwrap();
    let old = as_format_1();
    assert_eq!(format(&old.engine), &[0u8, 0, 0, 1][..]);
    let store = open(&old.engine);
    assert_eq!(format(&old.engine), &[0u8, 0, 0, 2][..]);
    assert_eq!(store.reader().revision(), 2);

    // The stream of a sender of format 1 has no rows of leases.
    let mut to = Single::new();
    grant(&mut to, 7, 10);
    copy_to(as_format_1().store.snapshot().unwrap(), &mut to.store);
    assert_eq!(format(&to.engine), &[0u8, 0, 0, 2][..]);
    assert_eq!(to.value("a"), Some("v".into()));
    assert_eq!(to.store.reader().leases(Instant::ZERO).leases, []);
    grant(&mut to, 7, 10);
    assert_eq!(TABLES.len(), 7);
}
