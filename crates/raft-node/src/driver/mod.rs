//! The threads of one member: they carry out what the core decides, and decide nothing themselves.
//!
//! ```text
//! callers, peers ─▶ consensus ─▶ log     append and sync; then the messages that waited for it
//!                       ▲      ─▶ apply   the state machine; opens snapshots
//!                       │      ─▶ flush   makes the state durable
//!                       │      ─▶ fetch   reads old log entries for slow followers
//!                       └──────────┴───── each reports back
//! ```
//!
//! A thread that fails or panics ends the whole member, and nothing but this member; every handle
//! then tells the cause.

mod apply;
mod clock;
mod completion;
mod consensus;
mod event;
mod log;
mod snapshot;
mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use crossbeam::channel;
use parking_lot::Mutex;
use quorate_storage::{LogStore, StorageError};
use quorate_transport::{Transport, TransportError};
use quorate_types::{Instant, MemberId, Term};
use thiserror::Error;

pub use self::clock::Clock;
pub use self::completion::{Abandoned, Completer, Completion, completion};
pub use self::stop::StopCause;

use self::event::{Event, Mailbox, Ticket};
use self::stop::StopSignal;
use crate::core::{Core, CoreConfig, CoreError, Probe, ProposeError, Tuning};
use crate::machine::{Flusher, StateMachine};
use crate::membership::Membership;
use crate::recovery::{RecoveryError, recover};

