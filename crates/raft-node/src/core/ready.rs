//! From the `raft` crate's readies to outputs, and back from what was written and applied.

use bytes::Bytes;
use quorate_storage::{HardState, LogBatch, LogEntry};
use quorate_types::{CommandId, LogIndex, LogPosition, MemberId, Term, mutant};
use raft::Ready;
use raft::eraftpb::{self, MessageType};

use super::outputs::{Append, Fetch, Install, Outbound, SnapshotOrder};
use super::{Core, convert};
use crate::wire::{Peer, from_log_entry, to_log_entry};

impl<T, R> Core<T, R> {
    /// Turns everything that the `raft` crate has ready into outputs.
    pub(super) fn process_readies(&mut self) {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            let messages = ready.take_messages();
            self.send_all(messages);
            self.apply_later(ready.take_committed_entries());
            self.confirm_reads(&mut ready);
            self.append_later(ready);
            self.after_raft();
        }
    }

    fn send_all(&mut self, messages: Vec<eraftpb::Message>) {
        for message in messages {
            if let Some(outbound) = self.outbound(message) {
                self.outputs.messages.push(outbound);
            }
        }
    }

    /// Encodes a message. A snapshot becomes an order to send it as a stream instead.
    fn outbound(&mut self, message: eraftpb::Message) -> Option<Outbound> {
        let to = MemberId::from_u64(message.to)?;
        let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
        let message = Peer::Raft(convert::to_wire(message)).into_bytes();
        if !is_snapshot {
            return Some(Outbound { to, message });
        }
        self.raw.mut_store().forget_snapshot(to);
        self.snapshots.sending(to);
        self.outputs.snapshots.push(SnapshotOrder::Send { to, head: message });
        None
    }

    fn apply_later(&mut self, entries: Vec<eraftpb::Entry>) {
        for entry in &entries {
            self.flush.bytes_since += entry.data.len() as u64;
            self.outputs.apply.push(to_log_entry(entry));
            mutant!(M26, { self.forget_unless_leader() });
        }
    }

    fn confirm_reads(&mut self, ready: &mut Ready) {
        for state in ready.take_read_states() {
            let context: Option<[u8; 8]> = state.request_ctx.try_into().ok();
            let context = u64::from_be_bytes(context.expect("contexts are our own"));
            let answers = self.reads.confirm_round(context, LogIndex::new(state.index));
            for (to, answer) in answers {
                self.send(to, Peer::ReadIndexResponse(answer));
            }
        }
    }

    /// Hands the log part of a ready to the disk, and tells the crate that it may go on meanwhile.
    fn append_later(&mut self, mut ready: Ready) {
        let number = ready.number();
        let messages = ready.take_persisted_messages();
        let messages: Vec<_> = messages.into_iter().filter_map(|m| self.outbound(m)).collect();
        let then_send = mutant!(M69, messages, self.send_early(messages));
        let mut batch = LogBatch::default();
        if !ready.snapshot().is_empty() {
            batch.reset = Some(self.install_later(number, &ready));
        }
        let entries = ready.take_entries();
        self.raw.mut_store().append(&entries);
        batch.entries = entries.iter().map(to_log_entry).collect();
        // A commit index alone is only a hint, not worth a write; it goes along with the next one.
        let must_sync = ready.must_sync();
        batch.hard_state = ready.hs().filter(|_| must_sync).map(hard_state);
        mutant!(M40, { self.forget_term(&mut batch) });
        self.raw.advance_append_async(ready);
        let nothing_to_write = batch.is_empty() && !must_sync;
        if nothing_to_write && mutant!(M80, self.appends.idle(), true) {
            self.appends.skip(number);
            self.outputs.messages.extend(then_send);
            self.raw.on_persist_ready(number);
        } else if nothing_to_write && then_send.is_empty() {
            self.appends.skip(number);
        } else {
            let append = Append { number, batch, sync: mutant!(M31, must_sync, false), then_send };
            self.outputs.appends.extend(self.appends.start(append));
            mutant!(M03, { self.persisted_early(number, true) });
            mutant!(M82, { self.persisted_early(number, false) });
        }
    }

    /// Starts to replace the state by the staged snapshot that a ready carries; returns where the
    /// log starts then.
    fn install_later(&mut self, number: u64, ready: &Ready) -> LogPosition {
        let metadata = ready.snapshot().get_metadata();
        let position = LogPosition::new(Term::new(metadata.term), LogIndex::new(metadata.index));
        let id = self.snapshots.take_staged(position);
        self.raw.mut_store().reset(position);
        self.appends.hold(number, metadata.index);
        self.outputs.install = Some(Install { id, position });
        position
    }

    pub(super) fn on_installed(&mut self, position: LogPosition) {
        assert!(position.index >= self.applied.index, "{position} before {}", self.applied);
        self.applied = position;
        self.counters.snapshots_installed += 1;
        self.flush = super::FlushState { ordered: position.index, ..Default::default() };
        let held = self.appends.release();
        self.outputs.appends.extend(held);
    }

    pub(super) fn on_appended(&mut self, number: u64) {
        let persisted = self.appends.finish(number);
        self.raw.on_persist_ready(persisted);
        if let Some(index) = self.appends.take_reset(number) {
            self.raw.advance_apply_to(index);
        }
    }

    pub(super) fn on_applied(&mut self, position: LogPosition, responses: Vec<(CommandId, R)>) {
        if !self.appends.holding() && position.index > self.applied.index {
            self.applied = position;
            self.raw.advance_apply_to(position.index.get());
        }
        for (id, response) in responses {
            if let Some(ticket) = self.proposals.finish(id) {
                self.outputs.answers.push((ticket, Ok(response)));
            }
        }
    }

    // Flushing and purging.

    pub(super) fn order_flush(&mut self) {
        let entries = self.applied.index.get() - self.flush.ordered.get();
        let due = entries >= self.tuning.flush_after_entries
            || self.flush.bytes_since >= self.tuning.flush_after_size.bytes();
        if !due || entries == 0 || self.flush.under_way || self.appends.holding() {
            return;
        }
        let ordered = self.applied.index;
        self.flush = super::FlushState { ordered, under_way: true, bytes_since: 0 };
        self.outputs.flush = Some(self.applied);
    }

    pub(super) fn on_flushed(&mut self, position: LogPosition) {
        self.flush.under_way = mutant!(M42a, false, true);
        if self.appends.holding() {
            return;
        }
        let keep = self.tuning.log_keep_entries;
        let flushed = mutant!(M58, position, self.applied);
        let through = LogIndex::new(flushed.index.get().saturating_sub(keep));
        let tail = self.raw.mut_store();
        if through <= tail.start().index {
            return;
        }
        let through = tail.position(through).expect("applied entries are in the log");
        tail.purge(through);
        self.outputs.purge = Some(through);
    }

    // Entries for slow followers.

    /// Orders what the `raft` crate asked for and did not find in memory.
    pub(super) fn serve_demand(&mut self, now: quorate_types::Instant) {
        let (misses, peers) = self.raw.mut_store().take_demand();
        for miss in misses {
            // Each heartbeat asks again; one request at a time is enough.
            let asked = self.fetching.values().any(|(first, _)| *first == miss.first);
            if asked || self.fetching.len() >= FETCHES_MAX {
                continue;
            }
            let id = self.next_fetch;
            self.next_fetch += 1;
            self.outputs.fetches.push(Fetch {
                id,
                first: miss.first,
                end: miss.end,
                bytes_max: miss.bytes_max,
            });
            self.fetching.insert(id, (miss.first, miss.context));
        }
        for to in self.snapshots.open_for(&peers, now) {
            self.outputs.snapshots.push(SnapshotOrder::Open { to });
        }
        let stale = self.snapshots.close_stale(now, self.tuning.election_timeout * 2);
        self.close_snapshots(stale);
    }

    pub(super) fn on_fetched(&mut self, id: u64, entries: &[LogEntry]) {
        let Some((_, context)) = self.fetching.remove(&id) else { return };
        self.raw.mut_store().supply(entries.iter().map(from_log_entry).collect());
        self.raw.on_entries_fetched(context);
        self.raw.mut_store().forget_fetched();
    }

    pub(super) fn close_snapshots(&mut self, peers: Vec<MemberId>) {
        for to in peers {
            self.raw.mut_store().forget_snapshot(to);
            self.outputs.snapshots.push(SnapshotOrder::Close { to });
        }
    }

    /// The encoded membership that goes with a snapshot.
    pub(super) fn snapshot_membership(&self, applied: &Bytes) -> Bytes {
        if applied.is_empty() { self.membership().encode() } else { applied.clone() }
    }
}

fn hard_state(state: &eraftpb::HardState) -> HardState {
    HardState {
        term: Term::new(state.term),
        vote: mutant!(M39, state.vote, 0),
        commit: LogIndex::new(state.commit),
    }
}

/// One for each follower that any cluster has, and a bound on memory: each brings at most one
/// message of entries.
const FETCHES_MAX: usize = 16;
