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
}

impl Range {
    /// One key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { request: RangeRequest::key(key) }
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
        self
    }
}

impl From<RangeRequest> for Range {
    fn from(request: RangeRequest) -> Self {
        Self { request }
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

/// The left side of a comparison; see [`value`], [`version`], [`create_revision`] and
/// [`mod_revision`].
#[derive(Clone, Debug)]
pub struct Comparand<T> {
    key: Bytes,
    target: fn(T) -> TargetUnion,
}

/// The value of `key`. No comparison with the value of an absent key holds, not even an unequal
/// one.
pub fn value(key: impl Into<Bytes>) -> Comparand<Bytes> {
    Comparand { key: key.into(), target: TargetUnion::Value }
}

/// How often `key` was put since it was created; 0 if it is absent.
pub fn version(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand { key: key.into(), target: TargetUnion::Version }
}

/// The revision that created `key`; 0 if it is absent.
pub fn create_revision(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand { key: key.into(), target: TargetUnion::CreateRevision }
}

/// The revision that last put `key`; 0 if it is absent.
pub fn mod_revision(key: impl Into<Bytes>) -> Comparand<i64> {
    Comparand { key: key.into(), target: TargetUnion::ModRevision }
}

impl<T> Comparand<T> {
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
        Compare::key(self.key, result, (self.target)(right.into()))
    }
}
