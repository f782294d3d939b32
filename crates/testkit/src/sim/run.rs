//! Runs a simulation, seed after seed, and makes what it finds small.

use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_types::Instant;

use super::builder::Sim;
use super::environment::Wishes;
use super::outcome::{Found, Summary};
use super::traits::Shape;
use crate::actors::record::RunHistory;
use crate::counts::Counts;
use crate::export;
use crate::live::{Live, run_live};
use crate::plan::Plan;
use crate::report::{Failure, Report};
use crate::rng::{Purpose, Stream};
use crate::run::{Options, run_script};
use crate::shrink::{Budget, shrink};
use crate::violation::Violation;

impl Sim {
    /// Runs all seeds.
    ///
    /// # Panics
    ///
    /// If a promise was broken, with the [`Found`] as text. If an environment variable has a value
    /// that cannot be used.
    pub fn run(&self) -> Summary {
        match self.try_run() {
            Ok(summary) => summary,
            Err(found) => panic!("{found}"),
        }
    }

    /// Runs all seeds, up to the first that breaks a promise.
    ///
    /// # Errors
    ///
    /// The promise that was broken, by the lowest of the seeds that ran, with a plan made small.
    ///
    /// # Panics
    ///
    /// If an environment variable has a value that cannot be used.
    pub fn try_run(&self) -> Result<Summary, Box<Found>> {
        let wishes = Wishes::of_process();
        let (summary, failed) = match (&self.live, &wishes.plan) {
            (Some(live), _) => self.run_live(live, &wishes),
            (None, Some(plan)) => self.run_plans(|seed| (seed == 0).then(|| plan.clone())),
            (None, None) => {
                let seeds = wishes.seeds.clone().unwrap_or(self.seeds.clone());
                self.run_plans(|number| {
                    let seed = seeds.start.checked_add(number).filter(|seed| *seed < seeds.end)?;
                    Some(self.plan(seed))
                })
            }
        };
        match failed {
            None => Ok(summary),
            Some((plan, failure)) => {
                let keep = wishes.leave_as_found || self.live.is_some();
                Err(Box::new(self.found(plan, failure, keep)))
            }
        }
    }

