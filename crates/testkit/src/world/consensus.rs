//! The consensus thread of a member: it runs the core and hands out what the core decided.

use quorate_raft_node::StateMachine;
use quorate_raft_node::core::{Input, Outbound, Outputs, SnapshotOrder};
use quorate_types::{Instant, LogIndex};

use super::World;
use crate::checkers::consensus::Holdings;
use crate::checkers::invariants::{
    check_append_only, check_bounds, check_open, check_positions, check_purge, check_runs,
    check_snapshots,
};
use crate::effect::Answer;
use crate::member::{ApplyTask, LogTask, Ticket};
use crate::plan::Step;
use crate::queue::Event;
use crate::sabotage::Sabotage;
use crate::violation::Violation;

impl World<'_> {
    pub(super) fn timer(&mut self, place: usize) {
        let now = self.now;
        let Some(running) = self.running(place) else { return };
        running.timer = Instant::MAX;
        if running.wake_scheduled {
            return;
        }
        if running.deadline <= now {
            running.wake_scheduled = true;
            self.schedule_wake(place);
        } else {
            self.arm_timer(place);
        }
    }

    fn arm_timer(&mut self, place: usize) {
        let member = &mut self.members[place];
        let Some(running) = &mut member.running else { return };
        if running.deadline < running.timer {
            running.timer = running.deadline;
            self.queue.push(running.timer, Event::Timer { member: place, life: member.life });
        }
    }

    /// Takes everything from the inbox, then polls once.
    pub(super) fn wake(&mut self, place: usize) -> Result<(), Violation> {
        let member = &mut self.members[place];
        let now = member.local_time(self.now);
        let Some(running) = &mut member.running else { return Ok(()) };
        running.wake_scheduled = false;
        let failed = |error: quorate_raft_node::core::CoreError| {
            Violation::new("core-error", format!("member {}: {error}", place + 1))
        };
        for input in std::mem::take(&mut running.inbox) {
            running.core.handle(input, now).map_err(failed)?;
        }
        let outputs = running.core.poll(now).map_err(failed)?;
        let deadline = outputs.deadline;
        self.carry_out(place, outputs)?;
        if self.crash_now.is_some() {
            return Ok(());
        }
        let member = &mut self.members[place];
        let deadline = deadline.map_or(Instant::MAX, |local| member.true_time(local));
        if let Some(running) = &mut member.running {
            running.deadline = deadline.max(self.now);
        }
        self.arm_timer(place);
        Ok(())
    }

    fn carry_out(
        &mut self,
        place: usize,
        outputs: Outputs<Ticket, Answer>,
    ) -> Result<(), Violation> {
        self.look(place, &outputs)?;
        self.send_all(place, outputs.messages)?;
        if self.reached(place, Step::Sent) {
            return Ok(());
        }
        let early = self.sabotage == Some(Sabotage::ReportBeforeSync);
        for mut append in outputs.appends {
            if early {
                self.tell(place, Input::Appended { number: append.number });
            }
            if self.sabotage == Some(Sabotage::SendBeforeSync) {
                let messages = std::mem::take(&mut append.then_send);
                self.send_all(place, messages)?;
            }
            self.log_task(place, LogTask::Append(append));
        }
        if !outputs.apply.is_empty() {
            self.apply_task(place, ApplyTask::Apply(outputs.apply));
        }
        if let Some(install) = outputs.install {
            self.apply_task(place, ApplyTask::Install(install));
        }
        if let Some(running) = self.running(place) {
            outputs.discard.iter().for_each(|id| drop(running.staged.remove(id)));
            let (opened, staged) = (running.opened.len(), running.staged.len());
            check_snapshots(place as u64 + 1, opened, staged, self.plan.members)?;
        }
        outputs.fetches.into_iter().for_each(|fetch| self.fetch(place, fetch));
        for order in outputs.snapshots {
            self.snapshot_order(place, order);
        }
        if let Some(position) = outputs.flush {
            self.flush(place, position)?;
        }
        if let Some(through) = outputs.purge {
            check_purge(place as u64 + 1, through, self.holdings[place].durable_applied)?;
            self.holdings[place].issued.purge(through);
            self.log_task(place, LogTask::Purge(through));
        }
        self.start_log(place)?;
        self.start_apply(place)?;
        if self.members[place].running.is_none() {
            // A write failed at once: nobody is left to answer.
            return Ok(());
        }
        for (ticket, result) in outputs.answers {
            check_open(ticket, self.history[ticket].ended.is_some())?;
            self.read_floors.ended(ticket, None)?;
            self.answered(ticket, result)?;
        }
        for ticket in outputs.readable {
            check_open(ticket, self.history[ticket].ended.is_some())?;
            let applied = self.running(place).map(|running| running.machine.kv.applied());
            let applied = applied.map(|position| position.index.get());
            self.read_floors.ended(ticket, applied)?;
            self.serve(place, ticket)?;
        }
        Ok(())
    }

    /// Checks what the member shows of itself, with the log as it is handed out now.
    fn look(&mut self, place: usize, outputs: &Outputs<Ticket, Answer>) -> Result<(), Violation> {
        let id = place as u64 + 1;
        let own = &mut self.holdings[place];
        let member = &mut self.members[place];
        let Some(running) = &mut member.running else { return Ok(()) };
        running.replacing |= outputs.install.is_some();
        if let Some(install) = outputs.install {
            let reset = quorate_storage::LogBatch {
                reset: Some(install.position),
                ..quorate_storage::LogBatch::default()
            };
            own.issued.append(&reset);
        }
        let mut probe = running.core.probe();
        for append in &outputs.appends {
            running.replacing &= append.batch.reset.is_none();
            check_append_only(id, &probe, &member.last, &own.issued, &append.batch)?;
            self.consensus.authored(id, &probe, &append.batch)?;
            own.issued.append(&append.batch);
        }
        check_bounds(id, &probe, self.plan.members, self.plan.limits.commands_pending_max)?;
        if !running.replacing {
            check_positions(id, &probe, &member.last)?;
        } else {
            // What follows the snapshot comes with the appends that are held back.
            probe.commit = probe.commit.min(LogIndex::new(own.issued.last()));
        }
        let was_leader = (member.last.leads, member.last.term);
        let seen = self.consensus.look(id, &probe, &mut member.last, &self.holdings);
        if member.last.leads && was_leader != (true, member.last.term) {
            self.counts.elections += 1;
            let term = member.last.term;
            self.trace.line(self.now, || format!("member {id} leads in term {term}"));
        }
        self.recorder.role(self.now, place, probe.role, probe.term.get());
        self.trace.fold(probe.commit.get() << 16 ^ probe.term.get());
        seen
    }

    /// Sends messages, each of which must be true of what is durable.
    pub(super) fn send_all(
        &mut self,
        place: usize,
        messages: Vec<Outbound>,
    ) -> Result<(), Violation> {
        check_runs(place as u64 + 1, self.members[place].running.is_some())?;
        for outbound in messages {
            self.check_message(place, &outbound)?;
            self.send(place, outbound.to, outbound.message);
        }
        Ok(())
    }

    fn check_message(&mut self, place: usize, outbound: &Outbound) -> Result<(), Violation> {
        let Some(peeked) = crate::peek::peek(&outbound.message) else { return Ok(()) };
        let own: &Holdings = &self.holdings[place];
        self.consensus.sent(place as u64 + 1, &peeked, own)
    }

    fn snapshot_order(&mut self, place: usize, order: SnapshotOrder) {
        match order {
            SnapshotOrder::Open { to } => self.apply_task(place, ApplyTask::OpenSnapshot(to)),
            SnapshotOrder::Send { to, head } => self.begin_transfer(place, to, head),
            SnapshotOrder::Close { to } => {
                if let Some(running) = self.running(place) {
                    running.opened.remove(&to);
                }
            }
        }
    }
}
