//! What a key holds, and what stands at the head of every response.

use bytes::Bytes;

/// One key with its value at some revision; etcd's `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyValue {
    /// The key; never empty in a response.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The store revision at which the key last came into being.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The store revision of the last put.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// How many puts the key has had since it came into being; the first makes 1.
    #[prost(int64, tag = "4")]
    pub version: i64,
    /// The value; may be empty.
    #[prost(bytes = "bytes", tag = "5")]
    pub value: Bytes,
    /// The lease the key is attached to; 0 for none.
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

/// Who answered, and at which revision the store stood.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ResponseHeader {
    /// The cluster; the state machine leaves 0.
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    /// The member that answered; the state machine leaves 0.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// The store revision when the request was answered.
    #[prost(int64, tag = "3")]
    pub revision: i64,
    /// The Raft term; the state machine leaves 0.
    #[prost(uint64, tag = "4")]
    pub raft_term: u64,
}

impl ResponseHeader {
    /// A header that tells the revision and nothing else.
    pub fn at(revision: i64) -> Self {
        Self { revision, ..Self::default() }
    }
}
