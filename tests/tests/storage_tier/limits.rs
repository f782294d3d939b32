//! Both stores in a child process whose files may not grow beyond a limit: a disk that is full. A
//! write is cut short at the limit, and the rest of it fails.

use std::ops::Range;

use quorate_types::SplitMix64;
use tempfile::TempDir;

use super::kills::Plan;
use super::points::Point;
use super::stores::Held;

#[test]
fn a_full_disk_is_final_and_loses_nothing_acknowledged() {
    let mut random = SplitMix64::new(SEED);
    let (mut of_log, mut of_engine, mut of_none) = (0, 0, 0);
    for _ in 0..FOLDERS {
        let folder = TempDir::new().expect("a temporary folder");
        let mut held = Held::default();
        for _ in 0..LIVES {
            let plan = Plan {
                folder: folder.path().to_owned(),
                seed: random.draw(),
                point: Point::Random,
                times: 1,
            };
            let limits = if random.below(2) == 0 { LOG_LIMITS } else { ENGINE_LIMITS };
            let size_max = limits.start + random.below(limits.end - limits.start);
            let (done, error) = fill(&plan, size_max);
            let place = error.as_deref().map(|error| error.contains("/log/"));
            match place {
                Some(true) => of_log += 1,
                Some(false) => of_engine += 1,
                None => of_none += 1,
            }
            held = plan.check(&held, done).held;
        }
    }
    println!("full disks: {of_log} met by the log, {of_engine} by the engine, {of_none} by none");
    assert!(of_log > 0 && of_engine > 0, "{of_log} {of_engine}");
}

/// Lets a child work until a store fails; returns how many calls returned, and the failure if there
/// was one.
fn fill(plan: &Plan, size_max: u64) -> (usize, Option<String>) {
    let mut child = plan.start(Some(size_max));
    let (mut done, mut refused) = (0, 0);
    let failure = loop {
        let line = child.line();
        let line = line.unwrap_or_else(|| panic!("seed {}: the child ended", plan.seed));
        match line.as_str() {
            "done" => done += 1,
            "refused" => refused += 1,
            "end" => return (done, None),
            line if line.starts_with("accepted") => panic!("seed {}: {line}", plan.seed),
            line => {
                if let Some(error) = line.strip_prefix("failed ") {
                    break error.to_owned();
                }
            }
        }
    };
    assert!(failure.starts_with("Io {"), "seed {}: {failure}", plan.seed);
    assert!(refused > 0 || done == 0, "seed {}: {failure}", plan.seed);
    (done, Some(failure))
}

const SEED: u64 = 0x5ace;
const FOLDERS: u64 = 4;
const LIVES: u64 = 4;
/// In blocks of 512 bytes: more than a new database takes, less than the log's files grow to.
const LOG_LIMITS: Range<u64> = 50..128;
/// More than the log's files grow to, less than the engine's do.
const ENGINE_LIMITS: Range<u64> = 260..400;
