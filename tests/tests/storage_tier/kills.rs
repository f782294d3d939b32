//! Both stores in a child process that is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use quorate_storage::raft_engine_log::DiskHook;
use quorate_storage::{Engine, LogStore, StorageError};
use quorate_types::SplitMix64;
use tempfile::TempDir;

use super::points::{Point, Watch};
use super::process::{Child, end_after, is_child, planned, say, wait_for_the_end};
use super::stores::{
    Held, Survival, explain_content, explain_log, open_engine, open_log, read_folder,
};
use super::stream::{Member, Step, applied_in};

#[test]
fn whatever_a_kill_leaves_is_what_the_memory_stores_allow() {
    if is_child(NAME) {
        return live();
    }
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let summary = &summary;
            scope.spawn(move || kill_again_and_again(worker, summary));
        }
    });
    let summary = summary.into_inner().expect("no worker panicked");
    println!("{}", summary.text());
    assert!(summary.kills >= KILLS_MIN, "{} kills", summary.kills);
    for point in Point::NAMED {
        let count = summary.by_point.get(&point).copied().unwrap_or(0);
        assert!(count >= POINT_KILLS_MIN, "{point:?} was reached {count} times");
    }
}

/// What a number of kills found.
#[derive(Default)]
struct Summary {
    kills: usize,
    calls: usize,
    by_point: BTreeMap<Point, usize>,
    log: Kept,
    engine: Kept,
}

/// How often something was at risk, and what became of it.
#[derive(Default)]
struct Kept {
    whole: usize,
    part: usize,
    nothing: usize,
}

impl Kept {
    fn count(&mut self, survival: Survival) {
        match survival {
            Survival { at_risk: 0, .. } => {}
            Survival { at_risk, kept } if kept == at_risk => self.whole += 1,
            Survival { kept: 0, .. } => self.nothing += 1,
            Survival { .. } => self.part += 1,
        }
    }

    fn text(&self) -> String {
        format!("kept {} times, in part {}, lost {}", self.whole, self.part, self.nothing)
    }
}

impl Summary {
    fn text(&self) -> String {
        let points = self.by_point.iter().map(|(point, count)| format!("{point:?} {count}"));
        let points = points.collect::<Vec<_>>().join(", ");
        format!(
            "{} kills after {} calls ({points}); unsynced log: {}; unflushed state: {}",
            self.kills,
            self.calls,
            self.log.text(),
            self.engine.text()
        )
    }
}

fn kill_again_and_again(worker: u64, summary: &Mutex<Summary>) {
    let mut random = SplitMix64::new(SEED + worker);
    for folder_number in 0..FOLDERS {
        let folder = TempDir::new().expect("a temporary folder");
        let mut held = Held::default();
        for life in 0..LIVES {
            // Three lives of five end at a point, the next one in turn.
            let turn = worker * FOLDERS * LIVES + folder_number * LIVES + life;
            let point = match turn % 5 {
                0 | 2 => Point::Random,
                _ => Point::NAMED[usize::try_from(turn).expect("small") % Point::NAMED.len()],
            };
            let plan = Plan {
                folder: folder.path().to_owned(),
                seed: random.draw(),
                point,
                times: 1 + random.below(point.times_max()),
            };
            let end = plan.kill_one(&mut random, summary);
            let found = plan.check(&held, end.done);
            let mut summary = summary.lock().expect("no worker panicked");
            summary.log.count(found.log);
            summary.engine.count(found.engine);
            held = found.held;
        }
    }
}

/// One life of a child.
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    pub(crate) point: Point,
    /// Which time that it comes by the point counts.
    pub(crate) times: u64,
}

/// How a life ended.
struct End {
    /// How many calls returned.
    done: usize,
    /// Where it was killed.
    point: Point,
}

/// What was found after a life.
pub(crate) struct Found {
    pub(crate) held: Held,
    pub(crate) log: Survival,
    pub(crate) engine: Survival,
}

