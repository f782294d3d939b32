use super::*;
use quorate_kv_api::CommandKind;
use quorate_types::LogIndex;

const TERM: Term = Term::new(1);

fn lease(granted_ttl: i64, renewed_at: u64) -> Lease {
    Lease { granted_ttl, renewed_at: LogIndex::new(renewed_at), remaining_ttl: None }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn just_before(instant: Instant) -> Instant {
    instant - Duration::from_nanos(1)
}

/// Without leases, and with its first tick behind it.
fn started() -> Timing {
    let mut timing = Timing::new(&Leases::default());
    assert_eq!(timing.next(), None);
    assert_eq!(timing.tick(at(0), TERM, true), []);
    timing
}

fn expire(id: i64, renewed_at: u64) -> Command {
    LeaseExpireRequest { id, renewed_at }.into()
}

/// The ids of the leases whose end is proposed.
fn expired(commands: &[Command]) -> Vec<i64> {
    let id = |command: &Command| match &command.kind {
        Some(CommandKind::LeaseExpire(request)) => Some(request.id),
        _ => None,
    };
    commands.iter().filter_map(id).collect()
}

/// What is proposed to be noted: leases and seconds.
fn checkpointed(commands: &[Command]) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for command in commands {
        if let Some(CommandKind::LeaseCheckpoint(request)) = &command.kind {
            assert!(!request.checkpoints.is_empty());
            found.extend(request.checkpoints.iter().map(|one| (one.id, one.remaining_ttl)));
        }
    }
    found
}

fn remaining(timing: &Timing, id: i64, now: Instant) -> Duration {
    let lease = timing.leases.get(&id).expect("the lease is known").lease;
    timing.remaining(id, &lease, now)
}

#[test]
fn never_early_and_late_by_no_more_than_a_tick() {
    let mut timing = started();
    timing.set(7, lease(2, 3));
    assert_eq!(timing.next(), Some(Instant::ZERO), "it waits to be counted");
    assert_eq!(timing.tick(at(10), TERM, true), []);
    assert_eq!(timing.next(), Some(at(12)));
    assert_eq!(timing.tick(just_before(at(12)), TERM, true), []);
    assert_eq!(timing.tick(at(12), TERM, true), [expire(7, 3)]);
}

#[test]
fn a_lease_without_time_ends_at_once() {
    let mut timing = started();
    timing.set(7, lease(0, 3));
    timing.set(8, lease(-5, 3));
    assert_eq!(timing.tick(at(10), TERM, true), [expire(7, 3), expire(8, 3)]);
}

#[test]
fn a_lease_that_lives_for_ever() {
    let mut timing = started();
    timing.set(7, lease(i64::MAX, 3));
    assert_eq!(timing.tick(at(1), TERM, true), []);
    assert_eq!(expired(&timing.tick(just_before(Instant::MAX), TERM, true)), []);
}

#[test]
fn a_renewed_lease_is_counted_anew() {
    let mut timing = started();
    timing.set(7, lease(5, 3));
    timing.tick(at(10), TERM, true);
    timing.set(7, lease(5, 9));
    // The next tick is late: that is when the renewal counts from.
    assert_eq!(timing.tick(at(20), TERM, true), []);
    assert_eq!(timing.tick(just_before(at(25)), TERM, true), []);
    assert_eq!(timing.tick(at(25), TERM, true), [expire(7, 9)]);
}

#[test]
fn only_the_leader_proposes() {
    let mut timing = started();
    timing.set(7, lease(5, 3));
    for seconds in 1..20 {
        assert_eq!(timing.tick(at(seconds), TERM, false), []);
    }
    // It won the election of the term it had seen already.
    assert_eq!(timing.tick(at(20), TERM, true), [expire(7, 3)]);
}

