//! What reaches the consensus thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam::channel::Sender;
use quorate_transport::{BulkSource, Inbox, TransportError};
use quorate_types::{Instant, MemberId};

use super::completion::Completer;
use super::snapshot::Snapshots;
use crate::core::{Input, Probe, ProposeError};

/// Everything that the consensus thread receives.
pub(super) enum Event<R> {
    Message { from: MemberId, message: Bytes },
    Unreachable(MemberId),
    Propose { ticket: Ticket<R>, payload: Bytes, deadline: Instant },
    Read { ticket: Ticket<R>, deadline: Instant, lease: bool },
    Report(Input<Ticket<R>, R>),
    Probe(Completer<Probe>),
    TransferLeader(MemberId),
    Stop,
}

/// A caller who waits. Dropping it tells the caller that the member stopped.
pub(super) struct Ticket<R> {
    reply: Reply<R>,
    waiting: Arc<AtomicUsize>,
}

enum Reply<R> {
    Command(Completer<Result<R, ProposeError>>),
    Read(Completer<Result<(), ProposeError>>),
    Given,
}

impl<R> Ticket<R> {
    pub(super) fn command(
        completer: Completer<Result<R, ProposeError>>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        Self { reply: Reply::Command(completer), waiting }
    }

    pub(super) fn read(
        completer: Completer<Result<(), ProposeError>>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        Self { reply: Reply::Read(completer), waiting }
    }

    /// Answers a command, or refuses a read.
    pub(super) fn answer(mut self, result: Result<R, ProposeError>) {
        match std::mem::replace(&mut self.reply, Reply::Given) {
            Reply::Command(completer) => completer.complete(result),
            Reply::Read(completer) => completer.complete(result.map(|_| ())),
            Reply::Given => {}
        }
    }

    /// Permits a read.
    pub(super) fn permit(mut self) {
        if let Reply::Read(completer) = std::mem::replace(&mut self.reply, Reply::Given) {
            completer.complete(Ok(()));
        }
    }
}

impl<R> Drop for Ticket<R> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to the consensus thread. Reports and callers always get in, their number is bounded
/// elsewhere; messages from peers are dropped while too many wait.
pub(super) struct Mailbox<R> {
    sender: Sender<Event<R>>,
}

impl<R> Clone for Mailbox<R> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<R> Mailbox<R> {
    pub(super) fn new(sender: Sender<Event<R>>) -> Self {
        Self { sender }
    }

    /// Delivers an event. If the member has stopped it is dropped, and with it the ticket, which
    /// tells the caller.
    pub(super) fn send(&self, event: Event<R>) {
        let _stopped = self.sender.send(event);
    }

    pub(super) fn report(&self, input: Input<Ticket<R>, R>) {
        self.send(Event::Report(input));
    }

    pub(super) fn stop(&self) {
        self.send(Event::Stop);
    }

    fn send_message(&self, from: MemberId, message: Bytes) {
        if self.sender.len() < EVENTS_QUEUED_MAX {
            self.send(Event::Message { from, message });
        }
    }
}

/// What the transport delivers into.
pub(super) struct MemberInbox<R> {
    mailbox: Mailbox<R>,
    snapshots: Arc<Snapshots<R>>,
}

impl<R> MemberInbox<R> {
    pub(super) fn new(mailbox: Mailbox<R>, snapshots: Arc<Snapshots<R>>) -> Self {
        Self { mailbox, snapshots }
    }
}

impl<R: Send> Inbox for MemberInbox<R> {
    fn message(&self, from: MemberId, message: Bytes) {
        self.mailbox.send_message(from, message);
    }

    fn bulk(
        &self,
        from: MemberId,
        header: Bytes,
        source: &mut dyn BulkSource,
    ) -> Result<(), TransportError> {
        self.snapshots.receive(from, header, source)
    }

    fn unreachable(&self, peer: MemberId) {
        self.mailbox.send(Event::Unreachable(peer));
    }
}

/// A peer's messages are dropped while this many events wait: at a megabyte each that is the memory
/// of a large machine, at their usual size a few megabytes.
const EVENTS_QUEUED_MAX: usize = 16_384;
