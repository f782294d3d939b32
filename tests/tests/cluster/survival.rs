//! What survives the loss of members and processes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quorate::{ByteSize, Range, put};

use super::group::{Group, wait_for};

#[test]
fn nothing_acknowledged_is_lost_with_the_leader() {
    let mut group = Group::new();
    let leader = group.leader();
    let survivors: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    let clients: Vec<_> = survivors.iter().map(|index| group.node(*index).client()).collect();
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let victim = group.take(leader);
    let mut acknowledged: Vec<String> = std::thread::scope(|scope| {
        let (stop, written) = (&stop, &written);
        let write = |client: quorate::Client, thread: usize| {
            let mut done = Vec::new();
            for i in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("{thread}/{i}");
                if client.put(key.clone(), "v").wait().is_ok() {
                    written.fetch_add(1, Ordering::Relaxed);
                    done.push(key);
                }
            }
            done
        };
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let client = clients[thread % 2].clone();
                scope.spawn(move || write(client, thread))
            })
            .collect();
        let reached = |count| (written.load(Ordering::Relaxed) >= count).then_some(());
        wait_for("writes before the kill", || reached(200));
        victim.kill();
        let so_far = written.load(Ordering::Relaxed);
        wait_for("writes after the kill", || reached(so_far + 200));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    });
    acknowledged.sort();
    group.open(leader);
    for index in 0..3 {
        let all = group.node(index).range(Range::all().keys_only()).wait().expect("read");
        let present: Vec<String> =
            all.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect();
        let missing: Vec<_> =
            acknowledged.iter().filter(|key| present.binary_search(key).is_err()).collect();
        assert!(missing.is_empty(), "member {index} misses {missing:?}");
    }
}

#[test]
fn all_members_reopen_with_everything() {
    let mut group = Group::new();
    for i in 0..200 {
        group.node(i % 3).put(format!("{i}"), format!("{i}")).wait().expect("written");
    }
    let before = group.node(0).hash(0).wait().expect("hash");
    for index in 0..3 {
        // One is closed in good order, the others are not.
        let node = group.take(index);
        if index == 0 { node.close().expect("closes") } else { node.kill() }
    }
    (0..3).for_each(|index| group.open(index));
    for index in 0..3 {
        assert_eq!(group.node(index).hash(before.revision).wait().expect("hash"), before);
    }
}

#[test]
fn a_member_far_behind_catches_up_by_snapshot_and_keeps_it() {
    let mut group = Group::tuned(|config| {
        config.log_keep_entries = 0;
        config.flush_after_size = ByteSize::kib(64);
    });
    let leader = group.leader();
    let behind = (leader + 1) % 3;
    group.take(behind).kill();
    for i in 0..300 {
        let txn = group.node(leader).txn();
        // One value larger than a block of the snapshot usually is.
        let size = if i == 7 { 1 << 20 } else { 2_000 };
        let txn =
            txn.then(put(format!("k{i}"), vec![b'x'; size])).then(put("last", format!("{i}")));
        txn.commit().wait().expect("written");
    }
    let status = group.node(leader).status().consensus.expect("runs");
    assert!(status.log_start.index.get() > 0, "the log was purged: {status:?}");
    group.open(behind);
    let expected = group.node(leader).hash(0).wait().expect("hash");
    assert_eq!(group.node(behind).hash(expected.revision).wait().expect("hash"), expected);
    let counters = group.node(behind).status().consensus.expect("runs").counters;
    assert!(counters.snapshots_installed > 0, "{counters:?}");
    group.take(behind).kill();
    group.open(behind);
    let local = group.node(behind).range(Range::key("last").local()).wait().expect("read");
    assert_eq!(local.count, 1, "the installed state was durable");
    assert_eq!(group.node(behind).hash(expected.revision).wait().expect("hash"), expected);
}
