//! Bringing log and state together when a member is opened.

use bytes::Bytes;
use quorate_storage::{EntryKind, LogBatch, LogEntry, LogStore, StorageError};
use quorate_types::{LogPosition, mutant};
use thiserror::Error;

use crate::core::Recovered;
use crate::machine::CommittedEntry;
use crate::membership::Membership;
use crate::wire::decode_commands;

/// Why a member cannot be opened from what its disk holds.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The log store failed.
    #[error("cannot read the log")]
    Log(#[source] StorageError),
    /// The log was purged beyond what the state contains: one of the two is not from this member's
    /// last life.
    #[error(
        "the state ends at {applied} but the log starts after {start}: part of the data is missing"
    )]
    StateBehindLog {
        /// The last entry that the state contains.
        applied: LogPosition,
        /// The position before the first entry of the log.
        start: LogPosition,
    },
    /// The membership that the state machine keeps is damaged.
    #[error("damaged membership: {detail}")]
    CorruptMembership {
        /// What is wrong.
        detail: String,
    },
}

/// Reads the whole log and reconciles it with the state at `applied`.
///
/// A crash while a snapshot is being installed leaves the new state beside the old log. The state
/// is committed data, so the log is then started anew after it, durably, before anything else
/// happens.
///
/// # Errors
///
/// [`RecoveryError`] if the two cannot belong together.
pub fn recover(
    log: &mut dyn LogStore,
    applied: LogPosition,
    membership: &Bytes,
) -> Result<Recovered, RecoveryError> {
    let start = log.state().start;
    if applied.index < start.index {
        return Err(RecoveryError::StateBehindLog { applied, start });
    }
    let mut entries = read_all(log)?;
    #[cfg(feature = "mutants")]
    cut_to(log, &entries)?;
    if mutant!(M27a, !contains(&entries, start, applied), false) {
        let mut hard_state = log.state().hard_state;
        hard_state.commit = applied.index;
        if hard_state.term < applied.term {
            hard_state.term = applied.term;
            hard_state.vote = 0;
        }
        let reset =
            LogBatch { hard_state: Some(hard_state), reset: Some(applied), entries: Vec::new() };
        log.append(&reset, true).map_err(RecoveryError::Log)?;
        entries.clear();
    }
    let membership = match membership.is_empty() {
        true => None,
        false => Some(
            Membership::decode(membership)
                .map_err(|detail| RecoveryError::CorruptMembership { detail })?,
        ),
    };
    Ok(Recovered { log: log.state(), entries, applied, membership })
}

fn read_all(log: &dyn LogStore) -> Result<Vec<LogEntry>, RecoveryError> {
    let state = log.state();
    let reader = log.reader();
    let mut entries: Vec<LogEntry> = Vec::new();
    let (mut next, end) = (state.start.index.next(), state.last.next());
    while next < end {
        let chunk = match reader.entries(next, end, READ_SIZE_MAX) {
            Ok(chunk) => chunk,
            Err(error) => mutant!(M32, return Err(RecoveryError::Log(error)), break),
        };
        assert!(!chunk.is_empty(), "the log store returned no entry from {next}");
        next = chunk.last().map_or(end, |entry| entry.position.index.next());
        entries.extend(chunk);
    }
    Ok(entries)
}

/// What a mutant did not read is cut off.
#[cfg(feature = "mutants")]
fn cut_to(log: &mut dyn LogStore, entries: &[LogEntry]) -> Result<(), RecoveryError> {
    let mut state = log.state();
    let last = entries.last().map_or(state.start.index, |entry| entry.position.index);
    if last == state.last {
        return Ok(());
    }
    state.hard_state.commit = state.hard_state.commit.min(last);
    let (hard_state, reset) = (Some(state.hard_state), Some(state.start));
    let batch = LogBatch { hard_state, reset, entries: entries.to_vec() };
    log.append(&batch, true).map_err(RecoveryError::Log)
}

fn contains(entries: &[LogEntry], start: LogPosition, position: LogPosition) -> bool {
    position == start || entries.iter().any(|entry| entry.position == position)
}

/// Reads the commands of a log entry.
///
/// # Errors
///
/// What is wrong with the entry. It was checked before it was proposed, so the log or the proposer
/// is damaged.
pub fn committed_entry(entry: LogEntry) -> Result<CommittedEntry, String> {
    let LogEntry { position, kind, data } = entry;
    match kind {
        EntryKind::Normal => {
            let commands = decode_commands(data).map_err(|e| format!("{position}: {e}"))?;
            Ok(CommittedEntry { position, commands, membership: None })
        }
        EntryKind::Membership => Err(format!("{position}: membership changes are not known yet")),
    }
}

/// Payload bytes read from the log at once.
const READ_SIZE_MAX: u64 = 8 << 20;
