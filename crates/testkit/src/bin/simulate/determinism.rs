//! `simulate determinism`: every seed must run the same way twice.

use std::io;
use std::ops::Range;

use quorate_testkit::{Options, run_seed};

use crate::arguments::{self, Words};
use crate::say;

struct Request {
    seeds: Range<u64>,
    options: Options,
}

/// Carries out the command; returns whether no seed ran differently.
pub(crate) fn main(words: Words) -> Result<io::Result<bool>, String> {
    Ok(determinism(&parse(words)?))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut request = Request { seeds: 0..20, options: Options::default() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => request.seeds = words.parse(&word, arguments::seeds)?,
            "--members" => {
                request.options.members = Some(words.parse(&word, arguments::positive)?);
            }
            "--time" => request.options.duration = Some(words.parse(&word, arguments::time)?),
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(request)
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
