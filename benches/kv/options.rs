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
    /// Measured time of one case.
    pub(crate) seconds: Duration,
    /// Time before that whose requests do not count.
    pub(crate) warmup: Duration,
    /// Run the cases whose name contains one of these; all if empty.
    pub(crate) only: Vec<String>,
    /// Where temporary data folders are made; the default if `None`.
    pub(crate) data: Option<PathBuf>,
    /// Sizes of clusters.
    pub(crate) members: Vec<u32>,
    pub(crate) engines: Vec<EngineKind>,
    /// Where to write one JSON object a line.
    pub(crate) json: Option<PathBuf>,
    pub(crate) value_size: usize,
}

/// The options, for people.
pub(crate) const HELP: &str = "\
usage: cargo bench -p quorate-benches --bench kv -- [option ...]

  --seconds N        measured seconds of each case, default 5
  --warmup N         seconds before them that do not count, default 1
  --only TEXT        only cases whose name contains TEXT; may be given several times
  --members N[,N]    sizes of clusters, 1 to 7, default 1,3
  --engine NAME      memory or rocksdb, default both
  --value-size N     bytes of a value, default 256
  --data DIR         make data folders here, default below the target folder; must be on a disk
  --json FILE        also write the results to FILE, one JSON object a line
  --list             print the names of the cases and stop";

impl Options {
    /// Reads the command line without the program's name.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, BenchError> {
        let mut options = Self {
            help: false,
            list: false,
            seconds: Duration::from_secs(5),
            warmup: Duration::from_secs(1),
            only: Vec::new(),
            data: None,
            members: vec![1, 3],
            engines: EngineKind::available().to_vec(),
            json: None,
            value_size: 256,
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
                "--warmup" => options.warmup = seconds(&name, &value()?)?,
                "--only" => options.only.push(value()?),
                "--data" => options.data = Some(value()?.into()),
                "--json" => options.json = Some(value()?.into()),
                "--value-size" => options.value_size = number(&name, &value()?)?,
                "--members" => options.members = members(&name, &value()?)?,
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
}

fn members(name: &str, text: &str) -> Result<Vec<u32>, BenchError> {
    let counts: Vec<u32> = text.split(',').map(|n| number(name, n)).collect::<Result<_, _>>()?;
    if counts.iter().any(|count| !(1..=7).contains(count)) {
        return Err(BenchError::usage(format!("{name} cannot be {text}")));
    }
    Ok(counts)
}
