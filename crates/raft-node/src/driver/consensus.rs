//! The consensus thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use quorate_transport::Transport;
use quorate_types::{Instant, LogPosition};

use super::Leadership;
use super::apply::ApplyJob;
use super::clock::Clock;
use super::event::{Event, Ticket};
use super::log::LogJob;
use super::snapshot::Snapshots;
use super::stop::{StopCause, StopSignal};
use crate::core::{Core, Fetch, Input, Outputs, SnapshotOrder};

/// Everything that the consensus thread owns.
pub(super) struct Consensus<R> {
    pub(super) core: Core<Ticket<R>, R>,
    pub(super) events: Receiver<Event<R>>,
    pub(super) clock: Clock,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) snapshots: Arc<Snapshots<R>>,
    pub(super) signal: StopSignal,
    /// Published for handles.
    pub(super) leadership: Arc<AtomicU64>,
    pub(super) jobs: Jobs,
}

/// The ways to the other threads. They end when these are dropped.
pub(super) struct Jobs {
    pub(super) to_log: Sender<LogJob>,
    pub(super) to_apply: Sender<ApplyJob>,
    pub(super) to_flush: Sender<LogPosition>,
    pub(super) to_fetch: Sender<Fetch>,
}

/// One of the other threads is gone; it has left the cause.
struct ThreadGone;

impl<R: Send + 'static> Consensus<R> {
    /// Runs until told to stop, or until something fails.
    pub(super) fn run(mut self) -> Result<(), StopCause> {
        let signal = self.signal.clone();
        // Guarded here, not only outside: the cause must be known before tickets are dropped.
        signal.guard(THREAD, || self.serve());
        signal.set(StopCause::Closed);
        self.transport.stop();
        self.answer_no_more();
        Ok(())
    }

    fn serve(&mut self) -> Result<(), StopCause> {
        let mut deadline = Some(Instant::ZERO);
        loop {
            match self.receive(deadline) {
                Some(Event::Stop) => return Ok(()),
                Some(event) => self.take(event)?,
                None => {}
            }
            for _ in 0..EVENTS_BATCH_MAX {
                match self.events.try_recv() {
                    Ok(Event::Stop) => return Ok(()),
                    Ok(event) => self.take(event)?,
                    Err(_) => break,
                }
            }
            let outputs = self.core.poll(self.clock.now()).map_err(StopCause::Core)?;
            deadline = outputs.deadline;
            let leadership = Leadership { term: self.core.term(), leads: self.core.leads() };
            self.leadership.store(leadership.pack(), Ordering::Relaxed);
            if self.carry_out(outputs).is_err() {
                return Ok(());
            }
        }
    }

    fn receive(&self, deadline: Option<Instant>) -> Option<Event<R>> {
        let received = match deadline {
            Some(deadline) => self.events.recv_deadline(self.clock.to_system(deadline)),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Stop),
        }
    }

    fn take(&mut self, event: Event<R>) -> Result<(), StopCause> {
        let input = match event {
            Event::Message { from, message } => Input::Message { from, message },
            Event::Unreachable(peer) => Input::Unreachable { peer },
            Event::Propose { ticket, payload, deadline } => {
                Input::Propose { ticket, payload, deadline }
            }
            Event::Read { ticket, deadline, lease } => Input::Read { ticket, deadline, lease },
            Event::Report(input) => input,
            Event::TransferLeader(to) => Input::TransferLeader { to },
            Event::Probe(completer) => {
                completer.complete(self.core.probe());
                return Ok(());
            }
            Event::Stop => return Ok(()),
        };
        self.core.handle(input, self.clock.now()).map_err(StopCause::Core)
    }

    fn carry_out(&mut self, outputs: Outputs<Ticket<R>, R>) -> Result<(), ThreadGone> {
        for outbound in outputs.messages {
            self.transport.send(outbound.to, outbound.message);
        }
        let jobs = &self.jobs;
        for append in outputs.appends {
            jobs.to_log.send(LogJob::Append(append)).map_err(|_| ThreadGone)?;
        }
        if !outputs.apply.is_empty() {
            jobs.to_apply.send(ApplyJob::Apply(outputs.apply)).map_err(|_| ThreadGone)?;
        }
        if let Some(install) = outputs.install {
            jobs.to_apply.send(ApplyJob::Install(install)).map_err(|_| ThreadGone)?;
        }
        outputs.discard.into_iter().for_each(|id| self.snapshots.discard(id));
        for fetch in outputs.fetches {
            jobs.to_fetch.send(fetch).map_err(|_| ThreadGone)?;
        }
        for order in outputs.snapshots {
            match order {
                SnapshotOrder::Open { to } => {
                    jobs.to_apply.send(ApplyJob::OpenSnapshot(to)).map_err(|_| ThreadGone)?;
                }
                SnapshotOrder::Send { to, head } => {
                    Snapshots::send(
                        &self.snapshots,
                        to,
                        head,
                        self.transport.clone(),
                        &self.signal,
                    );
                }
                SnapshotOrder::Close { to } => self.snapshots.close(to),
            }
        }
        if let Some(position) = outputs.flush {
            jobs.to_flush.send(position).map_err(|_| ThreadGone)?;
        }
        if let Some(through) = outputs.purge {
            jobs.to_log.send(LogJob::Purge(through)).map_err(|_| ThreadGone)?;
        }
        for (ticket, result) in outputs.answers {
            ticket.answer(result);
        }
        outputs.readable.into_iter().for_each(Ticket::permit);
        Ok(())
    }

    /// Drops every ticket that is still on its way.
    fn answer_no_more(&mut self) {
        while self.events.try_recv().is_ok() {}
    }
}

/// The name of the consensus thread.
pub(super) const THREAD: &str = "quorate-raft";

/// Events taken before outputs are carried out; bounds how long a message waits behind others.
const EVENTS_BATCH_MAX: usize = 1_024;
