//! Snapshots on their way to peers that fell behind, and one on its way in.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate_types::{Instant, LogPosition, MemberId, mutant};
use raft::SnapshotStatus;
use raft::eraftpb::{MessageType, Snapshot};

use super::check::Verdict;
use super::{Core, CoreError, check, convert};
use crate::membership::Membership;
use crate::wire::Peer;

/// Where each transfer stands.
#[derive(Default)]
pub(super) struct Snapshots {
    outgoing: BTreeMap<MemberId, Outgoing>,
    /// A collected snapshot that the `raft` crate accepted and that is not installed yet.
    staged: Option<(u64, LogPosition)>,
}

enum Outgoing {
    Opening(Instant),
    Opened(Instant),
    Sending,
}

impl Snapshots {
    /// The peers among `wanted` for which a snapshot must be opened now.
    pub(super) fn open_for(&mut self, wanted: &[MemberId], now: Instant) -> Vec<MemberId> {
        let mut open = Vec::new();
        for peer in wanted {
            self.outgoing.entry(*peer).or_insert_with(|| {
                open.push(*peer);
                Outgoing::Opening(now)
            });
        }
        open
    }

    fn opened(&mut self, peer: MemberId, now: Instant) -> bool {
        match self.outgoing.get_mut(&peer) {
            Some(state @ Outgoing::Opening(_)) => {
                *state = Outgoing::Opened(now);
                true
            }
            _ => false,
        }
    }

    /// The stream to `peer` starts.
    pub(super) fn sending(&mut self, peer: MemberId) {
        self.outgoing.insert(peer, Outgoing::Sending);
    }

    fn sent(&mut self, peer: MemberId) {
        self.outgoing.remove(&peer);
    }

    /// Gives up all snapshots that are open and not being sent.
    pub(super) fn close_opened(&mut self) -> Vec<MemberId> {
        self.close_where(|_| true)
    }

    /// Gives up snapshots that nobody asked for again within `age_max`.
    pub(super) fn close_stale(&mut self, now: Instant, age_max: Duration) -> Vec<MemberId> {
        self.close_where(|opened| now - opened > age_max)
    }

    fn close_where(&mut self, close: impl Fn(Instant) -> bool) -> Vec<MemberId> {
        let mut closed = Vec::new();
        self.outgoing.retain(|peer, state| {
            let keep = match state {
                Outgoing::Opening(at) | Outgoing::Opened(at) => !close(*at),
                Outgoing::Sending => true,
            };
            if !keep {
                closed.push(*peer);
            }
            keep
        });
        closed
    }

    /// The id of the staged snapshot, which must be the one at `position`.
    pub(super) fn take_staged(&mut self, position: LogPosition) -> u64 {
        let (id, staged) = self.staged.take().expect("only staged snapshots reach the raft crate");
        assert_eq!(staged, position, "the raft crate wants another snapshot than the staged one");
        id
    }
}

impl<T, R> Core<T, R> {
    pub(super) fn on_snapshot_opened(
        &mut self,
        to: MemberId,
        position: LogPosition,
        membership: &Bytes,
        now: Instant,
    ) -> Result<(), CoreError> {
        let wanted = self.leads() && self.raw.raft.prs().get(to.get()).is_some();
        if !self.snapshots.opened(to, now) || !wanted {
            self.snapshots.sent(to);
            self.close_snapshots(vec![to]);
            return Ok(());
        }
        let membership = Membership::decode(&self.snapshot_membership(membership))
            .map_err(|detail| CoreError::CorruptMembership { detail })?;
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = position.index.get();
        metadata.term = position.term.get();
        let named = mutant!(M53, membership, Membership::of_voters([self.member]));
        metadata.set_conf_state(named.to_raft());
        self.raw.mut_store().supply_snapshot(to, snapshot);
        self.raw.raft.send_append(to.get());
        Ok(())
    }

    pub(super) fn on_snapshot_sent(&mut self, to: MemberId, delivered: bool) {
        if mutant!(M42b, true, delivered) {
            self.snapshots.sent(to);
        }
        let status = if delivered { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.raw.report_snapshot(to.get(), status);
    }

    pub(super) fn on_snapshot_staged(
        &mut self,
        id: u64,
        from: MemberId,
        head: Bytes,
        position: LogPosition,
    ) -> Result<(), CoreError> {
        let message = match Peer::from_bytes(head) {
            Ok(Peer::Raft(wire)) => convert::from_wire(wire).ok(),
            _ => None,
        };
        let is_snapshot = |m: &raft::eraftpb::Message| {
            let metadata = m.get_snapshot().get_metadata();
            m.get_msg_type() == MessageType::MsgSnapshot
                && (metadata.index, metadata.term) == (position.index.get(), position.term.get())
        };
        let Some(message) = message.filter(is_snapshot) else {
            self.refuse("the head of a snapshot that does not fit its content");
            self.outputs.discard.push(id);
            return Ok(());
        };
        let acceptable = matches!(check::check(&message, from, &self.raw)?, Verdict::Accept);
        let free = self.snapshots.staged.is_none() && !self.appends.replacing();
        mutant!(M11, { self.outputs.discard.extend(id.checked_sub(1).filter(|_| !free)) });
        if !acceptable || !free {
            self.refuse("a second snapshot, or one from a stranger");
            self.outputs.discard.push(id);
            return Ok(());
        }
        // Stepping an outdated snapshot is harmless: it only makes the crate answer.
        let stepped = self.raw.step(message).is_ok();
        let pending = self.raw.snap().map(|snapshot| snapshot.get_metadata().index);
        if stepped && pending == Some(position.index.get()) {
            self.snapshots.staged = Some((id, position));
        } else {
            self.outputs.discard.push(id);
        }
        Ok(())
    }
}