/// Why a member could not be started.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Log and state on disk do not belong together, or cannot be read.
    #[error("cannot recover the member's data")]
    Recovery(#[source] RecoveryError),
    /// The log store failed.
    #[error("cannot open the log")]
    Log(#[source] StorageError),
    /// Consensus refused what was found.
    #[error("cannot start consensus")]
    Core(#[source] CoreError),
    /// The transport could not be started.
    #[error("cannot start the transport")]
    Transport(#[source] TransportError),
    /// The operating system gave no thread.
    #[error("cannot start thread {thread}")]
    Thread {
        /// Which one.
        thread: &'static str,
        /// What the operating system said.
        #[source]
        source: Arc<std::io::Error>,
    },
}

/// Identity and settings of a member.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// This member.
    pub member: MemberId,
    /// Who votes, as long as the state machine holds no membership.
    pub initial_membership: Membership,
    /// Seed of the election timeouts; members should differ.
    pub seed: u64,
    /// Timing and limits.
    pub tuning: Tuning,
}

/// A term and whether the member leads in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leadership {
    /// The latest term that the member has seen.
    pub term: Term,
    /// Whether it leads in that term.
    pub leads: bool,
}

impl Leadership {
    /// Both in one word, so that they are read together. Terms grow by one with each election, so
    /// the highest bit is never needed.
    fn pack(self) -> u64 {
        self.term.get() << 1 | u64::from(self.leads)
    }

    fn unpack(word: u64) -> Self {
        Self { term: Term::new(word >> 1), leads: word & 1 == 1 }
    }
}

/// A running member. Dropping it stops the member.
pub struct Driver<R: Send + 'static> {
    mailbox: Mailbox<R>,
    signal: StopSignal,
    clock: Clock,
    /// Callers waiting in front of the core.
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    /// Taken when the member stops, so that handles do not keep its store open.
    flusher: Mutex<Option<Arc<dyn Flusher>>>,
    leadership: Arc<AtomicU64>,
    incarnation: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<R: Send + 'static> Driver<R> {
    /// Recovers a member from its stores and starts its threads.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub fn start<M: StateMachine<Response = R>>(
        config: DriverConfig,
        mut log: Box<dyn LogStore>,
        machine: M,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        let found = recover(log.as_mut(), machine.applied(), &machine.membership())
            .map_err(StartError::Recovery)?;
        let incarnation = log.begin().map_err(StartError::Log)?;
        let waiting_max = config.tuning.commands_pending_max;
        let core = CoreConfig {
            member: config.member,
            incarnation,
            initial_membership: config.initial_membership,
            seed: config.seed,
            tuning: config.tuning,
        };
        let core = Core::open(core, found, clock.now()).map_err(StartError::Core)?;
        let (sender, events) = channel::unbounded();
        let mailbox = Mailbox::new(sender);
        let driver = Self {
            mailbox: mailbox.clone(),
            signal: StopSignal::default(),
            clock,
            waiting: Arc::default(),
            waiting_max,
            flusher: Mutex::default(),
            leadership: Arc::default(),
            incarnation,
            threads: Mutex::default(),
        };
        driver.spawn_threads(core, events, log, machine, transport)?;
        Ok(driver)
    }

    fn spawn_threads<M: StateMachine<Response = R>>(
        &self,
        core: Core<Ticket<R>, R>,
        events: channel::Receiver<Event<R>>,
        log: Box<dyn LogStore>,
        machine: M,
        transport: Arc<dyn Transport>,
    ) -> Result<(), StartError> {
        let snapshots = Arc::new(snapshot::Snapshots::new(machine.stager(), self.mailbox.clone()));
        let (to_log, log_jobs) = channel::unbounded();
        let (to_apply, apply_jobs) = channel::unbounded();
        let (to_flush, flush_jobs) = channel::unbounded();
        let (to_fetch, fetch_jobs) = channel::unbounded();
        let (reader, mailbox, flusher) = (log.reader(), &self.mailbox, machine.flusher());
        *self.flusher.lock() = Some(flusher.clone());
        let reports = mailbox.clone();
        let sends = transport.clone();
        self.spawn("quorate-log", move || log::run(log, &log_jobs, &*sends, &reports))?;
        let (reports, opened) = (mailbox.clone(), snapshots.clone());
        self.spawn("quorate-apply", move || apply::run(machine, &apply_jobs, &opened, &reports))?;
        let reports = mailbox.clone();
        self.spawn("quorate-flush", move || apply::run_flush(&*flusher, &flush_jobs, &reports))?;
        let reports = mailbox.clone();
        self.spawn("quorate-fetch", move || log::run_fetch(&*reader, &fetch_jobs, &reports))?;
        let inbox = Arc::new(event::MemberInbox::new(mailbox.clone(), snapshots.clone()));
        transport.start(inbox).map_err(StartError::Transport)?;
        let consensus = consensus::Consensus {
            core,
            events,
            clock: self.clock,
            transport,
            snapshots,
            signal: self.signal.clone(),
            leadership: self.leadership.clone(),
            jobs: consensus::Jobs { to_log, to_apply, to_flush, to_fetch },
        };
        self.spawn(consensus::THREAD, move || consensus.run())
    }

    fn spawn(
        &self,
        thread: &'static str,
        body: impl FnOnce() -> Result<(), StopCause> + Send + 'static,
    ) -> Result<(), StartError> {
        let (signal, mailbox) = (self.signal.clone(), self.mailbox.clone());
        let guarded = move || {
            signal.guard(thread, body);
            mailbox.stop();
        };
        let handle = std::thread::Builder::new()
            .name(thread.to_owned())
            .spawn(guarded)
            .map_err(|e| StartError::Thread { thread, source: Arc::new(e) })?;
        self.threads.lock().push(handle);
        Ok(())
    }

    /// Has a command replicated and applied. The answer comes at the latest a little after
    /// `timeout`, or when the member stops.
    pub fn propose(
        &self,
        payload: Bytes,
        timeout: Duration,
    ) -> Completion<Result<R, ProposeError>> {
        let deadline = self.clock.now() + timeout;
        self.submit(|ticket| Event::Propose { ticket, payload, deadline }, Ticket::command)
    }

    /// Asks for permission to read. Once it is given, this member's applied state contains
    /// everything that was answered to anybody before the call.
    pub fn read(&self, timeout: Duration) -> Completion<Result<(), ProposeError>> {
        self.ask_to_read(timeout, false)
    }

    /// As [`Self::read`], but a leader answers without asking the others while it holds a read
    /// lease: it heard from a majority within the last half of an election timeout. That is right
    /// as long as all members have the same election timeout and no clock runs twice as fast as
    /// another's, or stands still.
    pub fn read_by_lease(&self, timeout: Duration) -> Completion<Result<(), ProposeError>> {
        self.ask_to_read(timeout, true)
    }

    fn ask_to_read(&self, timeout: Duration, lease: bool) -> Completion<Result<(), ProposeError>> {
        let deadline = self.clock.now() + timeout;
        self.submit(|ticket| Event::Read { ticket, deadline, lease }, Ticket::read)
    }

    fn submit<A>(
        &self,
        event: impl FnOnce(Ticket<R>) -> Event<R>,
        ticket: impl FnOnce(Completer<Result<A, ProposeError>>, Arc<AtomicUsize>) -> Ticket<R>,
    ) -> Completion<Result<A, ProposeError>> {
        let (completer, completion) = completion();
        if self.waiting.load(Ordering::Relaxed) >= self.waiting_max {
            completer.complete(Err(ProposeError::Overloaded));
            return completion;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.mailbox.send(event(ticket(completer, self.waiting.clone())));
        completion
    }

    /// What consensus looks like now.
    pub fn probe(&self) -> Completion<Probe> {
        let (completer, completion) = completion();
        self.mailbox.send(Event::Probe(completer));
        completion
    }

    /// The time on the member's clock, which starts when the member does.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The latest term seen, as of a moment ago.
    pub fn term(&self) -> Term {
        self.leadership().term
    }

    /// The latest term seen and whether this member leads in it, as of a moment ago.
    pub fn leadership(&self) -> Leadership {
        Leadership::unpack(self.leadership.load(Ordering::Relaxed))
    }

    /// The life of the member: greater each time it is opened.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Runs the body of a thread that the member cannot do without. If it fails or panics, the
    /// member stops, and every handle tells the cause.
    pub fn guard(&self, thread: &'static str, body: impl FnOnce() -> Result<(), StopCause>) {
        self.signal.guard(thread, body);
        if self.signal.cause().is_some() {
            self.mailbox.stop();
        }
    }

    /// Asks that leadership move to `to`. Nothing happens if it cannot; see the probe for what came
    /// of it.
    pub fn transfer_leader(&self, to: MemberId) {
        self.mailbox.send(Event::TransferLeader(to));
    }

    /// Why the member stopped, or `None` while it runs.
    pub fn stop_cause(&self) -> Option<StopCause> {
        self.signal.cause()
    }

    /// Stops the member, waits for its threads and makes its state durable. Callers that still wait
    /// are told that the member stopped. Idempotent. Must not be called from one of the member's
    /// own threads.
    ///
    /// # Errors
    ///
    /// The first cause, unless the member was closed properly.
    pub fn stop(&self) -> Result<(), StopCause> {
        let Some(flusher) = self.join() else { return Ok(()) };
        match self.signal.cause() {
            Some(StopCause::Closed) | None => flusher.flush().map_err(StopCause::Flush),
            Some(cause) => Err(cause),
        }
    }

    /// Stops the member and waits for its threads, but leaves its state as it is: what was not
    /// flushed will be replayed from the log.
    pub fn kill(&self) {
        self.join();
    }

    /// Ends the threads and gives up the store; `None` if that was done before.
    fn join(&self) -> Option<Arc<dyn Flusher>> {
        self.mailbox.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // Panics were caught inside; there is nothing left to report here. A thread of the
            // member that drops the last handle on it cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _joined = thread.join();
            }
        }
        self.signal.set(StopCause::Closed);
        self.flusher.lock().take()
    }
}

impl<R: Send + 'static> Drop for Driver<R> {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop` first.
        let _stopped = self.stop();
    }
}
