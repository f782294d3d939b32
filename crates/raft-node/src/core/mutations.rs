//! What some of the built-in bugs do at their places; see `quorate_types::mutants`.

use quorate_storage::LogBatch;
use quorate_types::{Instant, LogIndex, MemberId};
use raft::eraftpb::{Message, MessageType};

use super::Core;
use super::outputs::Outbound;
use crate::wire::Peer;

impl<T, R> Core<T, R> {
    /// M03, M82: counts an append as durable when it is handed out.
    pub(super) fn persisted_early(&mut self, number: u64, only_alone: bool) {
        let alone = self.membership().members() == [self.member];
        if self.leads() && (alone || !only_alone) {
            self.raw.on_persist_ready(number);
        }
    }

    /// M26: leaves nothing of an entry but its position.
    pub(super) fn forget_unless_leader(&mut self) {
        if !self.leads()
            && let Some(entry) = self.outputs.apply.last_mut()
        {
            entry.data.clear();
        }
    }

    /// M40: writes no other term than that of the last entry.
    pub(super) fn forget_term(&self, batch: &mut LogBatch) {
        let last = LogIndex::new(self.raw.store().last());
        if let (Some(hard_state), Some(last)) =
            (&mut batch.hard_state, self.raw.store().position(last))
        {
            hard_state.term = last.term;
        }
    }

    /// M69: sends at once what was to wait.
    pub(super) fn send_early(&mut self, messages: Vec<Outbound>) -> Vec<Outbound> {
        self.outputs.messages.extend(messages);
        Vec::new()
    }

    /// M23: answers the reads that wait from what this member knows.
    pub(super) fn confirm_unasked(&mut self, now: Instant) {
        let context = self.reads.start_round(now);
        let index = LogIndex::new(self.raw.raft.raft_log.committed);
        for (to, answer) in self.reads.confirm_round(context, index) {
            self.send(to, Peer::ReadIndexResponse(answer));
        }
    }

    /// M25, M41d: as M23, in certain moments.
    pub(super) fn confirm_if(&mut self, moment: bool, now: Instant) {
        if moment {
            self.confirm_unasked(now);
        }
    }

    /// M17b: asks the leader by the message of the crate.
    pub(super) fn forward_reads(&mut self, now: Instant) {
        if self.reads.has_waiting() {
            let context = self.reads.start_round(now);
            self.raw.read_index(context.to_be_bytes().to_vec());
            self.after_raft();
        }
    }

    /// M41b: an acknowledgement as if it were of this term.
    pub(super) fn as_of_this_term(&self, mut message: Message) -> Message {
        if message.get_msg_type() == MessageType::MsgAppendResponse && !message.reject {
            message.term = message.term.max(self.raw.raft.term);
        }
        message
    }

    /// M41c: whoever answers a heartbeat has everything that was sent to it.
    pub(super) fn count_heartbeat(&mut self, from: MemberId, message: &Message) {
        let answers = message.get_msg_type() == MessageType::MsgHeartbeatResponse;
        if !answers || !self.leads() || message.term != self.raw.raft.term {
            return;
        }
        if let Some(progress) = self.raw.raft.mut_prs().get_mut(from.get()) {
            progress.maybe_update(progress.next_idx - 1);
        }
        self.raw.raft.maybe_commit();
    }

    /// M50: commits whatever most members hold, of whatever term.
    pub(super) fn commit_by_counting(&mut self) {
        if self.leads() {
            let (index, _) = self.raw.raft.mut_prs().maximal_committed_index();
            self.raw.raft.raft_log.commit_to(index);
        }
    }
}

/// M61: a request for a vote of somebody with the longest of logs.
pub(super) fn with_a_long_log(mut message: Message) -> Message {
    let asks = [MessageType::MsgRequestVote, MessageType::MsgRequestPreVote];
    if asks.contains(&message.get_msg_type()) {
        message.log_term = u64::MAX;
    }
    message
}

/// M17b: the messages of reads travel too.
pub(super) fn read_kind(kind: u32) -> Option<&'static MessageType> {
    const KINDS: [MessageType; 2] = [MessageType::MsgReadIndex, MessageType::MsgReadIndexResp];
    KINDS.iter().find(|known| **known as u32 == kind)
}
