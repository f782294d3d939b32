//! Forgetting old revisions.

use crate::ResponseHeader;

/// Forgets what was superseded before a revision; etcd's `CompactionRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CompactionRequest {
    /// The oldest revision that can be read afterwards.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Whether to answer only when the member asked has removed from its tables what was forgotten.
    #[prost(bool, tag = "2")]
    pub physical: bool,
}

/// The answer to a [`CompactionRequest`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CompactionResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}
