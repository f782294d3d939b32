//! Writes: put and delete.

use bytes::Bytes;

use crate::{KeySpan, KeyValue, ResponseHeader};

/// Sets the value of one key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PutRequest {
    /// The key; must not be empty.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value; may be empty.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// The lease to attach the key to; 0 detaches it from any.
    #[prost(int64, tag = "3")]
    pub lease: i64,
    /// Whether to return what the key held before.
    #[prost(bool, tag = "4")]
    pub prev_kv: bool,
    /// Keeps the present value; `value` must then be empty and the key must exist.
    #[prost(bool, tag = "5")]
    pub ignore_value: bool,
    /// Keeps the present lease; `lease` must then be 0 and the key must exist.
    #[prost(bool, tag = "6")]
    pub ignore_lease: bool,
}

impl PutRequest {
    /// Sets `key` to `value`, without a lease.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), ..Self::default() }
    }
}

/// The answer to a [`PutRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PutResponse {
    /// Its revision is the one the put made.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// What the key held before, if asked for and if it existed.
    #[prost(message, optional, tag = "2")]
    pub prev_kv: Option<KeyValue>,
}

/// Deletes the keys of a range.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteRangeRequest {
    /// The first key; must not be empty.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// As in [`RangeRequest`](crate::RangeRequest).
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// Whether to return what was deleted.
    #[prost(bool, tag = "3")]
    pub prev_kv: bool,
}

impl DeleteRangeRequest {
    /// Deletes one key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// The keys to delete.
    pub fn span(&self) -> KeySpan {
        KeySpan::new(&self.key, &self.range_end)
    }
}

/// The answer to a [`DeleteRangeRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeleteRangeResponse {
    /// Its revision is the one the deletion made, or the current one if nothing was deleted.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// How many keys were deleted.
    #[prost(int64, tag = "2")]
    pub deleted: i64,
    /// What was deleted, in key order, if asked for.
    #[prost(message, repeated, tag = "3")]
    pub prev_kvs: Vec<KeyValue>,
}
