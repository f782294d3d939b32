//! The thread that writes the log, and the one that reads it for slow followers.

use crossbeam::channel::Receiver;
use quorate_storage::{LogReader, LogStore, StorageError};
use quorate_transport::Transport;
use quorate_types::LogPosition;

use super::event::Mailbox;
use super::stop::StopCause;
use crate::core::{Append, Fetch, Input};
use crate::log_group::LogGroup;

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
    let Some(LogGroup { writes, sync, messages, number }) = LogGroup::of(appends) else {
        return Ok(());
    };
    let last = writes.len().saturating_sub(1);
    for (place, batch) in writes.iter().enumerate() {
        log.append(batch, sync && place == last)?;
    }
    for outbound in messages {
        transport.send(outbound.to, outbound.message);
    }
    reports.report(Input::Appended { number });
    Ok(())
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