impl Plan {
    /// Starts the child; `file_size_max` as for [`Child::start`].
    pub(crate) fn start(&self, file_size_max: Option<u64>) -> Child {
        let plan = [
            ("FOLDER", self.folder.display().to_string()),
            ("SEED", self.seed.to_string()),
            ("POINT", format!("{:?}", self.point)),
            ("TIMES", self.times.to_string()),
        ];
        Child::start(NAME, &plan, file_size_max)
    }

    /// Lets a child live and kills it, and now and then kills further ones that repair the folder.
    fn kill_one(&self, random: &mut SplitMix64, summary: &Mutex<Summary>) -> End {
        let end = self.live_and_be_killed(random);
        let mut kills = vec![end.point];
        while random.below(4) == 0 {
            let folder = self.folder.clone();
            let repair = Self { folder, point: Point::Opening, times: 1, ..*self };
            let end = repair.live_and_be_killed(random);
            assert_eq!(end.done, 0, "a child that is to be killed while opening does no more");
            kills.push(end.point);
        }
        let mut summary = summary.lock().expect("no worker panicked");
        summary.kills += kills.len();
        for point in kills {
            *summary.by_point.entry(point).or_default() += 1;
        }
        summary.calls += end.done;
        end
    }

    fn live_and_be_killed(&self, random: &mut SplitMix64) -> End {
        let mut child = self.start(None);
        let mut done = 0;
        let mut point = Point::Random;
        let calls_max = random.below(CALLS_BEFORE_KILL_MAX);
        let mut wait_us = random.below(RANDOM_KILL_US_MAX);
        loop {
            let line = child.line();
            match line.as_deref().unwrap_or("ended") {
                "done" => done += 1,
                "at" => {
                    point = self.point;
                    wait_us = random.below(self.point.duration_us().max(1));
                    break;
                }
                "end" => break,
                line if line.starts_with("failed") => panic!("seed {}: {line}", self.seed),
                "ended" => panic!("seed {}: the child ended before it was killed", self.seed),
                _ => {}
            }
            if self.point == Point::Random && done as u64 > calls_max {
                break;
            }
        }
        thread::sleep(Duration::from_micros(wait_us));
        child.kill();
        while let Some(line) = child.line() {
            done += usize::from(line == "done");
            assert!(!line.starts_with("failed"), "seed {}: {line}", self.seed);
        }
        if self.point == Point::RestoreSwitch {
            // The pipe by which the child saw that it came there.
            let _ = fs::remove_file(switch_pipe(&self.folder));
        }
        End { done, point }
    }

    /// Opens the folder and compares what it holds with what the memory stores allow after `done`
    /// calls.
    pub(crate) fn check(&self, before: &Held, done: usize) -> Found {
        let context = format!("seed {}, {:?} for the {}. time", self.seed, self.point, self.times);
        let held = match read_folder(&self.folder) {
            Ok(held) => held,
            Err(error) => panic!("{context}: after {done} calls {error:?}; {}", self.keep()),
        };
        let steps = Member::steps(self.seed, before, done + 1);
        let log = explain_log(&before.log, &steps, done, &held.log);
        let engine = explain_content(&before.content, &steps, done, &held.content);
        let (Some(log), Some(engine)) = (log, engine) else {
            panic!(
                "{context}: after {done} calls, then {:?}, the log ({log:?}) holds {:?} and the \
                 engine ({engine:?}) is at {:?}, which no crash of the memory stores explains; {}",
                kind(&steps[done]),
                held.log.state,
                applied_in(&held.content),
                self.keep(),
            );
        };
        let start = held.log.state.start.index;
        let applied = applied_in(&held.content).index;
        assert!(start <= applied, "{context}: entries up to {start} are gone, applied {applied}");
        Found { held, log, engine }
    }

    /// Keeps the folder of a failure from being removed; says where it is.
    fn keep(&self) -> String {
        let kept = self.folder.with_extension("failed");
        match fs::rename(&self.folder, &kept) {
            Ok(()) => format!("the folder is kept as {}", kept.display()),
            Err(error) => format!("the folder is not kept: {error}"),
        }
    }
}

