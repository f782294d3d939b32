//! What is expected of a log store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use quorate_types::{LogIndex, LogPosition, Term};

use super::{assert_stopped, ok};
use crate::{EntryKind, HardState, LogBatch, LogEntry, LogStore, StorageError};

/// A harness around one log store, empty at first.
pub trait LogUnderTest {
    /// Opens the log for the first time.
    fn open(&mut self) -> Box<dyn LogStore>;

    /// Closes the log in an orderly way and opens it again. No readers are left.
    fn close_and_reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore>;

    /// Ends the log as a power failure would and opens it again. Batches that were not synced may
    /// be lost. No readers are left.
    fn crash(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore>;

    /// Lets the next sync fail. Returns false if the harness cannot do that; the tests of failure
    /// are then left out.
    fn fail_next_sync(&mut self) -> bool {
        false
    }
}

/// Runs all tests, each with a fresh harness from `make`.
///
/// # Panics
///
/// If the log does not do what [`LogStore`] promises.
pub fn log_suite(make: &dyn Fn() -> Box<dyn LogUnderTest>) {
    let tests: [fn(&mut dyn LogUnderTest); 11] = [
        a_new_log_is_empty,
        entries_come_back_as_they_were,
        reads_stop_at_the_byte_limit,
        missing_entries_are_named,
        a_suffix_is_replaced,
        a_purge_drops_a_prefix,
        a_reset_drops_everything,
        incarnations_are_counted,
        a_crash_keeps_a_prefix,
        readers_see_whole_entries_beside_the_writer,
        a_failure_is_final,
    ];
    for test in tests {
        test(&mut *make());
    }
}

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition::new(Term::new(term), LogIndex::new(index))
}

fn payload(term: u64, index: u64) -> Bytes {
    format!("entry {index} of term {term}").into()
}

fn entry(term: u64, index: u64) -> LogEntry {
    let data = payload(term, index);
    LogEntry { position: at(term, index), kind: EntryKind::Normal, data }
}

fn entries(term: u64, indexes: std::ops::RangeInclusive<u64>) -> LogBatch {
    let entries = indexes.map(|index| entry(term, index)).collect();
    LogBatch { entries, ..LogBatch::default() }
}

fn hard_state(term: u64) -> HardState {
    HardState { term: Term::new(term), vote: term + 100, commit: LogIndex::new(term + 200) }
}

fn read(log: &dyn LogStore, first: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
    log.reader().entries(LogIndex::new(first), LogIndex::new(end), u64::MAX)
}

/// Checks the state and all entries against `start` and the terms of the entries after it.
#[track_caller]
fn assert_log(log: &dyn LogStore, start: LogPosition, terms: &[u64]) {
    let state = log.state();
    let last = start.index.get() + terms.len() as u64;
    assert_eq!(state.start, start, "the start of the log");
    assert_eq!(state.last.get(), last, "the last index of the log");
    let indexes = start.index.get() + 1..=last;
    let expected: Vec<_> = indexes.zip(terms).map(|(index, term)| entry(*term, index)).collect();
    let found = ok(read(log, start.index.get() + 1, last + 1));
    assert_eq!(found, expected, "the entries of the log");
}

fn a_new_log_is_empty(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let state = log.state();
    assert_eq!(state, crate::LogState::default());
    assert!(read(&*log, 1, 2).is_err(), "an empty log has no entry 1");
    ok(log.append(&LogBatch::default(), true));
    ok(log.append(&LogBatch::default(), false));
    log = harness.crash(log);
    assert_eq!(log.state(), crate::LogState::default());
}

fn entries_come_back_as_they_were(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let mut batch = entries(1, 1..=3);
    batch.entries[1].kind = EntryKind::Membership;
    batch.entries[1].data = Bytes::new();
    batch.entries[2].data = vec![3; 3 << 20].into();
    batch.hard_state = Some(hard_state(1));
    ok(log.append(&batch, true));
    for round in 0..3 {
        assert_eq!(ok(read(&*log, 1, 4)), batch.entries, "after {round} restarts");
        assert_eq!(ok(read(&*log, 2, 3)), batch.entries[1..2]);
        assert_eq!(log.state().hard_state, hard_state(1));
        log = if round == 0 { harness.close_and_reopen(log) } else { harness.crash(log) };
    }
    let only_state = LogBatch { hard_state: Some(hard_state(5)), ..LogBatch::default() };
    ok(log.append(&only_state, true));
    log = harness.crash(log);
    assert_eq!(log.state().hard_state, hard_state(5));
    assert_eq!(ok(read(&*log, 1, 4)), batch.entries);
}

