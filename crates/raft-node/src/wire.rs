//! What members say to each other, and how commands stand in a log entry: prost messages.
//!
//! Field numbers are fixed in `docs/wire_format.md`. Bytes from a peer are decoded here and nowhere
//! else.

use bytes::Bytes;
use prost::Message as _;
use quorate_storage::{EntryKind, LogEntry};
use quorate_types::{CommandId, LogIndex, LogPosition, MemberId, Term};
use raft::eraftpb;

use crate::machine::Command;

/// Everything that travels between two members over the message channel.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PeerMessage {
    #[prost(oneof = "Peer", tags = "1, 2, 3, 4, 5")]
    pub(crate) kind: Option<Peer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Peer {
    /// A message of the Raft algorithm.
    #[prost(message, tag = "1")]
    Raft(RaftMessage),
    /// Commands of the sender's callers, for the leader to propose.
    #[prost(message, tag = "2")]
    Commands(CommandBatch),
    /// The sender wants to know an index up to which it must have applied before it reads.
    #[prost(message, tag = "3")]
    ReadIndexRequest(ReadIndexRequest),
    /// The leader's answer.
    #[prost(message, tag = "4")]
    ReadIndexResponse(ReadIndexResponse),
    /// The sender wants the leader to hand over its office.
    #[prost(message, tag = "5")]
    TransferLeader(TransferLeader),
}

/// A message of the Raft algorithm. Unlike the crate's own encoding it is read by prost only.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RaftMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(fixed64, tag = "2")]
    pub(crate) to: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) from: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) log_term: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) index: u64,
    #[prost(message, repeated, tag = "7")]
    pub(crate) entries: Vec<WireEntry>,
    #[prost(uint64, tag = "8")]
    pub(crate) commit: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) commit_term: u64,
    #[prost(bool, tag = "10")]
    pub(crate) reject: bool,
    #[prost(uint64, tag = "11")]
    pub(crate) reject_hint: u64,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) context: Bytes,
    #[prost(message, optional, tag = "13")]
    pub(crate) snapshot: Option<WireSnapshot>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireEntry {
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) data: Bytes,
}

/// The head of a snapshot; its content travels as a bulk stream.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireSnapshot {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) index: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) membership: Bytes,
}

/// The payload of a log entry, and of forwarded commands.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CommandBatch {
    #[prost(message, repeated, tag = "1")]
    pub(crate) commands: Vec<WireCommand>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireCommand {
    #[prost(fixed64, tag = "1")]
    pub(crate) origin: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) incarnation: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) sequence: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) floor: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) payload: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub(crate) struct ReadIndexRequest {
    /// The requester's life, so that an answer to an earlier life is not taken for this one's.
    #[prost(uint64, tag = "1")]
    pub(crate) incarnation: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct ReadIndexResponse {
    #[prost(uint64, tag = "1")]
    pub(crate) incarnation: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct TransferLeader {
    #[prost(fixed64, tag = "1")]
    pub(crate) to: u64,
}

impl Peer {
    /// The encoded [`PeerMessage`].
    pub(crate) fn into_bytes(self) -> Bytes {
        PeerMessage { kind: Some(self) }.encode_to_vec().into()
    }

    /// Reads an encoded [`PeerMessage`]; the error says what is wrong with the bytes.
    pub(crate) fn from_bytes(bytes: Bytes) -> Result<Self, String> {
        let message = PeerMessage::decode(bytes).map_err(|e| e.to_string())?;
        message.kind.ok_or_else(|| "a message of no known kind".to_owned())
    }
}

impl WireCommand {
    pub(crate) fn new(command: Command) -> Self {
        let Command { id, floor, payload } = command;
        Self {
            origin: id.origin.get(),
            incarnation: id.incarnation,
            sequence: id.sequence,
            floor,
            payload,
        }
    }

    fn into_command(self) -> Option<Command> {
        let origin = MemberId::from_u64(self.origin)?;
        let id = CommandId { origin, incarnation: self.incarnation, sequence: self.sequence };
        Some(Command { id, floor: self.floor, payload: self.payload })
    }

    /// The bytes this command adds to an entry, within a few bytes.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + COMMAND_OVERHEAD
    }
}

/// Reads the commands of a log entry; the error says what is wrong with the bytes.
///
/// An entry is checked before it is proposed, so an error here means a damaged log.
pub(crate) fn decode_commands(data: Bytes) -> Result<Vec<Command>, String> {
    let batch = CommandBatch::decode(data).map_err(|e| e.to_string())?;
    batch
        .commands
        .into_iter()
        .map(|command| command.into_command().ok_or_else(|| "a command of member 0".to_owned()))
        .collect()
}

/// The entry as the log store takes it.
pub(crate) fn to_log_entry(entry: &eraftpb::Entry) -> LogEntry {
    let kind = match entry.get_entry_type() {
        eraftpb::EntryType::EntryNormal => EntryKind::Normal,
        eraftpb::EntryType::EntryConfChange | eraftpb::EntryType::EntryConfChangeV2 => {
            EntryKind::Membership
        }
    };
    LogEntry {
        position: LogPosition::new(Term::new(entry.term), LogIndex::new(entry.index)),
        kind,
        data: entry.data.clone(),
    }
}

/// The entry as the `raft` crate takes it. Membership entries are always of its second form.
pub(crate) fn from_log_entry(entry: &LogEntry) -> eraftpb::Entry {
    let mut raft = eraftpb::Entry::default();
    raft.set_entry_type(match entry.kind {
        EntryKind::Normal => eraftpb::EntryType::EntryNormal,
        EntryKind::Membership => eraftpb::EntryType::EntryConfChangeV2,
    });
    raft.term = entry.position.term.get();
    raft.index = entry.position.index.get();
    raft.data = entry.data.clone();
    raft
}

/// Field keys, lengths, the origin and three numbers of usual size.
const COMMAND_OVERHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_encoding() {
        let id = CommandId { origin: MemberId::new(7), incarnation: 2, sequence: 300 };
        let command = Command { id, floor: 299, payload: Bytes::from_static(b"put") };
        let batch = CommandBatch { commands: vec![WireCommand::new(command.clone())] };
        assert_eq!(decode_commands(batch.encode_to_vec().into()), Ok(vec![command]));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(Peer::from_bytes(Bytes::new()).is_err());
        assert!(Peer::from_bytes(Bytes::from_static(&[0xff; 9])).is_err());
        assert!(decode_commands(Bytes::from_static(&[0x0a, 0x00])).is_err());
    }

    #[test]
    fn command_bytes_are_fixed() {
        let id = CommandId { origin: MemberId::new(1), incarnation: 2, sequence: 3 };
        let command = Command { id, floor: 3, payload: Bytes::from_static(b"x") };
        let batch = CommandBatch { commands: vec![WireCommand::new(command)] };
        assert_eq!(
            batch.encode_to_vec(),
            [10, 18, 9, 1, 0, 0, 0, 0, 0, 0, 0, 16, 2, 24, 3, 32, 3, 42, 1, b'x']
        );
    }
}
