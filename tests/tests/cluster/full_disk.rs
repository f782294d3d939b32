//! A disk that takes no more.
//!
//! The test runs itself again in a child process whose files may not grow beyond a limit: there a
//! write fails as it does on a full disk, with another number.

use std::process::Command;

use quorate::{Config, Error, Node};
use tempfile::TempDir;

const FOLDER: &str = "QUORATE_TEST_FULL_DISK";

#[test]
fn a_full_disk_stops_the_member_and_loses_nothing_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill(Config::new(folder));
    }
    let folder = TempDir::new().expect("a temporary folder");
    let program = std::env::current_exe().expect("this program");
    // The signal that comes with the limit is ignored, so that the write fails instead.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let name = "cluster::full_disk::a_full_disk_stops_the_member_and_loses_nothing_acknowledged";
    let child = Command::new("sh")
        .args(["-c", script, &program.to_string_lossy(), "--exact", name, "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("a shell");
    let printed = String::from_utf8_lossy(&child.stdout).into_owned();
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{printed}\n{errors}");
    let field = |key: &str| {
        let line = printed.lines().find_map(|line| line.split_once(key).map(|(_, rest)| rest));
        line.unwrap_or_else(|| panic!("no {key} in {printed}")).to_owned()
    };
    let acknowledged: i64 = field("acknowledged=").parse().expect("a number");
    assert!(acknowledged > 0);
    let cause = field("cause=");
    assert!(cause.starts_with("the log failed: cannot write "), "{cause}");
    assert!(cause.contains(".raftlog"), "{cause}");
    let node = Node::open(Config::new(folder.path())).expect("opens once there is room");
    let found = node.range(quorate::Range::prefix("key/").count_only()).wait().expect("read");
    assert!(found.count >= acknowledged, "{} of {acknowledged} are left", found.count);
}

/// Writes until the disk takes no more, and prints what was acknowledged.
fn fill(config: Config) {
    let node = Node::open(config).expect("opens");
    let mut acknowledged = 0;
    let error = loop {
        match node.put(format!("key/{acknowledged}"), vec![b'x'; 20_000]).wait() {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "the disk never fills");
    };
    let Error::Stopped(cause) = &error else { panic!("{error}") };
    assert!(error.is_outcome_unknown());
    let mut text = cause.to_string();
    let mut source = std::error::Error::source(cause);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    println!("\nacknowledged={acknowledged}\ncause={text}");
    let again = node.put("again", "refused").wait().expect_err("stopped for good");
    assert!(matches!(again, Error::Stopped(_)), "{again}");
    assert!(node.close().is_err());
}