#[test]
fn an_end_without_effect_is_proposed_again() {
    let mut timing = started();
    timing.set(7, lease(5, 3));
    timing.tick(at(0), TERM, true);
    assert_eq!(timing.tick(at(6), TERM, true), [expire(7, 3)]);
    assert_eq!(timing.next(), Some(at(9)));
    assert_eq!(timing.tick(just_before(at(9)), TERM, true), []);
    assert_eq!(timing.tick(at(9), TERM, true), [expire(7, 3)]);
    // A renewal came before the expiry in the log: this time it is the renewal's.
    timing.set(7, lease(5, 8));
    assert_eq!(timing.tick(at(12), TERM, true), []);
    assert_eq!(timing.tick(at(17), TERM, true), [expire(7, 8)]);
    timing.remove(7);
    assert_eq!(timing.next(), None);
    assert_eq!(timing.tick(at(100), TERM, true), []);
}

#[test]
fn at_most_500_ends_a_tick() {
    let mut timing = started();
    for id in 0..1_200 {
        timing.set(id, lease(5, 3));
    }
    timing.tick(at(0), TERM, true);
    let mut all = Vec::new();
    for (seconds, count) in [(5, 500), (6, 500), (7, 200), (8, 500)] {
        let ids = expired(&timing.tick(at(seconds), TERM, true));
        assert_eq!(ids.len(), count, "at {seconds} s");
        all.extend(ids);
    }
    let again = all.split_off(1_200);
    assert_eq!(all, (0..1_200).collect::<Vec<_>>());
    assert_eq!(again, (0..500).collect::<Vec<_>>());
}

#[test]
fn no_lease_comes_twice_in_a_tick() {
    let mut timing = started();
    timing.configure(LessorTiming { retry_interval: Duration::ZERO, ..LessorTiming::default() });
    timing.set(7, lease(0, 3));
    for _ in 0..3 {
        assert_eq!(timing.tick(at(1), TERM, true), [expire(7, 3)]);
    }
}

#[test]
fn a_new_term_gives_all_the_time_again() {
    let mut timing = started();
    let election_timeout = Duration::from_secs(2);
    timing.configure(LessorTiming { election_timeout, ..LessorTiming::default() });
    timing.set(7, lease(10, 3));
    timing.set(8, lease(20, 4));
    timing.tick(at(0), TERM, true);
    // One is over already, but nobody could renew it; another one came just now.
    timing.set(9, lease(1, 5));
    let next = Term::new(2);
    assert_eq!(timing.tick(at(15), next, true), []);
    let left = |timing: &Timing| [7, 8, 9].map(|id| remaining(timing, id, at(15)).as_secs());
    assert_eq!(left(&timing), [12, 22, 3]);
    assert_eq!(timing.tick(just_before(at(18)), next, true), []);
    assert_eq!(expired(&timing.tick(at(27), next, true)), [9, 7]);
    assert_eq!(expired(&timing.tick(at(37), next, true)), [7, 9, 8]);
    // Members that do not lead count alike.
    assert_eq!(timing.tick(at(100), Term::new(3), false), []);
    assert_eq!(remaining(&timing, 8, at(100)).as_secs(), 22);
}

#[test]
fn opening_and_installing_give_all_the_time_again() {
    let mut leases = Leases::default();
    leases.set(7, lease(10, 3));
    leases.set(8, Lease { remaining_ttl: Some(4), ..lease(10, 3) });
    let mut timing = Timing::new(&leases);
    assert_eq!(timing.next(), Some(Instant::ZERO));
    assert_eq!(remaining(&timing, 8, at(50)).as_secs(), 4, "nothing was counted yet");
    for start in [50, 80] {
        assert_eq!(timing.tick(at(start), TERM, true), []);
        let left = [7, 8].map(|id| remaining(&timing, id, at(start)).as_secs());
        assert_eq!(left, [11, 5]);
        assert_eq!(expired(&timing.tick(at(start + 20), TERM, true)), [8, 7]);
        timing.set(9, lease(1, 5));
        timing.replace(&leases);
        assert_eq!(timing.by_expiry(at(0)), [8, 7]);
    }
}

