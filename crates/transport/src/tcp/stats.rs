//! What happened on the connections of one member.

use parking_lot::Mutex;

use crate::TransportError;
use crate::counter::Counter;

/// Counts of one [`TcpTransport`](super::TcpTransport) since it was made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TcpStats {
    /// Calls of `send`.
    pub sent: u64,
    /// Messages given whole to the operating system. Whether they arrived is not known.
    pub written: u64,
    /// Messages handed to the inbox.
    pub delivered: u64,
    /// Messages dropped as the oldest of a full queue.
    pub dropped_queue_full: u64,
    /// Messages to members without an address, or sent before `start` or after `stop`.
    pub dropped_away: u64,
    /// Messages dropped because the peer could not be reached or the connection broke.
    pub dropped_unreachable: u64,
    /// Messages not sent because they are longer than allowed.
    pub refused_too_large: u64,
    /// Connections made to peers.
    pub connections_opened: u64,
    /// Attempts to connect that failed or that the peer refused.
    pub connections_failed: u64,
    /// Connections to peers that broke later.
    pub connections_lost: u64,
    /// Connections taken from peers, after the handshake.
    pub connections_accepted: u64,
    /// Callers refused because they belong to another cluster.
    pub refused_foreign: u64,
    /// Callers refused because they looked for another member.
    pub refused_wrong_member: u64,
    /// Callers refused because they speak another version.
    pub refused_version: u64,
    /// Callers refused because too many are connected.
    pub refused_busy: u64,
    /// Callers that did not finish their handshake in time.
    pub handshakes_timed_out: u64,
    /// Connections closed because of bytes that are not ours: magic, checksum, length or kind.
    pub malformed: u64,
    /// The latest reason why a connection was refused, failed or closed.
    pub last_error: Option<TransportError>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: Counter,
    pub(super) written: Counter,
    pub(super) delivered: Counter,
    pub(super) dropped_queue_full: Counter,
    pub(super) dropped_away: Counter,
    pub(super) dropped_unreachable: Counter,
    pub(super) refused_too_large: Counter,
    pub(super) connections_opened: Counter,
    pub(super) connections_failed: Counter,
    pub(super) connections_lost: Counter,
    pub(super) connections_accepted: Counter,
    pub(super) refused_foreign: Counter,
    pub(super) refused_wrong_member: Counter,
    pub(super) refused_version: Counter,
    pub(super) refused_busy: Counter,
    pub(super) handshakes_timed_out: Counter,
    pub(super) malformed: Counter,
    pub(super) last_error: Mutex<Option<TransportError>>,
}

impl Counters {
    pub(super) fn read(&self) -> TcpStats {
        TcpStats {
            sent: self.sent.read(),
            written: self.written.read(),
            delivered: self.delivered.read(),
            dropped_queue_full: self.dropped_queue_full.read(),
            dropped_away: self.dropped_away.read(),
            dropped_unreachable: self.dropped_unreachable.read(),
            refused_too_large: self.refused_too_large.read(),
            connections_opened: self.connections_opened.read(),
            connections_failed: self.connections_failed.read(),
            connections_lost: self.connections_lost.read(),
            connections_accepted: self.connections_accepted.read(),
            refused_foreign: self.refused_foreign.read(),
            refused_wrong_member: self.refused_wrong_member.read(),
            refused_version: self.refused_version.read(),
            refused_busy: self.refused_busy.read(),
            handshakes_timed_out: self.handshakes_timed_out.read(),
            malformed: self.malformed.read(),
            last_error: self.last_error.lock().clone(),
        }
    }

    /// Remembers `error` as the latest; counts it if it is about malformed bytes.
    pub(super) fn note(&self, error: TransportError) {
        if matches!(error, TransportError::MalformedFrame { .. }) {
            self.malformed.add(1);
        }
        *self.last_error.lock() = Some(error);
    }
}
