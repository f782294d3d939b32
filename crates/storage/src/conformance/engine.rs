//! What is expected of an engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;

use super::{assert_stopped, ok};
use crate::{Direction, Engine, KeyRange, StorageError, Table, View, WriteBatch};

/// A harness around one engine, empty at first.
pub trait EngineUnderTest {
    /// Opens the engine for the first time, with the tables [`TABLES`].
    fn open(&mut self) -> Arc<dyn Engine>;

    /// Closes the engine in an orderly way and opens it again. `engine` is the only handle left.
    fn close_and_reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine>;

    /// Ends the engine as a power failure would and opens it again. Batches that were not flushed
    /// may be lost. `engine` is the only handle left.
    fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine>;

    /// Lets the next flush fail. Returns false if the harness cannot do that; the tests of failure
    /// are then left out.
    fn fail_next_flush(&mut self) -> bool {
        false
    }
}

/// The tables that the suite works with.
pub const TABLES: [Table; 2] = [ONE, TWO];

const ONE: Table = Table("one");
const TWO: Table = Table("two");

/// Runs all tests, each with a fresh harness from `make`.
///
/// # Panics
///
/// If the engine does not do what [`Engine`] promises.
pub fn engine_suite(make: &dyn Fn() -> Box<dyn EngineUnderTest>) {
    let tests: [fn(&mut dyn EngineUnderTest); 12] = [
        scans_walk_in_key_order,
        batches_apply_in_order,
        ranges_are_deleted_with_start_and_without_end,
        empty_and_large_pairs_are_kept,
        views_do_not_move,
        views_are_consistent_beside_a_writer,
        a_crash_keeps_a_prefix,
        closing_keeps_what_was_flushed,
        a_restore_replaces_everything,
        an_abandoned_restore_changes_nothing,
        a_restore_refuses_disorder,
        a_failure_is_final,
    ];
    for test in tests {
        test(&mut *make());
    }
}

type Pairs = Vec<(String, String)>;

fn write(engine: &dyn Engine, fill: impl FnOnce(&mut WriteBatch)) {
    let mut batch = WriteBatch::new();
    fill(&mut batch);
    ok(engine.write(&batch));
}

fn pairs(view: &dyn View, table: Table, range: &KeyRange, direction: Direction) -> Pairs {
    let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
    let pairs = view.scan(table, range, direction).map(|pair| {
        let (key, value) = ok(pair);
        (text(key), text(value))
    });
    pairs.collect()
}

fn keys(engine: &dyn Engine, table: Table) -> String {
    let view = ok(engine.view());
    let pairs = pairs(&*view, table, &KeyRange::all(), Direction::Forward);
    let keys: Vec<String> = pairs.into_iter().map(|(key, _)| key).collect();
    keys.join(" ")
}

fn put_all(engine: &dyn Engine, table: Table, keys: &str) {
    write(engine, |batch| {
        for key in keys.split_whitespace() {
            batch.put(table, key.to_owned(), "value");
        }
    });
}

fn scans_walk_in_key_order(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    put_all(&*engine, ONE, "c a e b d");
    put_all(&*engine, TWO, "x");
    ok(engine.flush());
    put_all(&*engine, ONE, "bb \u{ff}");
    write(&*engine, |batch| batch.delete(ONE, "d"));
    let view = ok(engine.view());
    let check = |range: KeyRange, expected: &str| {
        let mut found = pairs(&*view, ONE, &range, Direction::Forward);
        let joined = found.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, expected, "a forward scan of {range:?}");
        found.reverse();
        let back = pairs(&*view, ONE, &range, Direction::Backward);
        assert_eq!(back, found, "a backward scan of {range:?}");
    };
    check(KeyRange::all(), "a b bb c e \u{ff}");
    check(KeyRange::new("b", "c"), "b bb");
    check(KeyRange::new("b", "c\0"), "b bb c");
    check(KeyRange::new("bbb", "d"), "c");
    check(KeyRange { start: "c".into(), end: None }, "c e \u{ff}");
    check(KeyRange::new("", "b"), "a");
    check(KeyRange::new("c", "c"), "");
    check(KeyRange::new("e", "a"), "");
    check(KeyRange::new("", ""), "");
    check(KeyRange::new("x", "y"), "");
    assert_eq!(keys(&*engine, TWO), "x");
    many_keys_are_walked_whole(&*engine);
}

