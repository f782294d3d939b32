//! The network of a cluster of one.

use std::sync::Arc;

use bytes::Bytes;
use quorate_transport::{BulkSink, Inbox, Transport, TransportError};
use quorate_types::MemberId;

/// A transport that reaches nobody.
pub(crate) struct Solitude;

impl Transport for Solitude {
    fn start(&self, _inbox: Arc<dyn Inbox>) -> Result<(), TransportError> {
        Ok(())
    }

    fn send(&self, _to: MemberId, _message: Bytes) {}

    fn open_bulk(&self, to: MemberId, _header: Bytes) -> Result<Box<dyn BulkSink>, TransportError> {
        Err(TransportError::Unreachable { peer: to, source: None })
    }

    fn stop(&self) {}
}
