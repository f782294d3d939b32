//! Runs simulations from the command line.
//!
//! ```text
//! simulate run --seeds 0..200 [--members N] [--time 60s] [--threads N] [--sabotage NAME] [--trace]
//! simulate determinism --seeds 0..20 [--members N] [--time 60s]
//! ```

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_testkit::{Counts, Failure, Options, Sabotage, run_seed};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match parse(&arguments) {
        Ok(request) => match request.command {
            Command::Run => run(&request),
            Command::Determinism => determinism(&request),
        },
        Err(problem) => say(&format!("{problem}\n\n{USAGE}")).map(|()| false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

struct Request {
    command: Command,
    seeds: Range<u64>,
    threads: usize,
    trace: bool,
    options: Options,
}

enum Command {
    Run,
    Determinism,
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut words = arguments.iter();
    let command = match words.next().map(String::as_str) {
        Some("run") => Command::Run,
        Some("determinism") => Command::Determinism,
        _ => return Err("say `run` or `determinism`".to_owned()),
    };
    let mut request =
        Request { command, seeds: 0..200, threads: 1, trace: false, options: Options::default() };
    while let Some(word) = words.next() {
        if word == "--trace" {
            request.trace = true;
            continue;
        }
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let bad = || format!("{word} cannot be {value}");
        match word.as_str() {
            "--seeds" => request.seeds = parse_seeds(value).ok_or_else(bad)?,
            "--members" => {
                request.options.members =
                    Some(value.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?);
            }
            "--time" => request.options.duration = Some(parse_time(value).ok_or_else(bad)?),
            "--threads" => {
                request.threads = value.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?
            }
            "--sabotage" => {
                let named = |sabotage: &Sabotage| format!("{sabotage:?}") == *value;
                request.options.sabotage =
                    Some(Sabotage::ALL.into_iter().find(named).ok_or_else(bad)?);
            }
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(request)
}

/// One seed, or those from one up to but without another.
fn parse_seeds(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((first, end)) => Some(first.parse().ok()?..end.parse().ok()?),
        None => {
            let count: u64 = text.parse().ok()?;
            Some(count..count.checked_add(1)?)
        }
    }
}

fn parse_time(text: &str) -> Option<Duration> {
    let seconds: u64 = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
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

fn determinism(request: &Request) -> io::Result<bool> {
    for seed in request.seeds.clone() {
        let first = run_seed(seed, &request.options);
        let second = run_seed(seed, &request.options);
        if first == second {
            continue;
        }
        say(&format!("seed {seed} ran differently the second time"))?;
        if let (Ok(first), Ok(second)) = (first, second) {
            let pairs = first.checkpoints.iter().zip(&second.checkpoints);
            let same = pairs.take_while(|(first, second)| first == second).count();
            say(&format!("the first {same} checkpoints of 1,024 events are equal"))?;
        }
        return Ok(false);
    }
    say(&format!("{} seeds ran the same twice", request.seeds.end - request.seeds.start))?;
    Ok(true)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

const USAGE: &str = "\
simulate run --seeds 0..200 [--members N] [--time 60s] [--threads N] [--sabotage NAME] [--trace]
simulate determinism --seeds 0..20 [--members N] [--time 60s]";

/// How many of the newest events are shown before a violation.
const LINES_AT_FAILURE: usize = 60;

/// How many seeds lie between two lines of progress.
const PROGRESS_SEEDS: u64 = 100;
