//! The one queue of all events of a run.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use quorate_raft_node::core::Fetch;
use quorate_types::{Instant, LogPosition, MemberId};

use crate::rng::{Purpose, rng};

/// Something that happens. Members are given by their places, lives by their numbers: what was
/// meant for an earlier life of a member is dropped.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client calls.
    Operation(usize),
    /// A fault begins.
    Fault(usize),
    /// A fault that lasts goes on or ends.
    FaultStep { fault: usize, step: usize },
    /// A pause or a stall of a member may be over.
    Resume(usize),
    /// A member loses its power in a loop of crashes.
    LoopCrash { member: usize, life: u64, down: Duration },
    /// A message arrives, at whatever life the receiver is in.
    Message { from: usize, to: usize, bytes: Bytes },
    /// A member's transport noticed losses.
    Unreachable { member: usize, peer: usize },
    /// A member's consensus thread looks at its inbox.
    Wake { member: usize, life: u64 },
    /// A member's consensus thread wanted to be woken.
    Timer { member: usize, life: u64 },
    /// A member's log thread is done with a group of writes.
    LogDone { member: usize, life: u64 },
    /// A member's apply thread is done with a piece of work.
    ApplyDone { member: usize, life: u64 },
    /// A member's flush thread is done.
    FlushDone { member: usize, life: u64, position: LogPosition, early: bool },
    /// A member's fetch thread is done.
    FetchDone { member: usize, life: u64, fetch: Fetch },
    /// A snapshot stream moves on by a block.
    BulkStep(u64),
    /// A snapshot stream has stood still since this block for as long as it may.
    BulkIdle { transfer: u64, block: u64 },
    /// A snapshot stream is over for its sender.
    BulkEnd { member: usize, life: u64, to: MemberId, delivered: bool },
    /// A member is opened again.
    Restart { member: usize, life: u64 },
    /// Faults are over: everything is healed.
    Heal,
    /// Looks whether the healed cluster has recovered.
    Progress,
    /// A call that waits at a member looks whether it can end.
    Parked { member: usize, life: u64, ticket: usize },
    /// A background task of a member is due.
    Task { member: usize, life: u64, number: u64 },
    /// A watcher goes on, if this is still its step.
    Watcher { watcher: usize, step: u64 },
    /// A member does what is due on its own.
    Chores { member: usize, life: u64 },
    /// An actor's turn comes, if it is still in that wait. Its process is that of a member, and
    /// stands still with it.
    Turn { member: usize, actor: usize, number: u64 },
}

impl Event {
    /// A number for the trace.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::Operation(_) => 1,
            Self::Fault(_) => 2,
            Self::FaultStep { .. } => 3,
            Self::Message { .. } => 4,
            Self::Unreachable { .. } => 5,
            Self::Wake { .. } => 6,
            Self::Timer { .. } => 7,
            Self::LogDone { .. } => 8,
            Self::ApplyDone { .. } => 9,
            Self::FlushDone { .. } => 10,
            Self::FetchDone { .. } => 11,
            Self::BulkStep(_) => 12,
            Self::BulkEnd { .. } => 13,
            Self::Restart { .. } => 14,
            Self::Heal => 15,
            Self::Progress => 16,
            Self::Resume(_) => 17,
            Self::LoopCrash { .. } => 18,
            Self::BulkIdle { .. } => 19,
            Self::Turn { .. } => 20,
            Self::Parked { .. } => 21,
            Self::Task { .. } => 22,
            Self::Watcher { .. } => 30,
            Self::Chores { .. } => 23,
        }
    }

    /// The member whose threads must run for this, and the life meant.
    pub(crate) fn member(&self) -> Option<(usize, Option<u64>)> {
        match self {
            Self::Message { to, .. } => Some((*to, None)),
            Self::Turn { member, .. } => Some((*member, None)),
            Self::Unreachable { member, .. } => Some((*member, None)),
            Self::Wake { member, life }
            | Self::Timer { member, life }
            | Self::LogDone { member, life }
            | Self::ApplyDone { member, life }
            | Self::FlushDone { member, life, .. }
            | Self::FetchDone { member, life, .. }
            | Self::LoopCrash { member, life, .. }
            | Self::Parked { member, life, .. }
            | Self::Task { member, life, .. }
            | Self::Chores { member, life }
            | Self::BulkEnd { member, life, .. } => Some((*member, Some(*life))),
            _ => None,
        }
    }

    /// Whether it tells that a member's disk is done.
    pub(crate) fn is_of_disk(&self) -> bool {
        matches!(
            self,
            Self::LogDone { .. }
                | Self::ApplyDone { .. }
                | Self::FlushDone { .. }
                | Self::FetchDone { .. }
        )
    }
}

/// Events by time; those of one time in an order that the seed decides.
#[derive(Debug)]
pub(crate) struct Queue {
    seed: u64,
    heap: BinaryHeap<Scheduled>,
    sequence: u64,
}

#[derive(Debug)]
struct Scheduled {
    at: Instant,
    order: u64,
    sequence: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, heap: BinaryHeap::new(), sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        let order = rng(self.seed, Purpose::Order, 0, self.sequence);
        self.heap.push(Scheduled { at, order, sequence: self.sequence, event });
    }

    /// Loses the messages under way from or to a member.
    pub(crate) fn lose_messages(&mut self, place: usize) {
        self.heap.retain(|scheduled| match &scheduled.event {
            Event::Message { from, to, .. } => *from != place && *to != place,
            _ => true,
        });
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|scheduled| scheduled.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, Event)> {
        self.heap.pop().map(|scheduled| (scheduled.at, scheduled.event))
    }
}

impl Ord for Scheduled {
    /// The heap gives its greatest first: the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |scheduled: &Self| (scheduled.at, scheduled.order, scheduled.sequence);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_else_by_the_seed() {
        let order = |seed| {
            let mut queue = Queue::new(seed);
            for (at, event) in [(5, 1), (3, 2), (5, 3), (5, 4), (5, 5)] {
                queue.push(Instant::from_nanos(at), Event::Operation(event));
            }
            std::iter::from_fn(|| queue.pop())
                .map(|(_, event)| match event {
                    Event::Operation(place) => place,
                    _ => 0,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(order(1)[0], 2);
        assert_eq!(order(1), order(1));
        assert!((2..20).any(|seed| order(seed) != order(1)));
    }
}
