//! Checks of foreign messages before the `raft` crate sees them.
//!
//! The crate trusts its peers and panics when fields contradict its log. A contradiction is either
//! a peer gone wrong, whose message is refused, or the sign that this member lost part of its log,
//! which ends it.

use quorate_types::{LogIndex, MemberId};
use raft::RawNode;
use raft::eraftpb::{Message, MessageType};

use super::CoreError;
use super::tail::Tail;

/// What to do with a message.
pub(super) enum Verdict {
    /// Hand it to the `raft` crate.
    Accept,
    /// Drop it; the text says why.
    Refuse(&'static str),
}

/// Compares the fields of `message` with this member's log.
pub(super) fn check(
    message: &Message,
    from: MemberId,
    raw: &RawNode<Tail>,
) -> Result<Verdict, CoreError> {
    if message.from != from.get() || message.to != raw.raft.id {
        return Ok(Verdict::Refuse("sender or receiver differ from the envelope"));
    }
    if message.term < raw.raft.term {
        // Outdated; the crate reads nothing but the term.
        return Ok(Verdict::Accept);
    }
    match message.get_msg_type() {
        MessageType::MsgAppend => check_append(message, raw),
        MessageType::MsgHeartbeat => check_heartbeat(message, raw),
        MessageType::MsgAppendResponse => Ok(check_append_response(message, raw)),
        _ => Ok(Verdict::Accept),
    }
}

fn check_append(message: &Message, raw: &RawNode<Tail>) -> Result<Verdict, CoreError> {
    let mut term = message.log_term;
    for (expected, entry) in (message.index + 1..).zip(message.get_entries()) {
        if entry.index != expected {
            return Ok(Verdict::Refuse("entries are not consecutive"));
        }
        if entry.term < term || entry.term > message.term {
            return Ok(Verdict::Refuse("terms of entries do not ascend"));
        }
        term = entry.term;
    }
    let log = &raw.raft.raft_log;
    let committed = log.committed;
    let overlap = message.get_entries().iter().take_while(|entry| entry.index <= committed);
    for entry in overlap {
        // Below the start of the log nothing is known, and nothing is compared.
        if log.term(entry.index).is_ok_and(|known| known != 0 && known != entry.term)
            && log.match_term(message.index, message.log_term)
        {
            return Ok(Verdict::Refuse("an entry contradicts a committed one"));
        }
    }
    Ok(Verdict::Accept)
}

fn check_heartbeat(message: &Message, raw: &RawNode<Tail>) -> Result<Verdict, CoreError> {
    let last = raw.raft.raft_log.last_index();
    if message.commit <= last {
        return Ok(Verdict::Accept);
    }
    // A leader tells a follower no more than what that follower acknowledged as durable.
    Err(CoreError::LogLost {
        acknowledged: LogIndex::new(message.commit),
        last: LogIndex::new(last),
    })
}

fn check_append_response(message: &Message, raw: &RawNode<Tail>) -> Verdict {
    let last = raw.raft.raft_log.last_index();
    if message.term == raw.raft.term && message.index > last && !message.reject {
        return Verdict::Refuse("an answer acknowledges entries that were never sent");
    }
    if message.reject && message.reject_hint > last {
        return Verdict::Refuse("an answer hints at entries that were never sent");
    }
    Verdict::Accept
}
