//! Leases: keys that live as long as somebody renews what they are attached to.
//!
//! The names of fields follow Rust; the numbers are etcd's, and so are the messages, but for
//! [`LeaseExpireRequest`] and the third field of [`LeaseCheckpoint`], which never leave a cluster.

use bytes::Bytes;

use crate::ResponseHeader;

/// Makes a lease; etcd's `LeaseGrantRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseGrantRequest {
    /// How long the lease lives without being renewed, in seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// The id, which may be negative; 0 lets the store choose a positive one.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// The answer to a [`LeaseGrantRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseGrantResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// The time to live granted, in seconds; may be more than was asked for.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
    /// Never set, as in etcd.
    #[prost(string, tag = "4")]
    pub error: String,
}

/// Ends a lease and deletes its keys; etcd's `LeaseRevokeRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseRevokeRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// The answer to a [`LeaseRevokeRequest`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseRevokeResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}

/// Renews a lease; etcd's `LeaseKeepAliveRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseKeepAliveRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// The answer to a [`LeaseKeepAliveRequest`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseKeepAliveResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// The time to live that it has again, in seconds; 0 if there is no such lease (any more).
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}

/// Asks how long a lease still lives; etcd's `LeaseTimeToLiveRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseTimeToLiveRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Whether to list the keys attached to it.
    #[prost(bool, tag = "2")]
    pub keys: bool,
}

/// The answer to a [`LeaseTimeToLiveRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseTimeToLiveResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// The remaining time in whole seconds, cut; 0 if it is about to end; -1 if there is no such
    /// lease.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
    /// The time to live granted, in seconds; 0 if there is no such lease.
    #[prost(int64, tag = "4")]
    pub granted_ttl: i64,
    /// The keys attached, ascending, if they were asked for.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub keys: Vec<Bytes>,
}

/// A lease in a list; etcd's `LeaseStatus`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseStatus {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// All leases; etcd's `LeaseLeasesResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseLeasesResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The leases, the one that ends first in front.
    #[prost(message, repeated, tag = "2")]
    pub leases: Vec<LeaseStatus>,
}

/// How long a lease still lives, for the case that all members restart; etcd's `LeaseCheckpoint`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseCheckpoint {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// The remaining time in seconds.
    #[prost(int64, tag = "2")]
    pub remaining_ttl: i64,
    /// The log index that granted or renewed the lease last, when this was measured. If the lease
    /// was renewed since, the checkpoint is void. Not in etcd.
    #[prost(uint64, tag = "100")]
    pub renewed_at: u64,
}

/// Notes remaining times; etcd's `LeaseCheckpointRequest`. Proposed by the leader alone.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseCheckpointRequest {
    /// At most one for each lease.
    #[prost(message, repeated, tag = "1")]
    pub checkpoints: Vec<LeaseCheckpoint>,
}

/// Ends a lease whose time is over, and deletes its keys. Proposed by the leader alone; not in
/// etcd, which revokes an expired lease as anybody would.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseExpireRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// The log index that granted or renewed the lease last, when its time was found to be over. If
    /// the lease was renewed since, it goes on.
    #[prost(uint64, tag = "2")]
    pub renewed_at: u64,
}
