//! The test kit as its users see it: simulations of their own code, live runs, and the world in
//! their own hands.

use std::time::Duration;

use quorate::seam::{Request, Response};
use quorate::{PutRequest, Range, RangeRequest, Role, mod_revision, put};
use quorate_testkit::plan::{Fault, Target, TimedFault};
use quorate_testkit::rng::Stream;
use quorate_testkit::{
    Actor, Faults, Instant, Live, Nemesis, Options, Plan, Shape, Sim, Trouble, check, ensure,
    manual, millis, secs,
};

/// Workers take jobs and mark them as done; with `bug` without looking whether somebody else did.
fn jobs(bug: bool) -> Sim {
    Sim::new("jobs")
        .run_for(secs(5))
        .seeds(0..20)
        .setup(|db| {
            for job in 0..20 {
                db.put(format!("job/{job:03}"), "new").wait()?;
            }
            Ok(())
        })
        .actors(4, move |me| work(me, bug))
        .check(check::all())
        .check_end(|history, db| {
            let done = history.notes("done");
            ensure!(done.all_unique(), "jobs were done twice: {:?}", done.duplicates());
            let jobs = db.range(Range::prefix("job/")).wait()?.kvs;
            ensure!(jobs.len() == 20, "{} jobs are left", jobs.len());
            ensure!(jobs.iter().all(|job| job.value == "done"), "a job was lost");
            Ok(())
        })
}

fn work(me: &Actor, bug: bool) -> Result<(), Trouble> {
    let db = me.db();
    loop {
        let jobs = db.range(Range::prefix("job/")).wait()?.kvs;
        let Some(job) = jobs.into_iter().find(|job| job.value == "new") else { return Ok(()) };
        me.sleep(millis(me.random(0..100)));
        let mut done = db.txn();
        if !bug {
            done = done.when(mod_revision(job.key.clone()).equals(job.mod_revision));
        }
        if done.then(put(job.key.clone(), "done")).commit().wait()?.succeeded {
            me.note("done", String::from_utf8_lossy(&job.key));
        }
    }
}

#[test]
fn right_code_passes_every_seed_the_same_way() {
    let first = jobs(false).run();
    assert_eq!(first.seeds, 20);
    assert!(first.faults > 0 && first.time > Duration::from_secs(100), "{first}");
    assert_eq!(jobs(false).threads(1).run(), first);
}

#[test]
fn wrong_code_is_found_made_small_and_written_to_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let found = jobs(true).export(folder.path()).try_run().expect_err("the bug is found");
    assert_eq!(found.failure.violation.checker, "user-check", "{found}");
    assert!(found.failure.violation.detail.contains("jobs were done twice"), "{found}");
    // No fault is needed for this bug.
    assert!(found.plan.faults.is_empty() && found.shrink_runs > 0, "{found}");
    let text = found.to_string();
    assert!(text.contains("QUORATE_SEED=") && text.lines().count() < 45, "{text}");
    let written = found.folder.as_deref().expect("it was exported");
    let read = |file: &str| std::fs::read_to_string(written.join(file)).expect(file);
    assert_eq!(Plan::from_json(&read("plan.json")).as_ref(), Ok(&found.plan));
    assert_eq!(Plan::from_json(&read("plan-full.json")).as_ref(), Ok(&found.full_plan));
    assert!(read("timeline.html").contains("<html") && read("timeline.txt").contains("user-check"));
    assert!(read("history.jsonl").lines().count() > 20 && read("history.edn").contains(":invoke"));
    assert!(read("history.log").contains("jepsen.util"));
}

#[test]
fn a_folder_that_cannot_be_written_does_not_hide_what_was_found() {
    let found = jobs(true).export("/dev/null/nowhere").try_run().expect_err("the bug is found");
    assert!(found.export_error.as_ref().is_some_and(|error| error.contains("nowhere")));
    assert!(found.to_string().contains("jobs were done twice"), "{found}");
}

/// The leader loses its power, again and again.
struct KillLeaders;

impl Nemesis for KillLeaders {
    fn faults(&self, shape: &Shape, stream: &mut Stream) -> Vec<TimedFault> {
        let mut at = Instant::ZERO;
        let mut faults = Vec::new();
        while at < Instant::ZERO + shape.duration {
            let down = stream.duration(millis(100), millis(500));
            faults.push(TimedFault { at, fault: Fault::Crash { target: Target::Leader, down } });
            at += stream.duration(secs(1), secs(3));
        }
        faults
    }
}

#[test]
fn faults_of_ones_own_come_on_top() {
    let summary = jobs(false)
        .nodes(3)
        .faults(Faults::none())
        .nemesis(KillLeaders)
        .seeds(0..3)
        .actors(1, |me| {
            while !me.faults_over() {
                me.sleep(millis(100));
            }
            Ok(())
        })
        .run();
    assert!(summary.faults >= 3, "{summary}");
}

#[test]
fn the_same_test_runs_on_live_members() {
    let live = || jobs(false).run_for(secs(2)).nodes(3).seeds(0..2).real(Live::in_memory());
    let summary = live().nemesis(KillLeaders).run();
    assert!(summary.faults > 0 && summary.seeds == 2, "{summary}");
    let found = jobs(true).run_for(secs(1)).nodes(3).real(Live::in_memory()).try_run();
    let found = found.expect_err("the bug is found");
    assert!(found.failure.violation.detail.contains("jobs were done twice"), "{found}");
}

fn quiet_plan() -> (Plan, Options) {
    let (members, faults) = (Some(3), Faults::none());
    let options = Options { members, faults, ..Options::default() };
    let plan = Plan { operations: Vec::new(), ..Plan::from_seed(1, &options) };
    (plan, options)
}

#[test]
fn a_deposed_leader_answers_no_reads() {
    let (plan, options) = quiet_plan();
    let read = || Request::Range(RangeRequest::key("k").into());
    manual(&plan, &options, |sim| {
        sim.run_for(secs(5))?;
        let old = sim.leader().expect("a leader is elected within seconds");
        let put = |value| Request::Write(PutRequest::new("k", value).into());
        let first = sim.call(old, put("a"), secs(2))?;
        sim.run_for(secs(1))?;
        assert!(matches!(sim.outcome(first), Some(Ok(Response::Put(_)))));
        sim.isolate(old);
        sim.run_for(secs(6))?;
        let new = sim.leader().expect("the others elect one");
        assert_ne!(new, old);
        assert!(sim.probe(old).is_some_and(|probe| probe.role != Role::Leader));
        let second = sim.call(new, put("b"), secs(2))?;
        let stale = sim.call(old, read(), secs(2))?;
        sim.run_for(secs(3))?;
        assert!(matches!(sim.outcome(second), Some(Ok(_))));
        assert!(matches!(sim.outcome(stale), Some(Err(_))));
        sim.mend();
        sim.crash(new, millis(10))?;
        sim.run_for(secs(6))?;
        let fresh = sim.call(old, read(), secs(2))?;
        sim.run_for(secs(1))?;
        match sim.outcome(fresh) {
            Some(Ok(Response::Range(range))) => assert_eq!(&range.kvs[0].value[..], b"b"),
            other => panic!("{other:?}"),
        }
        Ok(())
    })
    .expect("no promise is broken");
}
