//! What a sweep costs, keeps and survives.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use quorate_kv_api::{
    CompactionRequest, DeleteRangeRequest, KvError, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use quorate_mvcc::{Response, StoreError, Sweeper};

use crate::harness::{Single, dump, hash, open};
use crate::snapshots::{blocks, stage};

fn put(single: &mut Single, key: &str, value: &str) {
    let request = PutRequest::new(key.to_owned(), value.to_owned());
    single.apply(request).expect("puts are accepted");
}

fn delete(single: &mut Single, key: &'static str, range_end: &'static str) {
    let request =
        DeleteRangeRequest { key: key.into(), range_end: range_end.into(), prev_kv: false };
    single.apply(request).expect("deletions are accepted");
}

fn compact(single: &mut Single, revision: i64) -> Result<i64, KvError> {
    match single.apply(CompactionRequest { revision, physical: false })? {
        Response::Compaction(response) => Ok(response.header.expect("it is there").revision),
        other => panic!("a compaction is answered as one: {other:?}"),
    }
}

/// Sweeps to the end; how many steps that took.
fn sweep(sweeper: &Sweeper, records_max: usize) -> usize {
    let mut steps = 1;
    while sweeper.step(records_max).expect("memory does not fail") {
        steps += 1;
    }
    steps
}

fn history_count(single: &Single) -> usize {
    dump(&single.engine).iter().filter(|(table, ..)| *table == "history").count()
}

#[test]
fn answers_are_those_of_etcd() {
    let mut single = Single::new();
    let refused =
        |requested, compact_revision| Err(KvError::Compacted { requested, compact_revision });
    assert_eq!(compact(&mut single, -1), refused(-1, -1));
    assert_eq!(compact(&mut single, 2), Err(KvError::FutureRevision { requested: 2, current: 1 }));
    assert_eq!(compact(&mut single, 0), Ok(1));
    assert_eq!(compact(&mut single, 0), refused(0, 0));
    put(&mut single, "a", "1");
    assert_eq!(compact(&mut single, -1), refused(-1, 0));
    assert_eq!(compact(&mut single, 1), Ok(2));
    assert_eq!(single.store.reader().compact_revision(), 1);
}

/// What to do, and then the hashes of etcd 3.5.1 with its compactions finished; at revision 0 it
/// hashes the current one. It refuses to hash the compact revision by its number.
type Hashed = (&'static [&'static str], &'static [(i64, u32)]);

const HASHES: &[&[Hashed]] = &[
    &[
        (&["a=1", "b=2", "a=3", "-b", "b=4", "c=5"], &[(4, 0x7b5c_bf9c), (5, 0x4318_8ed4)]),
        (&[], &[(2, 0x9a39_6dd7), (3, 0x6cee_d8d6), (6, 0x68a7_a552), (0, 0x74e2_795b)]),
        (&["@4"], &[(5, 0x578e_a8d2), (6, 0x595d_dbc4), (7, 0xda15_3d66), (0, 0xda15_3d66)]),
        (&["a=6", "@5"], &[(6, 0xc15f_aa32), (7, 0x6ef3_9693), (8, 0x5103_5b87)]),
        (&["@8"], &[(0, 0x5103_5b87)]),
    ],
    &[
        (&["a=1", "b=2", "-b", "c=3", "@4"], &[(5, 0x425f_deae), (0, 0x425f_deae)]),
        (&["@5"], &[(0, 0x425f_deae)]),
    ],
    &[
        // No key is left at 5 and at 7: what was in force at the compact revision counts there.
        (&["a=1", "b=2", "a=3", "@4", "-a c"], &[(5, 0x9f3b_bcdf), (0, 0x9f3b_bcdf)]),
        (&["a=4"], &[(5, 0x9f3b_bcdf), (6, 0x3c56_abfc)]),
        (&["-a"], &[(5, 0x9f3b_bcdf), (6, 0x3c56_abfc), (7, 0xe6c1_ac87)]),
        (&["@5"], &[(6, 0x499b_00f0), (7, 0x4374_e1e4)]),
        (&["@7"], &[(0, 0x40a4_756d)]),
    ],
    &[
        (&["a=1", "a=2", "-a", "@4"], &[(0, 0x40a4_756d)]),
        (&["b=1"], &[(5, 0x2fba_919d), (0, 0x2fba_919d)]),
    ],
    &[
        (&["a=1", "-a", "a=2", "-a", "a=3", "b=1", "@4"], &[(5, 0x5196_be09), (6, 0x2a29_c22e)]),
        (&[], &[(7, 0x399c_f5cf)]),
        (&["@6"], &[(7, 0x2280_3f04)]),
    ],
    &[(&["@0"], &[(0, 0x40a4_756d), (1, 0x40a4_756d)]), (&["a=1", "@1"], &[(2, 0x9a39_6dd7)])],
];

