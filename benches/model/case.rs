//! The cases, one after the other.

use std::path::Path;
use std::thread::available_parallelism;

use quorate_benches::cluster::{EngineKind, Members, Shape};
use quorate_benches::error::BenchError;
use quorate_benches::folder::data_folder;

use crate::options::Options;
use crate::{compaction, leases, locks, range_stream, watch_fanout, watch_idle};

/// What a case works with.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    /// The name of the case.
    pub(crate) case: &'static str,
    folder: &'a Path,
}

impl Bench<'_> {
    /// Founds a cluster without data.
    pub(crate) fn members(&self, engine: EngineKind, count: u32) -> Result<Members, BenchError> {
        Members::open(Shape { engine, members: count }, self.folder)
    }

    /// A request that failed, which ends everything.
    pub(crate) fn failed(&self, source: quorate::Error) -> BenchError {
        BenchError::Request { case: self.case.to_owned(), source }
    }

    /// Says what is measured.
    pub(crate) fn settings(&self, text: &str) {
        println!("\n{}: {text}", self.case);
    }
}

type Run = fn(&Bench<'_>) -> Result<(), BenchError>;

/// The case that measures memory comes first, while the process is fresh.
const CASES: [(&str, Run); 6] = [
    ("watch-idle", watch_idle::run),
    ("watch-fanout", watch_fanout::run),
    ("compaction", compaction::run),
    ("leases", leases::run),
    ("range-stream", range_stream::run),
    ("locks", locks::run),
];

/// Measures everything that the options ask for, and prints it.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let cases: Vec<_> = CASES.into_iter().filter(|(name, _)| options.selects(name)).collect();
    if cases.is_empty() {
        return Err(BenchError::usage("no such case"));
    }
    if options.list {
        cases.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    let default = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = data_folder(options.data.as_deref().unwrap_or(default))?;
    let cores = available_parallelism().map_or(0, usize::from);
    println!("data in {}; {cores} cores; scale {}", folder.path().display(), options.scale);
    if cfg!(debug_assertions) {
        println!("built without optimization: these numbers mean nothing");
    }
    for (case, run) in cases {
        run(&Bench { options, case, folder: folder.path() })?;
    }
    Ok(())
}
