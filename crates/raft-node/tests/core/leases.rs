//! Read leases: what a leader answers without asking, and what followers promise for it.

use std::time::Duration;

use quorate_raft_node::core::Role;

use super::cluster::{Cluster, LONG};

/// The default election timeout.
const ELECTION: Duration = Duration::from_secs(1);

/// Half of it, less half a tick.
const LEASE: Duration = Duration::from_millis(490);

const STEP: Duration = Duration::from_millis(10);

/// A cluster whose leader was confirmed at this moment.
fn confirmed() -> (Cluster, usize) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.read_by_lease(leader, "asks");
    assert!(cluster.readable(leader).is_empty(), "nobody was asked");
    cluster.settle();
    assert_eq!(cluster.readable(leader), ["asks"]);
    assert_eq!(cluster.probe(leader).counters.reads_by_lease, 0);
    (cluster, leader)
}

#[test]
fn a_leader_confirmed_lately_answers_without_a_message() {
    let (mut cluster, leader) = confirmed();
    cluster.propose(leader, "before");
    cluster.settle();
    cluster.cut(leader);
    cluster.read_by_lease(leader, "leased");
    assert_eq!(cluster.readable(leader), ["asks", "leased"]);
    assert_eq!(cluster.applied(leader), ["before"]);
    assert_eq!(cluster.probe(leader).counters.reads_by_lease, 1);
    cluster.read(leader, "asks again");
    assert_eq!(cluster.readable(leader).len(), 2, "a read without a lease was not asked for");
}

#[test]
fn every_confirmed_read_renews_the_lease_and_half_an_election_timeout_ends_it() {
    let (mut cluster, leader) = confirmed();
    cluster.run_for(LEASE - STEP);
    cluster.read(leader, "renews");
    cluster.settle();
    cluster.cut(leader);
    cluster.run_for(LEASE - STEP);
    cluster.read_by_lease(leader, "just in time");
    assert_eq!(cluster.readable(leader), ["asks", "renews", "just in time"]);
    cluster.run_for(STEP);
    cluster.read_by_lease(leader, "too late");
    assert_eq!(cluster.readable(leader).len(), 3, "the lease was over");
    assert_eq!(cluster.role(leader), Role::Leader);
}

#[test]
fn a_lease_begins_when_heartbeats_are_sent_not_when_they_are_answered() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = (leader + 1) % 3;
    cluster.read(leader, "asks");
    let heartbeats = cluster.take_messages(leader, follower);
    heartbeats.iter().for_each(|message| cluster.deliver(leader, follower, message));
    let answers = cluster.take_messages(follower, leader);
    cluster.cut(leader);
    cluster.run_for(LEASE);
    answers.iter().for_each(|message| cluster.deliver(follower, leader, message));
    assert_eq!(cluster.readable(leader), ["asks"]);
    cluster.read_by_lease(leader, "too late");
    assert_eq!(cluster.readable(leader), ["asks"]);
}

#[test]
fn a_leader_that_began_a_transfer_holds_no_lease_in_its_term() {
    let (mut cluster, leader) = confirmed();
    let next = (leader + 1) % 3;
    cluster.transfer(leader, next);
    let order = cluster.take_messages(leader, next);
    assert!(!order.is_empty());
    // The order is under way for longer than the leader waits for its effect.
    cluster.run_for(ELECTION * 2);
    assert_eq!(cluster.role(leader), Role::Leader);
    cluster.read(leader, "renews");
    cluster.settle();
    cluster.cut(leader);
    cluster.read_by_lease(leader, "leased");
    assert_eq!(cluster.readable(leader), ["asks", "renews"]);
    order.iter().for_each(|message| cluster.deliver(leader, next, message));
    cluster.settle();
    assert_eq!(cluster.role(next), Role::Leader, "votes for a transfer are no broken promise");
    cluster.read(next, "renews");
    cluster.settle();
    cluster.read_by_lease(next, "leased");
    assert_eq!(cluster.readable(next), ["renews", "leased"], "the next term begins anew");
}

#[test]
fn a_leader_begins_every_term_without_a_lease() {
    let (mut cluster, leader) = confirmed();
    let next = (leader + 1) % 3;
    for (from, to) in [(leader, next), (next, leader)] {
        cluster.transfer(from, to);
        cluster.settle();
        assert_eq!(cluster.role(to), Role::Leader);
        cluster.read_by_lease(to, "must ask");
        assert!(!cluster.readable(to).contains(&"must ask".to_owned()));
    }
}

#[test]
fn a_follower_asks_even_if_a_lease_would_do() {
    let (mut cluster, leader) = confirmed();
    let follower = (leader + 1) % 3;
    cluster.read_by_lease(follower, "asks too");
    assert!(cluster.readable(follower).is_empty());
    cluster.settle();
    assert_eq!(cluster.readable(follower), ["asks too"]);
}

#[test]
fn a_single_member_answers_at_once() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.elect();
    cluster.read_by_lease(leader, "leased");
    assert_eq!(cluster.readable(leader), ["leased"]);
}

/// Somebody who lost contact long ago asks for votes at any moment. A follower that knows its
/// leader refuses; one that was restarted meanwhile knows none.
#[test]
fn whoever_is_restarted_keeps_the_promise_of_its_earlier_life() {
    for phase in 0..20 {
        let mut cluster = Cluster::new(3);
        let leader = cluster.elect();
        let (follower, away) = ((leader + 1) % 3, (leader + 2) % 3);
        cluster.cut(away);
        cluster.run_for(LONG + STEP * 10 * phase);
        assert_eq!(cluster.role(away), Role::Candidate);
        cluster.read(leader, "renews");
        cluster.settle();
        assert_eq!(cluster.readable(leader), ["renews"]);
        cluster.heal();
        cluster.cut(leader);
        cluster.restart(follower);
        cluster.run_for(ELECTION - STEP);
        for member in [follower, away] {
            assert_ne!(cluster.role(member), Role::Leader, "phase {phase}");
        }
        // The promise ends, and with it the wait.
        cluster.run_for(LONG);
        assert!([follower, away].iter().any(|member| cluster.role(*member) == Role::Leader));
    }
}