fn act(single: &mut Single, action: &'static str) {
    if let Some(revision) = action.strip_prefix('@') {
        compact(single, revision.parse().expect("a number")).expect("it can be compacted");
    } else if let Some(keys) = action.strip_prefix('-') {
        let (key, range_end) = keys.split_once(' ').unwrap_or((keys, ""));
        delete(single, key, range_end);
    } else {
        let (key, value) = action.split_once('=').expect("a put");
        put(single, key, value);
    }
}

#[test]
fn hashes_are_those_of_etcd_before_during_and_after() {
    for history in HASHES {
        let mut single = Single::new();
        let sweeper = single.store.sweeper();
        for (actions, hashes) in *history {
            for action in *actions {
                act(&mut single, action);
            }
            let check = |when| {
                for (revision, expected) in *hashes {
                    let found = hash(&single.store, *revision);
                    assert_eq!(found, *expected, "{actions:?} at {revision}, {when}");
                }
            };
            check("before");
            while sweeper.step(1).unwrap() {
                check("during");
            }
            check("after");
        }
    }
}

#[test]
fn it_costs_what_was_written_not_what_is_there() {
    let mut single = Single::new();
    let ops = |from: usize, to: usize| {
        (from..to).map(|key| RequestOp::from(PutRequest::new(format!("{key:05}"), "v"))).collect()
    };
    for start in (0..5_000).step_by(100) {
        let success = ops(start, start + 100);
        single.apply(TxnRequest { success, ..TxnRequest::default() }).unwrap();
    }
    put(&mut single, "last", "v");
    let sweeper = single.store.sweeper();
    let compact_now = |single: &mut Single| {
        let revision = single.store.reader().revision();
        compact(single, revision).expect("it is the newest revision");
    };
    compact_now(&mut single);
    assert_eq!(sweep(&sweeper, 1000), 6);
    assert_eq!(history_count(&single), 5_001, "nothing was superseded");
    for key in 0..10 {
        put(&mut single, &format!("{key:05}"), "w");
    }
    compact_now(&mut single);
    // The record of the compaction before is looked at again.
    assert_eq!(sweep(&sweeper, 1), 11);
    assert_eq!(history_count(&single), 5_001);
    assert_eq!(sweep(&sweeper, 1), 1, "nothing is left to do");
}

#[test]
fn deletions_at_the_compact_revision_stay_until_the_next_one() {
    let mut single = Single::new();
    for key in ["a", "b", "c"] {
        put(&mut single, key, "v");
    }
    delete(&mut single, "a", "d");
    let sweeper = single.store.sweeper();
    compact(&mut single, 5).unwrap();
    assert!(sweeper.step(2).unwrap());
    sweep(&sweeper, 2);
    assert_eq!(history_count(&single), 3);
    // The store still knows its revision when nothing but deletions is left.
    single.engine.reopen();
    single.store = open(&single.engine);
    assert_eq!(single.store.reader().revision(), 5);
    assert_eq!(single.store.sweeper().swept(), 5);
    put(&mut single, "z", "v");
    compact(&mut single, 6).unwrap();
    sweep(&single.store.sweeper(), 2);
    assert_eq!(history_count(&single), 1);
}

#[test]
fn a_newer_compaction_finds_the_deletions_that_a_sweep_under_way_has_passed() {
    let mut single = Single::new();
    for key in ["a", "b", "c"] {
        put(&mut single, key, "v");
    }
    delete(&mut single, "a", "d");
    put(&mut single, "z", "v");
    let sweeper = single.store.sweeper();
    compact(&mut single, 5).unwrap();
    // Three puts and two of the three deletions.
    assert!(sweeper.step(5).unwrap());
    assert_eq!(sweeper.swept(), 4);
    compact(&mut single, 6).unwrap();
    sweep(&sweeper, 1);
    assert_eq!((sweeper.swept(), history_count(&single)), (6, 1));
}

