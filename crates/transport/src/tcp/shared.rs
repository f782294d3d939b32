//! What all threads of one TCP transport share.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use quorate_types::{MemberId, SplitMix64};

use super::config::TcpConfig;
use super::connection::{Connection, Registry, Stop, dial};
use super::peer::Peer;
use super::stats::Counters;
use super::wire::{ANSWER_SIZE, Answer, AnswerCode, Hello, StreamKind};
use crate::mailbox::{Batch, Letter, Mailbox, Pushed, Wake, count};
use crate::notices::NoticeLimit;
use crate::threads::ThreadGroup;
use crate::{Inbox, TransportError};

pub(super) struct Shared {
    pub(super) config: TcpConfig,
    pub(super) counters: Counters,
    pub(super) stop: Stop,
    /// Between `start` and `stop`; read for every message.
    pub(super) running: AtomicBool,
    pub(super) registry: Arc<Registry>,
    pub(super) peers: RwLock<HashMap<MemberId, Arc<Peer>>>,
    /// Writers and monitors of outgoing connections, and the notifier.
    pub(super) workers: ThreadGroup,
    /// Readers of incoming connections.
    pub(super) readers: ThreadGroup,
    /// Incoming bulk streams.
    pub(super) bulk_count: AtomicUsize,
    /// For the notifier: peers to tell the inbox of. Never holds letters.
    pub(super) notices: Mailbox,
    notice_limit: NoticeLimit,
    pub(super) random: Mutex<SplitMix64>,
}

impl Shared {
    pub(super) fn new(config: TcpConfig) -> Self {
        let seed = config.seed ^ config.member.get().rotate_left(32) ^ config.cluster.get();
        Self {
            config,
            counters: Counters::default(),
            stop: Stop::new(),
            running: AtomicBool::new(false),
            registry: Arc::default(),
            peers: RwLock::default(),
            workers: ThreadGroup::default(),
            readers: ThreadGroup::default(),
            bulk_count: AtomicUsize::new(0),
            notices: Mailbox::new(1, 0),
            notice_limit: NoticeLimit::default(),
            random: Mutex::new(SplitMix64::new(seed)),
        }
    }

    /// Has the inbox told soon that messages to `peer` are being lost, but not too often.
    pub(super) fn tell_lost(&self, peer: MemberId) {
        if self.notice_limit.admits(peer, Instant::now()) {
            self.notices.note_lost(peer);
        }
    }

    /// Body of the notifier, which calls the inbox so that no sender has to.
    pub(super) fn run_notifier(&self, inbox: &dyn Inbox) {
        let mut batch = Batch::default();
        while self.notices.wait(None) == Wake::Filled {
            self.notices.drain(&mut batch);
            for peer in batch.lost.drain(..) {
                if !self.stop.is_told() {
                    inbox.unreachable(peer);
                }
            }
        }
    }

    /// Connects to `peer` and shakes hands.
    pub(super) fn open(
        &self,
        peer: MemberId,
        address: String,
        kind: StreamKind,
    ) -> Result<Connection, TransportError> {
        let opened = self.connect(address, peer).and_then(|connection| {
            self.greet(&connection, peer, kind)?;
            Ok(connection)
        });
        match &opened {
            Ok(_) => self.counters.connections_opened.add(1),
            Err(error) => {
                self.counters.connections_failed.add(1);
                self.counters.note(error.clone());
            }
        }
        opened
    }

    fn connect(&self, address: String, peer: MemberId) -> Result<Connection, TransportError> {
        dial(address, self.config.connect_timeout, &self.stop)
            .and_then(|stream| self.registry.add(stream))
            .map_err(|error| unreachable(peer, error))
    }

    /// The caller's part of the handshake.
    fn greet(
        &self,
        connection: &Connection,
        peer: MemberId,
        kind: StreamKind,
    ) -> Result<(), TransportError> {
        let config = &self.config;
        let hello = Hello { cluster: config.cluster, from: config.member, to: peer, kind };
        let deadline = Instant::now() + config.handshake_timeout;
        let mut bytes = [0; ANSWER_SIZE];
        connection
            .set_write_timeout(config.handshake_timeout)
            .and_then(|()| io::Write::write_all(&mut &*connection, &hello.encode()))
            .and_then(|()| connection.read_exact_by(&mut bytes, deadline))
            .map_err(|error| unreachable(peer, error))?;
        let answer =
            Answer::decode(&bytes).map_err(|malformed| malformed_from(peer, malformed.0))?;
        if answer.cluster != config.cluster {
            return Err(TransportError::ForeignCluster {
                expected: answer.cluster,
                found: config.cluster,
            });
        }
        match answer.code {
            AnswerCode::Welcome if answer.member == peer => Ok(()),
            AnswerCode::Welcome | AnswerCode::WrongMember => {
                let text = format!("member {} answered", answer.member);
                Err(unreachable(peer, io::Error::new(io::ErrorKind::AddrNotAvailable, text)))
            }
            AnswerCode::UnsupportedVersion => {
                let text = format!("the peer speaks version {}", answer.version);
                Err(unreachable(peer, io::Error::new(io::ErrorKind::Unsupported, text)))
            }
            AnswerCode::Busy => {
                let text = "the peer has too many connections";
                Err(unreachable(peer, io::Error::new(io::ErrorKind::ResourceBusy, text)))
            }
            AnswerCode::ForeignCluster => {
                Err(malformed_from(peer, "foreign cluster from the own cluster".to_owned()))
            }
        }
    }

    /// Queues a message.
    pub(super) fn send(&self, to: MemberId, message: Bytes) {
        let peer = self.peers.read().get(&to).cloned();
        let Some(peer) = peer else {
            self.counters.dropped_away.add(1);
            return;
        };
        match peer.mailbox.push(Letter { peer: to, message }) {
            Pushed::Queued => {}
            Pushed::Closed => self.counters.dropped_away.add(1),
            Pushed::Displaced(letters) => {
                self.counters.dropped_queue_full.add(count(letters.len()));
                self.tell_lost(to);
            }
        }
    }

    /// Forgets a peer. Its writer ends by itself.
    pub(super) fn forget(&self, member: MemberId) {
        let peer = self.peers.write().remove(&member);
        if let Some(peer) = peer {
            self.counters.dropped_away.add(peer.close());
            self.notice_limit.forget(member);
        }
    }
}

/// The operating system's word that there is no way to `peer`.
pub(super) fn unreachable(peer: MemberId, error: io::Error) -> TransportError {
    TransportError::Unreachable { peer, source: Some(Arc::new(error)) }
}

/// `peer` sent something that is not ours.
pub(super) fn malformed_from(peer: MemberId, detail: String) -> TransportError {
    TransportError::MalformedFrame { peer: format!("member {peer}"), detail }
}