fn reads_stop_at_the_byte_limit(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let mut batch = entries(1, 1..=50);
    for entry in &mut batch.entries {
        entry.data = vec![0; 10].into();
    }
    batch.entries[20].data = vec![0; 1_000].into();
    for entry in &mut batch.entries[30..] {
        entry.data = Bytes::new();
    }
    ok(log.append(&batch, true));
    let reader = log.reader();
    let check = |first, end, bytes_max, expected| {
        let found = ok(reader.entries(LogIndex::new(first), LogIndex::new(end), bytes_max));
        assert_eq!(found.len(), expected, "entries {first} to {end}, {bytes_max} bytes");
        let from = usize::try_from(first).expect("the test uses small numbers") - 1;
        assert_eq!(found[..], batch.entries[from..from + expected]);
    };
    check(1, 51, 0, 1);
    check(1, 51, 9, 1);
    check(1, 51, 10, 1);
    check(1, 51, 19, 1);
    check(1, 51, 20, 2);
    check(1, 4, 100, 3);
    check(1, 51, 205, 20);
    check(20, 51, 100, 1);
    check(21, 51, 100, 1);
    check(22, 51, 90, 29);
    check(30, 51, 9, 1);
    check(1, 51, u64::MAX, 50);
    check(1, 51, 1_290, 50);
    check(1, 51, 1_289, 29);
    check(7, 7, 100, 0);
    check(7, 5, 100, 0);
}

fn missing_entries_are_named(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    ok(log.append(&entries(2, 1..=10), true));
    ok(log.purge(at(2, 4)));
    let check = |first, end, missing: u64| match read(&*log, first, end) {
        Err(StorageError::NoSuchEntry { index, start, last }) => {
            assert_eq!((index.get(), start, last.get()), (missing, at(2, 4), 10));
        }
        other => panic!("reading {first} to {end} must name {missing}, got {other:?}"),
    };
    check(4, 6, 4);
    check(0, 6, 0);
    check(1, 12, 1);
    check(11, 12, 11);
    check(5, 12, 11);
    check(5, u64::MAX, 11);
    assert_eq!(ok(read(&*log, 5, 11)).len(), 6);
}

fn a_suffix_is_replaced(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    ok(log.append(&entries(1, 1..=10), true));
    ok(log.append(&entries(2, 8..=8), true));
    assert_log(&*log, at(0, 0), &[1, 1, 1, 1, 1, 1, 1, 2]);
    ok(log.append(&entries(2, 9..=12), false));
    ok(log.append(&entries(3, 10..=11), true));
    log = harness.crash(log);
    assert_log(&*log, at(0, 0), &[1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3]);
    ok(log.append(&entries(4, 1..=2), true));
    log = harness.close_and_reopen(log);
    assert_log(&*log, at(0, 0), &[4, 4]);
    ok(log.append(&entries(4, 3..=3), true));
    log = harness.crash(log);
    assert_log(&*log, at(0, 0), &[4, 4, 4]);
}

