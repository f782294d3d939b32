//! What runs in the background of a member, and what waits there.

use std::task::Poll;
use std::time::Duration;

use quorate::{Range, Watch};

use super::actor::{Actor, Trouble};
use super::script::{Body, Script};
use super::tests::{quiet_plan, run_plan};
use crate::ensure;
use crate::plan::{Fault, Plan, Target, TimedFault};
use quorate_types::Instant;

type Play = fn(&Actor) -> Result<(), Trouble>;

fn fault(at_millis: u64, fault: Fault) -> TimedFault {
    TimedFault { at: Instant::ZERO + Duration::from_millis(at_millis), fault }
}

/// Plays the bodies, one on each of the members in turn, with these faults and no others.
fn play(faults: Vec<TimedFault>, bodies: &[Play]) {
    play_for(Duration::from_secs(10), faults, bodies);
}

fn play_for(duration: Duration, faults: Vec<TimedFault>, bodies: &[Play]) {
    for seed in 0..5 {
        let plan = Plan { faults: faults.clone(), duration, ..quiet_plan(seed) };
        let actors = bodies.iter().map(|body| -> Body { std::sync::Arc::new(*body) }).collect();
        let script = Script { actors, ..Script::default() };
        let (first, history) = run_plan(&plan, &script);
        let (again, repeated) = run_plan(&plan, &script);
        let first = first.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        assert_eq!(Ok(first), again, "seed {seed}");
        assert_eq!(history.notes, repeated.notes, "seed {seed}");
    }
}

#[test]
fn what_comes_after_a_time_comes_then() {
    play(
        Vec::new(),
        &[|me| {
            let (db, begun) = (me.db(), me.now());
            let late = db.after(Duration::from_secs(3));
            let early = db.after(Duration::from_secs(1));
            early.wait()?;
            let passed = me.now() - begun;
            ensure!((1_000..1_010).contains(&passed.as_millis()), "it came after {passed:?}");
            me.block_on(late)?;
            let passed = me.now() - begun;
            ensure!((3_000..3_010).contains(&passed.as_millis()), "it came after {passed:?}");
            Ok(())
        }],
    );
}

#[test]
fn waiting_ends_with_the_member() {
    let crash = Fault::Crash { target: Target::Member(0), down: Duration::from_secs(1) };
    play(
        vec![fault(2_000, crash)],
        &[|me| {
            if me.now() > Instant::ZERO + Duration::from_secs(5) {
                return Ok(());
            }
            let db = me.db();
            let late = db.after(Duration::from_secs(60));
            let watcher = db.watch(Watch::key("never")).wait()?;
            let lease = db.lease_grant(60).wait()?.id;
            let keeper = db.lease_keeper(lease, 60);
            let lost = keeper.lost();
            let begun = me.now();
            let ended = late.wait();
            ensure!(
                matches!(ended, Err(quorate::Error::Stopped(_))),
                "after its member: {ended:?}"
            );
            let passed = me.now() - begun;
            ensure!(passed < Duration::from_secs(5), "told only after {passed:?}");
            ensure!(keeper.is_lost(), "nobody renews the lease any more");
            lost.wait()?;
            let events: Vec<_> = watcher.collect();
            let stopped = matches!(events[..], [Err(quorate::Error::Stopped(_))]);
            ensure!(stopped, "a watch of a member that stopped gave {events:?}");
            let after = db.after(Duration::from_millis(1)).wait();
            ensure!(
                matches!(after, Err(quorate::Error::Stopped(_))),
                "on an old handle: {after:?}"
            );
            me.sleep(Duration::from_secs(5));
            Ok(())
        }],
    );
}

#[test]
fn whoever_waits_for_a_revision_is_woken_by_it() {
    play(
        Vec::new(),
        &[
            |me| {
                for number in 0..50 {
                    me.sleep(Duration::from_millis(me.random(0..20)));
                    me.db().put("k", number.to_string()).wait()?;
                }
                Ok(())
            },
            |me| {
                let db = me.db().with_timeout(Duration::from_secs(30));
                for revision in 2..52 {
                    let found = db.range(Range::key("k").local().at_least(revision)).wait()?;
                    let seen = found.header.unwrap_or_default().revision;
                    ensure!(seen >= revision, "{seen} instead of {revision}");
                }
                Ok(())
            },
            |me| {
                let watcher = me.db().watch(Watch::key("k").from_revision(2)).wait()?;
                let mut events = 0;
                for response in watcher {
                    events += response?.events.len();
                    if events == 50 {
                        return Ok(());
                    }
                }
                Err(Trouble::broken("the watch ended early"))
            },
        ],
    );
}

