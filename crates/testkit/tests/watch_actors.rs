//! Application code that watches, on simulated members.

use std::time::Duration;

use quorate::{ByteSize, Error, Event, Watch, Watcher, create_revision, put, value};
use quorate_testkit::plan::{Fault, Target, TimedFault};
use quorate_testkit::rng::Stream;
use quorate_testkit::{
    Actor, Faults, Instant, Nemesis, Shape, Sim, Trouble, check, ensure, millis, secs,
};

const WRITES: u64 = 40;

/// Every node loses its power, one after another, again and again.
struct KillEachInTurn;

impl Nemesis for KillEachInTurn {
    fn faults(&self, shape: &Shape, stream: &mut Stream) -> Vec<TimedFault> {
        let mut at = Instant::ZERO + millis(500);
        let mut faults = Vec::new();
        while at < Instant::ZERO + shape.duration {
            let (target, down) = (Target::Member(faults.len() % shape.nodes), millis(300));
            faults.push(TimedFault { at, fault: Fault::Crash { target, down } });
            at += stream.duration(millis(200), secs(1));
        }
        faults
    }
}

/// Writes numbers, each once: where the outcome is unknown a second try finds it done.
fn write(me: &Actor) -> Result<(), Trouble> {
    for number in 0..WRITES {
        let last = match number.checked_sub(1) {
            Some(last) => value("number").equals(last.to_string()),
            None => create_revision("number").equals(0),
        };
        let next = || me.db().txn().when(last.clone()).then(put("number", number.to_string()));
        while next().commit().wait().is_err() {
            me.sleep(millis(50));
        }
        me.sleep(millis(me.random(0..150)));
    }
    Ok(())
}

/// Takes what is told now; what is left later is told by a watch from there on.
type Take = fn(&mut Watcher, &Actor) -> Result<Vec<Event>, Error>;

fn one_response(watcher: &mut Watcher, _: &Actor) -> Result<Vec<Event>, Error> {
    watcher.next().map_or(Ok(Vec::new()), |response| Ok(response?.events))
}

fn within_a_time(watcher: &mut Watcher, me: &Actor) -> Result<Vec<Event>, Error> {
    match watcher.next_timeout(millis(me.random(1..400))) {
        Some(response) => Ok(response?.events),
        None => {
            let from = watcher.next_revision();
            match watcher.progress().wait()? {
                Some(told) => assert!(from <= told + 1, "{from} is not told up to {told}"),
                None => assert!(from > 0),
            }
            Ok(Vec::new())
        }
    }
}

fn single_events(watcher: &mut Watcher, _: &Actor) -> Result<Vec<Event>, Error> {
    watcher.events().take(1).collect()
}

/// Watches from the first revision until the last number was told. Each time the node stops, a
/// watch of the node opened anew goes on where that one was.
fn watch(me: &Actor, take: Take) -> Result<(), Trouble> {
    let (mut revision, mut last) = (1, None);
    let mut stops: u64 = 0;
    while last != Some(WRITES - 1) {
        let watch = Watch::prefix("num").from_revision(revision).with_prev_kv();
        let watch = watch.fragmented(ByteSize::new(1)).progress_every(secs(1));
        let mut watcher = me.db().watch(watch).wait()?;
        let ended = loop {
            match take(&mut watcher, me) {
                Ok(events) => {
                    for event in events {
                        last = Some(check_next(me, last, &event)?);
                    }
                }
                Err(error) => break Some(error),
            }
            if last == Some(WRITES - 1) {
                break None;
            }
        };
        if let Some(Error::Stopped(_)) = ended {
            ensure!(watcher.next().is_none(), "a watch ended and goes on");
            stops += 1;
        }
        ensure!(watcher.next_revision() >= revision, "it went back from {revision}: {watcher:?}");
        revision = watcher.next_revision();
    }
    me.note("stops", stops);
    Ok(())
}

/// Each number comes once and in order, and says what came before.
fn check_next(me: &Actor, last: Option<u64>, event: &Event) -> Result<u64, Trouble> {
    let number = |value: &[u8]| String::from_utf8_lossy(value).parse::<u64>().ok();
    let told = event.kv.as_ref().and_then(|kv| number(&kv.value));
    let Some(told) = told else { return Err(Trouble::broken(format!("{event:?}"))) };
    let before = event.prev_kv.as_ref().and_then(|kv| number(&kv.value));
    ensure!(before == last, "{me:?} was told {last:?} before {event:?}");
    ensure!(told == last.map_or(0, |last| last + 1), "{last:?}, then {told}");
    Ok(told)
}

fn numbers(faults: Faults) -> Sim {
    Sim::new("numbers")
        .nodes(3)
        .run_for(secs(6))
        .faults(faults)
        .nemesis(KillEachInTurn)
        .actors(1, write)
        .actors(1, |me| watch(me, one_response))
        .actors(1, |me| watch(me, within_a_time))
        .actors(1, |me| watch(me, single_events))
        .check(check::all())
}

#[test]
fn watches_go_on_after_crashes_and_miss_nothing() {
    let sim = || {
        numbers(Faults::none()).seeds(0..6).check_end(|history, _| {
            let stops = history.notes("stops");
            let stops: u64 = stops.iter().map(|note| note.parse().unwrap_or(0)).sum();
            ensure!(stops >= 3, "watchers noticed {stops} crashes only");
            Ok(())
        })
    };
    let first = sim().run();
    assert_eq!(first.seeds, 6);
    assert_eq!(sim().threads(1).run(), first);
}

#[test]
fn watches_miss_nothing_under_any_faults() {
    assert_eq!(numbers(Faults::swarm()).seeds(0..10).run().seeds, 10);
}

#[test]
fn a_watch_that_is_left_does_not_keep_the_run_from_its_end() {
    let sim = Sim::new("left").nodes(3).run_for(secs(1)).faults(Faults::none()).seeds(0..2);
    let summary = sim
        .actors(2, |me| {
            let mut watcher = me.db().watch(Watch::all()).wait()?;
            ensure!(watcher.next_timeout(millis(200)).is_none(), "nobody writes");
            Ok(())
        })
        .run();
    assert!(summary.time < Duration::from_secs(120), "{summary}");
}
