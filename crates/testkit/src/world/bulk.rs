//! Snapshot streams between members, block by block.

use std::time::Duration;

use bytes::Bytes;
use quorate_raft_node::core::Input;
use quorate_raft_node::{SnapshotSource, Staged};
use quorate_types::MemberId;

use super::World;
use super::process::explain;
use crate::counts::FaultKind;
use crate::plan::Step;
use crate::queue::Event;
use crate::rng::{Purpose, Stream};
use crate::violation::Violation;

/// A snapshot on its way.
pub(super) struct Transfer {
    from: usize,
    to: usize,
    from_life: u64,
    /// The life of the receiver that collects it; nothing before the first block.
    to_life: Option<u64>,
    head: Bytes,
    source: Box<dyn SnapshotSource>,
    staged: Option<Box<dyn Staged>>,
    blocks: u64,
}

/// Whether a stream goes on.
enum Moved {
    On,
    Broken,
    Complete,
}

impl World<'_> {
    pub(super) fn begin_transfer(&mut self, place: usize, to: MemberId, head: Bytes) {
        self.counts.snapshots_sent += 1;
        let from_life = self.members[place].life;
        let Some(running) = self.running(place) else { return };
        let Some(source) = running.opened.remove(&to) else {
            self.tell(place, Input::SnapshotSent { to, delivered: false });
            return;
        };
        let transfer = Transfer {
            from: place,
            to: usize::try_from(to.get() - 1).unwrap_or(usize::MAX),
            from_life,
            to_life: None,
            head,
            source,
            staged: None,
            blocks: 0,
        };
        self.transfers_begun += 1;
        let id = self.transfers_begun;
        self.transfers.insert(id, transfer);
        self.schedule_block(id);
    }

    fn schedule_block(&mut self, id: u64) {
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        transfer.blocks += 1;
        let mut noise = Stream::new(self.plan.seed, Purpose::Bulk, id, transfer.blocks);
        let delay = noise.long_tail(self.work.block, self.work.block * 16);
        self.queue.push(self.now + delay, Event::BulkStep(id));
    }

    /// Carries one block over, unless something is in the way.
    pub(super) fn bulk_step(&mut self, id: u64) -> Result<(), Violation> {
        let Some(mut transfer) = self.transfers.remove(&id) else { return Ok(()) };
        let stalled = [transfer.from, transfer.to]
            .into_iter()
            .find(|place| self.members[*place].paused_until > self.now);
        if let Some(place) = stalled {
            let event = Event::BulkIdle { transfer: id, block: transfer.blocks };
            self.queue.push(self.now + IDLE_MAX, event);
            self.transfers.insert(id, transfer);
            self.members[place].deferred.push(Event::BulkStep(id));
            return Ok(());
        }
        match self.move_block(id, &mut transfer)? {
            Moved::On => {
                let to = transfer.to;
                self.transfers.insert(id, transfer);
                self.schedule_block(id);
                self.reached(to, Step::Staging);
                Ok(())
            }
            Moved::Broken => {
                self.stop_receiving(&transfer);
                self.end_transfer(&transfer, false);
                Ok(())
            }
            Moved::Complete => self.complete(id, transfer),
        }
    }

    /// Breaks a stream that did not move on since this block.
    pub(super) fn bulk_idle(&mut self, id: u64, block: u64) {
        let idle = |transfer: &Transfer| transfer.blocks == block;
        if !self.transfers.get(&id).is_some_and(idle) {
            return;
        }
        if let Some(transfer) = self.transfers.remove(&id) {
            self.counts.note(FaultKind::StreamBroken);
            self.stop_receiving(&transfer);
            self.end_transfer(&transfer, false);
        }
    }

    fn move_block(&mut self, id: u64, transfer: &mut Transfer) -> Result<Moved, Violation> {
        let Transfer { from, to, .. } = *transfer;
        #[cfg(feature = "mutants")]
        crate::mutants::run_as(Some(from));
        let mut noise = Stream::new(self.plan.seed, Purpose::Bulk, id, transfer.blocks);
        let noisy = self.recovery.is_none();
        // The first number is the delay's.
        noise.draw();
        let noise_breaks = noisy && noise.chance(self.plan.network.bulk_broken_ppm);
        let broken = noise_breaks
            || self.links.is_cut(from, to)
            || self.members[from].life != transfer.from_life
            || self.members[from].running.is_none()
            || transfer.to_life.is_some_and(|life| life != self.members[to].life);
        if broken {
            self.counts.note(FaultKind::StreamBroken);
            return Ok(Moved::Broken);
        }
        let life = self.members[to].life;
        let Some(running) = &mut self.members[to].running else { return Ok(Moved::Broken) };
        if transfer.to_life.is_none() {
            if running.receiving {
                return Ok(Moved::Broken);
            }
            let Ok(staged) = running.stager.begin() else { return Ok(Moved::Broken) };
            running.receiving = true;
            transfer.staged = Some(staged);
            transfer.to_life = Some(life);
        }
        let sender = &self.members[from];
        if sender.has_damage() {
            sender.engine.corrupt_next_read();
        }
        let block = transfer.source.next_block();
        sender.engine.forget_damage();
        match (block, &mut transfer.staged) {
            (Ok(Some(block)), Some(staged)) => match staged.push(&block) {
                Ok(()) => Ok(Moved::On),
                Err(_) => Ok(Moved::Broken),
            },
            (Ok(None), Some(_)) => Ok(Moved::Complete),
            (Err(error), _) => {
                self.storage_failed(from, &explain(&*error.0))?;
                Ok(Moved::Broken)
            }
            (Ok(_), None) => Ok(Moved::Broken),
        }
    }

    fn stop_receiving(&mut self, transfer: &Transfer) {
        if transfer.to_life == Some(self.members[transfer.to].life)
            && let Some(running) = self.running(transfer.to)
        {
            running.receiving = false;
        }
    }

    fn complete(&mut self, id: u64, mut transfer: Transfer) -> Result<(), Violation> {
        self.stop_receiving(&transfer);
        let Some(mut staged) = transfer.staged.take() else { return Ok(()) };
        let position = staged.finish().map_err(|error| {
            Violation::new("snapshot-complete", format!("a stream without gaps: {:?}", error.0))
        })?;
        let (from, to) = (transfer.from, transfer.to);
        let sender = self.members[from].id;
        if let Some(running) = self.running(to) {
            running.staged_count += 1;
            let staged_id = running.staged_count;
            running.staged.insert(staged_id, staged);
            let head = transfer.head.clone();
            let input = Input::SnapshotStaged { id: staged_id, from: sender, head, position };
            self.tell(to, input);
            self.reached(to, Step::Staged);
        }
        // The last word may be lost though everything arrived.
        let mut noise = Stream::new(self.plan.seed, Purpose::Bulk, id, u64::MAX);
        let noisy = self.recovery.is_none();
        let delivered = !(noisy && noise.chance(self.plan.network.bulk_broken_ppm));
        if !delivered {
            self.counts.note(FaultKind::StreamMisreported);
        }
        self.end_transfer(&transfer, delivered);
        Ok(())
    }

    fn end_transfer(&mut self, transfer: &Transfer, delivered: bool) {
        let Some(to) = MemberId::from_u64(transfer.to as u64 + 1) else { return };
        let (member, life) = (transfer.from, transfer.from_life);
        let at = self.now + self.plan.network.delay_min;
        self.queue.push(at, Event::BulkEnd { member, life, to, delivered });
    }
}

/// How long a stream may stand still before its receiver gives it up. Shorter than what the TCP
/// transport waits unless told otherwise: meanwhile no other snapshot is received.
const IDLE_MAX: Duration = Duration::from_secs(2);
