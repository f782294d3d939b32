//! `simulate replay`: one plan, from its file.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use quorate_testkit::{Options, Plan, run_plan};

use crate::arguments::{self, Words, only_file};
use crate::{UNUSABLE, complain, say};

struct Request {
    plan: PathBuf,
    html: Option<PathBuf>,
    options: Options,
}

/// Carries out the command.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    Ok(replay(&parse(words)?))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut options = Options { timeline: true, ..Options::default() };
    let (mut plan, mut html) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => options.lines_max = usize::MAX,
            "--html" => html = Some(words.value(&word)?.into()),
            "--sabotage" => options.sabotage = Some(words.parse(&word, arguments::sabotage)?),
            _ => only_file(&mut plan, word)?,
        }
    }
    let plan = plan.ok_or_else(|| "replay needs the file of a plan".to_owned())?.into();
    Ok(Request { plan, html, options })
}

/// Reads a plan; says why if that cannot be done.
pub(crate) fn read_plan(file: &Path) -> Option<Plan> {
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let plan = read.and_then(|text| Plan::from_json(&text).map_err(|error| error.to_string()));
    plan.map_err(|problem| complain(&format!("{}: {problem}", file.display()))).ok()
}

fn replay(request: &Request) -> io::Result<ExitCode> {
    let Some(plan) = read_plan(&request.plan) else { return Ok(ExitCode::from(UNUSABLE)) };
    let (lines, timeline, code, verdict) = match run_plan(&plan, &request.options) {
        Ok(report) => {
            let verdict = format!(
                "no promise was broken: {} events, trace hash {:016x}",
                report.events, report.trace_hash
            );
            (report.lines, report.timeline, ExitCode::SUCCESS, verdict)
        }
        Err(failure) => {
            let verdict = format!("VIOLATION {failure}");
            (failure.lines, failure.timeline, ExitCode::FAILURE, verdict)
        }
    };
    for line in &lines {
        say(line)?;
    }
    if let Some(timeline) = timeline {
        say(&timeline.to_text())?;
        if let Some(html) = &request.html {
            std::fs::write(html, timeline.to_html())?;
        }
    }
    say(&verdict)?;
    Ok(code)
}
