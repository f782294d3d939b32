//! `simulate determinism`: every seed must run the same way twice, the second time in a process of
//! its own.

use std::io;
use std::ops::Range;
use std::process::{Command, ExitCode};
use std::time::Duration;

use quorate_testkit::{MembersRange, Options, run_seed};
use serde::{Deserialize, Serialize};

use crate::arguments::{self, Words};
use crate::say;

struct Request {
    seeds: Range<u64>,
    members: Option<MembersRange>,
    time: Option<Duration>,
    /// Whether this is the second process, which prints what its run was like.
    second: bool,
    trace: bool,
}

/// What a run was like, as far as two runs are compared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Seen {
    events: u64,
    hash: u64,
    checkpoints: Vec<u64>,
    /// The violation; nothing if there was none.
    violation: Option<String>,
    /// All events in words, if they were asked for.
    lines: Vec<String>,
}

/// Carries out the command.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    let request = parse(words)?;
    Ok(if request.second { tell(&request) } else { determinism(&request) })
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut request =
        Request { seeds: 0..20, members: None, time: None, second: false, trace: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => request.seeds = words.parse(&word, arguments::seeds)?,
            "--members" => request.members = Some(words.parse(&word, |text| text.parse().ok())?),
            "--time" => request.time = Some(words.parse(&word, arguments::time)?),
            "--second" => request.second = true,
            "--trace" => request.trace = true,
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(request)
}

fn determinism(request: &Request) -> io::Result<ExitCode> {
    for seed in request.seeds.clone() {
        let (first, second) = (run_here(request, seed, false), run_there(request, seed, false)?);
        let Some(difference) = compare(&first, &second) else { continue };
        say(&format!("seed {seed} ran differently the second time: {difference}"))?;
        let (first, second) = (run_here(request, seed, true), run_there(request, seed, true)?);
        say(&match first_difference(&first.lines, &second.lines) {
            Some((place, first, second)) => {
                format!("event {place} was\n  {first}\nand the second time\n  {second}")
            }
            None => "no event in words differs".to_owned(),
        })?;
        return Ok(ExitCode::FAILURE);
    }
    let count = request.seeds.end - request.seeds.start;
    say(&format!("{count} seeds ran the same twice, the second time in another process"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a seed in this process.
fn run_here(request: &Request, seed: u64, lines: bool) -> Seen {
    let options = Options {
        members: request.members.map(|range| range.draw(seed)),
        duration: request.time,
        lines_max: if lines { usize::MAX } else { 0 },
        ..Options::default()
    };
    match run_seed(seed, &options) {
        Ok(report) => Seen {
            events: report.events,
            hash: report.trace_hash,
            checkpoints: report.checkpoints,
            violation: None,
            lines: report.lines,
        },
        Err(failure) => {
            let violation = Some(failure.to_string());
            Seen { violation, lines: failure.lines, ..Seen::default() }
        }
    }
}

/// Runs a seed in a new process.
fn run_there(request: &Request, seed: u64, lines: bool) -> io::Result<Seen> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["determinism", "--second", "--seeds", &seed.to_string()]);
    if let Some(members) = request.members {
        command.args(["--members", &members.to_string()]);
    }
    if let Some(time) = request.time {
        command.args(["--time", &time.as_secs().to_string()]);
    }
    if lines {
        command.arg("--trace");
    }
    let output = command.output()?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("the second process failed: {problem}")));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

/// The second process: prints what each of its runs was like.
fn tell(request: &Request) -> io::Result<ExitCode> {
    for seed in request.seeds.clone() {
        let seen = run_here(request, seed, request.trace);
        say(&serde_json::to_string(&seen).map_err(io::Error::other)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// In what two runs differ, if they do.
fn compare(first: &Seen, second: &Seen) -> Option<String> {
    if first == second {
        return None;
    }
    if first.violation != second.violation {
        let words = |seen: &Seen| seen.violation.clone().unwrap_or_else(|| "no violation".into());
        return Some(format!("{}, then {}", words(first), words(second)));
    }
    // Each checkpoint contains all before it: from the first that differs on, all do.
    let shared = first.checkpoints.len().min(second.checkpoints.len());
    let (first_half, second_half) = (&first.checkpoints[..shared], &second.checkpoints[..shared]);
    let mut equal = 0..shared;
    while !equal.is_empty() {
        let middle = equal.start + equal.len() / 2;
        if first_half[middle] == second_half[middle] {
            equal.start = middle + 1;
        } else {
            equal.end = middle;
        }
    }
    let from = equal.start * CHECKPOINT_EVENTS;
    Some(format!("within the {CHECKPOINT_EVENTS} events from number {from} on"))
}

/// The first line in which two traces differ, and its number from 0.
fn first_difference<'a>(
    first: &'a [String],
    second: &'a [String],
) -> Option<(usize, &'a str, &'a str)> {
    let line = |lines: &'a [String], place: usize| lines.get(place).map_or("the end", |line| line);
    let longest = first.len().max(second.len());
    let place = (0..longest).find(|place| first.get(*place) != second.get(*place))?;
    Some((place, line(first, place), line(second, place)))
}

/// How many events lie between two checkpoints.
const CHECKPOINT_EVENTS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(checkpoints: &[u64]) -> Seen {
        Seen {
            checkpoints: checkpoints.to_vec(),
            hash: checkpoints.len() as u64,
            ..Seen::default()
        }
    }

    #[test]
    fn the_first_checkpoint_that_differs_is_found() {
        assert_eq!(compare(&seen(&[1, 2]), &seen(&[1, 2])), None);
        for place in 0..9 {
            let mut other: Vec<u64> = (0..9).collect();
            other[place..].iter_mut().for_each(|checkpoint| *checkpoint += 100);
            let same: Vec<u64> = (0..9).collect();
            let from = place * CHECKPOINT_EVENTS;
            let expected = format!("within the 1024 events from number {from} on");
            assert_eq!(compare(&seen(&same), &seen(&other)), Some(expected));
        }
        let after = Some("within the 1024 events from number 1024 on".to_owned());
        assert_eq!(compare(&seen(&[1]), &seen(&[1, 2])), after);
    }

    #[test]
    fn a_violation_in_one_of_two_runs_is_told() {
        let broken = Seen { violation: Some("one-vote".to_owned()), ..Seen::default() };
        let found = compare(&broken, &Seen::default());
        assert_eq!(found, Some("one-vote, then no violation".to_owned()));
    }

    #[test]
    fn the_first_line_that_differs_is_found() {
        let lines =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (first, second) = (lines(&["a", "b"]), lines(&["a", "c", "d"]));
        assert_eq!(first_difference(&first, &second), Some((1, "b", "c")));
        assert_eq!(first_difference(&first[..1], &second[..2]), Some((1, "the end", "c")));
        assert_eq!(first_difference(&first, &first), None);
    }
}
