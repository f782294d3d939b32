//! How long it takes until what a compaction made superfluous is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate::{Client, CompactionRequest, Error};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;

use crate::case::Bench;
use crate::flow::{FILL_TXN_COUNT, FLOW_COLUMNS, Flow, Puts, UNDER_WAY, UNDER_WAY_MANY};
use crate::table::Table;

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let options = bench.options;
    let (many, few) = (options.scaled(MANY_COUNT), options.scaled(FEW_COUNT));
    bench.settings(&format!(
        "physical compactions at the newest revision. First {many} keys are put once, in \
         transactions of {FILL_TXN_COUNT}, then {few} of them again, one by one. On other members \
         {few} keys are put {many} times in all and more for {:?}",
        options.seconds
    ));
    let columns = ["engine", "seconds", "puts before", "in seconds"];
    let table = Table::new(&columns);
    for &engine in &options.engines {
        many_keys(bench, engine, &table)?;
    }
    let mut beside = Vec::new();
    for &engine in &options.engines {
        beside.extend(many_versions(bench, engine, &table)?);
    }
    bench.settings(&format!("puts before and during the last compaction, {UNDER_WAY} under way"));
    let columns: Vec<_> = std::iter::once("engine").chain(FLOW_COLUMNS).collect();
    let table = Table::new(&columns);
    for (name, flow) in beside {
        table.row(std::iter::once(name).chain(flow.cells()));
    }
    Ok(())
}

/// Few changes among many keys: what is superfluous should decide, not how many keys there are.
fn many_keys(bench: &Bench<'_>, engine: EngineKind, table: &Table) -> Result<(), BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let (many, few) = (bench.options.scaled(MANY_COUNT), bench.options.scaled(FEW_COUNT));
    let puts = Puts::new(&client, many);
    let name = format!("{}, {many} keys", engine.name());
    let loaded = puts.fill().map_err(failed)?;
    let taken = compact(&client).map_err(failed)?;
    table.row(row(&name, taken, many, &loaded));
    let loaded = Flow::count(UNDER_WAY_MANY, few, |number| puts.put(number)).map_err(failed)?;
    let taken = compact(&client).map_err(failed)?;
    table.row(row(&name, taken, few, &loaded));
    members.discard();
    Ok(())
}

/// Many versions of few keys. Gives what puts saw before the compaction and during it.
fn many_versions(
    bench: &Bench<'_>,
    engine: EngineKind,
    table: &Table,
) -> Result<[(String, Flow); 2], BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let (many, few) = (bench.options.scaled(MANY_COUNT), bench.options.scaled(FEW_COUNT));
    let puts = Puts::new(&client, few);
    let put = |number| puts.put(number);
    let loaded = Flow::count(UNDER_WAY_MANY, many, put).map_err(failed)?;
    let before = Flow::timed(UNDER_WAY, bench.options.seconds, put).map_err(failed)?;
    let is_over = AtomicBool::new(false);
    let (taken, during) = thread::scope(|scope| {
        let compaction = scope.spawn(|| {
            let taken = compact(&client);
            is_over.store(true, Ordering::Relaxed);
            taken
        });
        let during = Flow::run(UNDER_WAY, |number| {
            (!is_over.load(Ordering::Relaxed)).then(|| puts.put(number))
        });
        (compaction.join().expect("the thread does not panic"), during)
    });
    let (taken, during) = (taken.map_err(failed)?, during.map_err(failed)?);
    let count = many + before.latencies.len();
    let name = format!("{}, {few} keys", engine.name());
    table.row(row(&name, taken, count, &loaded));
    members.discard();
    let name = |when| format!("{}, {when}", engine.name());
    Ok([(name("before"), before), (name("during"), during)])
}

/// Compacts at the newest revision and waits until the member has removed everything.
fn compact(client: &Client) -> Result<Duration, Error> {
    let client = client.with_timeout(COMPACTION_MAX);
    let put = client.put("compacted", "").wait()?;
    let revision = put.header.unwrap_or_default().revision;
    let start = Instant::now();
    client.compact_with(CompactionRequest { revision, physical: true }).wait()?;
    Ok(start.elapsed())
}

/// The cells of a compaction and of the puts that it looked at; `loaded` tells how long most of
/// them took.
fn row(name: &str, taken: Duration, puts_count: u64, loaded: &Flow) -> [String; 4] {
    let seconds = format!("{:.3}", taken.as_secs_f64());
    let loading = format!("{:.3}", loaded.elapsed.as_secs_f64());
    [name.to_owned(), seconds, puts_count.to_string(), loading]
}

const MANY_COUNT: u64 = 1_000_000;

const FEW_COUNT: u64 = 10_000;

/// The longest wait for a compaction.
const COMPACTION_MAX: Duration = Duration::from_secs(3_600);
