//! The thread that owns the state machine, and the one that makes its state durable.

use crossbeam::channel::Receiver;
use quorate_storage::LogEntry;
use quorate_types::{LogPosition, MemberId};

use super::event::Mailbox;
use super::snapshot::Snapshots;
use super::stop::StopCause;
use crate::core::{Input, Install};
use crate::machine::{CommittedEntry, Flusher, StateMachine};
use crate::recovery::committed_entry;

/// What the apply thread does.
pub(super) enum ApplyJob {
    Apply(Vec<LogEntry>),
    Install(Install),
    OpenSnapshot(MemberId),
}

/// Applies until the consensus thread is gone. Everything that queued up becomes one change of the
/// state.
pub(super) fn run<M: StateMachine>(
    mut machine: M,
    jobs: &Receiver<ApplyJob>,
    snapshots: &Snapshots<M::Response>,
    reports: &Mailbox<M::Response>,
) -> Result<(), StopCause> {
    let mut run = Vec::new();
    while let Ok(first) = jobs.recv() {
        let mut size = 0;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                ApplyJob::Apply(entries) => {
                    size += decode(entries, &mut run)?;
                    if size < RUN_SIZE_MAX {
                        next = jobs.try_recv().ok();
                    }
                }
                other => {
                    apply(&mut machine, &mut run, reports)?;
                    serve(&mut machine, other, snapshots, reports)?;
                }
            }
        }
        apply(&mut machine, &mut run, reports)?;
    }
    Ok(())
}

/// Reads entries into `run`; returns their payload bytes.
fn decode(entries: Vec<LogEntry>, run: &mut Vec<CommittedEntry>) -> Result<usize, StopCause> {
    let mut size = 0;
    for entry in entries {
        size += entry.data.len();
        run.push(committed_entry(entry).map_err(|detail| StopCause::CorruptEntry { detail })?);
    }
    Ok(size)
}

fn apply<M: StateMachine>(
    machine: &mut M,
    run: &mut Vec<CommittedEntry>,
    reports: &Mailbox<M::Response>,
) -> Result<(), StopCause> {
    let Some(position) = run.last().map(|entry| entry.position) else { return Ok(()) };
    let mut responses = Vec::new();
    machine.apply(run, &mut responses).map_err(StopCause::Machine)?;
    run.clear();
    reports.report(Input::Applied { position, responses });
    Ok(())
}

fn serve<M: StateMachine>(
    machine: &mut M,
    job: ApplyJob,
    snapshots: &Snapshots<M::Response>,
    reports: &Mailbox<M::Response>,
) -> Result<(), StopCause> {
    match job {
        ApplyJob::Apply(_) => {}
        ApplyJob::Install(Install { id, position }) => {
            let staged = snapshots.take_staged(id);
            machine.install(staged).map_err(StopCause::Machine)?;
            assert_eq!(machine.applied(), position, "the installed state stands elsewhere");
            reports.report(Input::Installed { position });
        }
        ApplyJob::OpenSnapshot(to) => {
            let source = machine.snapshot().map_err(StopCause::Machine)?;
            let (position, membership) = (source.position(), source.membership());
            snapshots.open(to, source);
            reports.report(Input::SnapshotOpened { to, position, membership });
        }
    }
    Ok(())
}

/// Flushes until the consensus thread is gone.
pub(super) fn run_flush<R>(
    flusher: &dyn Flusher,
    jobs: &Receiver<LogPosition>,
    reports: &Mailbox<R>,
) -> Result<(), StopCause> {
    while let Ok(position) = jobs.recv() {
        flusher.flush().map_err(StopCause::Flush)?;
        reports.report(Input::Flushed { position });
    }
    Ok(())
}

/// Payload bytes applied in one change; bounds its memory and how long callers of its first command
/// wait.
const RUN_SIZE_MAX: usize = 4 << 20;
