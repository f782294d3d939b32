//! `simulate shrink`: a smaller plan that breaks the same promise.

use std::io;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;

use quorate_testkit::shrink::{Budget, Shrunk, shrink};
use quorate_testkit::{Failure, Options, Plan, run_plan};

use crate::arguments::{self, Words, only_file};
use crate::replay::read_plan;
use crate::{UNUSABLE, say};

struct Request {
    plan: PathBuf,
    out: PathBuf,
    budget: Budget,
    options: Options,
}

/// Carries out the command.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    Ok(shrink_file(&parse(words)?))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let (mut options, mut budget) = (Options::default(), Budget::default());
    let (mut plan, mut out) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => budget.runs_max = words.parse(&word, arguments::positive)?,
            "--out" => out = Some(words.value(&word)?.into()),
            "--sabotage" => options.sabotage = Some(words.parse(&word, arguments::sabotage)?),
            _ => only_file(&mut plan, word)?,
        }
    }
    let plan: PathBuf = plan.ok_or_else(|| "shrink needs the file of a plan".to_owned())?.into();
    let out = out.unwrap_or_else(|| plan.with_extension("small.json"));
    Ok(Request { plan, out, budget, options })
}

fn shrink_file(request: &Request) -> io::Result<ExitCode> {
    let Some(plan) = read_plan(&request.plan) else { return Ok(ExitCode::from(UNUSABLE)) };
    let Err(failure) = run_plan(&plan, &request.options) else {
        say("the plan breaks no promise: there is nothing to shrink")?;
        return Ok(ExitCode::FAILURE);
    };
    let shrunk = shrink_quietly(&plan, failure, &request.options, request.budget);
    std::fs::write(&request.out, shrunk.plan.to_json())?;
    say(&format!("VIOLATION {}", shrunk.failure))?;
    say(&format!(
        "{} faults and {} operations were left after {} runs, in {}",
        shrunk.plan.faults.len(),
        shrunk.plan.operations.len(),
        shrunk.runs,
        request.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Shrinks a plan; panics of members, which may be the very thing looked for, print nothing.
pub(crate) fn shrink_quietly(
    plan: &Plan,
    failure: Box<Failure>,
    options: &Options,
    budget: Budget,
) -> Shrunk {
    let options = Options { timeline: false, lines_max: 0, ..options.clone() };
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let shrunk = shrink(plan, failure, &|plan| run_plan(plan, &options), budget);
    panic::set_hook(hook);
    shrunk
}
