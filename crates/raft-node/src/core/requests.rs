//! What callers want: commands proposed or forwarded, reads confirmed.

use std::time::Duration;

use quorate_types::{Instant, LogIndex, mutant};
use raft::eraftpb::{Entry, Message, MessageType};

use super::Core;
use crate::wire::Peer;

impl<T, R> Core<T, R> {
    /// Proposes what waits if this member leads, else forwards it to the leader.
    pub(super) fn pump_proposals(&mut self, now: Instant) {
        if self.leads() {
            // While two appends wait for the disk, further commands gather and share the next.
            let busy = self.appends.in_flight() >= APPENDS_IN_FLIGHT_MAX;
            if !busy && self.proposals.has_queued() && self.raw.raft.lead_transferee.is_none() {
                self.propose(now);
            }
            return;
        }
        if self.proposals.has_sent() && now >= self.next_resend {
            self.proposals.unsend(now - self.resend_after());
            self.next_resend = now + self.resend_after() / 2;
        }
        let Some(leader) = self.leader() else { return };
        if self.proposals.has_queued() {
            for batch in self.proposals.pack_forwards(now, &self.tuning) {
                self.send(leader, Peer::Commands(batch));
            }
        }
    }

    fn propose(&mut self, now: Instant) {
        let entries = self.proposals.pack_entries(now, &self.tuning);
        if mutant!(M78, entries.is_empty(), false) {
            // Everything that was queued has expired; the crate does not take an empty proposal.
            return;
        }
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.member.get();
        let entry = |data| Entry { data, ..Entry::default() };
        message.set_entries(entries.into_iter().map(entry).collect::<Vec<_>>().into());
        if self.raw.step(message).is_err() {
            // Dropped; own commands are tried again, foreign ones come again from their origin.
            self.proposals.unsend(now);
        }
        self.after_raft();
    }

    /// How long a forwarded command goes without an answer before it is sent again.
    fn resend_after(&self) -> Duration {
        self.tuning.election_timeout
    }

    /// Starts a round for the reads that wait, or asks the leader to.
    pub(super) fn pump_reads(&mut self, now: Instant) {
        if self.leads() {
            // Before its first commit in a term the crate drops reads without a word.
            mutant!(M23, { self.confirm_unasked(now) });
            mutant!(M25, { self.confirm_if(!self.raw.raft.commit_to_current_term(), now) });
            mutant!(M41d, { self.confirm_if(self.raw.raft.lead_transferee.is_some(), now) });
            if self.holds_lease(now) {
                let index = LogIndex::new(self.raw.raft.raft_log.committed);
                self.counters.reads_by_lease += self.reads.confirm_by_lease(index);
            }
            let answers = self.raw.raft.commit_to_current_term();
            if self.reads.wants_round() && mutant!(M19a, answers, true) {
                let context = self.reads.start_round(now);
                self.raw.read_index(context.to_be_bytes().to_vec());
                self.after_raft();
            }
            return;
        }
        let Some(leader) = self.leader() else { return };
        mutant!(M17b, { return self.forward_reads(now) });
        let before = now - self.tuning.heartbeat_interval;
        if let Some(request) = self.reads.next_request(now, before) {
            self.send(leader, Peer::ReadIndexRequest(request));
        }
    }
}

/// With two, one append is being synced while the next is gathered by the log thread.
const APPENDS_IN_FLIGHT_MAX: usize = 2;
