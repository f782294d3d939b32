//! Runs the cases one after the other.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use quorate::{Client, Range};

use crate::case::{Case, RequestKind, cases};
use crate::disk::RawSync;
use crate::load::{Load, Outcome, run as run_load};
use crate::options::Options;
use crate::report::{CaseResult, Report};
use quorate_benches::cluster::{At, Members, Shape};
use quorate_benches::error::BenchError;
use quorate_benches::folder::data_folder;
use quorate_benches::process::{FileSystem, cpu_time};
use quorate_benches::random::{random_bytes, random_key as key};
use quorate_types::SplitMix64;

/// Measures everything that the options ask for, and prints it.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let cases = cases(options);
    if options.list || cases.is_empty() {
        cases.iter().for_each(|case| println!("{case}"));
        return if cases.is_empty() { Err(BenchError::usage("no such case")) } else { Ok(()) };
    }
    let mut report = Report::new(options)?;
    let default = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = data_folder(options.data.as_deref().unwrap_or(default))?;
    let file_system = FileSystem::of(folder.path());
    report.machine(folder.path(), file_system.as_ref())?;
    let before = RawSync::measure(folder.path())?;
    report.raw_sync("before", &before)?;
    report.head();
    let mut suite = Suite { options, folder: folder.path(), filled: None };
    for case in cases {
        let result = suite.measure(case)?;
        report.case(&result)?;
    }
    suite.discard();
    let after = RawSync::measure(folder.path())?;
    report.raw_sync("after", &after)?;
    report.aims()
}

struct Suite<'a> {
    options: &'a Options,
    folder: &'a Path,
    /// Members with every key, for the read cases of one shape.
    filled: Option<(Shape, Members)>,
}

impl Suite<'_> {
    fn measure(&mut self, case: Case) -> Result<CaseResult, BenchError> {
        if case.request == RequestKind::Put {
            self.discard();
            let members = Members::open(case.shape, self.folder)?;
            let result = self.measure_on(&members, case);
            members.discard();
            return result;
        }
        let members = match self.filled.take() {
            Some((shape, members)) if shape == case.shape => members,
            other => {
                other.into_iter().for_each(|(_, members)| members.discard());
                let members = Members::open(case.shape, self.folder)?;
                fill(&members, case, self.options.value_size)?;
                members
            }
        };
        let result = self.measure_on(&members, case);
        self.filled = Some((case.shape, members));
        result
    }

    fn measure_on(&self, members: &Members, case: Case) -> Result<CaseResult, BenchError> {
        let clients = members.clients(case.at);
        let load = Load {
            clients: &clients,
            callers: case.callers,
            style: case.style,
            warmup: self.options.warmup,
            measured: self.options.seconds,
        };
        let elections = members.elections();
        let compared = case.is_single_durable_put();
        let before = if compared { Some(RawSync::measure(self.folder)?) } else { None };
        let (outcome, cpu) = drive(&load, case.request, self.options.value_size)?;
        let after = if compared { Some(RawSync::measure(self.folder)?) } else { None };
        if let Some(source @ quorate::Error::Stopped(_)) = outcome.error {
            return Err(BenchError::Request { case: case.to_string(), source });
        }
        Ok(CaseResult {
            case,
            latencies: outcome.latencies,
            measured: self.options.seconds,
            cpu,
            errors_count: outcome.errors_count,
            elections_count: members.elections() - elections,
            raw_sync: before.zip(after).map(|(before, after)| before.and(&after)),
        })
    }

    fn discard(&mut self) {
        self.filled.take().into_iter().for_each(|(_, members)| members.discard());
    }
}

/// Runs a load; also the processor time that the measured part of it took.
fn drive(
    load: &Load<'_>,
    request: RequestKind,
    value_size: usize,
) -> Result<(Outcome, Option<Duration>), BenchError> {
    // A few values in turn: making a new one for each put would be measured too.
    let mut random = SplitMix64::new(VALUES_SEED);
    let values: Vec<Bytes> =
        (0..VALUES_COUNT).map(|_| random_bytes(&mut random, value_size).into()).collect();
    let (mut start, mut end) = (None, None);
    let (on_start, on_end) = (|| start = cpu_time(), || end = cpu_time());
    let outcome = match request {
        RequestKind::Put => {
            let put = |client: &Client, random: &mut SplitMix64| {
                let value = values[random.below(VALUES_COUNT) as usize].clone();
                client.put(key(random.below(KEYS_COUNT)), value)
            };
            run_load(load, &put, on_start, on_end)?
        }
        RequestKind::Get => {
            let get = |client: &Client, random: &mut SplitMix64| {
                client.get(key(random.below(KEYS_COUNT)))
            };
            run_load(load, &get, on_start, on_end)?
        }
        RequestKind::Local => {
            let get = |client: &Client, random: &mut SplitMix64| {
                client.range(Range::key(key(random.below(KEYS_COUNT))).local())
            };
            run_load(load, &get, on_start, on_end)?
        }
    };
    let cpu = start.zip(end).map(|(start, end)| end.saturating_sub(start));
    Ok((outcome, cpu))
}

/// Writes every key once.
fn fill(members: &Members, case: Case, value_size: usize) -> Result<(), BenchError> {
    let failed = |source| BenchError::Request { case: format!("the data of {case}"), source };
    let clients = members.clients(At::Leader);
    let value = Bytes::from(random_bytes(&mut SplitMix64::new(VALUES_SEED), value_size));
    let mut under_way = VecDeque::new();
    for number in 0..KEYS_COUNT {
        if under_way.len() >= FILL_UNDER_WAY_MAX {
            let oldest: quorate::Pending<_> = under_way.pop_front().expect("just seen");
            oldest.wait().map_err(failed)?;
        }
        under_way.push_back(clients[0].put(key(number), value.clone()));
    }
    for pending in under_way {
        pending.wait().map_err(failed)?;
    }
    Ok(())
}

/// Random keys, so that the benchmark's working set exceeds the processor's caches but not the
/// machine's memory.
const KEYS_COUNT: u64 = 100_000;

/// Enough that no two neighbouring values are equal.
const VALUES_COUNT: u64 = 64;

const VALUES_SEED: u64 = 1;

/// Enough to keep the members busy, few enough to be accepted by all of them.
const FILL_UNDER_WAY_MAX: usize = 1_024;
