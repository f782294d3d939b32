//! An in-process network: joins members that live in one process, with faults on demand.
//!
//! For applications that hold a whole cluster, for tests and for benchmarks. Every running member
//! has one thread that delivers its messages. Without faults a message costs one hash lookup and
//! one push; the payload is shared, never copied.
//!
//! ```
//! use std::sync::Arc;
//! use quorate_transport::Transport;
//! use quorate_transport::hub::Hub;
//! use quorate_types::{ClusterId, MemberId};
//!
//! let hub = Hub::new();
//! let alice = hub.join(ClusterId::new(7), MemberId::new(1));
//! // `alice.start(inbox)` connects her; until then, messages to her are lost.
//! alice.send(MemberId::new(2), bytes::Bytes::from_static(b"hello?"));
//! assert_eq!(hub.stats().dropped_away, 1);
//! ```

mod pipe;
mod rules;
mod slot;
mod stats;
mod timer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_types::{ByteSize, ClusterId, MemberId};

pub use rules::{DELAY_MAX, LinkRules, PPM, REORDER_DELAY_MAX};
pub use stats::HubStats;

use self::pipe::{Pipe, PipeSink, PipeSource};
use self::rules::{Fate, Faults};
use self::slot::{Network, Slot};
use self::timer::Timer;
use crate::bulk::verdict_of;
use crate::mailbox::{Letter, Mailbox, size};
use crate::{
    BULK_STREAM_COUNT_MAX, BulkSink, Inbox, MESSAGE_SIZE_MAX, QUEUE_COUNT_MAX, QUEUE_SIZE_MAX,
    Transport, TransportError,
};

/// Limits of a [`Hub`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HubConfig {
    /// Where the random numbers of the faults start. Default 0; any value.
    pub seed: u64,
    /// The longest message, and the longest header of a bulk stream, in bytes. Longer ones are
    /// refused and counted. Default and largest [`MESSAGE_SIZE_MAX`], smallest 1 byte.
    pub message_size_max: ByteSize,
    /// The most messages that wait for one member; its delivering thread can hold as many again.
    /// Default [`QUEUE_COUNT_MAX`], at least 1.
    pub queue_count_max: u32,
    /// The most bytes that wait for one member; its delivering thread can hold as many again.
    /// Default [`QUEUE_SIZE_MAX`], at least `message_size_max`.
    pub queue_size_max: ByteSize,
}

/// A network inside the process. Clones share it. It lasts as long as a clone or a member of it.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

/// One member's connection to a [`Hub`]. Dropping it stops it.
pub struct HubTransport {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    started: AtomicBool,
    stopped: AtomicBool,
}

struct Shared {
    config: HubConfig,
    network: Arc<Network>,
    faults: Mutex<Faults>,
    /// Whether `faults` holds any; read without the lock for every message.
    faulty: AtomicBool,
    timer: Timer,
}

impl Hub {
    /// A network with default limits.
    pub fn new() -> Self {
        Self::with_seed(HubConfig::default().seed)
    }

    /// A network with default limits whose faults draw their random numbers from `seed`. The
    /// numbers repeat; what they hit depends on how the members' threads run.
    pub fn with_seed(seed: u64) -> Self {
        Self::build(HubConfig { seed, ..HubConfig::default() })
    }

    /// A network with the given limits.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] if one is outside its range.
    pub fn with_config(config: HubConfig) -> Result<Self, TransportError> {
        config.validate()?;
        Ok(Self::build(config))
    }