fn many_keys_are_walked_whole(engine: &dyn Engine) {
    let count = 3_000;
    write(engine, |batch| {
        for number in 0..count {
            batch.put(TWO, format!("{number:05}"), "");
        }
    });
    write(engine, |batch| {
        for number in (0..count).filter(|number| number % 3 != 0) {
            batch.delete(TWO, format!("{number:05}"));
        }
    });
    let view = ok(engine.view());
    let range = KeyRange::new("0", "1");
    let expected: Vec<String> =
        (0..count).step_by(3).map(|number| format!("{number:05}")).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut found = pairs(&*view, TWO, &range, direction);
        if direction == Direction::Backward {
            found.reverse();
        }
        assert!(found.iter().map(|(key, _)| key).eq(&expected), "a long scan {direction:?}");
    }
}

fn batches_apply_in_order(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    write(&*engine, |batch| {
        batch.put(ONE, "a", "1");
        batch.put(ONE, "a", "2");
        batch.delete(ONE, "b");
        batch.put(ONE, "b", "1");
        batch.put(ONE, "c", "1");
        batch.delete(ONE, "c");
        batch.put(ONE, "d", "1");
        batch.delete_range(ONE, KeyRange::new("d", "f"));
        batch.put(ONE, "e", "1");
    });
    assert_eq!(keys(&*engine, ONE), "a b e");
    assert_eq!(ok(engine.get(ONE, b"a")).as_deref(), Some(&b"2"[..]));
    assert_eq!(ok(engine.get(ONE, b"c")), None);
    assert_eq!(ok(engine.get(TWO, b"a")), None, "tables must not share keys");
    write(&*engine, |_| {});
    assert_eq!(keys(&*engine, ONE), "a b e");
}

fn ranges_are_deleted_with_start_and_without_end(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    let check = |range: KeyRange, expected: &str| {
        write(&*engine, |batch| batch.delete_range(ONE, KeyRange::all()));
        put_all(&*engine, ONE, "a b c d");
        put_all(&*engine, TWO, "b");
        write(&*engine, |batch| batch.delete_range(ONE, range.clone()));
        assert_eq!(keys(&*engine, ONE), expected, "after deleting {range:?}");
        assert_eq!(keys(&*engine, TWO), "b", "a range must stay within its table");
    };
    check(KeyRange::new("b", "d"), "a d");
    check(KeyRange::new("b", "b"), "a b c d");
    check(KeyRange::new("d", "b"), "a b c d");
    check(KeyRange::new("", "b"), "b c d");
    check(KeyRange { start: "c".into(), end: None }, "a b");
    check(KeyRange { start: "e".into(), end: None }, "a b c d");
    check(KeyRange::all(), "");
    write(&*engine, |batch| {
        batch.put(ONE, "z", "1");
        batch.delete_range(ONE, KeyRange { start: "x".into(), end: None });
        batch.put(ONE, "y", "1");
    });
    assert_eq!(keys(&*engine, ONE), "y", "an open range takes keys of its own batch");
}

fn empty_and_large_pairs_are_kept(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    let large = Bytes::from(vec![7; 5 << 20]);
    let long_key = vec![b'k'; 4_000];
    write(&*engine, |batch| {
        batch.put(ONE, "", "empty key");
        batch.put(ONE, "empty value", "");
        batch.put(ONE, "large", large.clone());
        batch.put(ONE, long_key.clone(), "long key");
    });
    ok(engine.flush());
    for _ in 0..2 {
        assert_eq!(ok(engine.get(ONE, b"")).as_deref(), Some(&b"empty key"[..]));
        assert_eq!(ok(engine.get(ONE, b"empty value")).as_deref(), Some(&b""[..]));
        assert!(ok(engine.get(ONE, b"large")).is_some_and(|value| value == large));
        assert_eq!(ok(engine.get(ONE, &long_key)).as_deref(), Some(&b"long key"[..]));
        engine = harness.crash(engine);
    }
    assert!(engine.size_bytes() > 0, "an engine that holds data has a size");
}

