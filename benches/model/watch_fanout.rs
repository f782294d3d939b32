//! How fast the events of one prefix reach many watchers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use quorate::{Client, Watch, Watcher};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;
use quorate_benches::latency::{Latencies, latencies, micros};

use crate::case::Bench;
use crate::executor::{self, Task};
use crate::flow::{Puts, UNDER_WAY};
use crate::table::{Table, whole};

pub(crate) fn run(bench: &Bench<'_>) -> Result<(), BenchError> {
    let seconds = bench.options.seconds;
    bench.settings(&format!(
        "one writer, {UNDER_WAY} puts under way; it stays at most `ahead` puts before the mean \
         watcher, which runs on one of {THREADS} threads; {seconds:?}. Latency is from the writer \
         having the answer to the watcher having the event, of every event of up to \
         {OBSERVERS_MAX} watchers; 0 if the event came first"
    ));
    let columns = ["engine/watchers/ahead", "events/s", "puts/s", "p50 us", "p99 us", "max us"];
    let table = Table::new(&columns);
    for &engine in &bench.options.engines {
        for (watchers, ahead) in [(1, 1_024), (100, 1), (100, 1_024), (10_000, 1), (10_000, 1_024)]
        {
            let watchers = if watchers > 100 { bench.options.scaled(watchers) } else { watchers };
            let fanout = measure(bench, engine, watchers, ahead)?;
            let [_, p50, p99, max] = micros(&fanout.latencies);
            let name = format!("{}/{watchers}/{ahead}", engine.name());
            let rates = [fanout.events, fanout.puts].map(|count| count / fanout.elapsed);
            let numbers = [rates[0], rates[1], p50, p99, max].map(whole);
            table.row(std::iter::once(name).chain(numbers));
        }
    }
    Ok(())
}

/// What was delivered.
struct Fanout {
    latencies: Latencies,
    events: f64,
    puts: f64,
    /// Seconds.
    elapsed: f64,
}

/// What the writer and the watchers share.
struct Shared {
    /// The revision of the first put.
    first: i64,
    start: Instant,
    /// When the put of a revision was answered, in nanoseconds after `start`; 0 before.
    answered: Vec<AtomicU64>,
    /// Events that watchers got so far.
    delivered: AtomicU64,
    /// A watcher missed an event or got one twice.
    is_broken: AtomicBool,
}

impl Shared {
    fn answered(&self, revision: i64) -> &AtomicU64 {
        &self.answered[(revision - self.first) as usize % self.answered.len()]
    }

    fn nanos(&self) -> u64 {
        (self.start.elapsed().as_nanos() as u64).max(1)
    }
}

fn measure(
    bench: &Bench<'_>,
    engine: EngineKind,
    watchers_count: u64,
    ahead: u64,
) -> Result<Fanout, BenchError> {
    let members = bench.members(engine, 1)?;
    let client = members.leader();
    let failed = |error| bench.failed(error);
    let put = client.put("before", "").wait().map_err(failed)?;
    let first = put.header.unwrap_or_default().revision + 1;
    let mut watchers = Vec::new();
    for _ in 0..watchers_count {
        let watch = Watch::prefix(PREFIX).from_revision(first);
        watchers.push(client.watch(watch).wait().map_err(failed)?);
    }
    let shared = Shared {
        first,
        start: Instant::now(),
        answered: (0..ANSWERED_COUNT).map(|_| AtomicU64::new(0)).collect(),
        delivered: AtomicU64::new(0),
        is_broken: AtomicBool::new(false),
    };
    let shared = &shared;
    thread::scope(|scope| {
        let per_thread = watchers.len().div_ceil(THREADS);
        let mut threads = Vec::new();
        while !watchers.is_empty() {
            let mine = watchers.split_off(watchers.len().saturating_sub(per_thread));
            let every = (watchers_count / OBSERVERS_MAX).max(1) as usize;
            threads.push(scope.spawn(move || follow_all(mine, every, shared)));
        }
        let written = write(&client, shared, watchers_count, ahead, bench.options.seconds);
        // The watchers end with the member.
        members.discard();
        let mut latencies = latencies();
        for thread in threads {
            latencies += thread.join().expect("watchers do not panic");
        }
        let (puts, events, elapsed) = written.map_err(failed)?;
        assert!(!shared.is_broken.load(Ordering::Relaxed), "every event comes once, in order");
        Ok(Fanout { latencies, puts, events, elapsed })
    })
}

