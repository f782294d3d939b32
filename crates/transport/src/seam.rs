//! The seam between a member and the network.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use quorate_types::MemberId;

use crate::TransportError;

/// Where a transport delivers what arrives. Called from the transport's threads, also from several
/// at once; must not block for long. An inbox may send from within a call.
pub trait Inbox: Send + Sync {
    /// A message from `from` arrived, unaltered.
    fn message(&self, from: MemberId, message: Bytes);

    /// `from` opened a bulk stream with the given header. The call runs on a thread of its own and
    /// may take as long as the stream does; when it returns, the stream is closed. `Ok` agrees, and
    /// holds only if all was read; an `Err` tells the sender that the stream failed. A call that
    /// `stop` waits for sees `source` fail, and should return soon then.
    fn bulk(
        &self,
        from: MemberId,
        header: Bytes,
        source: &mut dyn BulkSource,
    ) -> Result<(), TransportError>;

    /// Messages to `peer` are being lost: the connection broke or a queue overflowed. Called at
    /// most once in [`UNREACHABLE_INTERVAL`](crate::UNREACHABLE_INTERVAL) for one peer, however
    /// many are lost.
    fn unreachable(&self, peer: MemberId);
}

/// Carries messages of one member to its peers.
pub trait Transport: Send + Sync {
    /// Starts delivery into `inbox`. Called once.
    ///
    /// # Errors
    ///
    /// [`TransportError::Listen`] if the member's own address cannot be used,
    /// [`TransportError::AlreadyStarted`] or [`TransportError::Stopped`] if called a second time or
    /// after `stop`.
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), TransportError>;

    /// Queues `message` for `to` and returns at once. Lost if `to` is unknown, away, or slow:
    /// queues are bounded and drop their oldest message first. Lost too if longer than the
    /// transport's limit, and before `start` and after `stop`.
    fn send(&self, to: MemberId, message: Bytes);

    /// Opens a bulk stream to `to`. The header arrives first and whole. Blocks while connecting and
    /// while writing; use a thread of its own.
    ///
    /// # Errors
    ///
    /// [`TransportError::Unreachable`] if there is no way to `to` now, or it has too many streams
    /// open; [`TransportError::ForeignCluster`] if it belongs to another cluster;
    /// [`TransportError::Bulk`] if the header is longer than a message may be;
    /// [`TransportError::Stopped`] before `start` and after `stop`.
    fn open_bulk(&self, to: MemberId, header: Bytes) -> Result<Box<dyn BulkSink>, TransportError>;

    /// Stops delivery and joins the transport's threads. No `Inbox` call runs or starts after this
    /// returned; called from within an `Inbox` call, it waits for none. Open bulk streams break.
    /// Further sends are dropped. Idempotent.
    fn stop(&self);
}

/// The writing end of a bulk stream. Dropping it without [`BulkSink::finish`] tells the receiver
/// that the stream is incomplete.
pub trait BulkSink: Write + Send {
    /// Ends the stream and waits until the receiver has taken all of it and agreed.
    ///
    /// # Errors
    ///
    /// [`TransportError::Bulk`] if the connection broke, the receiver refused, or did not answer in
    /// time.
    fn finish(self: Box<Self>) -> Result<(), TransportError>;
}

/// The reading end of a bulk stream. `read` returns 0 only at the true end; a stream that breaks
/// gives an error.
pub trait BulkSource: Read + Send {}