    /// The plan of a seed.
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let nodes = self.nodes.draw(seed);
        let options = Options {
            members: Some(nodes),
            duration: Some(self.run_for),
            faults: self.faults.clone(),
            ..Options::default()
        };
        let mut plan = Plan::from_seed(seed, &options);
        let shape = Shape { nodes, duration: self.run_for };
        let mut stream = Stream::new(seed, Purpose::Workload, 0, 0);
        plan.operations =
            self.workload.as_ref().map_or(Vec::new(), |w| w.operations(&shape, &mut stream));
        // Users' actors watch for themselves.
        plan.watches.clear();
        for (number, nemesis) in (0..).zip(&self.nemeses) {
            let mut stream = Stream::new(seed, Purpose::Nemesis, number, 0);
            plan.faults.extend(nemesis.faults(&shape, &mut stream));
        }
        plan.operations.sort_by_key(|operation| operation.at);
        plan.faults.sort_by_key(|fault| fault.at);
        plan
    }

    /// One run, with what the actors did.
    pub(crate) fn play(
        &self,
        plan: &Plan,
        timeline: bool,
    ) -> (Result<Report, Box<Failure>>, RunHistory) {
        let options = Options { timeline, ..Options::default() };
        run_script(plan, &options, &self.script, &self.checkers)
    }

    /// Runs the plans of numbers from 0 on until there is none, side by side.
    fn run_plans(
        &self,
        plan: impl Fn(u64) -> Option<Plan> + Sync,
    ) -> (Summary, Option<(Plan, Box<Failure>)>) {
        let next = AtomicU64::new(0);
        let sums = Mutex::new((self.summary(), None::<(u64, Plan, Box<Failure>)>));
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let failed = sums.lock().is_ok_and(|sums| sums.1.is_some());
                let Some(plan) = plan(number).filter(|_| !failed) else { return };
                let (result, _) = self.play(&plan, false);
                let Ok(mut sums) = sums.lock() else { return };
                match result {
                    Ok(report) => {
                        sums.0.seeds += 1;
                        sums.0.time += report.virtual_time;
                        sums.0.counts.add(&report.counts);
                    }
                    Err(failure) => {
                        if sums.1.as_ref().is_none_or(|(earlier, ..)| number < *earlier) {
                            sums.1 = Some((number, plan, failure));
                        }
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(work);
            }
        });
        let (mut summary, failed) = sums.into_inner().expect("panics of runs are caught in them");
        summary.faults = summary.counts.faults();
        (summary, failed.map(|(_, plan, failure)| (plan, failure)))
    }

    fn run_live(&self, live: &Live, wishes: &Wishes) -> (Summary, Option<(Plan, Box<Failure>)>) {
        let mut summary = self.summary();
        let plans: Vec<Plan> = match &wishes.plan {
            Some(plan) => vec![plan.clone()],
            None => {
                let seeds = wishes.seeds.clone().unwrap_or(self.seeds.clone());
                seeds.map(|seed| self.plan(seed)).collect()
            }
        };
        for plan in plans {
            let begun = std::time::Instant::now();
            let (result, history) = run_live(live, &plan, &self.script);
            let checked = result.and_then(|carried| {
                for checker in &self.checkers {
                    let named = |problem: String| Violation::new(checker.name(), problem);
                    checker.check(&history).map_err(named)?;
                }
                Ok(carried)
            });
            summary.time += begun.elapsed();
            match checked {
                Ok(carried) => {
                    summary.seeds += 1;
                    summary.faults += carried.done;
                }
                Err(violation) => {
                    let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    let at = Instant::from_nanos(nanos);
                    let (seed, lines) = (plan.seed, Vec::new());
                    let failure = Failure { seed, violation, at, lines, timeline: None };
                    return (summary, Some((plan, Box::new(failure))));
                }
            }
        }
        (summary, None)
    }

    fn summary(&self) -> Summary {
        let (name, counts) = (self.name.clone(), Counts::default());
        Summary { name, seeds: 0, time: Duration::ZERO, counts, faults: 0 }
    }

    /// Makes the plan small, unless it is to be left as it was found, and exports it.
    fn found(&self, full_plan: Plan, failure: Box<Failure>, leave: bool) -> Found {
        let (plan, failure, shrink_runs) = if leave {
            (full_plan.clone(), failure, 0)
        } else {
            let small = without_panic_texts(|| {
                let runner = |plan: &Plan| self.play(plan, false).0;
                shrink(&full_plan, failure, &runner, Budget::default())
            });
            (small.plan, small.failure, small.runs)
        };
        // Once more for the timeline and the history; live members would do something else.
        let (again, history) = match self.live {
            None => without_panic_texts(|| self.play(&plan, true)),
            Some(_) => (Err(failure.clone()), RunHistory::default()),
        };
        let failure = *again.err().unwrap_or(failure);
        let mut found = Found {
            name: self.name.clone(),
            failure,
            plan,
            full_plan,
            shrink_runs,
            folder: None,
            export_error: None,
        };
        if let Some(folder) = &self.export {
            let folder = folder.join(format!("{}-seed-{}", self.name, found.failure.seed));
            match write_files(&folder, &found, &history) {
                Ok(()) => found.folder = Some(folder),
                Err((file, error)) => {
                    found.export_error = Some(format!("{}: {error}", file.display()));
                }
            }
        }
        found
    }
}

/// Does something during which panics that are caught print nothing: shrinking repeats a panic of
/// an actor a thousand times.
fn without_panic_texts<T>(body: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let value = body();
    panic::set_hook(hook);
    value
}

fn write_files(
    folder: &Path,
    found: &Found,
    history: &RunHistory,
) -> Result<(), (PathBuf, std::io::Error)> {
    std::fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|error| (file, error))
    };
    write("plan.json", found.plan.to_json())?;
    write("plan-full.json", found.full_plan.to_json())?;
    if let Some(timeline) = &found.failure.timeline {
        write("timeline.txt", timeline.to_text())?;
        write("timeline.html", timeline.to_html())?;
    }
    let calls = export::history(history);
    write("history.jsonl", calls.to_json_lines())?;
    write("history.edn", calls.to_edn())?;
    write("history.log", calls.to_log())
}
