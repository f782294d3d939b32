//! Both stores in a child process whose files may not grow beyond a limit: a disk that is full. A
//! write is cut short at the limit, and the rest of it fails.

use quorate_types::SplitMix64;
use tempfile::TempDir;

use super::kills::Plan;
use super::points::Point;
use super::stores::Held;

#[test]
fn a_full_disk_is_final_and_loses_nothing_acknowledged() {
    let mut random = SplitMix64::new(SEED);
    let (mut of_log, mut of_engine) = (0, 0);
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
            let size_max = LIMIT_MIN + random.below(LIMIT_MAX - LIMIT_MIN);
            let (done, error) = fill(&plan, size_max);
            if error.contains("/log") {
                of_log += 1;
            } else {
                assert!(error.contains("/state"), "{error}");
                of_engine += 1;
            }
            held = plan.check(&held, done).held;
        }
    }
    println!("full disks: {of_log} met by the log, {of_engine} by the engine");
    assert!(of_log > 0 && of_engine > 0, "{of_log} {of_engine}");
}

/// Lets a child work until a store fails; returns how many calls returned, and the failure.
fn fill(plan: &Plan, size_max: u64) -> (usize, String) {
    let mut child = plan.start(Some(size_max));
    let (mut done, mut refused) = (0, 0);
    let failure = loop {
        let line = child.line();
        let line = line.unwrap_or_else(|| panic!("seed {}: the child ended", plan.seed));
        match line.as_str() {
            "done" => done += 1,
            "refused" => refused += 1,
            "end" => panic!("seed {}: nothing failed with {size_max} blocks", plan.seed),
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
    (done, failure)
}

const SEED: u64 = 0x5ace;
const FOLDERS: u64 = 4;
const LIVES: u64 = 4;
/// In blocks of 512 bytes: more than a new database takes, and less than the log's files or the
/// engine's grow to.
const LIMIT_MIN: u64 = 60;
const LIMIT_MAX: u64 = 160;
