//! Snapshots: taken, staged, installed, refused.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_kv_api::{Command as KvCommand, DeleteRangeRequest, PutRequest, RangeRequest};
use quorate_mvcc::{SnapshotReader, StagedSnapshot, Store, StoreError};

use crate::generate::{command, config};
use crate::harness::{Single, dump, engine, entry, hash, numbered, open};

pub(crate) fn blocks(mut snapshot: SnapshotReader) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    while let Some(block) = snapshot.next_block().expect("memory does not fail") {
        blocks.push(block);
    }
    blocks
}

pub(crate) fn stage(store: &Store, blocks: &[Bytes]) -> Result<StagedSnapshot, StoreError> {
    let mut staged = StagedSnapshot::begin(store.engine())?;
    for block in blocks {
        staged.push_block(block)?;
    }
    staged.finish()?;
    Ok(staged)
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn a_snapshot_brings_everything(
        commands in prop::collection::vec(command(), 0..40),
        other in prop::collection::vec(command(), 0..10),
        later in prop::collection::vec(command(), 0..10),
    ) {
        let mut from = Single::new();
        for command in commands {
            let _refused_or_not = from.apply(command);
        }
        let snapshot = from.store.snapshot().unwrap();
        let (position, before, hash_before) =
            (from.store.applied(), dump(&from.engine), hash(&from.store, 0));
        // What happens after the snapshot was taken does not show in it.
        for command in later {
            let _refused_or_not = from.apply(command);
        }
        prop_assert_eq!(snapshot.position(), position);
        let mut to = Single::new();
        for command in other {
            let _refused_or_not = to.apply(command);
        }
        let reader = to.store.reader();
        let staged = stage(&to.store, &blocks(snapshot)).unwrap();
        prop_assert_eq!(staged.position(), position);
        to.store.install(staged).unwrap();
        prop_assert_eq!(dump(&to.engine), before);
        prop_assert_eq!(hash(&to.store, 0), hash_before);
        prop_assert_eq!((to.store.applied(), reader.applied()), (position, position));
        // It survives a crash at once.
        to.engine.crash();
        prop_assert_eq!(open(&to.engine).applied(), position);
    }
}

/// A store whose snapshot takes several blocks. The value of a key is its number plus `offset`.
fn large(offset: u8) -> Single {
    let mut single = Single::new();
    for number in 0..40u8 {
        let key = format!("key{number:03}");
        single
            .apply(PutRequest::new(key, vec![number + offset; 30_000]))
            .expect("puts are accepted");
    }
    single
}

#[test]
fn blocks_are_bounded() {
    let blocks = blocks(large(0).store.snapshot().unwrap());
    assert!(blocks.len() > 8, "{}", blocks.len());
    assert!(blocks.iter().all(|block| block.len() < 256 * 1024 + 30_100));
}

#[test]
fn malformed_blocks_are_refused_and_can_be_sent_again() {
    let blocks = blocks(large(0).store.snapshot().unwrap());
    let mut to = Single::new();
    let mut staged = StagedSnapshot::begin(to.store.engine()).unwrap();
    let malformed = |staged: &mut StagedSnapshot, block: &[u8]| {
        let number = staged.blocks();
        let error = staged.push_block(block).unwrap_err();
        assert!(
            matches!(error, StoreError::MalformedSnapshot { block, .. } if block == number),
            "{error}"
        );
    };
    for (number, block) in blocks.iter().enumerate() {
        malformed(&mut staged, b"");
        malformed(&mut staged, &block[..block.len() - 1]);
        for flipped in [0, 4, 5, 13, block.len() / 2, block.len() - 1] {
            let mut damaged = block.to_vec();
            damaged[flipped] ^= 0x10;
            malformed(&mut staged, &damaged);
        }
        malformed(&mut staged, &blocks[(number + 1) % blocks.len()]);
        assert!(staged.finish().is_err());
        staged.push_block(block).unwrap();
    }
    malformed(&mut staged, &blocks[0]);
    to.store.install(staged).unwrap();
    assert_eq!(to.value("key007"), Some(vec![7; 30_000].into()));
}

#[test]
fn an_incomplete_snapshot_is_not_installed() {
    let blocks = blocks(large(0).store.snapshot().unwrap());
    let mut to = Single::new();
    to.apply(PutRequest::new("mine", "v")).unwrap();
    let mut staged = StagedSnapshot::begin(to.store.engine()).unwrap();
    for block in &blocks[..blocks.len() - 1] {
        staged.push_block(block).unwrap();
    }
    let error = to.store.install(staged).unwrap_err();
    assert!(matches!(error, StoreError::IncompleteSnapshot { .. }) && error.is_retryable());
    assert_eq!(to.value("mine"), Some("v".into()));
    to.apply(PutRequest::new("mine", "w")).unwrap();
}

#[test]
fn blocks_of_two_snapshots_do_not_mix() {
    // The two differ in nothing but the values, so every block of one could be one of the other.
    let first = blocks(large(0).store.snapshot().unwrap());
    let second = blocks(large(1).store.snapshot().unwrap());
    assert_eq!(first[0], second[0]);
    let mixed: Vec<Bytes> = [&first[..3], &second[3..]].concat();
    let error = stage(&Single::new().store, &mixed).err();
    assert!(matches!(error, Some(StoreError::MalformedSnapshot { .. })), "{error:?}");
}

#[test]
fn what_was_remembered_before_is_forgotten() {
    let put = |single: &mut Single, keys: &[&'static str]| {
        for key in keys {
            single.apply(PutRequest::new(*key, "v")).expect("puts are accepted");
        }
    };
    let mut from = Single::new();
    put(&mut from, &["a", "b", "b", "c"]);
    from.apply(DeleteRangeRequest { key: "c".into(), ..DeleteRangeRequest::default() }).unwrap();
    let mut to = Single::new();
    // Here `b` has one version and is remembered as such; `a` is remembered as absent.
    put(&mut to, &["b", "c", "a"]);
    to.apply(DeleteRangeRequest { key: "a".into(), ..DeleteRangeRequest::default() }).unwrap();
    let staged = stage(&to.store, &blocks(from.store.snapshot().unwrap())).unwrap();
    to.store.install(staged).unwrap();
    to.skip_to(from.next());
    for single in [&mut from, &mut to] {
        put(single, &["a", "b", "c"]);
    }
    assert_eq!(dump(&to.engine), dump(&from.engine));
}

#[test]
fn applied_once_survives_a_snapshot() {
    let mut from = open(&engine());
    let put = numbered(1, &KvCommand::from(PutRequest::new("k", "v")));
    let mut membered = entry(1, vec![put.clone()]);
    membered.membership = Some(Bytes::from_static(b"members"));
    from.apply(&[membered], &mut Vec::new()).unwrap();
    let snapshot = from.snapshot().unwrap();
    assert_eq!((snapshot.membership(), snapshot.revision()), (Bytes::from_static(b"members"), 2));
    let mut to = Store::open(Arc::new(engine())).unwrap();
    let staged = stage(&to, &blocks(snapshot)).unwrap();
    to.install(staged).unwrap();
    assert_eq!(to.membership(), "members");
    let mut outcomes = Vec::new();
    to.apply(&[entry(1, vec![]), entry(2, vec![put])], &mut outcomes).unwrap();
    assert_eq!(outcomes, []);
    assert_eq!(to.reader().range(&RangeRequest::key("k")).unwrap().kvs[0].version, 1);
}
