//! What both stores are asked, and what they answer.

use quorate_kv_api::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, HashKvRequest,
    HashKvResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse,
};

use crate::watch::{WatchCreateRequest, Watched};

/// The kinds of [`Operation`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Sets a key.
    Put,
    /// Deletes keys.
    DeleteRange,
    /// Reads keys.
    Range,
    /// A transaction.
    Txn,
    /// A hash over the history.
    HashKv,
    /// Forgets old revisions.
    Compact,
    /// Makes a lease.
    LeaseGrant,
    /// Ends a lease.
    LeaseRevoke,
    /// Renews a lease.
    LeaseKeepAlive,
    /// Asks how long a lease still lives.
    LeaseTimeToLive,
    /// Lists the leases.
    Leases,
    /// Begins a watch.
    WatchStart,
    /// Ends a watch and compares what it saw.
    WatchEnd,
}

/// One thing that both stores do.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// Sets a key.
    Put(PutRequest),
    /// Deletes keys.
    DeleteRange(DeleteRangeRequest),
    /// Reads keys.
    Range(RangeRequest),
    /// A transaction.
    Txn(TxnRequest),
    /// A hash over the history.
    HashKv(HashKvRequest),
    /// Forgets old revisions.
    Compact(CompactionRequest),
    /// Makes a lease.
    LeaseGrant(LeaseGrantRequest),
    /// Ends a lease.
    LeaseRevoke(LeaseRevokeRequest),
    /// Renews a lease.
    LeaseKeepAlive(LeaseKeepAliveRequest),
    /// Asks how long a lease still lives.
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    /// Lists the leases.
    Leases,
    /// Begins a watch under a number of ours.
    WatchStart {
        /// The number by which [`Operation::WatchEnd`] names it.
        number: u64,
        /// What to watch.
        request: WatchCreateRequest,
    },
    /// Ends a watch once it has seen everything up to a revision.
    WatchEnd {
        /// The number under which it was begun.
        number: u64,
        /// A revision with an event for this watch: the last one to be read.
        revision: i64,
    },
}

impl Operation {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Put(_) => Kind::Put,
            Self::DeleteRange(_) => Kind::DeleteRange,
            Self::Range(_) => Kind::Range,
            Self::Txn(_) => Kind::Txn,
            Self::HashKv(_) => Kind::HashKv,
            Self::Compact(_) => Kind::Compact,
            Self::LeaseGrant(_) => Kind::LeaseGrant,
            Self::LeaseRevoke(_) => Kind::LeaseRevoke,
            Self::LeaseKeepAlive(_) => Kind::LeaseKeepAlive,
            Self::LeaseTimeToLive(_) => Kind::LeaseTimeToLive,
            Self::Leases => Kind::Leases,
            Self::WatchStart { .. } => Kind::WatchStart,
            Self::WatchEnd { .. } => Kind::WatchEnd,
        }
    }
}

/// What a store answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// An error, as gRPC carries it.
    Refused {
        /// The status code.
        code: i32,
        /// The text.
        message: String,
    },
    /// To a put.
    Put(PutResponse),
    /// To a deletion.
    DeleteRange(DeleteRangeResponse),
    /// To a range.
    Range(RangeResponse),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a hash.
    HashKv(HashKvResponse),
    /// To a compaction.
    Compact(CompactionResponse),
    /// To a grant.
    LeaseGrant(LeaseGrantResponse),
    /// To a revocation.
    LeaseRevoke(LeaseRevokeResponse),
    /// To a renewal.
    LeaseKeepAlive(LeaseKeepAliveResponse),
    /// To the question how long a lease still lives.
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    /// To the question which leases there are.
    Leases(LeaseLeasesResponse),
    /// What a watch saw, or at its start: whether it may begin.
    Watched(Watched),
}

impl Answer {
    /// The store revision it tells, if it tells one.
    pub fn revision(&self) -> Option<i64> {
        let header = match self {
            Self::Put(response) => response.header,
            Self::DeleteRange(response) => response.header,
            Self::Range(response) => response.header,
            Self::Txn(response) => response.header,
            Self::Compact(response) => response.header,
            Self::LeaseRevoke(response) => response.header,
            _ => None,
        };
        header.map(|header| header.revision)
    }

    /// Whether it is an error, or the end of a watch.
    pub fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Watched(Watched::Compacted { .. } | Watched::Canceled { .. })
        )
    }
}

/// A store that can be asked.
pub trait Answers {
    /// Carries out one operation.
    ///
    /// # Errors
    ///
    /// If the store did not answer, or answered what no working store answers: the text says how.
    fn answer(&mut self, operation: &Operation) -> Result<Answer, String>;
}