#[test]
fn nothing_is_swept_for_a_store_that_is_gone() {
    let mut single = Single::new();
    put(&mut single, "a", "1");
    put(&mut single, "a", "2");
    compact(&mut single, 3).unwrap();
    let sweeper = single.store.sweeper();
    single.store = open(&single.engine);
    assert!(!sweeper.step(2).unwrap());
    assert_eq!(history_count(&single), 2);
    assert_eq!(sweep(&single.store.sweeper(), 2), 1);
    assert_eq!(history_count(&single), 1);
}

#[test]
fn a_step_that_failed_is_done_again() {
    let mut single = Single::new();
    for value in ["1", "2", "3"] {
        put(&mut single, "a", value);
    }
    compact(&mut single, 4).unwrap();
    single.engine.fail_next_write(ErrorKind::StorageFull);
    let sweeper = single.store.sweeper();
    let error = sweeper.step(10).unwrap_err();
    assert!(matches!(error, StoreError::Storage(_)), "{error}");
    assert_eq!(sweeper.swept(), -1);
    single.engine.crash_keeping(usize::MAX);
    single.store = open(&single.engine);
    assert_eq!((single.store.sweeper().swept(), history_count(&single)), (-1, 3));
    assert!(!single.store.sweeper().step(10).unwrap());
    assert_eq!((single.store.sweeper().swept(), history_count(&single)), (4, 1));
}

#[test]
fn a_snapshot_brings_the_progress_of_its_sender() {
    let mut from = Single::new();
    let mut to = Single::new();
    for single in [&mut from, &mut to] {
        for value in ["1", "2", "3", "4", "5", "6"] {
            put(single, "a", value);
        }
    }
    compact(&mut from, 3).unwrap();
    compact(&mut from, 7).unwrap();
    compact(&mut to, 4).unwrap();
    assert!(from.store.sweeper().step(1).unwrap());
    let sweeper = to.store.sweeper();
    sweep(&sweeper, 1);
    assert_eq!(sweeper.swept(), 4);
    let staged = stage(&to.store, &blocks(from.store.snapshot().unwrap())).unwrap();
    to.store.install(staged).unwrap();
    assert_eq!(sweeper.swept(), 2);
    sweep(&sweeper, 1);
    sweep(&from.store.sweeper(), 100);
    assert_eq!(dump(&to.engine), dump(&from.engine));
}

/// Lets threads end also if the one that they work for panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sweeping_beside_everything_else() {
    let mut calm = Single::new();
    let mut single = Single::new();
    put(&mut single, "a", "2");
    put(&mut calm, "a", "2");
    let (sweeper, reader) = (single.store.sweeper(), single.store.reader());
    let done = AtomicBool::new(false);
    let key = |number: usize| ["a", "b", "c"][number % 3];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                sweeper.step(3).expect("memory does not fail");
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // The key is put at every third revision, with the revision before as value.
                let revision = reader.revision();
                let request = RangeRequest { revision, ..RangeRequest::key("a") };
                if let Ok(response) = reader.range(&request) {
                    let kv = response.kvs.first().expect("it is there from the first revision on");
                    let put = revision - (revision - 2) % 3;
                    assert_eq!((kv.mod_revision, &kv.value[..]), (put, put.to_string().as_bytes()));
                }
            }
        });
        let _ends_the_threads = SetOnDrop(&done);
        for number in 1..3_000 {
            for single in [&mut single, &mut calm] {
                put(single, key(number), &(number + 2).to_string());
                if number % 5 == 0 {
                    compact(single, number as i64).expect("it grows");
                }
            }
            if number % 1_000 == 0 {
                let staged = stage(&single.store, &blocks(calm.store.snapshot().unwrap())).unwrap();
                single.store.install(staged).unwrap();
            }
        }
    });
    sweep(&sweeper, 100);
    sweep(&calm.store.sweeper(), 100);
    assert_eq!(dump(&single.engine), dump(&calm.engine));
}
