//! What arrives from peers.

use bytes::Bytes;
use quorate_types::{Instant, MemberId, mutant};
use raft::eraftpb::{Message, MessageType};

use super::check::Verdict;
#[cfg(feature = "mutants")]
use super::mutations::with_a_long_log;
use super::{Core, CoreError, check, convert};
use crate::wire::{Peer, TransferLeader};

impl<T, R> Core<T, R> {
    pub(super) fn on_message(
        &mut self,
        from: MemberId,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), CoreError> {
        if self.appends.replacing() {
            // The state is being replaced; peers repeat what matters.
            self.counters.messages_dropped += 1;
            return Ok(());
        }
        match Peer::from_bytes(bytes) {
            Err(_) => self.refuse("bytes that are no message"),
            Ok(Peer::Raft(wire)) => match convert::from_wire(wire) {
                Ok(message) if message.get_msg_type() != MessageType::MsgSnapshot => {
                    mutant!(M41c, { self.count_heartbeat(from, &message) });
                    let foreign = mutant!(M41b, message, self.as_of_this_term(message));
                    let foreign = mutant!(M61, foreign, with_a_long_log(foreign));
                    self.step_foreign(from, foreign, now)?;
                    mutant!(M50, { self.commit_by_counting() });
                }
                _ => self.refuse("a raft message that does not travel, or not here"),
            },
            Ok(Peer::Commands(batch)) => {
                // A member forwards commands of its own callers only. One of nobody would stop
                // every member once it stands in the log.
                if batch.commands.iter().any(|command| command.origin != from.get()) {
                    self.refuse("commands of another member than the sender");
                } else if self.leads() {
                    self.proposals.add_forwarded(batch, &self.tuning);
                }
            }
            Ok(Peer::ReadIndexRequest(request)) => {
                if self.leads() {
                    self.reads.add_remote(from, request);
                }
            }
            Ok(Peer::ReadIndexResponse(response)) => self.reads.confirm_request(response),
            Ok(Peer::TransferLeader(TransferLeader { to })) => {
                if self.leads() {
                    self.transfer_to(to);
                }
            }
        }
        Ok(())
    }

    /// Hands a foreign message to the `raft` crate if it makes sense.
    pub(super) fn step_foreign(
        &mut self,
        from: MemberId,
        message: Message,
        now: Instant,
    ) -> Result<(), CoreError> {
        if self.promised_against(&message, now) {
            return Ok(());
        }
        let is_heartbeat = message.get_msg_type() == MessageType::MsgHeartbeat;
        let term = message.term;
        match check::check(&message, from, &self.raw)? {
            Verdict::Refuse(reason) => self.refuse(reason),
            Verdict::Accept => {
                // The only errors are of messages from strangers and of proposals.
                if self.raw.step(message).is_err() {
                    self.refuse("an answer from a stranger");
                }
                // One of an older term was not acknowledged.
                if is_heartbeat && term == self.raw.raft.term {
                    self.promise(now);
                }
            }
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, reason: &'static str) {
        self.counters.messages_refused += 1;
        self.counters.last_refusal = Some(reason);
    }

    pub(super) fn on_transfer_leader(&mut self, to: MemberId) {
        if self.leads() {
            self.transfer_to(to.get());
        } else if let Some(leader) = self.leader() {
            self.send(leader, Peer::TransferLeader(TransferLeader { to: to.get() }));
        }
    }
}