    fn build(config: HubConfig) -> Self {
        let network = Arc::new(Network::default());
        let shared = Shared {
            config,
            timer: Timer::new(Arc::clone(&network)),
            network,
            faults: Mutex::new(Faults::new(config.seed)),
            faulty: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Prepares one life of `member`. It takes part from `start` to `stop`; after that the member
    /// may join again, which is a restart. What was on its way to the earlier life is lost.
    pub fn join(&self, cluster: ClusterId, member: MemberId) -> Arc<HubTransport> {
        let config = &self.shared.config;
        let count_max = usize::try_from(config.queue_count_max).unwrap_or(usize::MAX);
        let mailbox = Mailbox::new(count_max, config.queue_size_max.bytes());
        Arc::new(HubTransport {
            shared: Arc::clone(&self.shared),
            slot: Arc::new(Slot::new(cluster, member, mailbox)),
            started: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// Replaces the rules of messages from `from` to `to`. The default rules do nothing.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] if a rule is outside its range; nothing changed then.
    pub fn set_link(
        &self,
        from: MemberId,
        to: MemberId,
        rules: LinkRules,
    ) -> Result<(), TransportError> {
        rules.validate()?;
        self.shared.change_faults(|faults| faults.set(from, to, rules));
        Ok(())
    }

    /// Lets nothing pass from `from` to `to`, and keeps the link's other rules. Bulk streams need
    /// both directions, so one cut breaks those either way.
    pub fn cut(&self, from: MemberId, to: MemberId) {
        self.shared.change_faults(|faults| faults.cut(from, to));
    }

    /// Lets nothing pass from or to `member`, in this life and later ones.
    pub fn isolate(&self, member: MemberId) {
        self.shared.change_faults(|faults| faults.isolate(member));
    }

    /// Removes all rules, cuts and isolations. Delayed messages still wait.
    pub fn heal(&self) {
        self.shared.change_faults(Faults::heal);
    }

    /// What happened so far.
    pub fn stats(&self) -> HubStats {
        self.shared.network.counters.read()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults.lock();
        change(&mut faults);
        self.faulty.store(!faults.is_empty(), Ordering::SeqCst);
        let slots: Vec<_> = self.network.slots.read().values().cloned().collect();
        for pipe in slots.iter().flat_map(|slot| slot.pipes()) {
            if faults.is_cut(pipe.from, pipe.to) || faults.is_cut(pipe.to, pipe.from) {
                pipe.break_off("the link was cut");
            }
        }
    }

    fn is_cut_either_way(&self, a: MemberId, b: MemberId) -> bool {
        let faults = self.faults.lock();
        faults.is_cut(a, b) || faults.is_cut(b, a)
    }

    /// Sends where rules are in force.
    fn send_with_faults(&self, to: &Arc<Slot>, letter: Letter) {
        let counters = &self.network.counters;
        let fate = self.faults.lock().fate(letter.peer, to.member);
        match fate {
            Fate::Lost => counters.dropped_by_rule.add(1),
            Fate::Once(delay) => self.send_after(delay, to, letter),
            Fate::Twice(first, second) => {
                counters.duplicated.add(1);
                let copy = Letter { peer: letter.peer, message: letter.message.clone() };
                self.send_after(first, to, letter);
                self.send_after(second, to, copy);
            }
        }
    }

    fn send_after(&self, delay: Duration, to: &Arc<Slot>, letter: Letter) {
        if delay.is_zero() {
            self.network.deliver(to, letter);
        } else {
            self.timer.delay(delay, Arc::clone(to), letter);
        }
    }
}

impl HubTransport {
    /// The member this connects.
    pub fn member(&self) -> MemberId {
        self.slot.member
    }

    fn is_running(&self) -> bool {
        self.slot.running.load(Ordering::Relaxed)
    }

    fn find(&self, to: MemberId) -> Option<Arc<Slot>> {
        self.shared.network.slots.read().get(&to).cloned()
    }

    /// Takes the member's place on the network.
    fn register(&self) -> Result<(), TransportError> {
        let mut slots = self.shared.network.slots.write();
        if slots.contains_key(&self.slot.member) {
            return Err(self.listen_error(io::ErrorKind::AddrInUse.into()));
        }
        slots.insert(self.slot.member, Arc::clone(&self.slot));
        Ok(())
    }

    fn unregister(&self) {
        let mut slots = self.shared.network.slots.write();
        if slots.get(&self.slot.member).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.slot.member);
        }
    }

    fn listen_error(&self, source: io::Error) -> TransportError {
        let address = format!("hub member {}", self.slot.member);
        TransportError::Listen { address, source: Arc::new(source) }
    }
}

impl Transport for HubTransport {
    /// Fails with [`TransportError::Listen`] while an earlier life of the member runs.
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), TransportError> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(TransportError::Stopped);
        }
        if self.started.swap(true, Ordering::SeqCst) {
            return Err(TransportError::AlreadyStarted);
        }
        *self.slot.inbox.lock() = Some(Arc::clone(&inbox));
        self.slot.running.store(true, Ordering::SeqCst);
        if let Err(error) = self.register() {
            self.slot.close();
            return Err(error);
        }
        let (network, slot) = (Arc::clone(&self.shared.network), Arc::clone(&self.slot));
        let name = format!("quorate-hub-{}", self.slot.member);
        let body = move || network.run(&slot, inbox.as_ref());
        self.slot.threads.spawn(name, THREAD_COUNT_MAX, body).map_err(|error| {
            self.stop();
            self.listen_error(error)
        })
    }

