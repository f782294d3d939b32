//! The outgoing connection for messages to one peer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quorate_types::{MemberId, SplitMix64};

use super::config::{PEER_COUNT_MAX, TcpConfig};
use super::connection::Connection;
use super::frames::{FrameError, FrameReader, FrameWriter};
use super::shared::{Shared, malformed_from, unreachable};
use super::wire::{FrameKind, StreamKind};
use crate::TransportError;
use crate::mailbox::{Batch, Mailbox, Wake, count};

/// A peer with an address. One writer thread serves it until it is forgotten.
pub(super) struct Peer {
    pub(super) member: MemberId,
    pub(super) mailbox: Mailbox,
    address: Mutex<String>,
    connection: Mutex<Option<Arc<Link>>>,
}

/// An established connection, shared by its writer and its monitor.
struct Link {
    connection: Connection,
    broken: AtomicBool,
}

impl Peer {
    pub(super) fn new(member: MemberId, address: String, config: &TcpConfig) -> Self {
        let count_max = usize::try_from(config.queue_count_max).unwrap_or(usize::MAX);
        Self {
            member,
            mailbox: Mailbox::new(count_max, config.queue_size_max.bytes()),
            address: Mutex::new(address),
            connection: Mutex::new(None),
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.lock().clone()
    }

    /// Uses `address` from the next connection on, which is now if it differs.
    pub(super) fn set_address(&self, address: String) {
        let mut current = self.address.lock();
        if *current != address {
            *current = address;
            drop(current);
            self.break_off();
        }
    }

    /// Ends the writer. Returns how many messages are lost with it.
    pub(super) fn close(&self) -> u64 {
        let forgotten = self.mailbox.close();
        self.break_off();
        forgotten
    }

    fn break_off(&self) {
        if let Some(link) = self.connection.lock().as_ref() {
            link.break_off();
        }
    }

    /// Body of the writer thread.
    pub(super) fn run(self: &Arc<Self>, shared: &Arc<Shared>) {
        let mut backoff = Backoff::new(&shared.config);
        while self.mailbox.wait(None) == Wake::Filled {
            let begun = Instant::now();
            let address = self.address();
            match shared.open(self.member, address.clone(), StreamKind::Message) {
                Ok(connection) => self.serve(shared, connection, &address),
                Err(_) => self.drop_waiting(shared),
            }
            if shared.stop.is_told() {
                return;
            }
            shared.tell_lost(self.member);
            // A connection that lasted shows that the peer is well, so the next one is made at
            // once.
            if begun.elapsed() > shared.config.backoff_max + shared.config.connect_timeout {
                backoff.reset();
                continue;
            }
            let pause = backoff.next(&mut shared.random.lock());
            if self.mailbox.wait_closed(Instant::now() + pause) == Wake::Closed {
                return;
            }
        }
    }

    /// Drops what waits: it would only be stale when the peer comes back.
    fn drop_waiting(&self, shared: &Shared) {
        let mut batch = Batch::default();
        self.mailbox.drain(&mut batch);
        shared.counters.dropped_unreachable.add(count(batch.letters.len()));
    }

    /// Writes messages until the connection breaks or the mailbox is closed.
    fn serve(self: &Arc<Self>, shared: &Arc<Shared>, connection: Connection, address: &str) {
        let link = Arc::new(Link { connection, broken: AtomicBool::new(false) });
        *self.connection.lock() = Some(Arc::clone(&link));
        // The address may have changed while nobody knew of this connection.
        if *self.address.lock() != address {
            link.break_off();
        }
        let written = self.watch(shared, &link).and_then(|()| self.write(shared, &link));
        link.break_off();
        *self.connection.lock() = None;
        if let Err(error) = written {
            shared.counters.connections_lost.add(1);
            shared.counters.note(unreachable(self.member, error));
        }
    }

    /// Starts the thread that notices when the peer closes the connection or falls silent.
    fn watch(self: &Arc<Self>, shared: &Arc<Shared>, link: &Arc<Link>) -> Result<(), io::Error> {
        let (peer, shared_too, link) = (Arc::clone(self), Arc::clone(shared), Arc::clone(link));
        let name = format!("quorate-tcp-{}-monitor", self.member);
        shared.workers.spawn(name, WORKER_COUNT_MAX, move || {
            if let Err(error) = link.watch(&shared_too, peer.member) {
                shared_too.counters.note(error);
            }
            link.break_off();
            if !shared_too.stop.is_told() {
                shared_too.tell_lost(peer.member);
            }
        })
    }

    fn write(&self, shared: &Shared, link: &Link) -> Result<(), io::Error> {
        let config = &shared.config;
        link.connection.set_write_timeout(config.write_timeout)?;
        let mut writer = FrameWriter::new(&link.connection);
        let mut batch = Batch::default();
        let mut keep_alive = Instant::now() + config.keep_alive_interval;
        loop {
            if self.mailbox.wait(Some(keep_alive)) == Wake::Closed {
                return Ok(());
            }
            if link.broken.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if Instant::now() >= keep_alive {
                keep_alive = Instant::now() + config.keep_alive_interval;
                writer.add(FrameKind::KeepAlive, &[])?;
            }
            self.mailbox.drain(&mut batch);
            let total = count(batch.letters.len());
            let written = write_batch(&mut writer, &mut batch);
            let counter = match &written {
                Ok(()) => &shared.counters.written,
                Err(_) => &shared.counters.dropped_unreachable,
            };
            counter.add(total);
            written?;
        }
    }
}

fn write_batch(writer: &mut FrameWriter<&Connection>, batch: &mut Batch) -> Result<(), io::Error> {
    for letter in batch.letters.drain(..) {
        writer.add(FrameKind::Message, &letter.message)?;
    }
    writer.flush()
}

impl Link {
    fn break_off(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.connection.close();
    }

