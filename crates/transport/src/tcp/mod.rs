//! Members that talk over TCP.
//!
//! Every member has one connection to each peer for its own messages, on which it only sends, and
//! one more for each bulk stream. Each connection begins with a handshake that names version,
//! cluster and both members; what follows are frames with a length and a checksum. Lost messages
//! are not sent again, lost connections are made again, with growing pauses. `docs/wire_format.md`
//! has every byte.
//!
//! There is no encryption yet: use it where the network is trusted. The type `Connection` in
//! `tcp/connection.rs` is the single place that holds a stream; mTLS would wrap it there.
//!
//! ```
//! use quorate_transport::tcp::{TcpConfig, TcpTransport};
//! use quorate_types::{ClusterId, MemberId};
//!
//! let config = TcpConfig::new(ClusterId::new(7), MemberId::new(1), "127.0.0.1:0");
//! let transport = TcpTransport::bind(config)?;
//! transport.set_peer(MemberId::new(2), "peer.example:2380")?;
//! assert_ne!(transport.local_addr().port(), 0);
//! # Ok::<(), quorate_transport::TransportError>(())
//! ```

mod accept;
mod bulk;
mod config;
mod connection;
mod frames;
mod peer;
mod shared;
mod stats;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam::channel::{self, Receiver, RecvTimeoutError};
use parking_lot::Mutex;
use quorate_types::MemberId;

pub use config::{INCOMING_COUNT_MAX, PEER_COUNT_MAX, TcpConfig};
pub use stats::TcpStats;
pub use wire::WIRE_VERSION;

use self::peer::{Peer, WORKER_COUNT_MAX};
use self::shared::{Shared, unreachable};
use crate::mailbox::size;
use crate::{BulkSink, Inbox, Transport, TransportError};

/// One member on the network. Dropping it stops it.
pub struct TcpTransport {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    life: Mutex<Life>,
}

enum Life {
    Bound(TcpListener),
    /// The accepting thread; the channel disconnects when it has closed the listener.
    Running(Receiver<()>),
    Stopped,
}

impl TcpTransport {
    /// Listens, but delivers nothing before `start`; callers wait until then.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] if a setting is outside its range,
    /// [`TransportError::Listen`] if the address cannot be used.
    pub fn bind(config: TcpConfig) -> Result<Self, TransportError> {
        config.validate()?;
        let failed = |error| accept::listen_error(&config.listen, error);
        let listener = TcpListener::bind(&config.listen).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(config));
        let peers = shared.config.peers.iter().map(|(member, address)| {
            (*member, Arc::new(Peer::new(*member, address.clone(), &shared.config)))
        });
        *shared.peers.write() = peers.collect();
        Ok(Self { shared, local_addr, life: Mutex::new(Life::Bound(listener)) })
    }

    /// Where the member listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Adds a peer or changes its address. A connection to another address is closed.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] if `member` is this member or there are
    /// [`PEER_COUNT_MAX`], [`TransportError::Unreachable`] if the peer's thread cannot be started,
    /// [`TransportError::Stopped`] after `stop`.
    pub fn set_peer(
        &self,
        member: MemberId,
        address: impl Into<String>,
    ) -> Result<(), TransportError> {
        let address = address.into();
        let life = self.life.lock();
        if matches!(*life, Life::Stopped) {
            return Err(TransportError::Stopped);
        }
        let mut peers = self.shared.peers.write();
        if let Some(peer) = peers.get(&member) {
            peer.set_address(address);
            return Ok(());
        }
        if member == self.shared.config.member {
            let expected = "members other than this one";
            let found = member.to_string();
            return Err(TransportError::InvalidConfig { field: "peers", found, expected });
        }
        if peers.len() >= PEER_COUNT_MAX {
            let found = (peers.len() + 1).to_string();
            let expected = "at most 64";
            return Err(TransportError::InvalidConfig { field: "peers", found, expected });
        }
        let peer = Arc::new(Peer::new(member, address, &self.shared.config));
        if matches!(*life, Life::Running(_)) {
            self.run_peer(&peer)?;
        }
        peers.insert(member, peer);
        Ok(())
    }

    /// Forgets a peer, with all messages that wait for it. Its own connections to this member are
    /// left.
    pub fn remove_peer(&self, member: MemberId) {
        self.shared.forget(member);
    }

    /// What happened so far.
    pub fn stats(&self) -> TcpStats {
        self.shared.counters.read()
    }

    fn run_peer(&self, peer: &Arc<Peer>) -> Result<(), TransportError> {
        let (shared, peer_too) = (Arc::clone(&self.shared), Arc::clone(peer));
        let name = format!("quorate-tcp-{}-writer", peer.member);
        let body = move || peer_too.run(&shared);
        let spawned = self.shared.workers.spawn(name, WORKER_COUNT_MAX, body);
        spawned.map_err(|error| unreachable(peer.member, error))
    }

    /// Starts the threads; on an error some of them run.
    fn run(
        &self,
        listener: TcpListener,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Receiver<()>, TransportError> {
        let failed = |error| accept::listen_error(&self.shared.config.listen, error);
        let (shared, notified) = (Arc::clone(&self.shared), Arc::clone(&inbox));
        let name = format!("quorate-tcp-{}-notifier", self.shared.config.member);
        let body = move || shared.run_notifier(notified.as_ref());
        self.shared.workers.spawn(name, WORKER_COUNT_MAX, body).map_err(failed)?;
        for peer in self.shared.peers.read().values() {
            self.run_peer(peer)?;
        }
        let (ended, accepting) = channel::bounded(0);
        let shared = Arc::clone(&self.shared);
        let name = format!("quorate-tcp-{}-accept", self.shared.config.member);
        let body = move || {
            accept::run(&shared, &listener, &inbox);
            drop((listener, inbox, shared));
            // Last, since it tells that all the rest is gone.
            drop::<channel::Sender<()>>(ended);
        };
        thread::Builder::new().name(name).spawn(body).map_err(failed)?;
        Ok(accepting)
    }

    /// Wakes the accepting thread, which only a caller can do, and waits until it has ended.
    fn end_accepting(&self, accepting: &Receiver<()>) {
        let mut address = self.local_addr;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        for _ in 0..WAKE_COUNT_MAX {
            // A failure is tried again, unless the thread had another reason to wake.
            drop(TcpStream::connect_timeout(&address, WAKE_TIMEOUT));
            if accepting.recv_timeout(WAKE_PAUSE) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Relaxed)
    }
}

