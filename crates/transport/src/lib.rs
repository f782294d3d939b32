//! How members talk: the seam [`Transport`] and its implementations.
//!
//! Messages are opaque bytes and best effort: a transport may drop, duplicate and reorder them, but
//! never alters one, never mixes two clusters, and never blocks the sender. Snapshots travel beside
//! them as bulk streams.

mod error;
mod seam;

pub use error::TransportError;
pub use seam::{BulkSink, BulkSource, Inbox, Transport};
