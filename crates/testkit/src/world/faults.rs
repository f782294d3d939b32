//! Faults as they begin, go on and end.

use std::io::ErrorKind;
use std::time::Duration;

use quorate_raft_node::core::Input;
use quorate_types::Instant;

use super::World;
use crate::counts::FaultKind;
use crate::plan::{CutLinks, CutMode, DiskOperation, Fault, Step};
use crate::queue::Event;
use crate::rng::{MILLION, Purpose, Stream, nanos};
use crate::violation::Violation;

/// What a fault that lasts takes back at its end.
pub(super) enum Lasting {
    /// These links are mended.
    Links(Vec<(usize, usize)>, CutMode),
    /// This member works as fast as before.
    Slow(usize),
    /// This member receives as soon as before.
    SlowReceiver(usize),
}

impl World<'_> {
    pub(super) fn fault(&mut self, index: usize) -> Result<(), Violation> {
        if self.recovery.is_some() {
            return Ok(());
        }
        let plan = self.plan;
        self.inject(index, &plan.faults[index].fault)
    }

    /// Lets a fault begin; `index` names it until it ends.
    pub(super) fn inject(&mut self, index: usize, fault: &Fault) -> Result<(), Violation> {
        self.trace.line(self.now, || format!("{fault:?}"));
        self.recorder.fault(self.now, index, fault);
        match fault {
            Fault::CrashAll { down } => {
                self.counts.note(FaultKind::CrashOfAll);
                for (place, down) in down.iter().enumerate().take(self.members.len()) {
                    self.crash(place, *down, FaultKind::Crash);
                }
            }
            Fault::Crash { target, .. }
            | Fault::CrashAt { target, .. }
            | Fault::CrashLoop { target, .. }
            | Fault::Reopen { target, .. }
            | Fault::Pause { target, .. }
            | Fault::SlowReceiver { target, .. }
            | Fault::DiskFailure { target, .. }
            | Fault::Stall { target, .. }
            | Fault::Slow { target, .. } => {
                if let Some(place) = target.place(self.leader())
                    && self.members[place].running.is_some()
                {
                    return self.member_fault(index, fault, place);
                }
            }
            Fault::Replay { target, within } => {
                if let Some(place) = target.place(self.leader()) {
                    self.replay(place, *within);
                }
            }
            Fault::Swizzle { .. } => {
                self.counts.note(FaultKind::Swizzle);
                self.fault_step(index, 0);
            }
            Fault::TransferLeader { asked, to } => {
                self.counts.note(FaultKind::Transfer);
                let to = self.members[*to].id;
                self.tell(*asked, Input::TransferLeader { to });
            }
            _ => self.cut(index, fault),
        }
        Ok(())
    }

    /// A fault of one member, which runs.
    fn member_fault(&mut self, index: usize, fault: &Fault, place: usize) -> Result<(), Violation> {
        let now = self.now;
        let member = &mut self.members[place];
        match fault {
            Fault::Crash { down, .. } => self.crash(place, *down, FaultKind::Crash),
            Fault::CrashAt { step, down, .. } => member.crash_at.push((*step, *down)),
            Fault::CrashLoop { up, down, .. } => {
                member.crash_loop = up.iter().map(|up| (*up, *down)).collect();
                self.crash(place, *down, FaultKind::CrashInLoop);
            }
            Fault::Reopen { down, .. } => return self.reopen(place, *down),
            Fault::Pause { lasting, frozen, .. } => {
                member.paused_until = member.paused_until.max(now + *lasting);
                self.recorder.paused(now, place, member.paused_until);
                if *frozen {
                    member.frozen_since.get_or_insert(now);
                }
                let kind = if *frozen { FaultKind::PauseFrozen } else { FaultKind::Pause };
                self.counts.note(kind);
                self.queue.push(now + *lasting, Event::Resume(place));
            }
            Fault::Stall { lasting, .. } => {
                member.stalled_until = member.stalled_until.max(now + *lasting);
                self.counts.note(FaultKind::Stall);
                self.queue.push(now + *lasting, Event::Resume(place));
            }
            Fault::SlowReceiver { delay, lasting, .. } => {
                member.receive_delay = *delay;
                self.recorder.slowed(now, place, index);
                self.counts.note(FaultKind::SlowReceiver);
                self.last(index, Lasting::SlowReceiver(place), *lasting);
            }
            Fault::Slow { factor, lasting, .. } => {
                member.slow_factor = *factor;
                self.recorder.slowed(now, place, index);
                self.counts.note(FaultKind::SlowMember);
                self.last(index, Lasting::Slow(place), *lasting);
            }
            Fault::DiskFailure { operation, down, .. } => {
                member.disk_failures.push((*operation, *down));
                self.order_failure(place, *operation);
            }
            _ => {}
        }
        Ok(())
    }

    /// Copies of what was sent to a member lately arrive, even if its links are cut by now: they
    /// were under way.
    fn replay(&mut self, to: usize, within: Duration) {
        let since = Instant::from_nanos(self.now.as_nanos().saturating_sub(nanos(within)));
        let mut at = self.now;
        for (from, bytes) in self.links.recent(to, since) {
            at += REPLAY_GAP;
            self.counts.note(FaultKind::MessageReplayed);
            self.queue.push(at, Event::Message { from, to, bytes });
        }
    }

    /// Ends a fault some time later.
    fn last(&mut self, index: usize, lasting: Lasting, time: Duration) {
        self.lasting.insert(index, lasting);
        self.queue.push(self.now + time, Event::FaultStep { fault: index, step: 0 });
    }

    fn cut(&mut self, index: usize, fault: &Fault) {
        let leader = self.leader();
        let Some(CutLinks { links, lasting, mode }) = fault.cut_links(leader, self.members.len())
        else {
            return;
        };
        self.counts.note(match fault {
            Fault::Isolate { target, .. } if target.place(leader) == leader => {
                FaultKind::LeaderIsolated
            }
            Fault::Isolate { .. } => FaultKind::FollowerIsolated,
            Fault::Split { .. } => FaultKind::Split,
            Fault::Ring { .. } => FaultKind::Ring,
            Fault::Bridge { .. } => FaultKind::Bridge,
            Fault::OneFollower { .. } => FaultKind::OneFollower,
            _ => FaultKind::OneWayCut,
        });
        links.iter().for_each(|(from, to)| self.links.cut(*from, *to, mode));
        self.recorder.cut(self.now, index, &links, mode != CutMode::Drop);
        self.last(index, Lasting::Links(links, mode), lasting);
    }

    /// A fault that lasts goes on or ends.
    pub(super) fn fault_step(&mut self, index: usize, step: usize) {
        if self.recovery.is_some() {
            return;
        }
        if let Fault::Swizzle { cuts, mends, gap, mode } = &self.plan.faults[index].fault {
            if let Some((from, to)) = cuts.get(step) {
                self.links.cut(*from, *to, *mode);
                self.recorder.cut(self.now, index, &[(*from, *to)], *mode != CutMode::Drop);
            } else if let Some(place) = mends.get(step - cuts.len()) {
                let (from, to) = cuts[*place];
                self.mend(index, from, to, *mode);
            } else {
                self.recorder.fault_end(self.now, index);
                return;
            }
            self.queue.push(self.now + *gap, Event::FaultStep { fault: index, step: step + 1 });
            return;
        }
        self.recorder.fault_end(self.now, index);
        match self.lasting.remove(&index) {
            Some(Lasting::Slow(place)) => self.members[place].slow_factor = 1,
            Some(Lasting::SlowReceiver(place)) => {
                self.members[place].receive_delay = Duration::ZERO;
            }
            Some(Lasting::Links(links, mode)) => {
                links.into_iter().for_each(|(from, to)| self.mend(index, from, to, mode));
            }
            None => {}
        }
    }

    /// Mends a link and sends what was held back.
    pub(super) fn mend(&mut self, fault: usize, from: usize, to: usize, mode: CutMode) {
        self.recorder.mended(self.now, fault, from, to);
        let mut held = self.links.mend(from, to, mode);
        if mode == CutMode::Shuffle && held.len() > 1 {
            self.counts.note(FaultKind::Reconnect);
            let entity = (from * self.members.len() + to) as u64;
            let mut order = Stream::new(self.plan.seed, Purpose::Release, entity, fault as u64);
            for place in (1..held.len()).rev() {
                held.swap(place, order.place(place + 1));
            }
        }
        let receiver = self.members[to].id;
        held.into_iter().for_each(|bytes| self.send(from, receiver, bytes));
    }

    /// What waited for the end of a pause or a stall happens now, or waits on.
    pub(super) fn resume(&mut self, place: usize) {
        let member = &mut self.members[place];
        if member.paused_until <= self.now {
            member.thaw(self.now);
        }
        member.noise.resumes += 1;
        let counter = member.noise.resumes;
        let mut noise = Stream::new(self.plan.seed, Purpose::Resume, place as u64, counter);
        // Peers may have given up connections on which nothing moved.
        let given_up = noise.chance(MILLION / 2);
        for event in std::mem::take(&mut member.deferred) {
            if given_up && matches!(event, Event::Message { .. }) {
                self.counts.note(FaultKind::MessageGivenUp);
                continue;
            }
            self.queue.push(self.now, event);
        }
    }

    fn order_failure(&mut self, place: usize, operation: DiskOperation) {
        let member = &self.members[place];
        match operation {
            DiskOperation::LogWrite => member.log.fail_next_write(ErrorKind::StorageFull),
            DiskOperation::LogSync => member.log.fail_next_sync(ErrorKind::Other),
            DiskOperation::LogRead => member.log.fail_next_read(ErrorKind::Other),
            DiskOperation::LogDamage => member.log.corrupt_next_read(),
            DiskOperation::StateWrite => member.engine.fail_next_write(ErrorKind::StorageFull),
            DiskOperation::StateFlush => member.engine.fail_next_flush(ErrorKind::Other),
            // Ordered when the member itself reads next: the checkers read, too.
            DiskOperation::StateDamage => {}
        }
    }
}