fn a_purge_drops_a_prefix(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    ok(log.append(&entries(1, 1..=5), true));
    ok(log.append(&entries(2, 6..=10), true));
    ok(log.purge(at(0, 0)));
    assert_log(&*log, at(0, 0), &[1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    ok(log.purge(at(1, 3)));
    ok(log.purge(at(1, 3)));
    assert_log(&*log, at(1, 3), &[1, 1, 2, 2, 2, 2, 2]);
    ok(log.append(&entries(2, 11..=11), true));
    log = harness.crash(log);
    assert_log(&*log, at(1, 3), &[1, 1, 2, 2, 2, 2, 2, 2]);
    ok(log.append(&entries(3, 4..=4), true));
    assert_log(&*log, at(1, 3), &[3]);
    ok(log.purge(at(3, 4)));
    assert_log(&*log, at(3, 4), &[]);
    ok(log.append(&entries(3, 5..=6), true));
    log = harness.close_and_reopen(log);
    assert_log(&*log, at(3, 4), &[3, 3]);
}

fn a_reset_drops_everything(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let reset = |position, batch: LogBatch| LogBatch { reset: Some(position), ..batch };
    ok(log.append(&entries(1, 1..=10), true));
    let mut batch = reset(at(4, 100), entries(5, 101..=102));
    batch.hard_state = Some(hard_state(5));
    ok(log.append(&batch, true));
    assert_log(&*log, at(4, 100), &[5, 5]);
    log = harness.crash(log);
    assert_log(&*log, at(4, 100), &[5, 5]);
    assert_eq!(log.state().hard_state, hard_state(5));
    ok(log.append(&entries(5, 103..=103), true));
    ok(log.append(&reset(at(1, 2), LogBatch::default()), true));
    assert_log(&*log, at(1, 2), &[]);
    log = harness.close_and_reopen(log);
    assert_log(&*log, at(1, 2), &[]);
    ok(log.append(&entries(6, 3..=4), true));
    ok(log.append(&reset(at(6, 3), entries(7, 4..=5)), true));
    log = harness.crash(log);
    assert_log(&*log, at(6, 3), &[7, 7]);
}

fn incarnations_are_counted(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    for expected in 1..=4 {
        assert_eq!(ok(log.begin()), expected);
        assert_eq!(log.state().incarnation, expected);
        ok(log.append(&entries(expected, expected..=expected), true));
        log = if expected % 2 == 0 { harness.crash(log) } else { harness.close_and_reopen(log) };
        assert_eq!(log.state().incarnation, expected, "a restart does not count by itself");
    }
    assert_log(&*log, at(0, 0), &[1, 2, 3, 4]);
}

fn a_crash_keeps_a_prefix(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let mut last = 0;
    for round in 1..=4 {
        let synced = last + 7;
        for index in last + 1..=last + 12 {
            let mut batch = entries(1, index..=index);
            batch.hard_state = Some(hard_state(index));
            ok(log.append(&batch, index == synced));
        }
        log = if round == 3 { harness.close_and_reopen(log) } else { harness.crash(log) };
        let state = log.state();
        last = state.last.get();
        assert!(last >= synced, "synced up to {synced}, but the log ends at {last}");
        assert_eq!(state.hard_state, hard_state(last), "a batch must be kept whole");
        assert_log(&*log, at(0, 0), &vec![1; ok(read(&*log, 1, last + 1)).len()]);
    }
}

fn readers_see_whole_entries_beside_the_writer(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    let reader = log.reader();
    let (written, rounds) = (AtomicU64::new(0), 300);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=rounds {
                let first = round * 4 - 3;
                ok(log.append(&entries(round, first..=first + 3), round % 50 == 0));
                if round % 30 == 0 {
                    ok(log.purge(at(round - 10, (round - 10) * 4)));
                }
                written.store(first + 3, Ordering::Release);
            }
        });
        loop {
            let last = written.load(Ordering::Acquire);
            let first = last.saturating_sub(20).max(1);
            match reader.entries(LogIndex::new(first), LogIndex::new(last + 1), u64::MAX) {
                Ok(found) => {
                    let expected = (first..=last).map(|index| entry(index.div_ceil(4), index));
                    assert!(found.into_iter().eq(expected), "entries {first} to {last}");
                }
                Err(StorageError::NoSuchEntry { .. }) => {}
                Err(error) => panic!("reading {first} to {last} failed: {error:?}"),
            }
            if last == rounds * 4 {
                break;
            }
        }
    });
}

fn a_failure_is_final(harness: &mut dyn LogUnderTest) {
    let mut log = harness.open();
    ok(log.append(&entries(1, 1..=3), true));
    if !harness.fail_next_sync() {
        return;
    }
    let error = log.append(&entries(1, 4..=4), true).err();
    assert!(matches!(error, Some(StorageError::Io { .. })), "the sync must fail, got {error:?}");
    assert_stopped(log.append(&entries(1, 4..=4), true), "an append");
    assert_stopped(log.append(&entries(1, 4..=4), false), "an append");
    assert_stopped(log.begin(), "begin");
    assert_stopped(log.purge(at(1, 1)), "a purge");
    assert_stopped(read(&*log, 1, 2), "a read");
    log = harness.crash(log);
    let last = log.state().last.get();
    assert!((3..=4).contains(&last), "what was synced is lost: the log ends at {last}");
    assert_log(&*log, at(0, 0), &vec![1; ok(read(&*log, 1, last + 1)).len()]);
    ok(log.append(&entries(2, 4..=5), true));
}