#[test]
fn remaining_times_are_noted() {
    let mut timing = started();
    timing.set(1, lease(300, 3));
    timing.set(2, lease(301, 3));
    timing.set(3, lease(1_000, 3));
    timing.tick(at(0), TERM, true);
    assert_eq!(timing.tick(just_before(at(300)), TERM, true), []);
    // What is left of a second counts as a whole one.
    let now = at(300) + Duration::from_nanos(1);
    let commands = timing.tick(now, TERM, true);
    assert_eq!((expired(&commands), checkpointed(&commands)), (vec![1], vec![(2, 1), (3, 700)]));
    let Some(CommandKind::LeaseCheckpoint(request)) = &commands[1].kind else { panic!("{now:?}") };
    assert!(request.checkpoints.iter().all(|checkpoint| checkpoint.renewed_at == 3));
    timing.remove(1);
    // That it was noted moves nothing.
    timing.set(3, Lease { remaining_ttl: Some(700), ..lease(1_000, 3) });
    assert_eq!(remaining(&timing, 3, at(400)).as_secs(), 600);
    timing.remove(2);
    assert_eq!(timing.next(), Some(now + Duration::from_secs(300)));
    assert_eq!(checkpointed(&timing.tick(at(601), TERM, true)), [(3, 399)]);
    timing.set(3, Lease { remaining_ttl: Some(399), ..lease(1_000, 3) });
    assert_eq!(checkpointed(&timing.tick(at(950), TERM, true)), [(3, 50)]);
    assert_eq!(timing.tick(at(999), TERM, true), []);
    assert_eq!(timing.tick(at(1_000), TERM, true), [expire(3, 3)]);
    // The next leader goes by what was noted, and a renewal makes it void.
    timing.tick(at(2_000), Term::new(2), true);
    assert_eq!(remaining(&timing, 3, at(2_000)).as_secs(), 400);
    timing.set(3, lease(1_000, 9));
    timing.tick(at(2_100), Term::new(3), true);
    assert_eq!(remaining(&timing, 3, at(2_100)).as_secs(), 1_001);
}

#[test]
fn what_says_no_more_than_was_known_is_not_noted() {
    let mut timing = started();
    let timing_with = |checkpoint_interval, election_timeout| LessorTiming {
        checkpoint_interval: Duration::from_secs(checkpoint_interval),
        election_timeout: Duration::from_secs(election_timeout),
        ..LessorTiming::default()
    };
    // After the change of leadership more is left than was granted, for a while.
    timing.configure(timing_with(10, 25));
    timing.set(7, lease(100, 3));
    timing.tick(at(0), TERM, true);
    timing.tick(at(1), Term::new(2), true);
    let mut noted = Vec::new();
    for seconds in 1..=60 {
        noted.extend(checkpointed(&timing.tick(at(seconds), Term::new(2), true)));
    }
    assert_eq!(noted, [(7, 95), (7, 85), (7, 75)]);
    timing.configure(timing_with(0, 1));
    timing.set(7, lease(100, 4));
    for seconds in 60..160 {
        assert_eq!(timing.tick(at(seconds), Term::new(2), true), []);
    }
}

#[test]
fn at_most_1000_remaining_times_a_tick() {
    let mut timing = started();
    for id in 0..2_500 {
        timing.set(id, lease(1_000, 3));
    }
    timing.tick(at(0), TERM, true);
    for (now, count) in [(300, 1_000), (301, 1_000), (302, 500), (303, 0)] {
        let commands = timing.tick(at(now), TERM, true);
        assert_eq!(checkpointed(&commands).len(), count, "at {now} s");
        assert!(commands.len() <= 1);
    }
}

#[test]
fn leases_by_expiry() {
    let mut timing = started();
    for (id, ttl) in [(1, 50), (2, 10), (3, 30)] {
        timing.set(id, lease(ttl, 3));
    }
    timing.tick(at(0), TERM, true);
    timing.set(4, lease(20, 4));
    timing.set(2, lease(10, 5));
    assert_eq!(timing.by_expiry(at(15)), [2, 3, 4, 1]);
}

