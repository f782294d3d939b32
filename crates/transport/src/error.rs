//! What can go wrong between members.

use std::io;
use std::sync::Arc;

use quorate_types::MemberId;
use thiserror::Error;

/// A failure of the network, or of what a peer sent.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The member's own address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address, as configured.
        address: String,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no way to the peer now.
    #[error("member {peer} is unreachable")]
    Unreachable {
        /// The peer.
        peer: MemberId,
        /// What the operating system said, if it was asked.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// A bulk stream broke before its end, or the receiver refused it.
    #[error("bulk stream with member {peer} failed: {detail}")]
    Bulk {
        /// The peer.
        peer: MemberId,
        /// What happened.
        detail: String,
    },
    /// A peer sent bytes that are not a frame of ours: wrong magic, version, checksum or length.
    #[error("malformed frame from {peer}: {detail}")]
    MalformedFrame {
        /// Who sent it: an address, or a member if known.
        peer: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// A peer of another cluster called.
    #[error("member of cluster {found} called, this is cluster {expected}")]
    ForeignCluster {
        /// This member's cluster.
        expected: quorate_types::ClusterId,
        /// The caller's.
        found: quorate_types::ClusterId,
    },
    /// A setting is outside its range.
    #[error("invalid {field}: found {found}, expected {expected}")]
    InvalidConfig {
        /// The field, as spelled in the configuration.
        field: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// `start` was called a second time.
    #[error("the transport was started before")]
    AlreadyStarted,
    /// The transport was stopped.
    #[error("the transport is stopped")]
    Stopped,
}

impl TransportError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Bulk { .. })
    }

    /// Whether the bytes may have arrived all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Bulk { .. })
    }
}
