//! Comparing the content of members.

use crate::ResponseHeader;

/// Asks for a hash over the history of the store; etcd's `HashKVRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HashKvRequest {
    /// The last revision to cover; 0 for the current one.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}

/// Has all members hash their stores as they are at this entry of the log, to be compared. Proposed
/// by the leader alone; not in etcd, whose leader asks its peers.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HashMarkRequest {}

/// What a member found at a mark; not in etcd.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HashReportRequest {
    /// The log index of the [`HashMarkRequest`].
    #[prost(uint64, tag = "1")]
    pub mark: u64,
    /// The member that hashed.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// The revision compacted last, when it hashed.
    #[prost(int64, tag = "3")]
    pub compact_revision: i64,
    /// The hash at the revision of the mark.
    #[prost(uint32, tag = "4")]
    pub hash: u32,
}

/// The answer to a [`HashKvRequest`]; etcd's `HashKVResponse`. Members whose `hash_revision` and
/// `compact_revision` are equal must have equal hashes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HashKvResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// CRC-32C over the revisions after `compact_revision` up to and with `hash_revision`.
    #[prost(uint32, tag = "2")]
    pub hash: u32,
    /// The revision compacted last; -1 if none ever was.
    #[prost(int64, tag = "3")]
    pub compact_revision: i64,
    /// The last revision covered.
    #[prost(int64, tag = "4")]
    pub hash_revision: i64,
}
