//! What a member says when it cannot be opened.

use std::error::Error;
use std::path::Path;

use quorate::{Cluster, Config, Node, OpenError, StorageError};
use tempfile::TempDir;

use super::group::{files, quicken};

/// A folder with a member in it that wrote a few hundred keys and was closed.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let node = Node::open(Config::new(folder.path())).expect("opens");
    for i in 0..400 {
        node.put(format!("key/{i}"), vec![b'v'; 200]).wait().expect("written");
    }
    node.close().expect("closes");
    folder
}

/// Opens, or reads everything, and returns what went wrong with all its causes.
fn complaint(config: Config) -> String {
    let error: Box<dyn Error> = match Node::open(config) {
        Err(error) => Box::new(error),
        Ok(node) => match node.range(quorate::Range::all()).wait() {
            Ok(read) => return format!("read {} keys", read.count),
            Err(error) => Box::new(error),
        },
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).expect("readable");
    bytes[offset] ^= 0x10;
    std::fs::write(path, bytes).expect("writable");
}

#[test]
fn a_wrong_configuration_names_the_field() {
    fn check(change: fn(&mut Config), expected: &str) {
        let mut config = Config::new("never made");
        change(&mut config);
        assert_eq!(complaint(config), expected);
        assert!(!Path::new("never made").exists());
    }
    check(
        |config| config.log_keep_entries = 10_000_001,
        "config field log_keep_entries is 10000001, but must be 0 to 10000000",
    );
    check(
        |config| config.cache_size = quorate::ByteSize::kib(1),
        "config field cache_size is 1 KiB, but must be 1 MiB to 1024 GiB",
    );
    check(
        |config| config.name = String::new(),
        "config field name is \"\", but must be 1 to 64 bytes without control characters",
    );
    check(
        |config| config.cluster = Some(Cluster::of_names("t", ["a", "b"])),
        "config field name is \"default\", but must be one of the cluster's members: a, b",
    );
    check(
        |config| {
            config.name = "a".to_owned();
            config.cluster = Some(Cluster::of_names("t", ["a", "b", "c"]));
        },
        "config field network is None, but must be a hub, TCP or a transport of your own for a \
         cluster of several members",
    );
}

#[test]
fn a_folder_in_use_is_refused_also_within_one_process() {
    let folder = TempDir::new().expect("a temporary folder");
    let _node = Node::open(Config::new(folder.path())).expect("opens");
    let error = Node::open(Config::new(folder.path())).expect_err("in use");
    assert!(matches!(error, OpenError::Storage(StorageError::Locked { .. })), "{error}");
    assert!(error.is_retryable());
    let expected = format!("data folder {} is in use by another member", folder.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_folder_of_another_cluster_is_refused_and_left_alone() {
    let folder = folder();
    let cluster = Cluster::of_names("other", ["default"]);
    let said = complaint(Config::new(folder.path()).cluster(cluster));
    let begin = format!("data folder {} belongs to member \"default\" (", folder.path().display());
    assert!(said.starts_with(&begin), "{said}");
    assert_eq!(complaint(Config::new(folder.path())), "read 400 keys");
    let said = complaint(Config::new(folder.path()).named("somebody else"));
    assert!(said.ends_with("not to member \"somebody else\""), "{said}");
}

#[test]
fn a_newer_format_is_refused() {
    let folder = folder();
    let path = folder.path().join("IDENTITY");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("identity 1", "identity 2")).expect("writable");
    let expected =
        format!("{} has format version 2, this version of Quorate knows up to 1", path.display());
    assert_eq!(complaint(Config::new(folder.path())), expected);
}

#[test]
fn stores_without_an_identity_are_refused() {
    let folder = folder();
    std::fs::remove_file(folder.path().join("IDENTITY")).expect("removable");
    let said = complaint(Config::new(folder.path()));
    assert!(said.contains("IDENTITY is missing beside log"), "{said}");
}

#[test]
fn a_missing_log_beside_a_state_is_noticed() {
    let folder = folder();
    std::fs::remove_dir_all(folder.path().join("state")).expect("removable");
    // All entries are still in the log, so the state can be made again.
    assert_eq!(complaint(Config::new(folder.path())), "read 400 keys");
}

#[test]
fn a_flipped_bit_in_the_log_is_reported_with_file_and_place() {
    let folder = folder();
    let file = files(&folder.path().join("log"), ".raftlog").pop().expect("a log file");
    let said = complaint(Config::new(folder.path()));
    assert_eq!(said, "read 400 keys");
    flip(&file, 20_000);
    let said = complaint(Config::new(folder.path()));
    let begin = format!("corrupt data in {} at byte ", file.display());
    assert!(said.starts_with(&begin), "{said}");
}

#[test]
fn a_flipped_bit_in_the_state_is_reported_with_its_file() {
    let folder = folder();
    let tables = files(&folder.path().join("state"), ".sst");
    assert!(!tables.is_empty(), "closing flushed the state");
    tables.iter().for_each(|table| flip(table, 100));
    let said = complaint(Config::new(folder.path()));
    let name = said.strip_prefix("cannot read the store: ").unwrap_or(&said);
    assert!(name.contains("corrupt data in ") && name.contains(".sst"), "{said}");
}

#[test]
fn the_bootstrap_arguments_need_not_be_repeated() {
    let folder = TempDir::new().expect("a temporary folder");
    let mut config = Config::new(folder.path()).named("a");
    config = config.cluster(Cluster::of_names("alone", ["a"]));
    quicken(&mut config);
    let node = Node::open(config).expect("opens");
    let ids = (node.cluster_id(), node.member_id());
    node.put("k", "v").wait().expect("written");
    node.kill();
    let node = Node::open(Config::new(folder.path()).named("a")).expect("opens again");
    assert_eq!((node.cluster_id(), node.member_id()), ids);
    assert!(node.get("k").wait().expect("read").is_some());
}

#[test]
fn a_client_that_outlives_its_member_does_not_hold_the_folder() {
    let folder = folder();
    let node = Node::open(Config::new(folder.path())).expect("opens");
    let client = node.client();
    drop(node);
    assert!(client.get("key/1").wait().is_err());
    let node = Node::open(Config::new(folder.path())).expect("opens again");
    node.close().expect("closes");
    assert!(client.status().consensus.is_err());
}
