//! How members talk: the seam [`Transport`] and its implementations.
//!
//! Messages are opaque bytes and best effort: a transport may drop, duplicate and reorder them, but
//! never alters one, never mixes two clusters, and never blocks the sender. Snapshots travel beside
//! them as bulk streams.
//!
//! - [`hub`]: members of one process, with faults on demand.
//! - [`tcp`]: members that talk over TCP.
//! - [`conformance`]: what every transport must do, for implementations elsewhere too.

mod bulk;
pub mod conformance;
mod counter;
mod error;
pub mod hub;
mod limits;
mod mailbox;
mod notices;
mod seam;
pub mod tcp;
mod threads;

pub use error::TransportError;
pub use limits::{
    BULK_CHUNK_SIZE_MAX, BULK_STREAM_COUNT_MAX, MESSAGE_SIZE_MAX, QUEUE_COUNT_MAX, QUEUE_SIZE_MAX,
    UNREACHABLE_INTERVAL,
};
pub use seam::{BulkSink, BulkSource, Inbox, Transport};
