//! Between the `raft` crate's messages and ours.

use quorate_types::{MemberId, mutant};
use raft::eraftpb::{self, MessageType, Snapshot};

use crate::membership::Membership;
use crate::wire::{RaftMessage, WireEntry, WireSnapshot};

/// Our form of a message of the `raft` crate.
pub(super) fn to_wire(mut message: eraftpb::Message) -> RaftMessage {
    let entries = message
        .take_entries()
        .into_iter()
        .map(|entry| WireEntry {
            kind: entry.get_entry_type() as u32,
            term: entry.term,
            index: entry.index,
            data: entry.data,
        })
        .collect();
    let snapshot = message.has_snapshot().then(|| snapshot_to_wire(message.get_snapshot()));
    RaftMessage {
        kind: message.get_msg_type() as u32,
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.take_context(),
        snapshot,
    }
}

fn snapshot_to_wire(snapshot: &Snapshot) -> WireSnapshot {
    let metadata = snapshot.get_metadata();
    WireSnapshot {
        term: metadata.term,
        index: metadata.index,
        membership: Membership::from_raft(metadata.get_conf_state()).encode(),
    }
}

/// The `raft` crate's form of a peer's message; the error says what is wrong with it.
pub(super) fn from_wire(wire: RaftMessage) -> Result<eraftpb::Message, String> {
    let kind = FOREIGN_KINDS
        .iter()
        .find(|kind| **kind as u32 == wire.kind)
        .or(mutant!(M17b, None, super::mutations::read_kind(wire.kind)))
        .ok_or_else(|| format!("raft message kind {} does not travel", wire.kind))?;
    let mut message = eraftpb::Message::default();
    message.set_msg_type(*kind);
    message.to = wire.to;
    message.from = wire.from;
    message.term = wire.term;
    message.log_term = wire.log_term;
    message.index = wire.index;
    message.commit = wire.commit;
    message.commit_term = wire.commit_term;
    message.reject = wire.reject;
    message.reject_hint = wire.reject_hint;
    message.context = wire.context;
    let entries: Result<Vec<_>, String> = wire.entries.into_iter().map(entry_from_wire).collect();
    message.set_entries(entries?.into());
    match (wire.snapshot, *kind == MessageType::MsgSnapshot) {
        (Some(snapshot), true) => message.set_snapshot(snapshot_from_wire(&snapshot)?),
        (None, false) => {}
        _ => return Err("a snapshot where none belongs, or none where one does".to_owned()),
    }
    if MemberId::from_u64(message.from).is_none() || mutant!(M17b, message.term == 0, false) {
        return Err("a raft message without sender or term".to_owned());
    }
    Ok(message)
}

fn entry_from_wire(wire: WireEntry) -> Result<eraftpb::Entry, String> {
    let kind = [eraftpb::EntryType::EntryNormal, eraftpb::EntryType::EntryConfChangeV2]
        .into_iter()
        .find(|kind| *kind as u32 == wire.kind)
        .ok_or_else(|| format!("log entry kind {} is unknown", wire.kind))?;
    let mut entry = eraftpb::Entry::default();
    entry.set_entry_type(kind);
    entry.term = wire.term;
    entry.index = wire.index;
    entry.data = wire.data;
    Ok(entry)
}

fn snapshot_from_wire(wire: &WireSnapshot) -> Result<Snapshot, String> {
    let membership = Membership::decode(&wire.membership)?;
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.term = wire.term;
    metadata.index = wire.index;
    metadata.set_conf_state(membership.to_raft());
    Ok(snapshot)
}

/// Kinds that one member may send to another. The rest are local to the `raft` crate, or replaced
/// by messages of our own (proposals, read index, leader transfer).
const FOREIGN_KINDS: [MessageType; 10] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTimeoutNow,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_kinds_do_not_travel() {
        for kind in [MessageType::MsgHup, MessageType::MsgReadIndex, MessageType::MsgPropose] {
            let wire =
                RaftMessage { kind: kind as u32, from: 1, term: 1, ..RaftMessage::default() };
            assert!(from_wire(wire).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn messages_survive_the_wire() {
        let mut message = eraftpb::Message::default();
        message.set_msg_type(MessageType::MsgAppend);
        (message.from, message.to, message.term, message.index) = (1, 2, 3, 4);
        let mut entry = eraftpb::Entry::default();
        (entry.term, entry.index) = (3, 5);
        entry.data = bytes::Bytes::from_static(b"data");
        message.set_entries(vec![entry].into());
        assert_eq!(from_wire(to_wire(message.clone())), Ok(message));
    }
}
