//! Barriers and double barriers.

use std::time::Duration;

use quorate::recipes::{Barrier, DoubleBarrier, RecipeError, Session};
use quorate::{Error, Range};

use crate::{open, open_three};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn a_barrier_keeps_everybody_until_it_opens() {
    let node = open();
    let barrier = Barrier::new(&node, "gate");
    barrier.wait().wait().unwrap();
    assert!(barrier.hold().wait().unwrap());
    assert!(!barrier.hold().wait().unwrap(), "it is closed already");
    assert!(!barrier.wait_timeout(SHORT).wait().unwrap());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let barrier = barrier.clone();
            std::thread::spawn(move || barrier.wait().wait())
        })
        .collect();
    assert!(barrier.release().wait().unwrap());
    assert!(!barrier.release().wait().unwrap());
    waiting.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    assert!(barrier.wait_timeout(SHORT).wait().unwrap());
}

#[test]
fn a_barrier_that_closes_again_lets_through_who_waited() {
    let node = open();
    let barrier = Barrier::new(&node, "gate");
    barrier.hold().wait().unwrap();
    let mut waiting = barrier.wait();
    assert!(waiting.wait_timeout(SHORT).is_none());
    barrier.release().wait().unwrap();
    barrier.hold().wait().unwrap();
    waiting.wait().unwrap();
    assert!(!barrier.wait_timeout(SHORT).wait().unwrap());
}

#[test]
fn a_barrier_may_open_with_a_session() {
    let node = open();
    let session = Session::open(&node, 10).wait().unwrap();
    let barrier = Barrier::new(&node, "gate");
    assert!(barrier.hold_with(&session).wait().unwrap());
    let mut waiting = barrier.wait();
    assert!(waiting.wait_timeout(SHORT).is_none());
    session.close().wait().unwrap();
    waiting.wait().unwrap();
}

#[test]
fn participants_enter_and_leave_together() {
    let node = open();
    let [first, second] =
        [0; 2].map(|_| DoubleBarrier::new(&Session::open(&node, 10).wait().unwrap(), "round", 2));
    let mut entering = first.enter();
    assert!(entering.wait_timeout(SHORT).is_none());
    let other = second.enter().wait().unwrap();
    let one = entering.wait().unwrap();
    assert_eq!(one.round(), other.round());
    // Who comes during a round takes part in a later one.
    let mut late = first.enter();
    assert!(late.wait_timeout(SHORT).is_none());
    let mut leaving = one.leave();
    assert!(leaving.wait_timeout(SHORT).is_none());
    let round = other.round();
    other.leave().wait().unwrap();
    leaving.wait().unwrap();
    let other = second.enter().wait().unwrap();
    assert!(other.round() > round);
    assert_eq!(late.wait().unwrap().round(), other.round());
}

#[test]
fn who_dies_before_a_round_does_not_count() {
    let node = open();
    let sessions = [0; 3].map(|_| Session::open(&node, 10).wait().unwrap());
    let of = |i: usize| DoubleBarrier::new(&sessions[i], "round", 2);
    let mut dying = of(0).enter();
    assert!(dying.wait_timeout(SHORT).is_none());
    node.lease_revoke(sessions[0].lease()).wait().unwrap();
    let lost = dying.wait();
    assert!(matches!(lost, Err(Error::Recipe(RecipeError::SessionLost { .. }))), "{lost:?}");
    assert!(of(1).enter_timeout(SHORT).wait().unwrap().is_none());
    let mut entering = of(1).enter();
    assert!(entering.wait_timeout(SHORT).is_none());
    let other = of(2).enter().wait().unwrap();
    assert_eq!(entering.wait().unwrap().round(), other.round());
}

#[test]
fn who_dies_during_a_round_does_not_hold_the_others() {
    let node = open();
    let sessions = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let [first, second] = [0, 1].map(|i: usize| DoubleBarrier::new(&sessions[i], "round", 2));
    let mut entering = first.enter();
    assert!(entering.wait_timeout(SHORT).is_none());
    let other = second.enter().wait().unwrap();
    let one = entering.wait().unwrap();
    let mut leaving = other.leave();
    assert!(leaving.wait_timeout(SHORT).is_none());
    node.lease_revoke(sessions[0].lease()).wait().unwrap();
    leaving.wait().unwrap();
    one.lost().wait().unwrap();
    assert!(one.is_lost());
    assert_eq!(node.range(Range::prefix("round/").count_only()).wait().unwrap().count, 0);
}

#[test]
fn a_round_whose_participants_all_died_is_over() {
    let node = open();
    let sessions = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let one = DoubleBarrier::new(&sessions[0], "round", 1).enter().wait().unwrap();
    let mut waiting = DoubleBarrier::new(&sessions[1], "round", 1).enter();
    assert!(waiting.wait_timeout(SHORT).is_none(), "a round is on");
    node.lease_revoke(sessions[0].lease()).wait().unwrap();
    assert!(waiting.wait().unwrap().round() > one.round());
    // What another one has written there does not stop anybody.
    node.put("other/round", "nonsense").wait().unwrap();
    drop(DoubleBarrier::new(&sessions[1], "other", 1).enter().wait().unwrap());
}

#[test]
fn participants_must_agree() {
    let node = open();
    let session = Session::open(&node, 10).wait().unwrap();
    let of = |count| DoubleBarrier::new(&session, "round", count);
    let mut waiting = of(2).enter();
    assert!(waiting.wait_timeout(SHORT).is_none());
    let differs = of(3).enter().wait();
    assert!(matches!(differs, Err(Error::Recipe(RecipeError::CountsDiffer { count: 3, .. }))));
    let zero = of(0).enter().wait();
    assert!(matches!(zero, Err(Error::Recipe(RecipeError::ZeroCount { .. }))));
}

#[test]
fn members_go_through_rounds_together() {
    let (_hub, nodes) = open_three();
    // More participants than a round has: each round takes those who came first.
    let threads: Vec<_> = (0..6)
        .map(|i| {
            let session = Session::open(&nodes[i % 3], 10).wait().unwrap();
            let barrier = DoubleBarrier::new(&session, "round", 3);
            std::thread::spawn(move || {
                let mut rounds = Vec::new();
                for _ in 0..5 {
                    let participation = barrier.enter().wait().unwrap();
                    rounds.push(participation.round());
                    participation.leave().wait().unwrap();
                }
                rounds
            })
        })
        .collect();
    let mut participants = std::collections::BTreeMap::<i64, u32>::new();
    for thread in threads {
        let rounds = thread.join().unwrap();
        assert!(rounds.windows(2).all(|pair| pair[0] < pair[1]), "{rounds:?}");
        rounds.into_iter().for_each(|round| *participants.entry(round).or_default() += 1);
    }
    assert_eq!(participants.len(), 10);
    assert!(participants.values().all(|count| *count == 3), "{participants:?}");
}
