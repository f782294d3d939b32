//! `simulate run`: many seeds, each checked; the first that breaks a promise is made small.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_testkit::shrink::{Budget, Shrunk};
use quorate_testkit::{Counts, Failure, MembersRange, Options, Plan, run_plan, run_seed};

use crate::arguments::{self, Words};
use crate::progress::{Progress, Standing};
use crate::say;
use crate::shrink::shrink_quietly;

struct Request {
    seeds: Range<u64>,
    members: Option<MembersRange>,
    threads: usize,
    trace: bool,
    out: Option<PathBuf>,
    options: Options,
}

impl Request {
    /// What is different for this seed.
    fn options_of(&self, seed: u64) -> Options {
        let members = self.members.map(|range| range.draw(seed));
        let lines_max = if self.trace { usize::MAX } else { 0 };
        Options { members, lines_max, ..self.options.clone() }
    }
}

/// Carries out the command.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    Ok(run(&parse(words)?))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut request = Request {
        seeds: 0..200,
        members: None,
        threads: 1,
        trace: false,
        out: None,
        options: Options::default(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => request.trace = true,
            "--seeds" => request.seeds = words.parse(&word, arguments::seeds)?,
            "--members" => request.members = Some(words.parse(&word, |text| text.parse().ok())?),
            "--faults" => request.options.faults = arguments::faults(&mut words, &word)?,
            "--time" => request.options.duration = Some(words.parse(&word, arguments::time)?),
            "--threads" => request.threads = words.parse(&word, arguments::positive)?,
            "--out" => request.out = Some(words.value(&word)?.into()),
            "--sabotage" => {
                request.options.sabotage = Some(words.parse(&word, arguments::sabotage)?);
            }
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(request)
}

/// What the threads of a run share.
struct Sums {
    counts: Counts,
    seeds: u64,
    events: u64,
    virtual_time: Duration,
    failure: Option<Box<Failure>>,
    progress: Progress,
}

fn run(request: &Request) -> io::Result<ExitCode> {
    let (begun, next) = (Instant::now(), AtomicU64::new(request.seeds.start));
    let sums = Mutex::new(Sums {
        counts: Counts::default(),
        seeds: 0,
        events: 0,
        virtual_time: Duration::ZERO,
        failure: None,
        progress: Progress::new(request.seeds.end - request.seeds.start),
    });
    std::thread::scope(|scope| {
        for _ in 0..request.threads {
            scope.spawn(|| work(request, &next, &sums));
        }
    });
    let sums: Sums = sums.into_inner().map_err(|_| io::Error::other("a thread panicked"))?;
    sums.progress.finish();
    summarize(&sums, begun)?;
    match sums.failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => {
            present(request, failure)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn work(request: &Request, next: &AtomicU64, sums: &Mutex<Sums>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let over = |sums: &Mutex<Sums>| sums.lock().map_or(true, |sums| sums.failure.is_some());
        if seed >= request.seeds.end || over(sums) {
            return;
        }
        let result = run_seed(seed, &request.options_of(seed));
        let Ok(mut sums) = sums.lock() else { return };
        match result {
            Ok(report) => {
                sums.counts.add(&report.counts);
                sums.seeds += 1;
                sums.events += report.events;
                sums.virtual_time += report.virtual_time;
                let Sums { seeds, virtual_time, counts, progress, .. } = &mut *sums;
                let (seeds, virtual_time) = (*seeds, *virtual_time);
                progress.update(&Standing { seeds, virtual_time, counts });
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

/// Makes the plan of a failure small, keeps it in files, and shows it.
fn present(request: &Request, failure: Box<Failure>) -> io::Result<()> {
    let seed = failure.seed;
    for line in &failure.lines {
        say(line)?;
    }
    say(&format!("VIOLATION {failure}"))?;
    let full = Plan::from_seed(seed, &request.options_of(seed));
    let options = Options { lines_max: 0, timeline: true, ..request.options.clone() };
    let begun = Instant::now();
    let shrunk = shrink_quietly(&full, failure, &options, Budget::default());
    say(&format!(
        "shrunk in {} runs and {:.1} s from {} faults and {} operations to {} and {}\n",
        shrunk.runs,
        begun.elapsed().as_secs_f64(),
        full.faults.len(),
        full.operations.len(),
        shrunk.plan.faults.len(),
        shrunk.plan.operations.len(),
    ))?;
    let default = || Path::new("target/quorate").join(format!("seed-{seed}"));
    let folder = request.out.clone().unwrap_or_else(default);
    keep(&folder, &full, &shrunk, &options)?;
    let sabotage = request.options.sabotage.map(|bug| format!(" --sabotage {bug:?}"));
    let file = folder.join("plan.json");
    say(&format!(
        "\nsimulate replay {}{}",
        quoted(&file.display().to_string()),
        sabotage.unwrap_or_default()
    ))
}

/// Writes everything about a failure into a folder, and prints its timeline.
fn keep(folder: &Path, full: &Plan, shrunk: &Shrunk, options: &Options) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("plan.json"), shrunk.plan.to_json())?;
    std::fs::write(folder.join("plan-full.json"), full.to_json())?;
    let timeline = match run_plan(&shrunk.plan, options) {
        Ok(report) => report.timeline,
        Err(failure) => failure.timeline,
    };
    let Some(timeline) = timeline else { return Ok(()) };
    let text = timeline.to_text();
    std::fs::write(folder.join("timeline.txt"), &text)?;
    std::fs::write(folder.join("timeline.html"), timeline.to_html())?;
    say(text.trim_end())?;
    say(&format!("\nplan.json, plan-full.json, timeline.txt and .html are in {}", folder.display()))
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn only_words_that_need_it_are_quoted() {
        assert_eq!(quoted("target/quorate/seed-7/plan.json"), "target/quorate/seed-7/plan.json");
        assert_eq!(quoted("my plan's"), r"'my plan'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
