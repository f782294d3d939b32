//! A typed value that follows a key.

use std::time::Duration;

use quorate::recipes::{LiveConfig, LiveState, RecipeError};
use quorate::{Error, Node};

use crate::{ANSWERED, open};

fn put(node: &Node, value: &str) -> i64 {
    node.put("size", value.to_owned()).wait().expect(ANSWERED).header.expect(ANSWERED).revision
}

fn live(node: &Node) -> LiveConfig<u32> {
    LiveConfig::from_text(node, "size", 7).wait().expect(ANSWERED)
}

/// Waits until the state is that of a revision.
fn until(config: &LiveConfig<u32>, revision: i64) -> LiveState<u32> {
    let mut state = config.state();
    while state.revision < revision {
        state = config.changed(state.revision).wait().expect(ANSWERED);
    }
    assert_eq!(state.revision, revision);
    state
}

#[test]
fn a_value_follows_its_key() {
    let node = open();
    let config = live(&node);
    assert_eq!((*config.get(), config.state().problem), (7, None));
    let revision = put(&node, " 8\n");
    assert_eq!(*until(&config, revision).value, 8);
    assert_eq!(*config.get(), 8);
    let opened_later = live(&node);
    assert_eq!((*opened_later.get(), opened_later.state().revision), (8, revision));
    let revision = node.delete("size").wait().unwrap().header.unwrap().revision;
    assert_eq!(*until(&config, revision).value, 7, "without a key the default holds");
    node.put("size2", "1").wait().unwrap();
    let mut changed = config.changed(revision);
    assert!(changed.wait_timeout(Duration::from_millis(1)).is_none());
    let revision = put(&node, "9");
    // A wait that is resumed, and one that is given up.
    drop(config.clone().changed(revision));
    assert_eq!(*changed.wait().unwrap().value, 9);
}

#[test]
fn a_bad_value_keeps_the_last_good_one() {
    let node = open();
    let config = live(&node);
    put(&node, "8");
    let bad = put(&node, "many");
    let state = until(&config, bad);
    assert_eq!(*state.value, 8);
    let Some(RecipeError::BadValue { key, revision, reason }) = state.problem else {
        panic!("{state:?}");
    };
    assert_eq!((&key[..], revision), ("size", bad));
    assert!(reason.contains("invalid digit"), "{reason}");
    let good = put(&node, "10");
    let state = until(&config, good);
    assert_eq!((*state.value, state.problem), (10, None));

    put(&node, "worse");
    let opened_later = live(&node).state();
    assert_eq!(*opened_later.value, 7, "there was no good value since it was opened");
    assert!(opened_later.problem.is_some());
}

#[test]
fn a_parser_that_panics_harms_nobody() {
    let node = open();
    let parse = |value: &[u8]| -> Result<usize, String> {
        assert!(value.len() < 5, "too long for this test");
        Ok(value.len())
    };
    put(&node, "abcd");
    let config = LiveConfig::open(&node, "size", 0, parse).wait().unwrap();
    assert_eq!(*config.get(), 4);
    let before = config.state().revision;
    put(&node, "abcdef");
    let state = config.changed(before).wait().unwrap();
    assert_eq!(*state.value, 4);
    assert!(matches!(state.problem, Some(RecipeError::BadValue { .. })));
    let before = state.revision;
    put(&node, "abc");
    assert_eq!(*config.changed(before).wait().unwrap().value, 3);
}

#[test]
fn a_compaction_loses_nothing() {
    let node = open();
    let config = live(&node);
    for i in 0..100 {
        let revision = put(&node, &i.to_string());
        node.compact(revision).wait().unwrap();
    }
    let revision = put(&node, "123");
    assert_eq!(*until(&config, revision).value, 123);
}

#[test]
fn waiting_ends_with_the_member() {
    let node = open();
    let config = live(&node);
    let waiting = std::thread::spawn({
        let config = config.clone();
        move || config.changed(i64::MAX).wait()
    });
    node.close().unwrap();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped(_))));
    assert!(matches!(config.changed(i64::MAX).wait(), Err(Error::Stopped(_))));
    assert_eq!(*config.get(), 7);
}

#[test]
fn an_empty_key_is_refused() {
    let node = open();
    assert!(matches!(LiveConfig::from_text(&node, "", 7).wait(), Err(Error::Refused(_))));
}