#[test]
fn what_the_tables_show_and_what_is_known() {
    let mut timing = started();
    timing.set(7, lease(10, 3));
    timing.tick(at(0), TERM, true);
    assert_eq!(timing.remaining(7, &lease(10, 3), at(4)).as_secs(), 6);
    assert_eq!(timing.remaining(7, &lease(10, 3), at(40)).as_secs(), 0);
    // A renewal, or another lease, that nobody told of yet.
    assert_eq!(timing.remaining(7, &lease(10, 8), at(4)).as_secs(), 10);
    assert_eq!(timing.remaining(8, &lease(10, 8), at(4)).as_secs(), 10);
}

/// The sets hold just what the leases say.
fn check_sets(timing: &Timing) {
    let stamps = || timing.leases.iter().filter_map(|(id, timed)| Some((*id, timed.stamp?)));
    let expiries: BTreeSet<_> = stamps().map(|(id, stamp)| (stamp.propose_at, id)).collect();
    let checkpoints: BTreeSet<_> =
        stamps().filter_map(|(id, stamp)| Some((stamp.checkpoint_at?, id))).collect();
    let unstamped = timing.leases.iter().filter(|(_, timed)| timed.stamp.is_none());
    assert_eq!(timing.expiries, expiries);
    assert_eq!(timing.checkpoints, checkpoints);
    assert_eq!(timing.unstamped, unstamped.map(|(id, _)| *id).collect());
}

/// Random grants, renewals, ends and ticks, beside the earliest time at which each lease may end.
#[test]
fn random_histories() {
    for seed in 0..200 {
        let mut random = quorate_types::SplitMix64::new(seed);
        let mut timing = started();
        let mut leases = BTreeMap::new();
        let (mut now, mut term, mut index) = (at(0), 1, 0);
        for _ in 0..300 {
            let id = random.below(6) as i64;
            match random.below(9) {
                0..=2 => {
                    index += 1;
                    let granted = lease(random.below(700) as i64, index);
                    timing.set(id, granted);
                    leases.insert(id, (granted, now));
                }
                3 => {
                    timing.remove(id);
                    leases.remove(&id);
                }
                4 => term += random.below(2),
                _ => now += Duration::from_millis(random.below(90_000)),
            }
            for command in timing.tick(now, Term::new(term), random.below(4) > 0) {
                match command.kind {
                    Some(CommandKind::LeaseExpire(request)) => {
                        let (lease, since) = leases[&request.id];
                        assert_eq!(lease.renewed_at.get(), request.renewed_at);
                        let lived = now - since;
                        let granted = lease.granted_ttl as u64;
                        assert!(lived >= Duration::from_secs(granted), "{lived:?} of {granted} s");
                    }
                    Some(CommandKind::LeaseCheckpoint(request)) => {
                        for one in request.checkpoints {
                            let (lease, since) = &mut leases.get_mut(&one.id).expect("it exists");
                            let end = *since + Duration::from_secs(lease.granted_ttl as u64);
                            assert!(now + Duration::from_secs(one.remaining_ttl as u64) >= end);
                            lease.remaining_ttl = Some(one.remaining_ttl);
                            timing.set(one.id, *lease);
                        }
                    }
                    _ => panic!("a lessor proposes nothing else"),
                }
            }
            check_sets(&timing);
        }
    }
}

/// A hundred thousand leases: what a tick looks at is what is due.
#[test]
fn idle_leases_are_not_looked_at() {
    let mut timing = started();
    for id in 0..100_000 {
        timing.set(id, lease(60, 3));
    }
    timing.tick(at(0), TERM, true);
    for tick in 1..100_000 {
        let now = Instant::from_nanos(tick * 500_000);
        assert_eq!(timing.tick(now, TERM, true), []);
    }
    assert_eq!(timing.tick(at(60), TERM, true).len(), EXPIRIES_MAX);
}
