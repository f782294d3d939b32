//! Data folders that earlier versions wrote can still be opened.
//!
//! `tests/golden/format-1` was written by the first version: 20 keys put, one deleted, closed,
//! opened, one transaction, killed. RocksDB's own diaries and options were left out.

use std::fs;
use std::path::Path;

use quorate::{Config, Node, Range};
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

#[test]
fn a_folder_of_format_1_opens_with_everything() {
    let folder = TempDir::new().expect("a temporary folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join("format-1");
    copy(&golden, folder.path());
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