/// Puts for some time, then waits until all watchers have everything. Puts, delivered events and
/// seconds.
fn write(
    client: &Client,
    shared: &Shared,
    watchers: u64,
    ahead: u64,
    time: Duration,
) -> Result<(f64, f64, f64), quorate::Error> {
    let puts = Puts::new(client, 1);
    let (sender, receiver) = sync_channel::<quorate::Pending<quorate::PutResponse>>(UNDER_WAY);
    let answers = || {
        for pending in receiver {
            let revision = pending.wait()?.header.unwrap_or_default().revision;
            shared.answered(revision).store(shared.nanos(), Ordering::Relaxed);
        }
        Ok::<(), quorate::Error>(())
    };
    let mut made = 0;
    let behind = |made: u64| made * watchers - shared.delivered.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let answers = scope.spawn(answers);
        let start = Instant::now();
        while start.elapsed() < time && !answers.is_finished() {
            if behind(made) > (ahead - 1) * watchers {
                thread::sleep(WRITER_PAUSE);
                continue;
            }
            shared.answered(shared.first + made as i64).store(0, Ordering::Relaxed);
            let pending = client.put(format!("{PREFIX}{:04}", made % 1_000), puts.value(made));
            if sender.send(pending).is_err() {
                break;
            }
            made += 1;
        }
        drop(sender);
        answers.join().expect("the thread does not panic")?;
        while behind(made) > 0 && !shared.is_broken.load(Ordering::Relaxed) {
            thread::sleep(WRITER_PAUSE);
        }
        let elapsed = start.elapsed().as_secs_f64();
        Ok((made as f64, shared.delivered.load(Ordering::Relaxed) as f64, elapsed))
    })
}

/// Takes events until the member stops; every so many of the watchers note latencies.
fn follow_all(watchers: Vec<Watcher>, every: usize, shared: &Shared) -> Latencies {
    let taken = std::cell::RefCell::new(latencies());
    let tasks = watchers.into_iter().enumerate().map(|(index, watcher)| {
        let latencies = (index % every == 0).then_some(&taken);
        Box::pin(follow(watcher, latencies, shared)) as Task<'_>
    });
    executor::run(tasks.collect());
    taken.into_inner()
}

async fn follow(
    mut watcher: Watcher,
    latencies: Option<&std::cell::RefCell<Latencies>>,
    shared: &Shared,
) {
    let mut expected = shared.first;
    while let Some(Ok(response)) = executor::next(&mut watcher).await {
        let now = shared.nanos();
        for event in &response.events {
            let revision = event.revision();
            if revision != expected {
                shared.is_broken.store(true, Ordering::Relaxed);
                return;
            }
            expected += 1;
            if let Some(latencies) = latencies {
                let answered = match shared.answered(revision).load(Ordering::Relaxed) {
                    0 => now,
                    answered => answered,
                };
                latencies.borrow_mut().saturating_record(now.saturating_sub(answered));
            }
        }
        shared.delivered.fetch_add(response.events.len() as u64, Ordering::Relaxed);
    }
}

const PREFIX: &str = "fan/";

/// Threads on which all watchers are awaited.
const THREADS: usize = 2;

/// Watchers that note latencies: their share of the work stays small.
const OBSERVERS_MAX: u64 = 100;

/// Far more than the puts that any watcher is behind.
const ANSWERED_COUNT: usize = 1 << 16;

/// Short beside what is waited for, long enough to leave the processor to others.
const WRITER_PAUSE: Duration = Duration::from_micros(20);
