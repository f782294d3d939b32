use std::sync::Arc;
use std::time::Duration;

use quorate::{Range, mod_revision, put};

use super::actor::{Actor, Trouble};
use super::record::RunHistory;
use super::script::{Body, Script};
use crate::check;
use crate::plan::{Faults, Plan};
use crate::report::{Failure, Report};
use crate::run::{Options, run_script};

fn plan(seed: u64) -> Plan {
    let duration = Some(Duration::from_secs(5));
    let options = Options { members: Some(3), duration, ..Options::default() };
    let mut plan = Plan::from_seed(seed, &options);
    plan.operations.clear();
    plan
}

/// Three members without faults, until a test adds some.
pub(super) fn quiet_plan(seed: u64) -> Plan {
    let duration = Some(Duration::from_secs(10));
    let faults = Faults::none();
    let options = Options { members: Some(3), duration, faults, ..Options::default() };
    Plan { operations: Vec::new(), ..Plan::from_seed(seed, &options) }
}

pub(super) fn run_plan(plan: &Plan, script: &Script) -> (Result<Report, Box<Failure>>, RunHistory) {
    run_script(plan, &Options::default(), script, &[Arc::new(check::all())])
}

fn run(seed: u64, script: &Script) -> (Result<Report, Box<Failure>>, RunHistory) {
    run_script(&plan(seed), &Options::default(), script, &[Arc::new(check::all())])
}

fn script(
    actors: usize,
    body: impl Fn(&Actor) -> Result<(), Trouble> + Send + Sync + 'static,
) -> Script {
    let body: Body = Arc::new(body);
    let actors = std::iter::repeat_n(body, actors).collect();
    Script { setup: None, actors, end: None }
}

/// Each actor adds one to a counter, with compare-and-set, until it did so ten times.
fn counting(me: &Actor) -> Result<(), Trouble> {
    let db = me.db();
    for _ in 0..10 {
        let counter = db.get("counter").wait()?;
        let (before, revision) = match &counter {
            Some(kv) => (String::from_utf8_lossy(&kv.value).parse().unwrap_or(0), kv.mod_revision),
            None => (0_u64, 0),
        };
        me.sleep(Duration::from_millis(me.random(0..50)));
        let swap = db.txn().when(mod_revision("counter").equals(revision));
        let swapped = swap.then(put("counter", format!("{}", before + 1))).commit().wait()?;
        if swapped.succeeded {
            me.note("counted", before + 1);
        }
    }
    Ok(())
}

#[test]
fn actors_run_the_same_way_every_time() {
    for seed in 0..5 {
        let mut script = script(4, counting);
        script.end = Some(Arc::new(|history, db| {
            let counted = history.notes("counted");
            crate::ensure!(counted.all_unique(), "counted twice: {:?}", counted.duplicates());
            crate::ensure!(db.range(Range::all()).wait()?.kvs.len() == 1, "other keys appeared");
            Ok(())
        }));
        let (first, history) = run(seed, &script);
        let (second, again) = run(seed, &script);
        assert_eq!(first.expect("no promise is broken"), second.expect("nor again"));
        assert!(history.calls.len() > 20 && history.notes("counted").count() > 0);
        assert_eq!(history.notes, again.notes);
        assert_eq!(format!("{:?}", history.calls), format!("{:?}", again.calls));
    }
}

/// The checker that must find something wrong with a script.
fn check_finds(script: &Script, checker: &str, text: &str) {
    let (result, _) = run(1, script);
    let failure = result.expect_err("the script is wrong");
    assert_eq!(failure.violation.checker, checker, "{failure}");
    assert!(failure.violation.detail.contains(text), "{failure}");
}

#[test]
fn panics_troubles_and_endless_actors_are_reported() {
    let panics = script(1, |_| panic!("out of cheese"));
    check_finds(&panics, "actor-panicked", "actor 0: out of cheese");
    let troubled = script(1, |_| Err(Trouble::broken("no cheese")));
    check_finds(&troubled, "actor", "actor 0: no cheese");
    let endless = script(2, |me| {
        loop {
            me.sleep(Duration::from_secs(1));
        }
    });
    check_finds(&endless, "actors-finish", "actor 0, actor 1 did not end");
    let refused = script(1, |me| {
        me.db().put("", "no key").wait()?;
        Ok(())
    });
    check_finds(&refused, "actor", "a request failed");
    let mut set_up_wrong = script(1, |_| Ok(()));
    set_up_wrong.setup = Some(Arc::new(|_| Err(Trouble::broken("no mice"))));
    check_finds(&set_up_wrong, "user-check", "setup: no mice");
    let mut ends_wrong = script(1, |_| Ok(()));
    ends_wrong.end = Some(Arc::new(|_, _| Err(Trouble::broken("no end"))));
    check_finds(&ends_wrong, "user-check", "end check: no end");
}

#[test]
fn actors_await_as_well_and_see_status_and_time() {
    let script = script(2, |me| {
        let db = me.db();
        me.block_on(async {
            let (a, b) = (db.put(format!("a/{}", me.number()), "1"), db.get("b"));
            a.await?;
            b.await.map(drop)
        })?;
        let before = me.now();
        let mut waits = db.put("late", "1");
        let early = waits.wait_timeout(Duration::from_nanos(1));
        crate::ensure!(early.is_none(), "answered before it could be: {early:?}");
        waits.wait()?;
        crate::ensure!(me.now() > before, "time stands still");
        let status = db.status();
        if let Ok(consensus) = &status.consensus {
            crate::ensure!(consensus.members.len() == 3, "{status:?}");
        }
        Ok(())
    });
    for seed in 0..3 {
        run(seed, &script).0.expect("no promise is broken");
    }
}