fn views_do_not_move(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    put_all(&*engine, ONE, "a b c");
    let view = ok(engine.view());
    let expected = pairs(&*view, ONE, &KeyRange::all(), Direction::Forward);
    let mut scan = view.scan(ONE, &KeyRange::all(), Direction::Forward);
    assert_eq!(scan.next().map(|pair| ok(pair).0), Some("a".into()));
    write(&*engine, |batch| {
        batch.delete_range(ONE, KeyRange::all());
        batch.put(ONE, "b", "new");
        batch.put(ONE, "bb", "new");
    });
    ok(engine.flush());
    assert_eq!(scan.next().map(|pair| ok(pair).0), Some("b".into()), "a scan must not move");
    assert_eq!(scan.next().map(|pair| ok(pair).1), Some("value".into()), "a scan must not move");
    drop(scan);
    let found = pairs(&*view, ONE, &KeyRange::all(), Direction::Forward);
    assert_eq!(found, expected, "a view must not move");
    assert_eq!(ok(view.get(ONE, b"bb")), None, "a view must not move");
    assert_eq!(keys(&*engine, ONE), "b bb");
}

/// One thread moves an amount between two tables while another looks at both.
fn views_are_consistent_beside_a_writer(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    let number = |value: Option<Bytes>| -> u64 {
        value.map_or(0, |value| String::from_utf8_lossy(&value).parse().unwrap_or(u64::MAX))
    };
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=2_000_u64 {
                write(&*engine, |batch| {
                    batch.put(ONE, "sum", round.to_string());
                    batch.put(TWO, "sum", round.to_string());
                });
                if round % 500 == 0 {
                    ok(engine.flush());
                }
            }
            is_done.store(true, Ordering::Release);
        });
        let mut newest = 0;
        while !is_done.load(Ordering::Acquire) {
            let view = ok(engine.view());
            let one = number(ok(view.get(ONE, b"sum")));
            let two = number(ok(view.get(TWO, b"sum")));
            assert_eq!(one, two, "a view must not show half a batch");
            assert!(one >= newest, "a newer view must not be older: {one} after {newest}");
            newest = one;
            let scanned = pairs(&*view, TWO, &KeyRange::all(), Direction::Backward);
            let scanned = scanned.first().map(|(_, value)| Bytes::from(value.clone()));
            assert_eq!(number(scanned), one, "a scan must show what its view shows");
        }
    });
}

/// Writes numbered batches and flushes after some; returns how many were flushed.
fn write_numbered(engine: &dyn Engine, first: u64, last: u64) -> u64 {
    let flushed = first + (last - first) / 2;
    for number in first..=last {
        write(engine, |batch| {
            batch.put(ONE, format!("{number:05}"), "");
            batch.put(TWO, "newest", number.to_string());
        });
        if number == flushed {
            ok(engine.flush());
        }
    }
    flushed
}

/// Checks that the first batches are there, whole and without a hole; returns how many.
fn assert_prefix(engine: &dyn Engine, flushed: u64) -> u64 {
    let newest = ok(engine.get(TWO, b"newest")).unwrap_or_default();
    let newest: u64 = String::from_utf8_lossy(&newest).parse().unwrap_or(0);
    assert!(newest >= flushed, "flushed {flushed} batches but {newest} are left");
    let expected: Vec<String> = (1..=newest).map(|number| format!("{number:05}")).collect();
    assert_eq!(keys(engine, ONE), expected.join(" "), "a crash must keep a prefix of the batches");
    newest
}

fn a_crash_keeps_a_prefix(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    let mut last = 0;
    for _ in 0..3 {
        let flushed = write_numbered(&*engine, last + 1, last + 40);
        engine = harness.crash(engine);
        last = assert_prefix(&*engine, flushed);
    }
    ok(engine.flush());
    engine = harness.crash(engine);
    assert_eq!(assert_prefix(&*engine, last), last, "what was there after a crash can be flushed");
}

fn closing_keeps_what_was_flushed(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    let flushed = write_numbered(&*engine, 1, 20);
    engine = harness.close_and_reopen(engine);
    let last = assert_prefix(&*engine, flushed);
    let flushed = write_numbered(&*engine, last + 1, last + 20);
    engine = harness.close_and_reopen(engine);
    assert_prefix(&*engine, flushed);
}

