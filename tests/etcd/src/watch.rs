//! The messages of etcd's watch service, and what is compared of a watch.

use bytes::Bytes;
use quorate_kv_api::{Event, ResponseHeader};

/// Begins a watch; etcd's `WatchCreateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchCreateRequest {
    /// The first key; empty means the smallest.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// As in a range.
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// The first revision to be seen; 0 means the next one.
    #[prost(int64, tag = "3")]
    pub start_revision: i64,
    /// Whether to tell the revision now and then.
    #[prost(bool, tag = "4")]
    pub progress_notify: bool,
    /// Kinds of events not wanted: [`WITHOUT_PUTS`], [`WITHOUT_DELETES`].
    #[prost(int32, repeated, tag = "5")]
    pub filters: Vec<i32>,
    /// Whether events carry what the key held before.
    #[prost(bool, tag = "6")]
    pub prev_kv: bool,
    /// The id within the stream; 0 lets the server choose.
    #[prost(int64, tag = "7")]
    pub watch_id: i64,
    /// Whether large revisions may come in pieces.
    #[prost(bool, tag = "8")]
    pub fragment: bool,
}

/// The filter that takes puts away.
pub const WITHOUT_PUTS: i32 = 0;

/// The filter that takes deletions away.
pub const WITHOUT_DELETES: i32 = 1;

/// What a client says on a watch stream; etcd's `WatchRequest`. Cancelling is done by hanging up.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchRequest {
    /// Begins a watch.
    #[prost(message, optional, tag = "1")]
    pub create_request: Option<WatchCreateRequest>,
}

/// What a server says on a watch stream; etcd's `WatchResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The watch.
    #[prost(int64, tag = "2")]
    pub watch_id: i64,
    /// Whether this answers a request to begin.
    #[prost(bool, tag = "3")]
    pub created: bool,
    /// Whether the watch is over.
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// The compact revision, if the watch is over because it would have to show older ones.
    #[prost(int64, tag = "5")]
    pub compact_revision: i64,
    /// Why the watch is over.
    #[prost(string, tag = "6")]
    pub cancel_reason: String,
    /// Whether more of the same revision follows.
    #[prost(bool, tag = "7")]
    pub fragment: bool,
    /// What happened.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

/// What is compared of a watch. How events are cut into responses depends on when a watch catches
/// up, so it is not.
#[derive(Clone, PartialEq, Debug)]
pub enum Watched {
    /// It began.
    Began,
    /// It is over, or never began, because it would have to show revisions before this one.
    Compacted {
        /// The compact revision.
        compact_revision: i64,
    },
    /// It is over, or never began, for another cause.
    Canceled {
        /// The text of it.
        reason: String,
    },
    /// All events up to the revision asked for, in order.
    Events(Vec<Event>),
}
