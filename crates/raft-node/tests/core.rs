//! Cores on one thread with one fake clock: the protocol without the threads.

#[path = "core/cluster.rs"]
mod cluster;
#[path = "core/leases.rs"]
mod leases;

use bytes::Bytes;
use cluster::{Cluster, LONG};
use quorate_raft_node::core::{CoreError, ProposeError, Role};

#[test]
fn commands_from_any_member_are_applied_everywhere_and_answered_where_they_came_from() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    for member in 0..3 {
        cluster.propose(member, &format!("from {member}"));
    }
    cluster.settle();
    for member in 0..3 {
        assert_eq!(cluster.answers(member), [Ok(format!("from {member}"))]);
        assert_eq!(cluster.applied(member), cluster.applied(leader));
        assert_eq!(cluster.applied(member).len(), 3);
    }
}

#[test]
fn a_follower_acknowledges_nothing_before_its_disk_has_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let (slow, away) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.cut(away);
    cluster.hold_disk(slow);
    cluster.propose(leader, "held");
    cluster.settle();
    assert!(cluster.answers(leader).is_empty(), "committed with one durable copy");
    cluster.release_disk(slow);
    cluster.settle();
    assert_eq!(cluster.answers(leader), [Ok("held".to_owned())]);
}

#[test]
fn a_single_member_acknowledges_nothing_before_its_disk_has_it() {
    let mut cluster = Cluster::new(1);
    cluster.elect();
    cluster.hold_disk(0);
    cluster.propose(0, "held");
    cluster.settle();
    assert!(cluster.answers(0).is_empty(), "committed without a durable copy");
    cluster.release_disk(0);
    cluster.settle();
    assert_eq!(cluster.answers(0), [Ok("held".to_owned())]);
}

/// The queue of reads in `raft` 0.7.0 confirms newer reads by old heartbeat answers when a
/// forwarded request reaches the leader twice. Requests never reach that queue here.
#[test]
fn a_repeated_read_request_does_not_confirm_newer_reads_of_a_deposed_leader() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    let (follower, other) = ((old + 1) % 3, (old + 2) % 3);
    // A follower asks; the leader's heartbeats go out, and the answers stay under way.
    cluster.read(follower, "older");
    let request = cluster.take_messages(follower, old);
    assert_eq!(request.len(), 1);
    request.iter().for_each(|message| cluster.deliver(follower, old, message));
    let heartbeats = [follower, other].map(|to| (to, cluster.take_messages(old, to)));
    let mut answers = Vec::new();
    for (to, messages) in heartbeats {
        messages.iter().for_each(|message| cluster.deliver(old, to, message));
        answers.extend(cluster.take_messages(to, old).into_iter().map(|message| (to, message)));
    }
    // The leader is cut off before it hears them, with a clock too slow to notice; another one
    // writes.
    cluster.cut(old);
    cluster.freeze(old);
    let new = cluster.elect_among(&[follower, other]);
    cluster.propose(new, "newer");
    cluster.settle();
    assert_eq!(cluster.answers(new), [Ok("newer".to_owned())]);
    assert_eq!(cluster.role(old), Role::Leader, "the old leader does not know");
    // A newer read on the old leader, the old request once more, then the old answers.
    cluster.read(old, "must wait");
    request.iter().for_each(|message| cluster.deliver(follower, old, message));
    answers.iter().for_each(|(from, message)| cluster.deliver(*from, old, message));
    assert!(cluster.readable(old).is_empty(), "a stale read was permitted");
}

#[test]
fn a_read_is_permitted_once_everything_committed_before_is_applied() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = (leader + 1) % 3;
    cluster.propose(leader, "before");
    cluster.settle();
    cluster.read(follower, "read");
    cluster.read(leader, "read");
    cluster.settle();
    for member in [leader, follower] {
        assert_eq!(cluster.readable(member), ["read"]);
        assert_eq!(cluster.applied(member), ["before"]);
    }
}

#[test]
fn reads_that_come_during_a_round_do_not_wait_for_a_heartbeat() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let (follower, away) = ((leader + 1) % 3, (leader + 2) % 3);
    // With one member away, nothing happens after the answer that ends a round.
    cluster.cut(away);
    cluster.read(leader, "first");
    cluster.read(leader, "second");
    cluster.read(follower, "third");
    cluster.settle();
    assert_eq!(cluster.readable(leader), ["first", "second"]);
    assert_eq!(cluster.readable(follower), ["third"]);
}

