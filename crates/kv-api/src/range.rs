//! Reads.

use bytes::Bytes;

use crate::{KeySpan, KeyValue, ResponseHeader};

/// Which way the result of a range is sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum SortOrder {
    /// By key, ascending. With a target other than the key this sorts ascending by the target, but
    /// only the first `limit + 1` keys in key order, as etcd does.
    None = 0,
    /// Smallest first.
    Ascend = 1,
    /// Largest first.
    Descend = 2,
}

/// What the result of a range is sorted by. Ties stay in key order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum SortTarget {
    /// The key, by bytes.
    Key = 0,
    /// The version.
    Version = 1,
    /// The create revision.
    Create = 2,
    /// The mod revision.
    Mod = 3,
    /// The value, by bytes.
    Value = 4,
}

/// Asks for the keys of a range, now or at an older revision.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RangeRequest {
    /// The first key; must not be empty.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Empty: only `key`. A single zero byte: all keys from `key` on. Else the first key that does
    /// not belong to the range; see [`prefix_end`](crate::prefix_end).
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// How many keys to return at most; 0 or less for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// The revision to read at; 0 or less for the newest. Within a transaction a negative one is
    /// refused as compacted if it lies below the compact revision.
    #[prost(int64, tag = "4")]
    pub revision: i64,
    /// A [`SortOrder`].
    #[prost(enumeration = "SortOrder", tag = "5")]
    pub sort_order: i32,
    /// A [`SortTarget`].
    #[prost(enumeration = "SortTarget", tag = "6")]
    pub sort_target: i32,
    /// Whether the answering member may use its own, possibly stale, state.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
    /// Leaves the values out.
    #[prost(bool, tag = "8")]
    pub keys_only: bool,
    /// Leaves everything out but the count.
    #[prost(bool, tag = "9")]
    pub count_only: bool,
    /// Drops keys whose mod revision is below this; 0 for no bound.
    #[prost(int64, tag = "10")]
    pub min_mod_revision: i64,
    /// Drops keys whose mod revision is above this; 0 for no bound.
    #[prost(int64, tag = "11")]
    pub max_mod_revision: i64,
    /// Drops keys whose create revision is below this; 0 for no bound.
    #[prost(int64, tag = "12")]
    pub min_create_revision: i64,
    /// Drops keys whose create revision is above this; 0 for no bound.
    #[prost(int64, tag = "13")]
    pub max_create_revision: i64,
}

impl RangeRequest {
    /// Asks for one key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// The keys asked for.
    pub fn span(&self) -> KeySpan {
        KeySpan::new(&self.key, &self.range_end)
    }
}

/// The keys of a range.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RangeResponse {
    /// Its revision is the store's current one, also for a read at an older revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The keys, sorted as asked; empty for a count.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut something off.
    #[prost(bool, tag = "3")]
    pub more: bool,
    /// How many keys the range holds at that revision, before the limit and the revision bounds.
    #[prost(int64, tag = "4")]
    pub count: i64,
}
