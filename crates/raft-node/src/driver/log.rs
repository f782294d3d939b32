//! The thread that writes the log, and the one that reads it for slow followers.

use crossbeam::channel::Receiver;
use quorate_storage::{LogBatch, LogReader, LogStore, StorageError};
use quorate_transport::Transport;
use quorate_types::LogPosition;

use super::event::Mailbox;
use super::stop::StopCause;
use crate::core::{Append, Fetch, Input};

/// What the log thread does.
pub(super) enum LogJob {
    Append(Append),
    Purge(LogPosition),
}

/// Writes and syncs until the consensus thread is gone. Everything that queued up shares one sync.
pub(super) fn run<R>(
    mut log: Box<dyn LogStore>,
    jobs: &Receiver<LogJob>,
    transport: &dyn Transport,
    reports: &Mailbox<R>,
) -> Result<(), StopCause> {
    while let Ok(first) = jobs.recv() {
        let mut purge = None;
        let mut appends = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                LogJob::Append(append) => appends.push(append),
                LogJob::Purge(through) => {
                    purge = Some(through);
                    break;
                }
            }
        }
        write(log.as_mut(), appends, transport, reports).map_err(StopCause::Log)?;
        if let Some(through) = purge {
            log.purge(through).map_err(StopCause::Log)?;
        }
    }
    Ok(())
}

fn write<R>(
    log: &mut dyn LogStore,
    appends: Vec<Append>,
    transport: &dyn Transport,
    reports: &Mailbox<R>,
) -> Result<(), StorageError> {
    let Some(number) = appends.last().map(|append| append.number) else { return Ok(()) };
    let sync = appends.iter().any(|append| append.sync);
    let mut messages = Vec::new();
    let mut merged = LogBatch::default();
    for append in appends {
        messages.extend(append.then_send);
        if let Some(separate) = merge(&mut merged, append.batch) {
            log.append(&merged, false)?;
            merged = separate;
        }
    }
    if sync || !merged.is_empty() {
        log.append(&merged, sync)?;
    }
    for outbound in messages {
        transport.send(outbound.to, outbound.message);
    }
    reports.report(Input::Appended { number });
    Ok(())
}

/// Adds `next` to `batch`, or gives it back if it does not simply continue it.
fn merge(batch: &mut LogBatch, next: LogBatch) -> Option<LogBatch> {
    let continues = match (batch.entries.last(), next.entries.first()) {
        (Some(last), Some(first)) => last.position.index.next() == first.position.index,
        _ => true,
    };
    if next.reset.is_some() || !continues {
        return Some(next);
    }
    batch.hard_state = next.hard_state.or(batch.hard_state);
    batch.entries.extend(next.entries);
    None
}

/// Reads entries until the consensus thread is gone.
pub(super) fn run_fetch<R>(
    reader: &dyn LogReader,
    jobs: &Receiver<Fetch>,
    reports: &Mailbox<R>,
) -> Result<(), StopCause> {
    while let Ok(Fetch { id, first, end, bytes_max }) = jobs.recv() {
        let entries = match reader.entries(first, end, bytes_max) {
            Ok(entries) => entries,
            // Purged meanwhile; the follower will get a snapshot.
            Err(StorageError::NoSuchEntry { .. }) => Vec::new(),
            Err(error) => return Err(StopCause::Log(error)),
        };
        reports.report(Input::Fetched { id, entries });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_storage::{EntryKind, HardState, LogEntry};
    use quorate_types::{LogIndex, Term};

    use super::*;

    fn batch(indexes: &[u64], term: u64) -> LogBatch {
        let entry = |index: &u64| LogEntry {
            position: LogPosition::new(Term::new(term), LogIndex::new(*index)),
            kind: EntryKind::Normal,
            data: Bytes::new(),
        };
        let hard_state = HardState { term: Term::new(term), ..HardState::default() };
        LogBatch {
            hard_state: Some(hard_state),
            reset: None,
            entries: indexes.iter().map(entry).collect(),
        }
    }

    #[test]
    fn batches_that_continue_are_merged_and_keep_the_newest_hard_state() {
        let mut merged = batch(&[1, 2], 1);
        assert_eq!(merge(&mut merged, batch(&[3], 2)), None);
        assert_eq!(merge(&mut merged, LogBatch::default()), None);
        assert_eq!(merged.entries.len(), 3);
        assert_eq!(merged.hard_state.map(|state| state.term), Some(Term::new(2)));
    }

    #[test]
    fn batches_that_replace_or_reset_stay_apart() {
        let mut merged = batch(&[1, 2], 1);
        assert_eq!(merge(&mut merged, batch(&[2], 2)), Some(batch(&[2], 2)));
        let reset = LogBatch { reset: Some(LogPosition::default()), ..LogBatch::default() };
        assert_eq!(merge(&mut merged, reset.clone()), Some(reset));
    }
}