/// The name of a step, for messages.
fn kind(step: &Step) -> String {
    let text = format!("{step:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// The life of a child: opens the stores and makes call after call, telling of each that returned.
fn live() {
    let folder = PathBuf::from(planned("FOLDER"));
    let seed = planned("SEED").parse().expect("a number");
    let times = planned("TIMES").parse().expect("a number");
    let watch = Arc::new(Watch::new(Point::named(&planned("POINT")), times));
    end_after(CHILD_LIFE_MAX);
    say("");
    if let Err(error) = live_until_killed(&folder, seed, &watch) {
        say(&format!("failed {error:?}"));
    }
    wait_for_the_end();
}

fn live_until_killed(folder: &Path, seed: u64, watch: &Arc<Watch>) -> Result<(), StorageError> {
    watch.at(Point::Opening);
    let mut log = open_log(folder, Some(Arc::clone(watch) as Arc<dyn DiskHook>))?;
    watch.at(Point::LogOpened);
    let engine = open_engine(folder)?;
    if watch.point() == Point::Opening {
        wait_for_the_end();
    }
    watch.at(Point::Opened);
    let mut member = Member::new(seed, &Held::of(&log, &engine)?);
    if watch.point() == Point::RestoreSwitch {
        watch_the_switch(folder, watch);
    }
    for _ in 0..CALLS_MAX {
        let step = member.next();
        match step {
            Step::Flush => {
                watch.at(Point::BeforeFlush);
                watch.at(Point::Flush);
            }
            Step::Restore(_) => watch.at(Point::RestoreCommit),
            _ => {}
        }
        let result = step.run(&mut log, &engine, &|| watch.at(Point::RestoreHalf));
        if watch.point() == Point::RestoreSwitch && result.is_err() {
            // The file that is to be switched is a pipe, which cannot be synced.
            wait_for_the_end();
        }
        result.inspect_err(|_| try_again(&step, &mut log, &engine))?;
        match step {
            Step::Flush => watch.at(Point::Flushed),
            Step::Restore(_) => watch.at(Point::Restored),
            Step::Write(_) => {}
            _ => watch.at(Point::LogReturned),
        }
        say("done");
    }
    say("end");
    Ok(())
}

/// Tells whether a store that failed refuses to do the same again.
fn try_again(step: &Step, log: &mut dyn LogStore, engine: &dyn Engine) {
    for _ in 0..5 {
        match (step.run(log, engine, &|| {}), step) {
            (Err(StorageError::Stopped { .. }), _) => say("refused"),
            // Collecting a new content changes nothing, and may fail again and again.
            (Err(_), Step::Restore(_)) => say("refused"),
            (other, _) => say(&format!("accepted {other:?}")),
        }
    }
}

/// Puts a pipe where the engine drafts the file that names its content: opening it waits for the
/// other end, which tells that the new content is built and the old one still counts.
fn watch_the_switch(folder: &Path, watch: &Arc<Watch>) {
    let pipe = switch_pipe(folder);
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
    assert!(made.success(), "no pipe at {}", pipe.display());
    let watch = Arc::clone(watch);
    thread::spawn(move || {
        let _open = File::open(pipe);
        watch.at(Point::RestoreSwitch);
    });
}

fn switch_pipe(folder: &Path) -> PathBuf {
    folder.join("state").join("CURRENT-GENERATION.new")
}

const NAME: &str = "storage_tier::kills::whatever_a_kill_leaves_is_what_the_memory_stores_allow";
const SEED: u64 = 0x7157;
const WORKERS: u64 = 2;
const FOLDERS: u64 = 8;
const LIVES: u64 = 13;
const KILLS_MIN: usize = 200;
const POINT_KILLS_MIN: usize = 2;
/// A child whose point is not reached within so many calls ends there.
const CALLS_MAX: usize = 600;
const CHILD_LIFE_MAX: Duration = Duration::from_secs(60);
const CALLS_BEFORE_KILL_MAX: u64 = 120;
const RANDOM_KILL_US_MAX: u64 = 4_000;