impl Transport for TcpTransport {
    /// As the trait says; the address was taken by [`TcpTransport::bind`], so
    /// [`TransportError::Listen`] means that a thread could not be started.
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), TransportError> {
        let mut life = self.life.lock();
        let listener = match std::mem::replace(&mut *life, Life::Stopped) {
            Life::Bound(listener) => listener,
            Life::Running(accepting) => {
                *life = Life::Running(accepting);
                return Err(TransportError::AlreadyStarted);
            }
            Life::Stopped => return Err(TransportError::Stopped),
        };
        match self.run(listener, inbox) {
            Ok(accepting) => *life = Life::Running(accepting),
            Err(error) => {
                drop(life);
                self.stop();
                return Err(error);
            }
        }
        self.shared.running.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn send(&self, to: MemberId, message: Bytes) {
        let counters = &self.shared.counters;
        counters.sent.add(1);
        if size(&message) > self.shared.config.message_size_max.bytes() {
            counters.refused_too_large.add(1);
        } else if self.is_running() {
            self.shared.send(to, message);
        } else {
            counters.dropped_away.add(1);
        }
    }

    fn open_bulk(&self, to: MemberId, header: Bytes) -> Result<Box<dyn BulkSink>, TransportError> {
        if !self.is_running() {
            return Err(TransportError::Stopped);
        }
        if size(&header) > self.shared.config.message_size_max.bytes() {
            let detail = format!("the header of {} bytes is too long", header.len());
            return Err(TransportError::Bulk { peer: to, detail });
        }
        let address = self.shared.peers.read().get(&to).map(|peer| peer.address());
        let away = TransportError::Unreachable { peer: to, source: None };
        bulk::open(&self.shared, to, address.ok_or(away)?, &header)
    }

    /// As the trait says; called from within an [`Inbox`] call it does not wait for that call.
    fn stop(&self) {
        let shared = &self.shared;
        shared.running.store(false, Ordering::SeqCst);
        shared.stop.tell();
        let life = std::mem::replace(&mut *self.life.lock(), Life::Stopped);
        shared.workers.close();
        shared.readers.close();
        shared.registry.close_all();
        shared.notices.close();
        let members: Vec<_> = shared.peers.read().keys().copied().collect();
        for member in members {
            shared.forget(member);
        }
        if let Life::Running(accepting) = life {
            self.end_accepting(&accepting);
        }
        shared.workers.join();
        shared.readers.join();
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How often and how long `stop` tries to wake the accepting thread by calling it. If that never
/// works, because the system is out of sockets or forbids it, the thread stays until somebody
/// calls; it delivers nothing any more.
const WAKE_COUNT_MAX: u32 = 100;
const WAKE_TIMEOUT: Duration = Duration::from_millis(100);
const WAKE_PAUSE: Duration = Duration::from_millis(10);
