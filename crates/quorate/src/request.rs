//! Requests, said shortly: what to read, what to compare, what to write.

use bytes::Bytes;
use quorate_kv_api::{
    Compare, CompareResult, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, SortOrder,
    SortTarget, TargetUnion, TxnRequest, prefix_end,
};

/// What to read: keys, revision, order, and how fresh it must be.
///
/// ```
/// use quorate::Range;
/// let newest = Range::prefix("job/").limit(10).keys_only();
/// let then = Range::key("job/7").revision(42).local();
/// # let _ = (newest, then);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    pub(crate) request: RangeRequest,
    /// The revision that the member's own state must have come to, if that is all that is asked.
    pub(crate) at_least: Option<i64>,
    /// Whether a leader may answer under a read lease.
    pub(crate) lease: bool,
}

impl Range {
    /// One key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { request: RangeRequest::key(key), at_least: None, lease: false }
    }

    /// Every key that starts with `prefix`; an empty prefix means all keys.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        if prefix.is_empty() {
            return Self::all();
        }
        let end = prefix_end(&prefix);
        Self::between(prefix, end)
    }

    /// Keys from `start` up to but without `end`.
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        let mut range = Self::key(start);
        range.request.range_end = end.into();
        range
    }

    /// All keys.
    pub fn all() -> Self {
        Self::between(&b"\0"[..], &b"\0"[..])
    }

    /// At most this many keys; the response tells whether there are more. Zero or less means no
    /// limit.
    #[must_use]
    pub fn limit(mut self, limit: i64) -> Self {
        self.request.limit = limit;
        self
    }

    /// As the store was at this revision. Zero or less means now.
    #[must_use]
    pub fn revision(mut self, revision: i64) -> Self {
        self.request.revision = revision;
        self
    }

    /// Keys without their values.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.request.keys_only = true;
        self
    }

    /// Only the number of keys.
    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.request.count_only = true;
        self
    }

    /// In this order instead of ascending keys.
    #[must_use]
    pub fn sort(mut self, target: SortTarget, order: SortOrder) -> Self {
        self.request.set_sort_target(target);
        self.request.set_sort_order(order);
        self
    }

    /// From this member's own state, without asking a majority: fast, works without a leader, and
    /// possibly stale. The header of the response tells the revision it stands at.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.request.serializable = true;
        self.at_least = None;
        self.lease = false;
        self
    }

    /// From this member's own state, as soon as it stands at `revision` or later: as fast as
    /// [`Self::local`] where the member is not behind, and never older than what the caller has
    /// seen elsewhere. Fails with [`Error::TimedOut`](crate::Error::TimedOut) if the member does
    /// not get there in time.
    #[must_use]
    pub fn at_least(mut self, revision: i64) -> Self {
        self.request.serializable = true;
        self.at_least = Some(revision);
        self.lease = false;
        self
    }

    /// Under a read lease, if this member holds one: a leader that heard from a majority within
    /// the last half of an election timeout answers at once, without asking anybody. Everywhere
    /// else, and once in half an election timeout at the leader, it is a read like any other, at
    /// its price of a round trip to a majority.
    ///
    /// It is linearizable, as a read is without this, **as long as clocks keep their rates**: no
    /// member's clock may run twice as fast as another's or faster, or stand still while others go
    /// on, and all members must have the same
    /// [`election_timeout`](crate::Config::election_timeout). Jumps of the time of day do no harm.
    /// A machine that is suspended, or a virtual one that is moved, may stop its clock: then an
    /// answer may be stale. Reads without this need no clock, so leave it out where the round trip
    /// is not what hurts.
    ///
    /// This has nothing to do with leases on keys. In a transaction it has no effect.
    ///
    /// ```
    /// use quorate::{Config, MemoryData, Node, Range};
    /// # let db = Node::open(Config::in_memory(&MemoryData::new()))?;
    /// db.put("k", "v").wait()?;
    /// let found = db.range(Range::key("k").lease()).wait()?;
    /// assert_eq!(found.kvs.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lease(mut self) -> Self {
        self.request.serializable = false;
        self.at_least = None;
        self.lease = true;
        self
    }

    /// Only keys put last at this revision or later. The filters by revision do not change what
    /// [`RangeResponse::count`](crate::RangeResponse::count) tells, as in etcd. 0 is no filter,
    /// here and below.
    #[must_use]
    pub fn min_mod_revision(mut self, revision: i64) -> Self {
        self.request.min_mod_revision = revision;
        self
    }

    /// Only keys put last at this revision or before.
    #[must_use]
    pub fn max_mod_revision(mut self, revision: i64) -> Self {
        self.request.max_mod_revision = revision;
        self
    }

    /// Only keys created at this revision or later.
    #[must_use]
    pub fn min_create_revision(mut self, revision: i64) -> Self {
        self.request.min_create_revision = revision;
        self
    }

    /// Only keys created at this revision or before.
    #[must_use]
    pub fn max_create_revision(mut self, revision: i64) -> Self {
        self.request.max_create_revision = revision;
        self
    }
}