/// What a crash at a step is counted as.
pub(super) fn kind_of_step(step: Step) -> FaultKind {
    match step {
        Step::Sent => FaultKind::CrashSent,
        Step::LogWriting => FaultKind::CrashLogWriting,
        Step::LogWritten => FaultKind::CrashLogWritten,
        Step::LogSynced => FaultKind::CrashLogSynced,
        Step::Applied => FaultKind::CrashApplied,
        Step::Flushed => FaultKind::CrashFlushed,
        Step::Purged => FaultKind::CrashPurged,
        Step::Staging => FaultKind::CrashStaging,
        Step::Staged => FaultKind::CrashStaged,
        Step::Installing => FaultKind::CrashInstalling,
        Step::Installed => FaultKind::CrashInstalled,
        Step::Opened => FaultKind::CrashOpened,
    }
}

/// What the failure of an operation is counted as; a sync depends on what it left.
pub(super) fn kind_of_failure(operation: DiskOperation, lost: bool) -> FaultKind {
    match operation {
        DiskOperation::LogWrite => FaultKind::LogWriteFailed,
        DiskOperation::LogSync if lost => FaultKind::LogSyncLost,
        DiskOperation::LogSync => FaultKind::LogSyncKept,
        DiskOperation::LogRead => FaultKind::LogReadFailed,
        DiskOperation::LogDamage => FaultKind::LogDamaged,
        DiskOperation::StateWrite => FaultKind::StateWriteFailed,
        DiskOperation::StateFlush => FaultKind::StateFlushFailed,
        DiskOperation::StateDamage => FaultKind::StateDamaged,
    }
}

/// The operation that an error tells of; the texts are those of the stores in memory.
pub(super) fn failed_operation(cause: &str) -> Option<DiskOperation> {
    const TEXTS: [(&str, DiskOperation); 7] = [
        ("cannot write memory-log", DiskOperation::LogWrite),
        ("cannot sync memory-log", DiskOperation::LogSync),
        ("cannot read memory-log", DiskOperation::LogRead),
        ("corrupt data in memory-log", DiskOperation::LogDamage),
        ("cannot write memory-engine", DiskOperation::StateWrite),
        ("cannot sync memory-engine", DiskOperation::StateFlush),
        ("corrupt data in memory-engine", DiskOperation::StateDamage),
    ];
    TEXTS.into_iter().find(|(text, _)| cause.contains(text)).map(|(_, operation)| operation)
}

/// The time between two messages that arrive once more.
const REPLAY_GAP: Duration = Duration::from_micros(20);
