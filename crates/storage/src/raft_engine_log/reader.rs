//! Reads entries from raft-engine.

use std::sync::Arc;
use std::thread;

use quorate_types::{LogIndex, LogPosition, Term};
use raft::eraftpb::{Entry, EntryType};
use raft_engine::MessageExt;

use super::store::{Shared, panic_text};
use crate::log::check_range;
use crate::{EntryKind, LogEntry, LogReader, StorageError};

/// Tells raft-engine where an entry has its index.
pub(super) struct RaftEntry;

impl MessageExt for RaftEntry {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// The reader that [`RaftEngineLog`](super::RaftEngineLog) gives out.
pub(super) struct RaftEngineLogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader for RaftEngineLogReader {
    fn entries(
        &self,
        first: LogIndex,
        end: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let shared = &self.shared;
        shared.latch.check()?;
        // Held to the end, so that nothing is replaced and no file removed meanwhile.
        let _unchanged = shared.changes.read();
        let (state, region) = shared.state();
        if !check_range(&state, first, end)? {
            return Ok(Vec::new());
        }
        // raft-engine keeps the last block in a variable of the thread without noting the log that
        // it is of; a new thread has none.
        let read = || fetch(shared, region, first.get(), end.get(), bytes_max);
        thread::scope(|scope| {
            let reader = thread::Builder::new().name("quorate-log-read".to_owned());
            let reader = reader
                .spawn_scoped(scope, read)
                .map_err(|error| StorageError::io("read", &shared.path, error))?;
            reader.join().unwrap_or_else(|panic| Err(shared.corrupt(panic_text(&*panic))))
        })
    }
}

/// Fetches entries until their data would be more than `bytes_max`, at least one.
fn fetch(
    shared: &Shared,
    region: u64,
    first: u64,
    end: u64,
    bytes_max: u64,
) -> Result<Vec<LogEntry>, StorageError> {
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut left = bytes_max;
    let mut next = first;
    while next < end {
        // raft-engine counts encoded bytes, which are more than those of the data, and adds them up
        // in 32 bits: so it takes several rounds to fill the limit.
        let round_max = usize::try_from(left.min(ROUND_SIZE)).unwrap_or(usize::MAX);
        let mut round = Vec::new();
        shared
            .engine()
            .fetch_entries_to::<RaftEntry>(region, next, end, Some(round_max), &mut round)
            .map_err(|error| missing(shared, next, end, error))?;
        for entry in round {
            let size = entry.data.len() as u64;
            if size > left && !entries.is_empty() {
                return Ok(entries);
            }
            entries.push(decode(shared, entry, next)?);
            next += 1;
            let Some(rest) = left.checked_sub(size) else {
                // The one entry that is always there; behind it not even an empty one has room.
                return Ok(entries);
            };
            left = rest;
        }
    }
    Ok(entries)
}

/// Why the entries from `next` on could not be fetched: a purge may have dropped them meanwhile.
fn missing(shared: &Shared, next: u64, end: u64, error: raft_engine::Error) -> StorageError {
    use raft_engine::Error::{EntryCompacted, EntryNotFound};
    if !matches!(error, EntryCompacted | EntryNotFound) {
        return shared.translate("read", error);
    }
    let (state, _) = shared.state();
    match check_range(&state, LogIndex::new(next), LogIndex::new(end)) {
        Err(error) => error,
        Ok(_) => shared.corrupt(format!("entry {next} is missing from {state:?}")),
    }
}

/// The entry as raft-engine stores it.
pub(super) fn encode(entry: &LogEntry) -> Entry {
    let entry_type = match entry.kind {
        EntryKind::Normal => EntryType::EntryNormal,
        EntryKind::Membership => EntryType::EntryConfChangeV2,
    };
    let mut encoded = Entry::default();
    encoded.set_entry_type(entry_type);
    encoded.term = entry.position.term.get();
    encoded.index = entry.position.index.get();
    encoded.data = entry.data.clone();
    encoded
}

fn decode(shared: &Shared, entry: Entry, index: u64) -> Result<LogEntry, StorageError> {
    if entry.index != index {
        return Err(shared.corrupt(format!("entry {} where {index} should be", entry.index)));
    }
    let kind = match entry.get_entry_type() {
        EntryType::EntryNormal => EntryKind::Normal,
        EntryType::EntryConfChangeV2 => EntryKind::Membership,
        other => return Err(shared.corrupt(format!("entry {index} is of the kind {other:?}"))),
    };
    let position = LogPosition::new(Term::new(entry.term), LogIndex::new(index));
    Ok(LogEntry { position, kind, data: entry.data })
}

/// How many encoded bytes one round fetches at most.
const ROUND_SIZE: u64 = 16 << 20;
