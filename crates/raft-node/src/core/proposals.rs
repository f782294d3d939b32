//! Commands of this member's callers, from arrival to answer; and those that followers forwarded.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use prost::Message as _;
use quorate_types::{CommandId, Instant, MemberId, mutant};

use super::config::Tuning;
use super::outputs::ProposeError;
use crate::machine::Command;
use crate::wire::{CommandBatch, WireCommand};

/// All commands that this member still has to do something about.
pub(super) struct Proposals<T> {
    member: MemberId,
    incarnation: u64,
    next_sequence: u64,
    /// Commands of own callers without an answer, by sequence.
    pending: BTreeMap<u64, Pending<T>>,
    /// Payload bytes of `pending`.
    pending_size: u64,
    /// Sequences to be proposed or forwarded now, in order of arrival.
    queue: VecDeque<u64>,
    /// Deadlines of `pending`, so that expiry need not look at every command.
    deadlines: BTreeMap<(Instant, u64), ()>,
    /// Commands of other members, to be proposed by this leader.
    forwarded: VecDeque<WireCommand>,
    forwarded_size: u64,
}

struct Pending<T> {
    ticket: T,
    payload: Bytes,
    deadline: Instant,
    /// When it was last proposed or forwarded; `None` while it waits in the queue.
    sent: Option<Instant>,
    /// Whether it ever left this member's queue, after which it may be applied at any time.
    ever_sent: bool,
}

impl<T> Proposals<T> {
    pub(super) fn new(member: MemberId, incarnation: u64) -> Self {
        Self {
            member,
            incarnation,
            next_sequence: 1,
            pending: BTreeMap::new(),
            pending_size: 0,
            queue: VecDeque::new(),
            deadlines: BTreeMap::new(),
            forwarded: VecDeque::new(),
            forwarded_size: 0,
        }
    }

