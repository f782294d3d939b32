//! Why a request was refused.

use thiserror::Error;

/// A definite refusal by the key-value store: nothing was changed.
///
/// Failures of the cluster or the disk (no leader, timeout, full disk) are not here: the layers
/// that meet them have their own errors.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KvError {
    /// A key is empty.
    #[error("key is not provided")]
    EmptyKey,
    /// A put that keeps the value or the lease names a key that does not exist, or an operation of
    /// a transaction is empty.
    #[error("key not found")]
    KeyNotFound,
    /// A put that keeps the value brings one.
    #[error("value is provided")]
    ValueProvided,
    /// A put that keeps the lease brings one.
    #[error("lease is provided")]
    LeaseProvided,
    /// A transaction has too many compares or operations.
    #[error("{count} operations in a transaction, at most {limit} are allowed")]
    TooManyOperations {
        /// How many there are.
        count: u64,
        /// How many there may be at that place.
        limit: u32,
    },
    /// Transactions are nested too deep.
    #[error("transactions nested deeper than {limit}")]
    TooDeep {
        /// How deep they may be nested.
        limit: u32,
    },
    /// One branch of a transaction puts a key twice, or puts and deletes it.
    #[error("duplicate key given in txn request")]
    DuplicateKey,
    /// The sort order or target of a range is none of those known.
    #[error("invalid sort option")]
    InvalidSortOption,
    /// The encoded command is too large.
    #[error("request of {size} bytes is too large, at most {limit} are allowed")]
    RequestTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size allowed.
        limit: u32,
    },
    /// The lease does not exist.
    #[error("requested lease {lease} not found")]
    LeaseNotFound {
        /// The lease named by the request.
        lease: i64,
    },
    /// The revision asked for has been compacted.
    #[error("required revision {requested} has been compacted up to {compact_revision}")]
    Compacted {
        /// The revision asked for.
        requested: i64,
        /// The oldest revision that can be read.
        compact_revision: i64,
    },
    /// The revision asked for does not exist yet.
    #[error("required revision {requested} is a future revision, the store is at {current}")]
    FutureRevision {
        /// The revision asked for.
        requested: i64,
        /// The newest revision.
        current: i64,
    },
    /// A lease with that id exists already.
    #[error("lease {lease} already exists")]
    LeaseExists {
        /// The id asked for.
        lease: i64,
    },
    /// The time to live asked for is too long.
    #[error("lease time to live of {ttl} s is too large, at most {limit} s are allowed")]
    LeaseTtlTooLarge {
        /// What was asked for, in seconds.
        ttl: i64,
        /// The longest time to live, in seconds.
        limit: i64,
    },
    /// A key is longer than this member allows.
    #[error("key of {size} bytes is too large, at most {limit} are allowed")]
    KeyTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size allowed.
        limit: u32,
    },
    /// A value is longer than this member allows.
    #[error("value of {size} bytes is too large, at most {limit} are allowed")]
    ValueTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size allowed.
        limit: u32,
    },
    /// A watched range cannot contain any key.
    #[error("watcher range is empty")]
    EmptyWatchRange,
    /// Too many watches wait on the member.
    #[error("too many watches wait on this member, at most {limit} are allowed")]
    TooManyWatches {
        /// How many may wait.
        limit: u32,
    },
    /// The space quota of a member is used up, and the alarm of it is raised.
    #[error("database space exceeded")]
    NoSpace,
    /// The alarm is raised that members hold different content.
    #[error("the content of the cluster's members differs")]
    Corrupt,
    /// A stream of a range was asked for in another order than ascending keys, or with filters by
    /// revision.
    #[error("a stream of a range gives keys in ascending order, without filters by revision")]
    UnorderedStream,
    /// The action or kind of an alarm request is none of those known.
    #[error("invalid alarm request")]
    InvalidAlarm,
    /// The payload of a log entry is no command that this version knows.
    #[error("malformed command")]
    MalformedCommand,
    /// A transaction for reading holds something else than ranges.
    #[error("transaction is not read-only")]
    NotReadOnly,
}

impl KvError {
    /// Whether the same request may succeed if it is simply sent again: only if there were too many
    /// watches. Otherwise the request itself is refused, or an alarm must be cleared first.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooManyWatches { .. })
    }

    /// Whether the request may have taken effect all the same. Never.
    pub fn is_outcome_unknown(&self) -> bool {
        false
    }

    /// The text that etcd sends for this cause; clients compare it. Causes that etcd does not know
    /// give a text of ours without etcd's prefix, or the one of the nearest cause.
    pub fn etcd_message(&self) -> &'static str {
        match self {
            Self::EmptyKey => "etcdserver: key is not provided",
            Self::KeyNotFound => "etcdserver: key not found",
            Self::ValueProvided => "etcdserver: value is provided",
            Self::LeaseProvided => "etcdserver: lease is provided",
            Self::TooManyOperations { .. } | Self::TooDeep { .. } => {
                "etcdserver: too many operations in txn request"
            }
            Self::DuplicateKey => "etcdserver: duplicate key given in txn request",
            Self::InvalidSortOption => "etcdserver: invalid sort option",
            Self::RequestTooLarge { .. } => "etcdserver: request is too large",
            Self::LeaseNotFound { .. } => "etcdserver: requested lease not found",
            Self::Compacted { .. } => "etcdserver: mvcc: required revision has been compacted",
            Self::FutureRevision { .. } => {
                "etcdserver: mvcc: required revision is a future revision"
            }
            Self::LeaseExists { .. } => "etcdserver: lease already exists",
            Self::LeaseTtlTooLarge { .. } => "etcdserver: too large lease TTL",
            Self::KeyTooLarge { .. } | Self::ValueTooLarge { .. } => {
                "etcdserver: request is too large"
            }
            Self::EmptyWatchRange => "mvcc: watcher range is empty",
            Self::TooManyWatches { .. } => "etcdserver: too many requests",
            Self::NoSpace => "etcdserver: mvcc: database space exceeded",
            Self::Corrupt => "etcdserver: corrupt cluster",
            Self::UnorderedStream => "range stream in a custom order is not supported",
            Self::InvalidAlarm => "invalid alarm request",
            Self::MalformedCommand => "malformed command",
            Self::NotReadOnly => "transaction is not read-only",
        }
    }

    /// The gRPC status code that etcd sends with [`Self::etcd_message`].
    pub fn grpc_code(&self) -> i32 {
        match self {
            Self::EmptyKey
            | Self::KeyNotFound
            | Self::ValueProvided
            | Self::LeaseProvided
            | Self::TooManyOperations { .. }
            | Self::TooDeep { .. }
            | Self::DuplicateKey
            | Self::InvalidSortOption
            | Self::InvalidAlarm
            | Self::KeyTooLarge { .. }
            | Self::ValueTooLarge { .. }
            | Self::RequestTooLarge { .. } => INVALID_ARGUMENT,
            Self::LeaseNotFound { .. } => NOT_FOUND,
            Self::NoSpace | Self::TooManyWatches { .. } => RESOURCE_EXHAUSTED,
            Self::LeaseExists { .. } => FAILED_PRECONDITION,
            Self::Compacted { .. }
            | Self::FutureRevision { .. }
            | Self::LeaseTtlTooLarge { .. } => OUT_OF_RANGE,
            Self::UnorderedStream => UNIMPLEMENTED,
            Self::Corrupt => DATA_LOSS,
            Self::EmptyWatchRange | Self::MalformedCommand | Self::NotReadOnly => UNKNOWN,
        }
    }
}

const UNKNOWN: i32 = 2;
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;
const DATA_LOSS: i32 = 15;