    fn send(&self, to: MemberId, message: Bytes) {
        let shared = &*self.shared;
        let counters = &shared.network.counters;
        counters.sent.add(1);
        if size(&message) > shared.config.message_size_max.bytes() {
            counters.refused_too_large.add(1);
            return;
        }
        let slot = if self.is_running() { self.find(to) } else { None };
        let Some(slot) = slot else {
            counters.dropped_away.add(1);
            return;
        };
        if slot.cluster != self.slot.cluster {
            counters.refused_foreign.add(1);
            return;
        }
        let letter = Letter { peer: self.slot.member, message };
        if shared.faulty.load(Ordering::Relaxed) {
            shared.send_with_faults(&slot, letter);
        } else {
            shared.network.deliver(&slot, letter);
        }
    }

    fn open_bulk(&self, to: MemberId, header: Bytes) -> Result<Box<dyn BulkSink>, TransportError> {
        if !self.is_running() {
            return Err(TransportError::Stopped);
        }
        let away = |source| TransportError::Unreachable { peer: to, source };
        let slot = self.find(to).ok_or_else(|| away(None))?;
        let (expected, found) = (slot.cluster, self.slot.cluster);
        if expected != found {
            self.shared.network.counters.refused_foreign.add(1);
            return Err(TransportError::ForeignCluster { expected, found });
        }
        if size(&header) > self.shared.config.message_size_max.bytes() {
            let detail = format!("the header of {} bytes is too long", header.len());
            return Err(TransportError::Bulk { peer: to, detail });
        }
        let from = self.slot.member;
        let pipe = Arc::new(Pipe::new(from, to));
        if !self.slot.add_pipe(&pipe) {
            return Err(TransportError::Stopped);
        }
        // Asked after the pipe is listed, so that a cut at the same time is seen here or breaks it.
        if !slot.add_pipe(&pipe) || self.shared.is_cut_either_way(from, to) {
            return Err(away(None));
        }
        let inbox = slot.inbox.lock().clone().ok_or_else(|| away(None))?;
        let mut source = PipeSource::new(Arc::clone(&pipe));
        let sink = PipeSink::new(Arc::clone(&pipe));
        let name = format!("quorate-hub-{to}-bulk");
        let body = move || {
            let verdict = inbox.bulk(from, header, &mut source);
            pipe.answer(verdict_of(verdict, &mut source));
        };
        let spawned = slot.threads.spawn(name, THREAD_COUNT_MAX, body);
        spawned.map_err(|error| away(Some(Arc::new(error))))?;
        Ok(Box::new(sink))
    }

    /// As the trait says; called from within an [`Inbox`] call it does not wait for that call.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.unregister();
        let forgotten = self.slot.close();
        self.shared.network.counters.dropped_away.add(forgotten);
        self.slot.threads.join();
    }
}

impl Drop for HubTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl HubConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] with the first field that is outside its range.
    pub fn validate(&self) -> Result<(), TransportError> {
        let invalid = |field, found: String, expected| {
            Err(TransportError::InvalidConfig { field, found, expected })
        };
        let message_size = self.message_size_max;
        if message_size.bytes() == 0 || message_size > MESSAGE_SIZE_MAX {
            return invalid("message_size_max", message_size.to_string(), "1 B to 64 MiB");
        }
        if self.queue_count_max == 0 {
            return invalid("queue_count_max", "0".to_owned(), "at least 1");
        }
        if self.queue_size_max < message_size {
            let found = self.queue_size_max.to_string();
            return invalid("queue_size_max", found, "at least message_size_max");
        }
        Ok(())
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            message_size_max: MESSAGE_SIZE_MAX,
            queue_count_max: QUEUE_COUNT_MAX,
            queue_size_max: QUEUE_SIZE_MAX,
        }
    }
}

/// The delivering thread and the incoming bulk streams of one member.
const THREAD_COUNT_MAX: usize = 1 + BULK_STREAM_COUNT_MAX;
