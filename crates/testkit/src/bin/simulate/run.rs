//! `simulate run`: many seeds, each checked.

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_testkit::{Counts, Failure, Faults, Options, Sabotage, run_seed};

use crate::arguments::{self, Words};
use crate::say;

struct Request {
    seeds: Range<u64>,
    threads: usize,
    trace: bool,
    options: Options,
}

/// Carries out the command; returns whether no promise was broken.
pub(crate) fn main(words: Words) -> Result<io::Result<bool>, String> {
    Ok(run(&parse(words)?))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut request =
        Request { seeds: 0..200, threads: 1, trace: false, options: Options::default() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => request.trace = true,
            "--seeds" => request.seeds = words.parse(&word, arguments::seeds)?,
            "--members" => {
                request.options.members = Some(words.parse(&word, arguments::positive)?);
            }
            "--faults" => {
                request.options.faults = words.parse(&word, |text| Faults::parse(text).ok())?
            }
            "--time" => request.options.duration = Some(words.parse(&word, arguments::time)?),
            "--threads" => request.threads = words.parse(&word, arguments::positive)?,
            "--sabotage" => request.options.sabotage = Some(words.parse(&word, sabotage)?),
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(request)
}

fn sabotage(name: &str) -> Option<Sabotage> {
    Sabotage::ALL.into_iter().find(|sabotage| format!("{sabotage:?}") == name)
}

/// What the threads of a run share.
#[derive(Default)]
struct Sums {
    counts: Counts,
    seeds: u64,
    events: u64,
    virtual_time: Duration,
    failure: Option<Box<Failure>>,
}

fn run(request: &Request) -> io::Result<bool> {
    let (begun, next, sums) =
        (Instant::now(), AtomicU64::new(request.seeds.start), Mutex::default());
    std::thread::scope(|scope| {
        for _ in 0..request.threads {
            scope.spawn(|| work(request, &next, &sums, begun));
        }
    });
    let sums: Sums = sums.into_inner().map_err(|_| io::Error::other("a thread panicked"))?;
    summarize(&sums, begun)?;
    let Some(failure) = sums.failure else { return Ok(true) };
    // Once more, now with the lines that lead there.
    let lines_max = if request.trace { usize::MAX } else { LINES_AT_FAILURE };
    let again = run_seed(failure.seed, &Options { lines_max, ..request.options.clone() });
    let failure = again.err().unwrap_or(failure);
    for line in &failure.lines {
        say(line)?;
    }
    say(&format!("VIOLATION {failure}"))?;
    Ok(false)
}

fn work(request: &Request, next: &AtomicU64, sums: &Mutex<Sums>, begun: Instant) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let over = |sums: &Mutex<Sums>| sums.lock().map_or(true, |sums| sums.failure.is_some());
        if seed >= request.seeds.end || over(sums) {
            return;
        }
        let lines_max = if request.trace { usize::MAX } else { 0 };
        let result = run_seed(seed, &Options { lines_max, ..request.options.clone() });
        let Ok(mut sums) = sums.lock() else { return };
        match result {
            Ok(report) => {
                sums.counts.add(&report.counts);
                sums.seeds += 1;
                sums.events += report.events;
                sums.virtual_time += report.virtual_time;
                if sums.seeds.is_multiple_of(PROGRESS_SEEDS) {
                    let rate = sums.seeds as f64 * 60.0 / begun.elapsed().as_secs_f64();
                    let _shown = say(&format!("{} seeds, {rate:.0} seeds/min", sums.seeds));
                }
                for line in &report.lines {
                    let _shown = say(line);
                }
            }
            Err(failure) => {
                let earlier = sums.failure.as_ref().is_some_and(|known| known.seed < failure.seed);
                if !earlier {
                    sums.failure = Some(failure);
                }
            }
        }
    }
}

fn summarize(sums: &Sums, begun: Instant) -> io::Result<()> {
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    for (name, count) in sums.counts.fields() {
        say(&format!("{count:>12} {name}"))?;
    }
    say(&format!(
        "{} seeds in {seconds:.1} s: {:.0} seeds/min, {:.0} virtual seconds a second, \
         {:.2} million events a second, {} faults",
        sums.seeds,
        sums.seeds as f64 * 60.0 / seconds,
        sums.virtual_time.as_secs_f64() / seconds,
        sums.events as f64 / seconds / 1e6,
        sums.counts.faults(),
    ))
}

/// How many of the newest events are shown before a violation.
const LINES_AT_FAILURE: usize = 60;

/// How many seeds lie between two lines of progress.
const PROGRESS_SEEDS: u64 = 100;