    /// Takes a command of a caller, or returns its ticket if too many wait already.
    pub(super) fn add(
        &mut self,
        ticket: T,
        payload: Bytes,
        deadline: Instant,
        tuning: &Tuning,
    ) -> Result<(), (T, ProposeError)> {
        let size = self.pending_size + payload.len() as u64;
        let too_many = self.pending.len() >= tuning.commands_pending_max;
        let too_large = !self.pending.is_empty() && size > tuning.commands_pending_size_max.bytes();
        if too_many || too_large {
            return Err((ticket, ProposeError::Overloaded));
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.pending_size = size;
        self.deadlines.insert((deadline, sequence), ());
        let pending = Pending { ticket, payload, deadline, sent: None, ever_sent: false };
        self.pending.insert(sequence, pending);
        self.queue.push_back(sequence);
        Ok(())
    }

    /// Takes commands that a follower forwarded. Those beyond the limit are dropped: their origin
    /// sends them again.
    pub(super) fn add_forwarded(&mut self, batch: CommandBatch, tuning: &Tuning) {
        for command in batch.commands {
            let size = self.forwarded_size + command.size() as u64;
            if size > tuning.commands_pending_size_max.bytes() {
                return;
            }
            self.forwarded_size = size;
            self.forwarded.push_back(command);
        }
    }

    /// The smallest sequence whose caller still waits: everything below has its answer.
    fn floor(&self) -> u64 {
        self.pending.first_key_value().map_or(self.next_sequence, |(sequence, _)| *sequence)
    }

    /// Packs waiting commands into the payloads of log entries, each at most `entry_size_max` long
    /// unless a single command is longer. The caller gives them back with [`Self::unsend`] if they
    /// could not be proposed.
    pub(super) fn pack_entries(&mut self, now: Instant, tuning: &Tuning) -> Vec<Bytes> {
        let mut commands = self.take_queue(now);
        commands.extend(self.forwarded.drain(..));
        self.forwarded_size = 0;
        let batches = split(commands, tuning.entry_size_max.bytes());
        batches.into_iter().map(|batch| batch.encode_to_vec().into()).collect()
    }

    /// Takes waiting commands of own callers as batches to forward to the leader.
    pub(super) fn pack_forwards(&mut self, now: Instant, tuning: &Tuning) -> Vec<CommandBatch> {
        split(self.take_queue(now), tuning.message_size_max.bytes())
    }

    fn take_queue(&mut self, now: Instant) -> Vec<WireCommand> {
        let floor = self.floor();
        let mut commands = Vec::with_capacity(self.queue.len());
        for sequence in self.queue.drain(..) {
            let Some(pending) = self.pending.get_mut(&sequence) else { continue };
            pending.sent = Some(now);
            pending.ever_sent = true;
            let id = CommandId { origin: self.member, incarnation: self.incarnation, sequence };
            commands.push(WireCommand::new(Command {
                id,
                floor,
                payload: pending.payload.clone(),
            }));
        }
        commands
    }

    /// Queues again everything that was sent before `before`: it may be lost.
    pub(super) fn unsend(&mut self, before: Instant) {
        let mut again = Vec::new();
        for (sequence, pending) in &mut self.pending {
            if pending.sent.is_some_and(|sent| sent <= before) {
                pending.sent = None;
                again.push(*sequence);
            }
        }
        mutant!(M21, { again = self.rename(again) });
        for sequence in again.into_iter().rev() {
            self.queue.push_front(sequence);
        }
    }

    /// M21: gives commands that were sent new names.
    #[cfg(feature = "mutants")]
    fn rename(&mut self, sequences: Vec<u64>) -> Vec<u64> {
        let mut renamed = Vec::new();
        for sequence in sequences {
            let Some(pending) = self.pending.remove(&sequence) else { continue };
            self.deadlines.remove(&(pending.deadline, sequence));
            self.deadlines.insert((pending.deadline, self.next_sequence), ());
            self.pending.insert(self.next_sequence, pending);
            renamed.push(self.next_sequence);
            self.next_sequence += 1;
        }
        renamed
    }

    /// Forgets what followers forwarded: this member does not lead any more.
    pub(super) fn drop_forwarded(&mut self) {
        self.forwarded.clear();
        self.forwarded_size = 0;
    }

    /// Whether something waits to be proposed or forwarded.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty() || !self.forwarded.is_empty()
    }

    /// Whether a command of an own caller was sent and has no answer yet.
    pub(super) fn has_sent(&self) -> bool {
        self.pending.len() > self.queue.len()
    }

    /// Ends a command that was applied; its ticket, if its caller still waits.
    pub(super) fn finish(&mut self, id: CommandId) -> Option<T> {
        let this_life = mutant!(M74, id.incarnation == self.incarnation, true);
        if id.origin != self.member || !this_life {
            return None;
        }
        let pending = self.pending.remove(&id.sequence);
        let pending = mutant!(M22, pending?, pending.expect("every answer is waited for"));
        self.deadlines.remove(&(pending.deadline, id.sequence));
        self.pending_size -= pending.payload.len() as u64;
        Some(pending.ticket)
    }

    /// Ends the commands whose deadline has come.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(T, ProposeError)> {
        let mut expired = Vec::new();
        while let Some(entry) = self.deadlines.first_entry() {
            let (deadline, sequence) = *entry.key();
            if deadline > now {
                break;
            }
            entry.remove();
            if let Some(pending) = self.pending.remove(&sequence) {
                self.pending_size -= pending.payload.len() as u64;
                if pending.ever_sent {
                    mutant!(M55, { continue });
                }
                let error = if mutant!(M56, pending.ever_sent, false) {
                    ProposeError::OutcomeUnknown
                } else {
                    ProposeError::TimedOut
                };
                expired.push((pending.ticket, error));
            }
        }
        expired
    }

    /// When the next command expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), ())| *deadline)
    }

    /// How many callers wait.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

