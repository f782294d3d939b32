//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use quorate_benches::arguments::{number, seconds};
use quorate_benches::cluster::EngineKind;
use quorate_benches::error::BenchError;

/// What to measure, and for how long.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) help: bool,
    /// Print the names of the cases only.
    pub(crate) list: bool,
    /// Measured time of what is measured by time.
    pub(crate) seconds: Duration,
    /// What numbers of keys, watchers and leases are multiplied by.
    pub(crate) scale: f64,
    /// Run the cases whose name contains one of these; all if empty.
    pub(crate) only: Vec<String>,
    /// Where temporary data folders are made; the default if `None`.
    pub(crate) data: Option<PathBuf>,
    pub(crate) engines: Vec<EngineKind>,
}

/// The options, for people.
pub(crate) const HELP: &str = "\
usage: cargo bench -p quorate-benches --bench model -- [option ...]

  --seconds N        measured seconds where the time is given, default 5
  --scale X          multiply the numbers of keys, watchers and leases by X, 0.001 to 10, default 1
  --only TEXT        only cases whose name contains TEXT; may be given several times
  --engine NAME      memory or rocksdb, default both
  --data DIR         make data folders here, default below the target folder; must be on a disk
  --list             print the names of the cases and stop";

impl Options {
    /// Reads the command line without the program's name.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, BenchError> {
        let mut options = Self {
            help: false,
            list: false,
            seconds: Duration::from_secs(5),
            scale: 1.0,
            only: Vec::new(),
            data: None,
            engines: EngineKind::available().to_vec(),
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let mut value = || {
                arguments.next().ok_or_else(|| BenchError::usage(format!("{name} needs a value")))
            };
            match name.as_str() {
                // Given by cargo to every benchmark.
                "--bench" => {}
                "--help" | "-h" => options.help = true,
                "--list" => options.list = true,
                "--seconds" => options.seconds = seconds(&name, &value()?)?,
                "--scale" => options.scale = scale(&name, &value()?)?,
                "--only" => options.only.push(value()?),
                "--data" => options.data = Some(value()?.into()),
                "--engine" => options.engines = vec![EngineKind::parse(&value()?)?],
                _ => return Err(BenchError::usage(format!("unknown option {name}"))),
            }
        }
        Ok(options)
    }

    /// Whether the case called `name` is wanted.
    pub(crate) fn selects(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text))
    }

    /// How many there are of what there are `count` of at full scale; one at least.
    pub(crate) fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }
}

fn scale(name: &str, text: &str) -> Result<f64, BenchError> {
    let scale: f64 = number(name, text)?;
    if !(0.001..=10.0).contains(&scale) {
        return Err(BenchError::usage(format!("{name} cannot be {text}")));
    }
    Ok(scale)
}