fn a_restore_replaces_everything(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    put_all(&*engine, ONE, "old older");
    ok(engine.flush());
    let view = ok(engine.view());
    let mut restore = ok(engine.restore());
    ok(restore.put(TWO, b"", b"1"));
    ok(restore.put(TWO, b"b", b"2"));
    ok(restore.put(ONE, b"new", b""));
    put_all(&*engine, ONE, "between");
    assert_eq!(keys(&*engine, ONE), "between old older", "the old content serves until the commit");
    ok(restore.commit());
    assert_eq!(keys(&*engine, ONE), "new");
    assert_eq!(keys(&*engine, TWO), " b");
    let old = pairs(&*view, ONE, &KeyRange::all(), Direction::Forward);
    assert_eq!(old.len(), 2, "a view keeps the old content");
    drop(view);
    engine = harness.crash(engine);
    assert_eq!(keys(&*engine, ONE), "new", "a committed restore is durable");
    put_all(&*engine, ONE, "newer");
    ok(engine.flush());
    engine = harness.close_and_reopen(engine);
    assert_eq!(keys(&*engine, ONE), "new newer");
    ok(ok(engine.restore()).commit());
    assert_eq!(keys(&*engine, ONE), "", "a restore of nothing leaves nothing");
    put_all(&*engine, TWO, "again");
    ok(engine.flush());
    engine = harness.crash(engine);
    assert_eq!(keys(&*engine, TWO), "again");
}

fn an_abandoned_restore_changes_nothing(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    put_all(&*engine, ONE, "old");
    ok(engine.flush());
    let mut restore = ok(engine.restore());
    ok(restore.put(ONE, b"new", b""));
    drop(restore);
    assert_eq!(keys(&*engine, ONE), "old");
    let mut restore = ok(engine.restore());
    ok(restore.put(ONE, b"new", b""));
    let second = ok(engine.restore());
    drop(second);
    ok(restore.commit());
    assert_eq!(keys(&*engine, ONE), "new", "one restore must not disturb another");
    let mut restore = ok(engine.restore());
    ok(restore.put(ONE, b"newest", b""));
    std::mem::drop(restore);
    engine = harness.crash(engine);
    assert_eq!(keys(&*engine, ONE), "new");
}

fn a_restore_refuses_disorder(harness: &mut dyn EngineUnderTest) {
    let engine = harness.open();
    put_all(&*engine, ONE, "old");
    let check = |pairs: &[(Table, &str)]| {
        let mut restore = ok(engine.restore());
        let (last, first) = pairs.split_last().expect("each call gives pairs");
        for (table, key) in first {
            ok(restore.put(*table, key.as_bytes(), b""));
        }
        let result = restore.put(last.0, last.1.as_bytes(), b"");
        let is_refused = matches!(result, Err(StorageError::Corrupt { .. }));
        assert!(is_refused, "a restore of {pairs:?} must be refused");
    };
    check(&[(ONE, "a"), (ONE, "a")]);
    check(&[(ONE, "b"), (ONE, "a")]);
    check(&[(ONE, "a"), (TWO, "a"), (ONE, "b")]);
    check(&[(Table("nowhere"), "a")]);
    assert_eq!(keys(&*engine, ONE), "old");
}

fn a_failure_is_final(harness: &mut dyn EngineUnderTest) {
    let mut engine = harness.open();
    put_all(&*engine, ONE, "a");
    ok(engine.flush());
    put_all(&*engine, ONE, "b");
    if !harness.fail_next_flush() {
        return;
    }
    let error = engine.flush().err();
    assert!(matches!(error, Some(StorageError::Io { .. })), "the flush must fail, got {error:?}");
    let mut batch = WriteBatch::new();
    batch.put(ONE, "c", "");
    assert_stopped(engine.write(&batch), "a write");
    assert_stopped(engine.flush(), "a flush");
    assert_stopped(engine.restore().map(drop), "a restore");
    engine = harness.crash(engine);
    let found = keys(&*engine, ONE);
    assert!(found == "a" || found == "a b", "what was flushed is lost: {found}");
    put_all(&*engine, ONE, "d");
    ok(engine.flush());
}
