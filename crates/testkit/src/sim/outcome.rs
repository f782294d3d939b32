//! What came out of a simulation.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::counts::Counts;
use crate::plan::Plan;
use crate::report::Failure;

/// How a simulation went in which no promise was broken.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// The name of the simulation.
    pub name: String,
    /// How many seeds ran.
    pub seeds: u64,
    /// The time that passed in them: virtual, or real for live members.
    pub time: Duration,
    /// How often what happened, in simulated runs.
    pub counts: Counts,
    /// How many faults there were.
    pub faults: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seeds, time, faults, .. } = self;
        let minutes = time.as_secs_f64() / 60.0;
        write!(f, "{name}: {seeds} seeds, {minutes:.1} minutes, {faults} faults, no promise broken")
    }
}

/// A broken promise that a simulation found.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The name of the simulation.
    pub name: String,
    /// What was broken, by the smallest plan that was found to break it.
    pub failure: Failure,
    /// That plan.
    pub plan: Plan,
    /// The plan of the seed.
    pub full_plan: Plan,
    /// How many runs it took to make the plan small; 0 if nobody tried.
    pub shrink_runs: u64,
    /// Where plan, timeline and history were written, if they were.
    pub folder: Option<PathBuf>,
    /// Why they could not be written, if they were to be.
    pub export_error: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, failure, plan, full_plan, .. } = self;
        writeln!(f, "{name}: {failure}")?;
        if self.shrink_runs > 0 {
            let (from, to) = (full_plan.faults.len(), plan.faults.len());
            let runs = self.shrink_runs;
            writeln!(f, "made small in {runs} runs: {to} faults of {from} are needed")?;
        }
        if let Some(timeline) = &failure.timeline {
            writeln!(f, "\n{}", timeline.to_text().trim_end())?;
        }
        write!(f, "\nrun again with QUORATE_SEED={}", failure.seed)?;
        if let Some(folder) = &self.folder {
            let folder = folder.display();
            write!(f, ", or the small plan with QUORATE_PLAN={folder}/plan.json")?;
            write!(f, "\ntimeline to look at: {folder}/timeline.html")?;
        }
        match &self.export_error {
            Some(error) => write!(f, "\nnothing could be exported: {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Found {}
