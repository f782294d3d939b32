//! What watchers cost that have nothing to do, or do nothing.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use quorate::{Watch, Watcher};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;
use quorate_benches::process::resident_size;

use crate::case::Bench;
use crate::flow::{FLOW_COLUMNS, Flow, Puts, UNDER_WAY_MANY};
use crate::table::{Table, growth, mebibytes, whole};

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let options = bench.options;
    let watchers = options.scaled(WATCHERS_COUNT);
    bench.settings(&format!(
        "{watchers} watchers, each waiting for a key of its own that nobody puts; puts of {} other \
         keys, {UNDER_WAY_MANY} under way, for {:?}",
        options.scaled(KEYS_COUNT),
        options.seconds
    ));
    let columns = ["engine/watchers", "MiB grown", "bytes each"].into_iter().chain(FLOW_COLUMNS);
    let table = Table::new(&columns.collect::<Vec<_>>());
    for &engine in &options.engines {
        idle(bench, engine, watchers, &table)?;
    }
    let events = options.scaled(EVENTS_COUNT);
    bench.settings(&format!(
        "one watcher stopped while {events} puts are made; before it the same number without it; \
         then it reads all"
    ));
    let columns = ["engine", "MiB before", "without", "stopped", "reading", "puts/s", "events/s"];
    let table = Table::new(&columns);
    for &engine in &options.engines {
        stopped(bench, engine, events, &table)?;
    }
    Ok(())
}

fn idle(
    bench: &Bench<'_>,
    engine: EngineKind,
    watchers_count: u64,
    table: &Table,
) -> Result<(), BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let put = client.put("before", "").wait().map_err(failed)?;
    let next = put.header.unwrap_or_default().revision + 1;
    settle();
    let before = resident_size();
    let mut watchers = Vec::with_capacity(watchers_count as usize);
    for number in 0..watchers_count {
        let watch = Watch::key(format!("idle/{number:011}")).from_revision(next);
        watchers.push(client.watch(watch).wait().map_err(failed)?);
    }
    watchers.iter_mut().for_each(assert_waits);
    let after = resident_size();
    let puts = Puts::new(&client, bench.options.scaled(KEYS_COUNT));
    // The first keys to be put are new, which costs more; both measurements are of old ones.
    puts.fill().map_err(failed)?;
    let time = bench.options.seconds;
    let with = Flow::timed(UNDER_WAY_MANY, time, |number| puts.put(number)).map_err(failed)?;
    watchers.iter_mut().for_each(assert_waits);
    drop(watchers);
    let without = Flow::timed(UNDER_WAY_MANY, time, |number| puts.put(number)).map_err(failed)?;
    let each = before.zip(after).map(|(b, a)| a.saturating_sub(b) as f64 / watchers_count as f64);
    let each = each.map_or("-".to_owned(), whole);
    let name = format!("{}/{watchers_count}", engine.name());
    table.row([name, growth(before, after), each].into_iter().chain(with.cells()));
    let name = format!("{}/0", engine.name());
    table.row([name, "-".to_owned(), "-".to_owned()].into_iter().chain(without.cells()));
    members.discard();
    Ok(())
}

fn stopped(
    bench: &Bench<'_>,
    engine: EngineKind,
    events_count: u64,
    table: &Table,
) -> Result<(), BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let puts = Puts::new(&client, bench.options.scaled(KEYS_COUNT));
    let load = || Flow::count(UNDER_WAY_MANY, events_count, |number| puts.put(number));
    settle();
    let fresh = resident_size();
    load().map_err(failed)?;
    settle();
    let without = resident_size();
    let put = client.put("between", "").wait().map_err(failed)?;
    let first = put.header.unwrap_or_default().revision + 1;
    let watch = Watch::all().from_revision(first);
    let mut watcher = client.watch(watch).wait().map_err(failed)?;
    assert_waits(&mut watcher);
    let loaded = load().map_err(failed)?;
    settle();
    let stopped = resident_size();
    let start = Instant::now();
    for number in 0..events_count {
        let event = watcher.events().next().expect("a watch does not end").map_err(failed)?;
        let expected = first + number as i64;
        assert_eq!(event.revision(), expected, "every event comes once, in order");
    }
    let reading = events_count as f64 / start.elapsed().as_secs_f64();
    assert_waits(&mut watcher);
    let read = resident_size();
    table.row([
        engine.name().to_owned(),
        fresh.map_or("-".to_owned(), mebibytes),
        growth(fresh, without),
        growth(without, stopped),
        growth(stopped, read),
        whole(loaded.per_second()),
        whole(reading),
    ]);
    members.discard();
    Ok(())
}

/// Polls a watcher that has nothing to tell; it waits from then on.
fn assert_waits(watcher: &mut Watcher) {
    let polled = Pin::new(watcher).poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "nothing happened to its keys");
}

/// Lets the member finish what it does in the background after writes.
fn settle() {
    thread::sleep(Duration::from_secs(1));
}

const WATCHERS_COUNT: u64 = 10_000;

const KEYS_COUNT: u64 = 100_000;

const EVENTS_COUNT: u64 = 1_000_000;
