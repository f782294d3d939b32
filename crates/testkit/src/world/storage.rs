//! The log, apply, flush and fetch threads of a member, as sources of completions.

use std::time::Duration;

use quorate_raft_node::core::{Fetch, Input};
use quorate_raft_node::{CommittedEntry, LogGroup, StateMachine, committed_entry};
use quorate_storage::{LogBatch, LogEntry, LogStore, StorageError};
use quorate_types::LogPosition;

use super::World;
use super::process::explain;
use crate::checkers::consensus::hash_entry;
use crate::effect::Answer;
use crate::member::{ApplyTask, LogTask, Ticket, Writing};
use crate::plan::Step;
use crate::queue::Event;
use crate::rng::{MILLION, Purpose, Stream};
use crate::sabotage::Sabotage;
use crate::violation::Violation;

impl World<'_> {
    // The log thread.

    pub(super) fn log_task(&mut self, place: usize, task: LogTask) {
        if let Some(running) = self.running(place) {
            running.log_queue.push_back(task);
        }
    }

    /// Writes what has queued up, or some of it, as one group; it is synced when the group is done.
    pub(super) fn start_log(&mut self, place: usize) -> Result<(), Violation> {
        let member = &mut self.members[place];
        let Some(running) = &mut member.running else { return Ok(()) };
        if running.writing.is_some() || running.log_queue.is_empty() {
            return Ok(());
        }
        member.noise.logs += 1;
        let counter = member.noise.logs;
        let mut noise = Stream::new(self.plan.seed, Purpose::Log, place as u64, counter);
        let count = noise.between(1, running.log_queue.len() as u64) as usize;
        let (mut appends, mut purge) = (Vec::new(), None);
        for _ in 0..count {
            match running.log_queue.pop_front() {
                Some(LogTask::Append(append)) => appends.push(append),
                Some(LogTask::Purge(through)) => {
                    purge = Some(through);
                    break;
                }
                None => break,
            }
        }
        let group = LogGroup::of(appends);
        let sync = group.as_ref().is_some_and(|group| group.sync);
        let writes = group.as_ref().map_or(Vec::new(), |group| group.writes.clone());
        running.writing = Some(Writing { group, purge });
        if !self.write_log(place, writes)? || self.reached(place, Step::LogWritten) {
            return Ok(());
        }
        let (work, member) = (&self.work, &self.members[place]);
        let delay = match sync {
            true => member.slowed(noise.long_tail(work.sync, work.sync_max)),
            false => noise.duration(Duration::ZERO, work.sync / 10),
        };
        self.queue.push(self.now + delay, Event::LogDone { member: place, life: member.life });
        Ok(())
    }

    /// Makes the writes of a group, without a sync; false if the member ended over them.
    fn write_log(&mut self, place: usize, writes: Vec<LogBatch>) -> Result<bool, Violation> {
        for (number, batch) in writes.into_iter().enumerate() {
            if number > 0 && self.reached(place, Step::LogWriting) {
                return Ok(false);
            }
            let member = &mut self.members[place];
            let Some(running) = &mut member.running else { return Ok(false) };
            if let Err(error) = member.log.append(&batch, false) {
                self.store_failed(place, &error)?;
                return Ok(false);
            }
            running.unsynced.push(batch);
        }
        Ok(true)
    }

    /// Syncs the log; false if the member ended over it.
    fn sync_log(&mut self, place: usize) -> Result<bool, Violation> {
        let member = &mut self.members[place];
        if let Err(error) = member.log.append(&LogBatch::default(), true) {
            self.store_failed(place, &error)?;
            return Ok(false);
        }
        let Some(running) = &mut member.running else { return Ok(false) };
        for batch in std::mem::take(&mut running.unsynced) {
            self.durable(place, &batch)?;
        }
        Ok(true)
    }

    pub(super) fn log_done(&mut self, place: usize) -> Result<(), Violation> {
        let Some(running) = self.running(place) else { return Ok(()) };
        let Some(Writing { group, purge }) = running.writing.take() else { return Ok(()) };
        let lies = self.sabotage == Some(Sabotage::SyncLies);
        let synced = group.as_ref().is_some_and(|group| group.sync) && !lies;
        if (synced && !self.sync_log(place)?) || self.reached(place, Step::LogSynced) {
            return Ok(());
        }
        if let Some(group) = group {
            self.send_all(place, group.messages)?;
            if self.sabotage != Some(Sabotage::ReportBeforeSync) {
                self.tell(place, Input::Appended { number: group.number });
            }
        }
        if let Some(through) = purge {
            if let Err(error) = self.members[place].log.purge(through) {
                return self.store_failed(place, &error);
            }
            self.holdings[place].durable.purge(through);
            if self.reached(place, Step::Purged) {
                return Ok(());
            }
        }
        self.start_log(place)
    }

    /// Writes and syncs everything that queued up, as the log thread does before it ends.
    pub(super) fn finish_log(&mut self, place: usize) -> Result<(), Violation> {
        let Some(running) = self.running(place) else { return Ok(()) };
        let mut appends = Vec::new();
        for task in std::mem::take(&mut running.log_queue) {
            // A purge need not be carried out before the end.
            if let LogTask::Append(append) = task {
                appends.push(append);
            }
        }
        let writes = LogGroup::of(appends).map_or(Vec::new(), |group| group.writes);
        if self.write_log(place, writes)? {
            self.sync_log(place)?;
        }
        Ok(())
    }

    /// Applies everything that queued up, as the apply thread does before it ends.
    pub(super) fn finish_applies(&mut self, place: usize) -> Result<(), Violation> {
        let mut noise = Stream::new(self.plan.seed, Purpose::Apply, place as u64, u64::MAX);
        while self.crash_now.is_none()
            && let Some(running) = self.running(place)
            && let Some(ApplyTask::Apply(entries)) = running.apply_queue.pop_front()
        {
            self.apply(place, entries, &mut noise)?;
        }
        Ok(())
    }

    /// A batch became durable.
    fn durable(&mut self, place: usize, batch: &LogBatch) -> Result<(), Violation> {
        let durable = &mut self.holdings[place].durable;
        self.consensus.appended(place as u64 + 1, batch, durable)?;
        durable.append(batch);
        Ok(())
    }

    fn store_failed(&mut self, place: usize, error: &StorageError) -> Result<(), Violation> {
        self.storage_failed(place, &explain(error))
    }

    // The apply thread.

    pub(super) fn apply_task(&mut self, place: usize, task: ApplyTask) {
        if let Some(running) = self.running(place) {
            running.apply_queue.push_back(task);
        }
    }

    pub(super) fn start_apply(&mut self, place: usize) -> Result<(), Violation> {
        let member = &mut self.members[place];
        let Some(running) = &mut member.running else { return Ok(()) };
        if running.apply_report.is_some() {
            return Ok(());
        }
        let Some(task) = running.apply_queue.pop_front() else { return Ok(()) };
        member.noise.applies += 1;
        let counter = member.noise.applies;
        let mut noise = Stream::new(self.plan.seed, Purpose::Apply, place as u64, counter);
        let report = match task {
            ApplyTask::Apply(entries) => self.apply(place, entries, &mut noise)?,
            ApplyTask::Install(install) => self.install(place, install)?,
            ApplyTask::OpenSnapshot(to) => self.open_snapshot(place, to)?,
        };
        let (Some(report), None) = (report, self.crash_now) else { return Ok(()) };
        let work = &self.work;
        let member = &mut self.members[place];
        let Some(running) = &mut member.running else { return Ok(()) };
        running.apply_report = Some(report);
        let delay = member.slowed(noise.long_tail(work.apply, work.apply_max));
        self.queue.push(self.now + delay, Event::ApplyDone { member: place, life: member.life });
        Ok(())
    }

    pub(super) fn apply_done(&mut self, place: usize) -> Result<(), Violation> {
        let Some(running) = self.running(place) else { return Ok(()) };
        if let Some(report) = running.apply_report.take() {
            self.tell(place, report);
        }
        self.start_apply(place)
    }

    /// Applies these entries, with some of those that wait behind them, in one change of the state.
    fn apply(
        &mut self,
        place: usize,
        mut entries: Vec<LogEntry>,
        noise: &mut Stream,
    ) -> Result<Option<Input<Ticket, Answer>>, Violation> {
        let member = &mut self.members[place];
        let damaged = member.has_damage();
        let Some(running) = &mut member.running else { return Ok(None) };
        while noise.chance(MILLION / 2)
            && let Some(ApplyTask::Apply(more)) =
                running.apply_queue.pop_front_if(|task| matches!(task, ApplyTask::Apply(_)))
        {
            entries.extend(more);
        }
        // States are compared at certain indexes, so the run ends there.
        let stop = |entry: &LogEntry| entry.position.index.get().is_multiple_of(COMPARE_ENTRIES);
        let end = entries.iter().position(stop).map_or(entries.len(), |place| place + 1);
        let compare = entries.get(end - 1).is_some_and(stop);
        let rest = entries.split_off(end);
        if !rest.is_empty() {
            running.apply_queue.push_front(ApplyTask::Apply(rest));
        }
        let mut run: Vec<(CommittedEntry, u64)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let hash = hash_entry(&entry);
            let committed = committed_entry(entry)
                .map_err(|detail| Violation::new("entry-readable", detail))?;
            run.push((committed, hash));
        }
        let Some(position) = run.last().map(|(entry, _)| entry.position) else { return Ok(None) };
        let (committed, hashes): (Vec<CommittedEntry>, Vec<u64>) = run.into_iter().unzip();
        if damaged {
            member.engine.corrupt_next_read();
        }
        let applied = running.machine.apply(&committed);
        let revision = running.machine.kv.store().reader().revision();
        member.engine.forget_damage();
        let answers = match applied {
            Ok(answers) => answers,
            Err(error) => {
                self.storage_failed(place, &explain(&*error.0))?;
                return Ok(None);
            }
        };
        let run: Vec<_> = committed.into_iter().zip(hashes).collect();
        let id = place as u64 + 1;
        self.applied.applied(id, &run, &answers)?;
        self.note_applied();
        self.revisions.stands(id, position.index.get(), revision)?;
        if compare {
            self.compare_running(place)?;
        }
        if self.reached(place, Step::Applied) {
            return Ok(None);
        }
        let responses = answers.into_iter().map(|answer| (answer.id, answer)).collect();
        Ok(Some(Input::Applied { position, responses }))
    }

    fn compare_running(&mut self, place: usize) -> Result<(), Violation> {
        let Some(running) = self.members[place].running.take() else { return Ok(()) };
        let compared = self.compare_state(place, &running.machine);
        self.members[place].running = Some(running);
        compared
    }

    fn install(
        &mut self,
        place: usize,
        install: quorate_raft_node::core::Install,
    ) -> Result<Option<Input<Ticket, Answer>>, Violation> {
        if self.reached(place, Step::Installing) {
            return Ok(None);
        }
        let Some(running) = self.running(place) else { return Ok(None) };
        let before = running.machine.kv.applied();
        Violation::unless(before.index < install.position.index, "install", || {
            format!("member {} stands at {before} and goes back to {install:?}", place + 1)
        })?;
        let Some(staged) = running.staged.remove(&install.id) else {
            let detail = format!("member {} installs what was not staged", place + 1);
            return Err(Violation::new("install", detail));
        };
        if let Err(error) = running.machine.kv.install(staged) {
            self.storage_failed(place, &explain(&*error.0))?;
            return Ok(None);
        }
        let stands = running.machine.kv.applied();
        Violation::unless(stands == install.position, "install", || {
            format!("member {} stands at {stands} after {install:?}", place + 1)
        })?;
        running.flushes.installed(stands.index.get());
        self.recorder.installed(self.now, place, stands.index.get());
        let holdings = &mut self.holdings[place];
        holdings.durable_applied = holdings.durable_applied.max(stands.index.get());
        self.compare_running(place)?;
        if self.reached(place, Step::Installed) {
            return Ok(None);
        }
        Ok(Some(Input::Installed { position: install.position }))
    }

    fn open_snapshot(
        &mut self,
        place: usize,
        to: quorate_types::MemberId,
    ) -> Result<Option<Input<Ticket, Answer>>, Violation> {
        let Some(running) = self.running(place) else { return Ok(None) };
        let source = running.machine.kv.snapshot().map_err(|error| {
            Violation::new("state-readable", format!("member {}: {:?}", place + 1, error.0))
        })?;
        let (position, membership) = (source.position(), source.membership());
        let applied = running.machine.kv.applied();
        Violation::unless(position == applied, "snapshot-position", || {
            format!("member {} at {applied} opens a snapshot at {position}", place + 1)
        })?;
        running.opened.insert(to, source);
        Ok(Some(Input::SnapshotOpened { to, position, membership }))
    }

    // The flush thread.

    /// Begins a flush. What it covers may be decided at its beginning or at its end.
    pub(super) fn flush(&mut self, place: usize, position: LogPosition) -> Result<(), Violation> {
        let member = &mut self.members[place];
        member.noise.flushes += 1;
        let counter = member.noise.flushes;
        let mut noise = Stream::new(self.plan.seed, Purpose::Flush, place as u64, counter);
        let early = noise.chance(MILLION / 2);
        let delay = noise.long_tail(self.work.flush, Duration::from_secs(2));
        let delay = member.slowed(delay);
        let event = Event::FlushDone { member: place, life: member.life, position, early };
        self.queue.push(self.now + delay, event);
        self.counts.flushes += 1;
        if early { self.flush_now(place) } else { Ok(()) }
    }

    fn flush_now(&mut self, place: usize) -> Result<(), Violation> {
        if self.sabotage == Some(Sabotage::FlushLies) {
            return Ok(());
        }
        let Some(running) = self.running(place) else { return Ok(()) };
        let applied = running.machine.kv.applied().index.get();
        if let Err(error) = running.flusher.flush() {
            return self.store_failed(place, &error);
        }
        let holdings = &mut self.holdings[place];
        holdings.durable_applied = holdings.durable_applied.max(applied);
        Ok(())
    }

    pub(super) fn flush_done(
        &mut self,
        place: usize,
        position: LogPosition,
        early: bool,
    ) -> Result<(), Violation> {
        if !early {
            self.flush_now(place)?;
        }
        if let Some(running) = self.running(place) {
            running.flushes.done();
        }
        if !self.reached(place, Step::Flushed) {
            self.tell(place, Input::Flushed { position });
        }
        Ok(())
    }

    // The fetch thread.

    pub(super) fn fetch(&mut self, place: usize, fetch: Fetch) {
        let member = &mut self.members[place];
        member.noise.fetches += 1;
        let counter = member.noise.fetches;
        let mut noise = Stream::new(self.plan.seed, Purpose::Fetch, place as u64, counter);
        let delay = noise.long_tail(self.work.fetch, Duration::from_secs(2));
        let delay = member.slowed(delay);
        let event = Event::FetchDone { member: place, life: member.life, fetch };
        self.queue.push(self.now + delay, event);
        self.counts.fetches += 1;
    }

    pub(super) fn fetch_done(&mut self, place: usize, fetch: Fetch) -> Result<(), Violation> {
        let reader = self.members[place].log.reader();
        let Fetch { id, first, end, bytes_max } = fetch;
        let entries = match reader.entries(first, end, bytes_max) {
            Ok(entries) => entries,
            Err(StorageError::NoSuchEntry { .. }) => Vec::new(),
            Err(error) => return self.store_failed(place, &error),
        };
        self.tell(place, Input::Fetched { id, entries });
        Ok(())
    }
}

/// How many entries lie between two comparisons of whole states.
const COMPARE_ENTRIES: u64 = 256;
