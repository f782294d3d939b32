//! Reading a large range in parts, beside reading it at once.

use std::time::{Duration, Instant};

use quorate::{Client, Error, Range};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;
use quorate_benches::process::{reset_resident_peak, resident_peak, resident_size};

use crate::case::Bench;
use crate::flow::Puts;
use crate::table::{Table, growth, whole};

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let keys = bench.options.scaled(KEYS_COUNT);
    bench.settings(&format!(
        "{keys} keys, by range_stream, by range_stream again, and by one range; memory is how far \
         its peak is above what was in use before"
    ));
    let table = Table::new(&["engine", "seconds", "keys/s", "peak MiB"]);
    for &engine in &bench.options.engines {
        measure(bench, engine, keys, &table)?;
    }
    Ok(())
}

fn measure(
    bench: &Bench<'_>,
    engine: EngineKind,
    keys: u64,
    table: &Table,
) -> Result<(), BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader().with_timeout(READ_MAX);
    let failed = |error| bench.failed(error);
    let puts = Puts::new(&client, keys);
    puts.fill().map_err(failed)?;
    let settled = client.range(Range::all().count_only()).wait().map_err(failed)?.count as u64;
    let reads: [(&str, Read); 3] =
        [("stream", stream), ("stream again", stream), ("one range", whole_range)];
    for (name, read) in reads {
        reset_resident_peak();
        let before = resident_size();
        let start = Instant::now();
        let count = read(&client).map_err(failed)?;
        let seconds = start.elapsed().as_secs_f64();
        let peak = resident_peak();
        assert_eq!(count, settled, "every key is read once");
        let name = format!("{}, {name}", engine.name());
        let rate = whole(count as f64 / seconds);
        table.row([name, format!("{seconds:.3}"), rate, growth(before, peak)]);
    }
    members.discard();
    Ok(())
}

/// Reads all keys; how many came.
type Read = fn(&Client) -> Result<u64, Error>;

fn stream(client: &Client) -> Result<u64, Error> {
    let mut count = 0;
    for part in client.range_stream(Range::all()) {
        count += part?.kvs.len() as u64;
    }
    Ok(count)
}

fn whole_range(client: &Client) -> Result<u64, Error> {
    Ok(client.range(Range::all()).wait()?.kvs.len() as u64)
}

const KEYS_COUNT: u64 = 1_000_000;

/// The longest time that a read may take.
const READ_MAX: Duration = Duration::from_secs(3_600);
