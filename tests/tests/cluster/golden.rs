//! Data folders that earlier versions wrote can still be opened.
//!
//! `tests/golden/format-1` was written by the first version: 20 keys put, one deleted, closed,
//! opened, one transaction, killed. `tests/golden/format-2`, by the first version with leases: 20
//! keys, two on a lease, some overwritten and one deleted, compacted there and swept, an alarm
//! raised, closed, opened, two keys deleted, killed. RocksDB's own diaries and options were left
//! out.

use std::fs;
use std::path::Path;

use quorate::{Config, Error, KvError, Node, Range};
use tempfile::TempDir;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a readable file");
        }
    }
}

fn copy_of(format: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format);
    copy(&golden, folder.path());
    folder
}

#[test]
fn a_folder_of_format_2_opens_with_everything() {
    let folder = copy_of("format-2");
    let node = Node::open(Config::new(folder.path()).named("golden")).expect("opens");
    assert_eq!(node.cluster_id().to_string(), "6c12815d8941ae09");
    let found = node.range(Range::prefix("key/")).wait().expect("read");
    assert_eq!((found.count, found.header.expect("sent").revision), (17, 31));
    let hash = node.hash(31).wait().expect("hash");
    assert_eq!((hash.hash, hash.compact_revision), (2_027_781_909, 29));
    let lease = node.lease_time_to_live(7, true).wait().expect("read");
    assert_eq!((lease.granted_ttl, lease.keys.len()), (1_000_000, 2));
    let alarms = node.alarms().wait().expect("read").alarms;
    assert_eq!((alarms.len(), alarms[0].member_id), (1, 9));
    let below = node.range(Range::key("key/03").revision(28)).wait();
    assert!(matches!(below, Err(Error::Refused(KvError::Compacted { .. }))), "{below:?}");
}

#[test]
fn a_folder_of_format_1_opens_with_everything() {
    let folder = copy_of("format-1");
    let node = Node::open(Config::new(folder.path()).named("golden")).expect("opens");
    assert_eq!(node.cluster_id().to_string(), "982b2118865c6d44");
    let found = node.range(Range::all()).wait().expect("read");
    assert_eq!(found.count, 20);
    assert_eq!((&found.kvs[0].key[..], &found.kvs[0].value[..]), (&b"empty"[..], &b""[..]));
    let changed = node.get("key/01").wait().expect("read").expect("present");
    assert_eq!((&changed.value[..], changed.version), (&b"changed"[..], 2));
    assert_eq!(node.range(Range::key("key/07").revision(21)).wait().expect("read").count, 1);
    let hash = node.hash(23).wait().expect("hash");
    assert_eq!((hash.hash, hash.compact_revision), (1_159_051_294, -1));
}