/// Cuts commands into batches of at most `size_max` bytes, but at least one command each.
fn split(commands: Vec<WireCommand>, size_max: u64) -> Vec<CommandBatch> {
    let mut batches: Vec<CommandBatch> = Vec::new();
    let mut size = 0;
    for command in commands {
        size += command.size() as u64;
        match batches.last_mut() {
            Some(batch) if size <= size_max => batch.commands.push(command),
            _ => {
                size = command.size() as u64;
                batches.push(CommandBatch { commands: vec![command] });
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::decode_commands;

    const LATE: Instant = Instant::from_nanos(1_000);

    fn proposals() -> Proposals<&'static str> {
        Proposals::new(MemberId::new(1), 4)
    }

    fn id(sequence: u64) -> CommandId {
        CommandId { origin: MemberId::new(1), incarnation: 4, sequence }
    }

    #[test]
    fn the_floor_is_the_oldest_command_without_answer() {
        let (mut proposals, tuning) = (proposals(), Tuning::default());
        for name in ["a", "b", "c"] {
            proposals.add(name, Bytes::from(name), LATE, &tuning).expect("room");
        }
        proposals.pack_entries(Instant::ZERO, &tuning);
        assert_eq!(proposals.finish(id(1)), Some("a"));
        assert_eq!(proposals.finish(id(1)), None);
        proposals.add("d", Bytes::new(), LATE, &tuning).expect("room");
        let entries = proposals.pack_entries(Instant::ZERO, &tuning);
        let commands = decode_commands(entries[0].clone()).expect("own bytes");
        assert_eq!(commands.len(), 1);
        assert_eq!((commands[0].id, commands[0].floor), (id(4), 2));
    }

    #[test]
    fn an_expired_command_is_unknown_only_if_it_was_sent() {
        let (mut proposals, tuning) = (proposals(), Tuning::default());
        proposals.add("sent", Bytes::new(), LATE, &tuning).expect("room");
        proposals.pack_forwards(Instant::ZERO, &tuning);
        proposals.add("queued", Bytes::new(), LATE, &tuning).expect("room");
        assert!(proposals.expire(Instant::from_nanos(999)).is_empty());
        let expired = proposals.expire(LATE);
        assert_eq!(
            expired,
            [("sent", ProposeError::OutcomeUnknown), ("queued", ProposeError::TimedOut)]
        );
        assert_eq!(proposals.pending_count(), 0);
    }

    #[test]
    fn what_was_sent_long_ago_is_sent_again_in_order() {
        let (mut proposals, tuning) = (proposals(), Tuning::default());
        for _ in 0..3 {
            proposals.add("x", Bytes::new(), LATE, &tuning).expect("room");
        }
        proposals.pack_forwards(Instant::from_nanos(5), &tuning);
        assert!(!proposals.has_queued() && proposals.has_sent());
        proposals.unsend(Instant::from_nanos(4));
        assert!(!proposals.has_queued());
        proposals.unsend(Instant::from_nanos(5));
        let again = proposals.pack_forwards(Instant::ZERO + Duration::from_nanos(9), &tuning);
        let sequences: Vec<u64> = again[0].commands.iter().map(|c| c.sequence).collect();
        assert_eq!(sequences, [1, 2, 3]);
    }

    #[test]
    fn limits_refuse_and_split() {
        let tuning = Tuning {
            commands_pending_max: 2,
            entry_size_max: quorate_types::ByteSize::new(40),
            ..Tuning::default()
        };
        let mut proposals = proposals();
        proposals.add("a", Bytes::from_static(&[0; 100]), LATE, &tuning).expect("room");
        proposals.add("b", Bytes::from_static(&[0; 8]), LATE, &tuning).expect("room");
        let refused = proposals.add("c", Bytes::new(), LATE, &tuning);
        assert_eq!(refused, Err(("c", ProposeError::Overloaded)));
        assert_eq!(proposals.pack_entries(Instant::ZERO, &tuning).len(), 2);
    }
}
