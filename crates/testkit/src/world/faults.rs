//! Faults as they begin and end.

use std::io::ErrorKind;

use super::World;
use crate::plan::{DiskWrite, Fault, Target};
use crate::queue::Event;
use crate::violation::Violation;

use quorate_raft_node::core::Input;

impl World<'_> {
    pub(super) fn fault(&mut self, index: usize) -> Result<(), Violation> {
        if self.recovery.is_some() {
            return Ok(());
        }
        let plan = self.plan;
        let leader = self.leader();
        let place = |target: Target| target.place(leader);
        let fault = &plan.faults[index].fault;
        self.trace.line(self.now, || format!("{fault:?}"));
        self.recorder.fault(self.now, index, fault);
        match fault {
            Fault::Crash { target, down } => {
                if let Some(place) = place(*target) {
                    self.crash(place, *down);
                }
            }
            Fault::CrashAt { target, step, down } => {
                if let Some(place) = place(*target) {
                    self.members[place].crash_at = Some((*step, *down));
                }
            }
            Fault::CrashAll { down } => {
                for (place, down) in down.iter().enumerate() {
                    self.crash(place, *down);
                }
            }
            Fault::Pause { target, lasting } => {
                if let Some(place) = place(*target) {
                    self.counts.pauses += 1;
                    let member = &mut self.members[place];
                    member.paused_until = member.paused_until.max(self.now + *lasting);
                    self.recorder.paused(self.now, place, member.paused_until);
                }
            }
            Fault::Cut { .. } | Fault::Isolate { .. } | Fault::Split { .. } => {
                self.cut(index, fault, leader);
            }
            Fault::DiskFailure { target, write, down } => {
                if let Some(place) = place(*target) {
                    self.members[place].disk_failures.push(*down);
                    self.order_disk_failure(place, *write);
                }
            }
            Fault::Slow { target, factor, lasting } => {
                if let Some(place) = place(*target) {
                    self.counts.slowdowns += 1;
                    self.members[place].slow_factor = *factor;
                    self.cuts.insert(index, vec![(place, place)]);
                    self.recorder.slowed(self.now, place, index);
                    self.queue.push(self.now + *lasting, Event::FaultEnd(index));
                }
            }
            Fault::TransferLeader { asked, to } => {
                self.counts.transfers += 1;
                let to = self.members[*to].id;
                self.tell(*asked, Input::TransferLeader { to });
            }
        }
        Ok(())
    }

    fn cut(&mut self, index: usize, fault: &Fault, leader: Option<usize>) {
        let all = 0..self.members.len();
        let apart = |group: &dyn Fn(usize) -> bool| {
            let mut links = Vec::new();
            for from in all.clone() {
                links.extend(
                    all.clone().filter(|to| group(from) != group(*to)).map(|to| (from, to)),
                );
            }
            links
        };
        let (links, lasting, hold) = match fault {
            Fault::Cut { from, to, lasting, hold } => (vec![(*from, *to)], *lasting, *hold),
            Fault::Isolate { target, lasting, hold } => {
                let Some(alone) = target.place(leader) else { return };
                (apart(&|place| place == alone), *lasting, *hold)
            }
            Fault::Split { group, lasting, hold } => {
                (apart(&|place| group >> place & 1 == 1), *lasting, *hold)
            }
            _ => return,
        };
        self.counts.cuts += 1;
        for (from, to) in &links {
            self.links.cut(*from, *to, hold);
        }
        self.recorder.cut(self.now, index, &links, hold);
        self.cuts.insert(index, links);
        self.queue.push(self.now + lasting, Event::FaultEnd(index));
    }

    pub(super) fn fault_end(&mut self, index: usize) {
        self.recorder.fault_end(self.now, index);
        let Some(links) = self.cuts.remove(&index) else { return };
        let hold = match &self.plan.faults[index].fault {
            Fault::Slow { .. } => {
                links.iter().for_each(|(place, _)| self.members[*place].slow_factor = 1);
                return;
            }
            Fault::Cut { hold, .. } | Fault::Isolate { hold, .. } | Fault::Split { hold, .. } => {
                *hold
            }
            _ => return,
        };
        for (from, to) in links {
            let held = self.links.mend(from, to, hold);
            let receiver = self.members[to].id;
            for bytes in held {
                self.send(from, receiver, bytes);
            }
        }
    }

    fn order_disk_failure(&mut self, place: usize, write: DiskWrite) {
        let member = &self.members[place];
        match write {
            DiskWrite::LogWrite => member.log.fail_next_write(ErrorKind::StorageFull),
            DiskWrite::LogSync => member.log.fail_next_sync(ErrorKind::Other),
            DiskWrite::StateWrite => member.engine.fail_next_write(ErrorKind::StorageFull),
            DiskWrite::StateFlush => member.engine.fail_next_flush(ErrorKind::Other),
        }
    }
}