impl From<RangeRequest> for Range {
    fn from(request: RangeRequest) -> Self {
        Self { request, at_least: None, lease: false }
    }
}

/// Writes `value` under `key`, in a transaction.
pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> RequestOp {
    PutRequest::new(key, value).into()
}

/// Deletes `key`, in a transaction.
pub fn delete(key: impl Into<Bytes>) -> RequestOp {
    DeleteRangeRequest::key(key).into()
}

/// Reads, in a transaction.
pub fn range(range: Range) -> RequestOp {
    range.request.into()
}

/// A transaction within a transaction.
pub fn nested(txn: TxnRequest) -> RequestOp {
    txn.into()
}

/// Writes `value` under `key`, attached to `lease`, in a transaction.
pub fn put_with_lease(key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) -> RequestOp {
    PutRequest { lease, ..PutRequest::new(key, value) }.into()
}

/// Deletes every key that starts with `prefix`, which must not be empty, in a transaction.
pub fn delete_prefix(prefix: impl Into<Bytes>) -> RequestOp {
    let key = prefix.into();
    let range_end = if key.is_empty() { Bytes::new() } else { prefix_end(&key) };
    DeleteRangeRequest { key, range_end, prev_kv: false }.into()
}

/// The left side of a comparison; see [`value`], [`version`], [`create_revision`],
/// [`mod_revision`] and [`lease`].
#[derive(Clone, Debug)]
pub struct Comparand<T> {
    key: Bytes,
    range_end: Bytes,
    target: fn(T) -> TargetUnion,
}

/// The value of `key`. No comparison with the value of an absent key holds, not even an unequal
/// one.
pub fn value(key: impl Into<Bytes>) -> Comparand<Bytes> {
    Comparand::new(key, TargetUnion::Value)
}

/// How often `key` was put since it was created; 0 if it is absent.
pub fn version(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand::new(key, TargetUnion::Version)
}

/// The revision that created `key`; 0 if it is absent.
pub fn create_revision(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand::new(key, TargetUnion::CreateRevision)
}

/// The revision that last put `key`; 0 if it is absent.
pub fn mod_revision(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand::new(key, TargetUnion::ModRevision)
}

/// The lease that `key` is attached to; 0 if there is none, or if the key is absent.
pub fn lease(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand::new(key, TargetUnion::Lease)
}

impl<T> Comparand<T> {
    fn new(key: impl Into<Bytes>, target: fn(T) -> TargetUnion) -> Self {
        Self { key: key.into(), range_end: Bytes::new(), target }
    }

    /// Every key from this one up to but without `end`, which all must satisfy the comparison. If
    /// there is none, an absent key must.
    #[must_use]
    pub fn up_to(mut self, end: impl Into<Bytes>) -> Self {
        self.range_end = end.into();
        self
    }

    /// Every key that starts with this one, as [`Self::up_to`].
    #[must_use]
    pub fn all_below(self) -> Self {
        let end = prefix_end(&self.key);
        self.up_to(end)
    }

    /// Equal to `right`.
    pub fn equals(self, right: impl Into<T>) -> Compare {
        self.compare(CompareResult::Equal, right)
    }

    /// Not equal to `right`.
    pub fn differs(self, right: impl Into<T>) -> Compare {
        self.compare(CompareResult::NotEqual, right)
    }

    /// Greater than `right`.
    pub fn greater(self, right: impl Into<T>) -> Compare {
        self.compare(CompareResult::Greater, right)
    }

    /// Less than `right`.
    pub fn less(self, right: impl Into<T>) -> Compare {
        self.compare(CompareResult::Less, right)
    }

    fn compare(self, result: CompareResult, right: impl Into<T>) -> Compare {
        let compare = Compare::key(self.key, result, (self.target)(right.into()));
        Compare { range_end: self.range_end, ..compare }
    }
}
