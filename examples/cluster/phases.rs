//! The run, one phase after the other.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::catch_up::{self, CatchUp};
use crate::failover::{self, Failover};
use crate::failure::Failure;
use crate::folder::{Folder, NAMES};
use crate::input::Input;
use crate::load::{self, Load};
use crate::members::Members;
use crate::progress::Progress;
use crate::report::{Report, Restart};
use crate::text::{self, say};
use crate::verify::{self, Check, Expected};

/// Does everything and prints it. Returns whether every check was passed.
///
/// # Errors
///
/// [`Failure`] if the run cannot go on.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let input = read(arguments)?;
    let mut run = Run::start(arguments)?;
    let load = run.load(input)?;
    let mut checks = vec![run.check("the load")?];
    let (lost, failover) = run.lose_the_leader()?;
    checks.push(run.check("the loss of the leader")?);
    let catch_up = run.bring_back(lost)?;
    checks.push(run.check("its return")?);
    let restart = run.restart()?;
    checks.push(run.check("the restart of all")?);
    run.members.close_all()?;
    let report = Report { load, lost: NAMES[lost], failover, catch_up, restart, checks };
    report.lines().into_iter().for_each(say);
    Ok(report.is_passed())
}

fn read(arguments: &Arguments) -> Result<Input, Failure> {
    say(format_args!("Reading {}", arguments.source.name()));
    let input = Input::read(&arguments.source)?;
    let lines = text::counted(input.line_count, "line");
    let entries = text::grouped(input.entries.len() as u64);
    say(format_args!("  entries: {entries} ({}) in {lines}", text::counted(input.size(), "byte")));
    input.notes().into_iter().for_each(|note| say(format_args!("  {note}")));
    Ok(input)
}

/// A cluster, and what it must hold.
struct Run {
    members: Members,
    expected: Expected,
}

impl Run {
    fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let folder = Folder::open(arguments)?;
        let network = if folder.is_tcp() { "over TCP" } else { "in this process" };
        let doing = if folder.is_reused { "Opening" } else { "Founding" };
        say(format_args!("{doing} a cluster of members a, b, c on RocksDB, {network}"));
        say(format_args!("  data: {}", folder.shown()));
        if folder.is_tcp() {
            say(format_args!("  addresses: {}", folder.addresses.join(" ")));
        }
        let is_reused = folder.is_reused;
        let started = Instant::now();
        let run = Self { members: Members::open(folder)?, expected: Expected::default() };
        run.say_leader(started)?;
        if is_reused { run.adopt() } else { Ok(run) }
    }

    /// Expects what the folder holds from earlier runs to stay.
    fn adopt(mut self) -> Result<Self, Failure> {
        let (revision, entries) = verify::read_all(&self.members.running())?;
        let (count, at) = (text::grouped(entries.len() as u64), text::grouped(revision as u64));
        say(format_args!(
            "  note: the folder holds a cluster already, {count} entries at revision"
        ));
        say(format_args!("  {at}; they are kept, and the file is loaded on top of them"));
        self.expected.entries = entries;
        Ok(self)
    }

    fn say_leader(&self, started: Instant) -> Result<(), Failure> {
        let leader = self.members.wait_for_leader()?;
        let elapsed = text::duration(started.elapsed());
        let term = self.members.consensus(leader).map_or(0, |consensus| consensus.term.get());
        say(format_args!("  leader: {}, in term {term}, after {elapsed}", NAMES[leader]));
        Ok(())
    }

    fn load(&mut self, input: Input) -> Result<Load, Failure> {
        say(format_args!(
            "Loading through all members, {} puts a transaction, {} transactions at a time",
            load::BATCH_COUNT,
            load::IN_FLIGHT_COUNT
        ));
        let progress = Progress::new(input.entries.len() as u64, "entries");
        let load = load::load(&self.members.running(), &input, &progress);
        progress.finish();
        let load = load?;
        say(format_args!("  done in {}", text::duration(load.elapsed)));
        self.expected.entries.extend(input.entries);
        Ok(load)
    }

    fn check(&self, after: &'static str) -> Result<Check, Failure> {
        say(format_args!("Comparing members with what was acknowledged, after {after}"));
        let check = verify::check(after, &self.members.running(), &self.expected)?;
        let revision = text::grouped(check.revision as u64);
        let verdict = if check.is_passed() { "all equal" } else { "NOT EQUAL" };
        say(format_args!("  {verdict} at revision {revision}"));
        Ok(check)
    }

    /// Returns which member is lost, too.
    fn lose_the_leader(&mut self) -> Result<(usize, Failover), Failure> {
        let lost = self.members.wait_for_leader()?;
        let revision = self.members.running().first().map_or(0, |(_, it)| it.status().revision);
        let (threads, name) = (failover::THREAD_COUNT, NAMES[lost]);
        say(format_args!("Writing on from {threads} threads; leader {name} is killed meanwhile"));
        // No earlier run on the same data can have begun at the same revision.
        let prefix = format!("/cluster-example/{revision}");
        let progress = Progress::new(failover::WRITE_COUNT, "writes");
        let started = Instant::now();
        let failover = failover::write_and_kill(&mut self.members, lost, &prefix, &progress);
        progress.finish();
        let failover = failover?;
        say(format_args!("  done in {}", text::duration(started.elapsed())));
        self.expected.entries.extend(failover.tally.acknowledged.clone());
        self.expected.uncertain.extend(failover.tally.uncertain.clone());
        let leader = self.members.wait_for_leader()?;
        let time = text::duration(failover.time);
        say(format_args!("  leader: {}, first write acknowledged after {time}", NAMES[leader]));
        Ok((lost, failover))
    }

    fn bring_back(&mut self, lost: usize) -> Result<CatchUp, Failure> {
        say(format_args!("Starting {} again", NAMES[lost]));
        let catch_up = catch_up::bring_back(&mut self.members, lost)?;
        say(format_args!("  caught up in {}", text::duration(catch_up.total_time())));
        Ok(catch_up)
    }

    fn restart(&mut self) -> Result<Restart, Failure> {
        say("Closing all members and opening them again");
        let begun = Instant::now();
        self.members.close_all()?;
        let closed = Instant::now();
        self.members.open_all()?;
        self.say_leader(closed)?;
        Ok(Restart { close_time: closed - begun, open_time: closed.elapsed() })
    }
}