    /// Reads keep-alives until the peer closes, falls silent, or sends something else.
    fn watch(&self, shared: &Shared, peer: MemberId) -> Result<(), TransportError> {
        let timeout = shared.config.idle_timeout;
        self.connection.set_read_timeout(timeout).map_err(|error| unreachable(peer, error))?;
        let mut reader = FrameReader::new(&self.connection);
        loop {
            match reader.read(0) {
                Ok(Some(frame)) if frame.kind == FrameKind::KeepAlive => {}
                Ok(Some(frame)) => {
                    let detail = format!("{:?} frame, expected KeepAlive", frame.kind);
                    return Err(malformed_from(peer, detail));
                }
                Ok(None) => return Ok(()),
                Err(FrameError::Malformed(malformed)) => {
                    return Err(malformed_from(peer, malformed.0));
                }
                Err(FrameError::Io(error)) => return Err(unreachable(peer, error)),
            }
        }
    }
}

/// Pauses between connections: doubling, and never in step with other members.
struct Backoff {
    min: Duration,
    max: Duration,
    pause: Duration,
}

impl Backoff {
    fn new(config: &TcpConfig) -> Self {
        Self { min: config.backoff_min, max: config.backoff_max, pause: config.backoff_min }
    }

    fn reset(&mut self) {
        self.pause = self.min;
    }

    /// Between half and all of the pause; the next is twice as long.
    fn next(&mut self, random: &mut SplitMix64) -> Duration {
        let half = self.pause / 2;
        self.pause = (self.pause * 2).min(self.max);
        let nanos = u64::try_from(half.as_nanos()).expect("pauses are at most 5 minutes");
        half + Duration::from_nanos(random.below(nanos + 1))
    }
}

/// For every peer its writer, its monitor, and the monitor of the connection before; and the
/// notifier.
pub(super) const WORKER_COUNT_MAX: usize = 3 * PEER_COUNT_MAX + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::ClusterId;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut config = TcpConfig::new(ClusterId::new(1), MemberId::new(1), "127.0.0.1:0");
        config.backoff_min = Duration::from_millis(10);
        config.backoff_max = Duration::from_millis(50);
        let (mut backoff, mut random) = (Backoff::new(&config), SplitMix64::new(3));
        for expected in [10, 20, 40, 50, 50] {
            let (pause, most) = (backoff.next(&mut random), Duration::from_millis(expected));
            assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut random) <= config.backoff_min);
    }
}
