//! What leases cost: keys attached to them, renewals, and many that end together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate::{Client, Error, Pending, PutRequest, PutResponse, Watch};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;

use crate::case::Bench;
use crate::flow::{FLOW_COLUMNS, Flow, Puts, UNDER_WAY};
use crate::table::Table;

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let options = bench.options;
    let (keys, seconds) = (options.scaled(KEYS_COUNT), options.seconds);
    bench.settings(&format!(
        "{UNDER_WAY_LOAD} requests under way for {seconds:?}: puts of {keys} keys, each attached \
         to one of the leases; renewals of {SPREAD_COUNT} leases in turn"
    ));
    let columns: Vec<_> = std::iter::once("engine").chain(FLOW_COLUMNS).collect();
    let table = Table::new(&columns);
    for &engine in &options.engines {
        for leases in [0, 1, SPREAD_COUNT] {
            let puts = attach(bench, engine, leases)?;
            let name = format!("{}, puts, {leases} leases", engine.name());
            table.row(std::iter::once(name).chain(puts.cells()));
        }
        let renewals = renew(bench, engine)?;
        let name = format!("{}, renewals", engine.name());
        table.row(std::iter::once(name).chain(renewals.cells()));
    }
    let leases = options.scaled(ENDING_COUNT);
    bench.settings(&format!(
        "{leases} leases with one key each end together, while {UNDER_WAY} puts of other keys are \
         under way"
    ));
    let table = Table::new(&columns);
    let mut ends = Vec::new();
    for &engine in &options.engines {
        let Ending { before, during, first, last } = end_together(bench, engine, leases)?;
        for (when, flow) in [("before", before), ("during", during)] {
            let name = format!("{}, puts {when}", engine.name());
            table.row(std::iter::once(name).chain(flow.cells()));
        }
        ends.push((engine.name(), first, last));
    }
    let table = Table::new(&["seconds after the last was due", "first", "last"]);
    for (name, first, last) in ends {
        table.row([name.to_owned(), format!("{first:+.3}"), format!("{last:+.3}")]);
    }
    Ok(())
}

/// Puts of keys that are attached to so many leases.
fn attach(bench: &Bench<'_>, engine: EngineKind, leases: u64) -> Result<Flow, BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let ids = grant(&client, leases, LONG_TTL).map_err(failed)?;
    let puts = Puts::new(&client, bench.options.scaled(KEYS_COUNT));
    let put = |number| match ids.len() as u64 {
        0 => puts.put(number),
        // A key keeps its lease.
        count => put_attached(&client, &puts, number, ids[(number % count) as usize]),
    };
    // The first put of a key attaches it, which costs more than the others.
    Flow::count(UNDER_WAY_LOAD, puts.keys_count(), put).map_err(failed)?;
    let flow = Flow::timed(UNDER_WAY_LOAD, bench.options.seconds, put).map_err(failed)?;
    members.discard();
    Ok(flow)
}

fn put_attached(client: &Client, puts: &Puts, number: u64, lease: i64) -> Pending<PutResponse> {
    client.put_with(PutRequest { lease, ..PutRequest::new(puts.key(number), puts.value(number)) })
}

fn renew(bench: &Bench<'_>, engine: EngineKind) -> Result<Flow, BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let ids = grant(&client, SPREAD_COUNT, LONG_TTL).map_err(failed)?;
    let renew = |number| client.lease_keep_alive(ids[(number % SPREAD_COUNT) as usize]);
    let flow = Flow::timed(UNDER_WAY_LOAD, bench.options.seconds, renew).map_err(failed)?;
    members.discard();
    Ok(flow)
}

/// Makes leases; their ids.
fn grant(client: &Client, count: u64, ttl: i64) -> Result<Vec<i64>, Error> {
    let mut ids = Vec::new();
    for first in (0..count).step_by(UNDER_WAY_LOAD) {
        let under_way = (count - first).min(UNDER_WAY_LOAD as u64);
        let granted: Vec<_> = (0..under_way).map(|_| client.lease_grant(ttl)).collect();
        for granted in granted {
            ids.push(granted.wait()?.id);
        }
    }
    Ok(ids)
}

/// Leases that ended together.
struct Ending {
    /// Puts before the first was gone.
    before: Flow,
    /// Puts from then until the last was gone.
    during: Flow,
    /// Seconds from when the last was due until the first was gone.
    first: f64,
    /// And until the last was gone.
    last: f64,
}

fn end_together(bench: &Bench<'_>, engine: EngineKind, count: u64) -> Result<Ending, BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let puts = Puts::new(&client, bench.options.scaled(KEYS_COUNT));
    puts.fill().map_err(failed)?;
    let watch = Watch::prefix(PREFIX).without_puts();
    let mut gone = client.watch(watch).wait().map_err(failed)?;
    // Long enough to attach the keys and to measure puts before.
    let ttl = 5 + bench.options.seconds.as_secs();
    let ids = grant(&client, count, ttl as i64).map_err(failed)?;
    let due = Instant::now() + Duration::from_secs(ttl);
    let attach = |number: u64| {
        let request = PutRequest::new(format!("{PREFIX}{number:010}"), puts.value(number));
        client.put_with(PutRequest { lease: ids[number as usize], ..request })
    };
    Flow::count(UNDER_WAY_LOAD, count, attach).map_err(failed)?;
    let (has_begun, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let put_until = |flag: &AtomicBool| {
        Flow::run(UNDER_WAY, |number| (!flag.load(Ordering::Relaxed)).then(|| puts.put(number)))
    };
    let (gone, before, during) = thread::scope(|scope| {
        let gone = scope.spawn(|| {
            let mut take = |count| gone.events().take(count).try_for_each(|event| event.map(drop));
            let first = take(1).map(|()| Instant::now());
            has_begun.store(true, Ordering::Relaxed);
            let last = take(count as usize - 1).map(|()| Instant::now());
            is_over.store(true, Ordering::Relaxed);
            Ok::<_, Error>((first?, last?))
        });
        let (before, during) = (put_until(&has_begun), put_until(&is_over));
        (gone.join().expect("the thread does not panic"), before, during)
    });
    members.discard();
    let (first, last) = gone.map_err(failed)?;
    let after = |time: Instant| match time.checked_duration_since(due) {
        Some(late) => late.as_secs_f64(),
        None => -(due - time).as_secs_f64(),
    };
    let (before, during) = (before.map_err(failed)?, during.map_err(failed)?);
    Ok(Ending { before, during, first: after(first), last: after(last) })
}

const PREFIX: &str = "leased/";

const KEYS_COUNT: u64 = 100_000;

/// Leases that keys and renewals are spread over.
const SPREAD_COUNT: u64 = 1_000;

const ENDING_COUNT: u64 = 10_000;

/// Requests under way where throughput is asked for.
const UNDER_WAY_LOAD: usize = 256;

/// Seconds; longer than any measurement.
const LONG_TTL: i64 = 3_600;