#[test]
fn several_things_are_waited_for_at_once() {
    play(
        Vec::new(),
        &[|me| {
            let db = me.db();
            let mut waits: Vec<_> =
                (0..20).map(|n| db.after(Duration::from_millis(n * 7))).collect();
            let mut polls = 0;
            me.block_on(std::future::poll_fn(|context| {
                polls += 1;
                waits.retain_mut(|wait| {
                    std::future::Future::poll(std::pin::Pin::new(wait), context).is_pending()
                });
                if waits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            }));
            ensure!((10..60).contains(&polls), "polled {polls} times");
            Ok(())
        }],
    );
}

#[test]
fn names_are_given_once() {
    let crash = Fault::Crash { target: Target::Member(1), down: Duration::ZERO };
    let name: Play = |me| {
        for _ in 0..20 {
            me.note("name", me.db().seam().unique());
            me.sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    let plan = Plan { faults: vec![fault(1_000, crash)], ..quiet_plan(1) };
    let body: Body = std::sync::Arc::new(name);
    let script = Script { actors: vec![body; 6], ..Script::default() };
    let (report, history) = run_plan(&plan, &script);
    report.unwrap_or_else(|failure| panic!("{failure}"));
    let names = history.notes("name");
    assert!(names.count() == 120 && names.all_unique(), "{names:?}");
}

#[test]
fn a_keeper_renews_as_long_as_it_is_there() {
    play_for(
        Duration::from_secs(200),
        Vec::new(),
        &[|me| {
            let db = me.db();
            let lease = db.lease_grant(2).wait()?.id;
            let keeper = db.lease_keeper(lease, 2);
            for _ in 0..60 {
                me.sleep(Duration::from_secs(3));
                ensure!(!keeper.is_lost(), "lost without a fault");
                let left = db.lease_time_to_live(lease, false).wait()?.ttl;
                ensure!((0..=2).contains(&left), "{left} seconds are left");
            }
            drop(keeper);
            db.lease_revoke(lease).wait()?;
            Ok(())
        }],
    );
}

/// A process that stood still is not told that it holds its lease, whatever of it goes on first.
#[test]
fn a_paused_process_knows_at_once_that_its_lease_may_be_gone() {
    let lasting = Duration::from_secs(4);
    let pause = Fault::Pause { target: Target::Member(0), lasting, frozen: false };
    play(
        vec![fault(3_000, pause)],
        &[|me| {
            let db = me.db();
            let lease = db.lease_grant(2).wait()?.id;
            let keeper = db.lease_keeper(lease, 2);
            let mut last = me.now();
            while me.now() < Instant::ZERO + Duration::from_secs(9) {
                me.sleep(Duration::from_millis(5));
                let stood_still = me.now() - last;
                last = me.now();
                if stood_still > Duration::from_secs(3) {
                    ensure!(keeper.is_lost(), "after {stood_still:?} the lease is not lost");
                    me.note("paused", "");
                }
            }
            Ok(())
        }],
    );
}

/// Without an answer for its whole time, a lease is lost when that is over and not later.
#[test]
fn a_keeper_that_is_cut_off_tells_in_time() {
    let lasting = Duration::from_secs(6);
    let mode = crate::plan::CutMode::Drop;
    let cut = Fault::Isolate { target: Target::Member(0), lasting, mode };
    play(
        vec![fault(4_000, cut)],
        &[|me| {
            let db = me.db();
            let lease = db.lease_grant(3).wait()?.id;
            let begun = me.now();
            db.lease_keeper(lease, 3).lost().wait_timeout(Duration::from_millis(1));
            let keeper = db.lease_keeper(lease, 3);
            let lost = keeper.lost();
            lost.wait()?;
            let passed = me.now() - begun;
            me.note("lost", passed.as_millis());
            ensure!(passed < Duration::from_secs(7), "told only after {passed:?}");
            Ok(())
        }],
    );
}
