//! How often a lock changes hands.

use std::thread;
use std::time::{Duration, Instant};

use quorate::recipes::{Mutex, Session};
use quorate::{Client, Error};
use quorate_benches::cluster::{At, EngineKind};
use quorate_benches::error::BenchError;
use quorate_benches::latency::{Latencies, latencies, micros};

use crate::case::Bench;
use crate::table::{Table, whole};

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let seconds = bench.options.seconds;
    bench.settings(&format!(
        "{MEMBERS_COUNT} members; each session takes and releases one lock as often as it can, on \
         a thread of its own, for {seconds:?}. Latency is from asking for the lock to having \
         released it"
    ));
    let table = Table::new(&["engine/sessions/at", "locks/s", "p50 us", "p99 us", "max us"]);
    for &engine in &bench.options.engines {
        for (sessions, at) in [(1, At::Leader), (1, At::Followers), (16, At::Spread)] {
            let (taken, elapsed) = measure(bench, engine, sessions, at)?;
            let [_, p50, p99, max] = micros(&taken);
            let rate = taken.len() as f64 / elapsed.as_secs_f64();
            let name = format!("{}/{sessions}/{}", engine.name(), at.name());
            table.row(std::iter::once(name).chain([rate, p50, p99, max].map(whole)));
        }
    }
    Ok(())
}

fn measure(
    bench: &Bench<'_>,
    engine: EngineKind,
    sessions: usize,
    at: At,
) -> Result<(Latencies, Duration), BenchError> {
    let members = bench.members(engine, MEMBERS_COUNT)?;
    let clients = members.clients(at);
    let start = Instant::now();
    let end = start + bench.options.seconds;
    let outcomes: Vec<Result<Latencies, Error>> = thread::scope(|scope| {
        let clients = clients.iter().cycle().take(sessions);
        let threads: Vec<_> =
            clients.map(|client| scope.spawn(move || contend(client, end))).collect();
        threads.into_iter().map(|thread| thread.join().expect("sessions do not panic")).collect()
    });
    let elapsed = start.elapsed();
    members.discard();
    let mut all = latencies();
    for outcome in outcomes {
        all += outcome.map_err(|error| bench.failed(error))?;
    }
    Ok((all, elapsed))
}

/// Takes and releases the lock until the time is over.
fn contend(client: &Client, end: Instant) -> Result<Latencies, Error> {
    let session = Session::open(client, SESSION_TTL).wait()?;
    let lock = Mutex::new(&session, "bench");
    let mut taken = latencies();
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(taken);
        }
        lock.lock().wait()?.unlock().wait()?;
        taken.saturating_record(start.elapsed().as_nanos() as u64);
    }
}

const MEMBERS_COUNT: u32 = 3;

/// Seconds; longer than any pause of a busy machine.
const SESSION_TTL: i64 = 30;
