//! The results as a table and as JSON.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::Case;
use crate::disk::RawSync;
use crate::options::Options;
use quorate_benches::error::BenchError;
use quorate_benches::latency::{Latencies, micros};
use quorate_benches::process::FileSystem;

/// What one case gave.
pub(crate) struct CaseResult {
    pub(crate) case: Case,
    pub(crate) latencies: Latencies,
    pub(crate) measured: Duration,
    /// Processor time of the process while it was measured.
    pub(crate) cpu: Option<Duration>,
    pub(crate) errors_count: u64,
    pub(crate) elections_count: u64,
    /// Measured just before and after, for the cases compared with it.
    pub(crate) raw_sync: Option<RawSync>,
}

impl CaseResult {
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.measured.as_secs_f64()
    }

    fn cpu_micros_each(&self) -> Option<f64> {
        let count = self.latencies.len();
        let cpu = self.cpu.filter(|_| count > 0)?;
        Some(cpu.as_secs_f64() * 1e6 / count as f64)
    }
}

/// The latency of a single caller and of the disk at that time: medians in microseconds.
struct Single {
    case: String,
    p50: f64,
    growing: f64,
    preallocated: f64,
}

/// Prints results as they come, and remembers what the aims are compared with.
pub(crate) struct Report {
    json: Option<(PathBuf, File)>,
    /// Of durable puts of a single caller.
    single: Vec<Single>,
    /// Name and puts per second of three durable members at the number of callers that the aim
    /// names.
    loaded: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        let json = match &options.json {
            None => None,
            Some(path) => {
                let file = File::create(path).map_err(|error| BenchError::file(path, error))?;
                Some((path.clone(), file))
            }
        };
        Ok(Self { json, single: Vec::new(), loaded: Vec::new() })
    }

    /// Tells where it runs.
    pub(crate) fn machine(
        &mut self,
        folder: &Path,
        file_system: Option<&FileSystem>,
    ) -> Result<(), BenchError> {
        let cores = available_parallelism().map_or(0, usize::from);
        let disk = file_system.map_or("an unknown file system".to_owned(), |found| {
            let FileSystem { kind, device, mounted_at } = found;
            format!("{kind} on {device}, mounted at {mounted_at}")
        });
        println!("data in {}: {disk}; {cores} cores", folder.display());
        if cfg!(debug_assertions) {
            println!("built without optimization: these numbers mean nothing");
        }
        self.line(json!({ "kind": "machine", "cores": cores, "disk": disk }))
    }

    pub(crate) fn raw_sync(&mut self, when: &str, sync: &RawSync) -> Result<(), BenchError> {
        for (file, taken) in [("growing", &sync.growing), ("preallocated", &sync.preallocated)] {
            let [p10, p50, p99, max] = micros(taken);
            println!(
                "raw sync {when:<6} {file:<12}  p10 {p10:>7.0} us  p50 {p50:>7.0} us  \
                 p99 {p99:>7.0} us  max {max:>7.0} us"
            );
            self.line(json!({
                "kind": "raw_sync", "when": when, "file": file,
                "p10_us": p10, "p50_us": p50, "p99_us": p99, "max_us": max,
            }))?;
        }
        Ok(())
    }

    /// The head of the table of cases.
    pub(crate) fn head(&self) {
        println!(
            "\n{:<36} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>6} {:>9}",
            "case",
            "per s",
            "p10 us",
            "p50 us",
            "p99 us",
            "max us",
            "cpu us",
            "errors",
            "elections"
        );
    }

    pub(crate) fn case(&mut self, result: &CaseResult) -> Result<(), BenchError> {
        let (case, name) = (result.case, result.case.to_string());
        let [p10, p50, p99, max] = micros(&result.latencies);
        let per_second = result.per_second();
        let cpu = result.cpu_micros_each();
        println!(
            "{name:<36} {per_second:>8.0} {p10:>8.0} {p50:>8.0} {p99:>8.0} {max:>8.0} \
             {:>7} {:>6} {:>9}",
            cpu.map_or("-".to_owned(), |cpu| format!("{cpu:.1}")),
            result.errors_count,
            result.elections_count,
        );
        self.line(json!({
            "kind": "case", "case": name, "request": case.request.name(),
            "engine": case.shape.engine.name(), "members": case.shape.members,
            "at": case.at.name(), "callers": case.callers, "style": case.style.name(),
            "seconds": result.measured.as_secs_f64(), "count": result.latencies.len(),
            "per_second": per_second, "p10_us": p10, "p50_us": p50, "p99_us": p99, "max_us": max,
            "mean_us": result.latencies.mean() / 1e3, "cpu_us": cpu,
            "errors": result.errors_count, "elections": result.elections_count,
        }))?;
        if let Some(raw) = &result.raw_sync {
            let [_, growing, ..] = micros(&raw.growing);
            let [_, preallocated, ..] = micros(&raw.preallocated);
            self.single.push(Single { case: name, p50, growing, preallocated });
        } else if case.is_aimed_at() {
            self.loaded.push((name, per_second));
        }
        Ok(())
    }

    /// Compares the results with what we aim at.
    pub(crate) fn aims(mut self) -> Result<(), BenchError> {
        println!();
        for Single { case, p50, growing, preallocated } in std::mem::take(&mut self.single) {
            println!(
                "{case:<36} p50 {p50:.0} us: {:.2} raw syncs of {growing:.0} us (growing file), \
                 {:.2} of {preallocated:.0} us (preallocated); aim: at most {SYNCS_AIM}",
                p50 / growing,
                p50 / preallocated,
            );
            self.line(json!({
                "kind": "aim", "case": case, "p50_us": p50, "growing_us": growing,
                "preallocated_us": preallocated, "syncs_aim_max": SYNCS_AIM,
            }))?;
        }
        for (name, per_second) in std::mem::take(&mut self.loaded) {
            let ratio = per_second / PUTS_AIM;
            println!("{name:<36} {per_second:.0} puts/s are {ratio:.2} of the aim of {PUTS_AIM}");
            self.line(json!({
                "kind": "aim", "case": name, "per_second": per_second, "puts_aim_min": PUTS_AIM,
            }))?;
        }
        Ok(())
    }

    fn line(&mut self, value: Value) -> Result<(), BenchError> {
        let Some((path, file)) = &mut self.json else { return Ok(()) };
        writeln!(file, "{value}").map_err(|error| BenchError::file(path, error))
    }
}

/// The median put of a single caller takes at most this many raw syncs.
const SYNCS_AIM: f64 = 3.0;

/// Three durable members take at least this many puts a second from 256 callers.
const PUTS_AIM: f64 = 30_000.0;
