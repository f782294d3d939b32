//! Lives of members: opened, closed, crashed, stopped by their disks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use quorate_raft_node::core::{Core, CoreConfig};
use quorate_raft_node::{Membership, StateMachine, recover};
use quorate_storage::{LogBatch, LogStore};
use quorate_types::{ByteSize, Instant, MemberId};

use super::World;
use super::faults::{failed_operation, kind_of_failure};
use super::housekeeping::Chores;
use crate::checkers::consensus::LastSeen;
use crate::checkers::flush::Flushes;
use crate::checkers::invariants::{check_log_kept, check_vote_kept};
use crate::counts::FaultKind;
use crate::machine::Machine;
use crate::member::Running;
use crate::mirror::LogMirror;
use crate::plan::Step;
use crate::queue::Event;
use crate::rng::{Purpose, Stream, rng};
use crate::sabotage::Sabotage;
use crate::violation::Violation;

impl World<'_> {
    /// Opens a member on what its disk holds.
    pub(super) fn start(&mut self, place: usize) -> Result<(), Violation> {
        self.counts.starts += 1;
        match self.open(place) {
            Ok(running) => {
                let applied = running.machine.kv.applied().index.get();
                self.check_opened(place, &running)?;
                let mirror = self.read_log(place)?;
                let (id, commit) = (place as u64 + 1, self.consensus.commit());
                let holdings = &mut self.holdings[place];
                let (before, probe) = (&holdings.durable, running.core.probe());
                check_vote_kept(id, before.hard_state, mirror.hard_state, &probe)?;
                let term = |index| self.consensus.committed_term(index);
                check_log_kept(id, commit, term, before, &mirror)?;
                holdings.issued = mirror.clone();
                holdings.durable = mirror;
                holdings.durable_applied = applied;
                let term = holdings.durable.hard_state.term.get();
                let member = &mut self.members[place];
                member.last = LastSeen { term, applied, ..LastSeen::default() };
                member.running = Some(running);
                let life = member.life;
                self.trace.line(self.now, || format!("member {} opened, life {life}", place + 1));
                self.recorder.opened(self.now, place, life);
                self.receive_stale(place);
                let member = &mut self.members[place];
                if let Some((up, down)) = member.crash_loop.pop_front() {
                    let event = Event::LoopCrash { member: place, life, down };
                    self.queue.push(self.now + up, event);
                }
                if !self.reached(place, Step::Opened) {
                    self.begin_chores(place);
                    self.schedule_wake(place);
                }
                Ok(())
            }
            Err(cause) => self.storage_failed(place, &cause),
        }
    }

    /// Messages of earlier lives arrive at a member that was just opened, or come from it.
    fn receive_stale(&mut self, place: usize) {
        let life = self.members[place].life;
        let mut noise = Stream::new(self.plan.seed, Purpose::Stale, place as u64, life);
        for (from, to, bytes) in self.links.take_stale(place) {
            let at = self.now + noise.duration(Duration::ZERO, STALE_WITHIN);
            if self.members[to].running.is_some() {
                self.counts.note(FaultKind::StaleMessage);
            }
            self.queue.push(at, Event::Message { from, to, bytes });
        }
    }

    fn open(&mut self, place: usize) -> Result<Running, String> {
        #[cfg(feature = "mutants")]
        crate::mutants::run_as(Some(place));
        let housekeeping = self.housekeeping(place);
        let member = &mut self.members[place];
        let recent = ByteSize::new(self.plan.limits.recent_events_size);
        let machine = Machine::open(&member.engine, place, recent, self.sabotage)
            .map_err(|e| explain(&*e.0))?;
        let mut log = member.log.clone();
        let (applied, membership) = (machine.kv.applied(), machine.kv.membership());
        let mut found = recover(&mut log, applied, &membership).map_err(|e| explain(&e))?;
        let incarnation = log.begin().map_err(|e| explain(&e))?;
        if self.sabotage == Some(Sabotage::ForgetVote) {
            found.log.hard_state.vote = 0;
        }
        let voters = (1..=self.plan.members as u64).map(MemberId::new);
        let config = CoreConfig {
            member: member.id,
            incarnation,
            initial_membership: Membership::of_voters(voters),
            seed: rng(self.plan.seed, Purpose::Core, place as u64, member.life),
            tuning: self.plan.limits.tuning(),
        };
        let core =
            Core::open(config, found, member.local_time(self.now)).map_err(|e| explain(&e))?;
        Ok(Running {
            core,
            flushes: Flushes::opened(applied.index.get()),
            flusher: machine.kv.flusher(),
            stager: machine.kv.stager(),
            chores: Chores::new(machine.kv.store(), housekeeping),
            machine,
            inbox: Vec::new(),
            wake_scheduled: true,
            deadline: Instant::MAX,
            timer: Instant::MAX,
            log_queue: VecDeque::new(),
            writing: None,
            unsynced: Vec::new(),
            apply_queue: VecDeque::new(),
            apply_report: None,
            opened: BTreeMap::new(),
            staged: BTreeMap::new(),
            staged_count: 0,
            receiving: false,
            replacing: false,
        })
    }

    /// What the log of a member holds; all of it is durable once it was opened.
    fn read_log(&mut self, place: usize) -> Result<LogMirror, Violation> {
        let log = &self.members[place].log;
        let state = log.state();
        let (first, end) = (state.start.index.next(), state.last.next());
        let mut entries = Vec::new();
        if first < end {
            entries = log.reader().entries(first, end, u64::MAX).map_err(|error| {
                Violation::new("log-readable", format!("member {}: {error}", place + 1))
            })?;
        }
        let mut mirror = LogMirror::starting(&state);
        let batch = LogBatch { entries, ..LogBatch::default() };
        self.consensus.appended(place as u64 + 1, &batch, &mirror)?;
        mirror.append(&batch);
        Ok(mirror)
    }

    /// What a member opens with must be what others have, and nothing durable may be missing.
    fn check_opened(&mut self, place: usize, running: &Running) -> Result<(), Violation> {
        let applied = running.machine.kv.applied().index.get();
        let holdings = &self.holdings[place];
        Violation::unless(applied >= holdings.durable_applied, "durable-state", || {
            let durable = holdings.durable_applied;
            format!("member {} opens at {applied}, durable was {durable}", place + 1)
        })?;
        Violation::unless(applied <= self.applied.last(), "durable-state", || {
            format!("member {} opens at {applied}, which nobody applied", place + 1)
        })?;
        let state = self.members[place].log.state();
        let durable = holdings.durable.hard_state.term;
        Violation::unless(state.hard_state.term >= durable, "term-durable", || {
            format!("member {} opens with {:?}, durable was term {durable}", place + 1, state)
        })?;
        self.compare_state(place, &running.machine)
    }

    /// Compares the whole state of a member with that of others at the same index.
    pub(super) fn compare_state(
        &mut self,
        place: usize,
        machine: &Machine,
    ) -> Result<(), Violation> {
        self.counts.states_compared += 1;
        let index = machine.kv.applied().index.get();
        let revision = machine.kv.store().reader().revision();
        self.revisions.stands(place as u64 + 1, index, revision)?;
        let hash = machine.state_hash().map_err(|error| {
            Violation::new("state-readable", format!("member {}: {error:?}", place + 1))
        })?;
        self.trace.fold(hash);
        self.applied.state(place as u64 + 1, index, hash)
    }

    /// A member loses its power. What of the unsynced bytes stays is chance.
    pub(super) fn crash(&mut self, place: usize, down: Duration, kind: FaultKind) {
        if self.members[place].running.is_none() {
            return;
        }
        self.counts.crashes += 1;
        self.recorder.crashed(self.now, place);
        self.counts.note(kind);
        self.end_life(place);
        let member = &mut self.members[place];
        member.noise.crashes += 1;
        let counter = member.noise.crashes;
        let mut noise = Stream::new(self.plan.seed, Purpose::Crash, place as u64, counter);
        let (log, state) = (member.log.unsynced_batches(), member.engine.unflushed_batches());
        let (log_kept, state_kept) = (kept(&mut noise, log), kept(&mut noise, state));
        let torn = noise.chance(self.plan.disk.torn_ppm);
        let torn_entries = noise.between(1, TORN_ENTRIES_MAX) as usize;
        let torn = member.log.crash_tearing(log_kept, if torn { torn_entries } else { 0 });
        member.engine.crash_keeping(state_kept);
        for (happened, kind) in [
            (log_kept < log, FaultKind::LogLost),
            (state_kept < state, FaultKind::StateLost),
            (torn > 0, FaultKind::LogTorn),
        ] {
            if happened {
                self.counts.note(kind);
            }
        }
        self.trace.line(self.now, || {
            format!(
                "member {} crashed, kept {log_kept} of {log} and {state_kept} of {state} batches, \
                 and {torn} entries",
                place + 1
            )
        });
        self.restart_after(place, down);
    }

    /// An operation of a disk failed: the member must stop, and only a failure of this operation
    /// that was ordered excuses it. Its process ends, so what it wrote may be there or not.
    pub(super) fn storage_failed(&mut self, place: usize, cause: &str) -> Result<(), Violation> {
        let member = &mut self.members[place];
        let ordered = failed_operation(cause)
            .and_then(|operation| Some((operation, member.take_failure(operation)?)));
        let Some((operation, down)) = ordered else {
            let detail = format!("member {} failed by itself: {cause}", place + 1);
            return Err(Violation::new("storage", detail));
        };
        self.trace.line(self.now, || format!("member {} stopped: {cause}", place + 1));
        self.recorder.stopped(self.now, place, cause);
        self.end_life(place);
        let member = &mut self.members[place];
        member.noise.failures += 1;
        let counter = member.noise.failures;
        let mut noise = Stream::new(self.plan.seed, Purpose::DiskFailure, place as u64, counter);
        let unsynced = member.log.unsynced_batches();
        let log_kept = kept(&mut noise, unsynced);
        member.log.crash_keeping(log_kept);
        member.engine.crash_keeping(kept(&mut noise, member.engine.unflushed_batches()));
        self.counts.note(kind_of_failure(operation, log_kept < unsynced));
        self.restart_after(place, down);
        Ok(())
    }

    /// Closes a member in an orderly way: its log and apply threads finish what queued up, nothing
    /// is sent any more, and both stores are closed with all that they hold.
    pub(super) fn reopen(&mut self, place: usize, down: Duration) -> Result<(), Violation> {
        self.finish_log(place)?;
        self.finish_applies(place)?;
        if self.crash_now.is_some() || self.members[place].running.is_none() {
            return Ok(());
        }
        self.counts.note(FaultKind::Reopen);
        self.end_life(place);
        let member = &mut self.members[place];
        member.log.reopen();
        member.engine.reopen();
        self.trace.line(self.now, || format!("member {} closed", place + 1));
        self.restart_after(place, down);
        Ok(())
    }

    /// Ends the threads of a member and everything that waits for it.
    fn end_life(&mut self, place: usize) {
        if let Some(running) = self.members[place].running.take() {
            self.count_core(&running);
        }
        let member = &mut self.members[place];
        member.last.leads = false;
        member.paused_until = Instant::ZERO;
        self.resume(place);
        self.drop_parked(place);
        self.abandon_calls(place);
    }

    /// Adds up what a core counted in its life.
    pub(super) fn count_core(&mut self, running: &Running) {
        let counters = running.core.probe().counters;
        self.counts.progress_repaired += counters.progress_repaired;
        self.counts.messages_refused += counters.messages_refused;
        self.counts.snapshots_installed += counters.snapshots_installed;
    }

    fn restart_after(&mut self, place: usize, down: Duration) {
        let down = if self.recovery.is_some() { Duration::ZERO } else { down };
        if down < Duration::from_millis(100) {
            self.counts.note(FaultKind::RestartQuick);
        } else if down > Duration::from_secs(3) {
            self.counts.note(FaultKind::RestartLate);
        }
        let member = &mut self.members[place];
        member.life += 1;
        let event = Event::Restart { member: place, life: member.life };
        self.queue.push(self.now + down, event);
    }
}

/// How many of the last batches stay: none, all, or some.
fn kept(noise: &mut Stream, count: usize) -> usize {
    match noise.below(3) {
        0 => 0,
        1 => count,
        _ => noise.below(count as u64 + 1) as usize,
    }
}

/// An error with all its causes.
pub(super) fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// A torn write keeps no more entries than this.
const TORN_ENTRIES_MAX: u64 = 8;

/// How soon messages of earlier lives arrive after a member was opened.
const STALE_WITHIN: Duration = Duration::from_millis(500);