#[test]
fn a_forwarded_command_that_got_lost_is_sent_again_and_applied_once() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = (leader + 1) % 3;
    cluster.propose(follower, "twice");
    let lost = cluster.take_messages(follower, leader);
    assert_eq!(lost.len(), 1);
    cluster.run_for(LONG);
    assert_eq!(cluster.answers(follower), [Ok("twice".to_owned())]);
    // The first copy turns up after all.
    lost.iter().for_each(|message| cluster.deliver(follower, leader, message));
    cluster.settle();
    assert_eq!(cluster.applied(leader), ["twice"]);
    assert_eq!(cluster.applied(follower), ["twice"]);
}

#[test]
fn without_a_leader_a_command_times_out_and_did_not_happen() {
    let mut cluster = Cluster::new(3);
    cluster.cut(0);
    cluster.propose(0, "nobody");
    cluster.run_for(LONG * 4);
    assert_eq!(cluster.answers(0), [Err(ProposeError::TimedOut)]);
}

#[test]
fn whoever_is_elected_after_its_callers_gave_up_has_nothing_to_propose() {
    let mut cluster = Cluster::new(3);
    for member in 0..3 {
        cluster.cut(member);
        cluster.propose(member, "too early");
    }
    cluster.run_for(LONG * 4);
    cluster.heal();
    let leader = cluster.elect();
    assert_eq!(cluster.answers(leader), [Err(ProposeError::TimedOut)]);
    assert!(cluster.applied(leader).is_empty());
}

#[test]
fn a_follower_behind_the_purged_log_gets_a_snapshot() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let (slow, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.cut(slow);
    for i in 0..60 {
        cluster.propose(leader, &format!("{i}"));
        cluster.settle();
    }
    assert!(cluster.probe(leader).log_start.index.get() > 20, "the log was purged");
    cluster.heal();
    cluster.run_for(LONG * 2);
    assert_eq!(cluster.applied(slow), cluster.applied(other));
    assert_eq!(cluster.probe(slow).counters.snapshots_installed, 1);
}

#[test]
fn a_member_whose_disk_takes_long_to_install_a_snapshot_waits_and_goes_on() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let slow = (leader + 1) % 3;
    cluster.cut(slow);
    for i in 0..60 {
        cluster.propose(leader, &format!("{i}"));
        cluster.settle();
    }
    cluster.hold_disk(slow);
    cluster.heal();
    cluster.run_for(LONG / 4);
    assert_eq!(cluster.probe(slow).counters.snapshots_installed, 1);
    cluster.cut(slow);
    cluster.run_for(LONG);
    cluster.heal();
    cluster.release_disk(slow);
    cluster.run_for(LONG);
    assert_eq!(cluster.applied(slow), cluster.applied(leader));
}

#[test]
fn a_follower_behind_the_cached_log_is_served_from_the_disk() {
    let mut cluster = Cluster::with_cache_size(3, 8);
    let leader = cluster.elect();
    let slow = (leader + 1) % 3;
    cluster.cut(slow);
    for i in 0..10 {
        cluster.propose(leader, &format!("{i}"));
        cluster.settle();
    }
    cluster.heal();
    cluster.run_for(LONG * 2);
    assert_eq!(cluster.applied(slow).len(), 10);
    assert_eq!(cluster.probe(slow).counters.snapshots_installed, 0);
    assert!(cluster.fetches(leader) > 0, "nothing was fetched");
}

#[test]
fn a_member_that_lost_acknowledged_entries_stops() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let victim = (leader + 1) % 3;
    cluster.propose(leader, "acknowledged");
    cluster.settle();
    cluster.replace_disk(victim);
    let stopped = (0..200).find_map(|_| cluster.step_time().err());
    let (member, error) = stopped.expect("the member notices");
    assert_eq!(member, victim);
    assert!(matches!(error, CoreError::LogLost { .. }), "{error}");
}

#[test]
fn leadership_moves_on_request() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let next = (leader + 1) % 3;
    cluster.transfer(leader, next);
    cluster.settle();
    assert_eq!(cluster.role(next), Role::Leader);
    // Any member may ask.
    cluster.transfer((next + 1) % 3, leader);
    cluster.settle();
    assert_eq!(cluster.role(leader), Role::Leader);
}

#[test]
fn nonsense_from_a_peer_is_refused_and_counted() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let peer = (leader + 1) % 3;
    // The last is a command of nobody.
    for bytes in [&b""[..], b"\xff\xff\xff", b"\x0a\x02\x08\x00", b"\x12\x02\x0a\x00"] {
        cluster.deliver(peer, leader, &Bytes::copy_from_slice(bytes));
    }
    assert_eq!(cluster.probe(leader).counters.messages_refused, 4);
    cluster.propose(leader, "goes on");
    cluster.settle();
    assert_eq!(cluster.answers(leader), [Ok("goes on".to_owned())]);
}
