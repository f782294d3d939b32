//! Transactions.

use bytes::Bytes;

use crate::{
    DeleteRangeRequest, DeleteRangeResponse, KeySpan, PutRequest, PutResponse, RangeRequest,
    RangeResponse, ResponseHeader,
};

/// How the two sides of a [`Compare`] must relate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum CompareResult {
    /// The key's side equals the given one.
    Equal = 0,
    /// The key's side is greater.
    Greater = 1,
    /// The key's side is less.
    Less = 2,
    /// They differ.
    NotEqual = 3,
}

/// Which field of a key a [`Compare`] looks at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum CompareTarget {
    /// The version; 0 for a missing key.
    Version = 0,
    /// The create revision; 0 for a missing key.
    Create = 1,
    /// The mod revision; 0 for a missing key.
    Mod = 2,
    /// The value, by bytes. A comparison with a missing key never holds.
    Value = 3,
    /// The lease; 0 for none and for a missing key.
    Lease = 4,
}

/// The given side of a [`Compare`]. If it does not fit the target, 0 or the empty value is used.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum TargetUnion {
    /// For [`CompareTarget::Version`].
    #[prost(int64, tag = "4")]
    Version(i64),
    /// For [`CompareTarget::Create`].
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
    /// For [`CompareTarget::Mod`].
    #[prost(int64, tag = "6")]
    ModRevision(i64),
    /// For [`CompareTarget::Value`].
    #[prost(bytes = "bytes", tag = "7")]
    Value(Bytes),
    /// For [`CompareTarget::Lease`].
    #[prost(int64, tag = "8")]
    Lease(i64),
}

/// A condition on the state before the transaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Compare {
    /// A [`CompareResult`]. A number that is none holds always, as in etcd.
    #[prost(enumeration = "CompareResult", tag = "1")]
    pub result: i32,
    /// A [`CompareTarget`]. A number that is none compares as equal, as in etcd.
    #[prost(enumeration = "CompareTarget", tag = "2")]
    pub target: i32,
    /// The key, or the first key of a range; must not be empty.
    #[prost(bytes = "bytes", tag = "3")]
    pub key: Bytes,
    /// What to compare with.
    #[prost(oneof = "TargetUnion", tags = "4, 5, 6, 7, 8")]
    pub target_union: Option<TargetUnion>,
    /// As in [`RangeRequest`]. Every key of the range must satisfy the condition; an empty range
    /// counts as a missing key.
    #[prost(bytes = "bytes", tag = "64")]
    pub range_end: Bytes,
}

impl Compare {
    /// Compares one key. The target follows from `target_union`.
    ///
    /// ```
    /// use quorate_kv_api::{Compare, CompareResult, CompareTarget, TargetUnion};
    /// let absent = Compare::key("k", CompareResult::Equal, TargetUnion::CreateRevision(0));
    /// assert_eq!(absent.target(), CompareTarget::Create);
    /// ```
    pub fn key(key: impl Into<Bytes>, result: CompareResult, target_union: TargetUnion) -> Self {
        let target = match target_union {
            TargetUnion::Version(_) => CompareTarget::Version,
            TargetUnion::CreateRevision(_) => CompareTarget::Create,
            TargetUnion::ModRevision(_) => CompareTarget::Mod,
            TargetUnion::Value(_) => CompareTarget::Value,
            TargetUnion::Lease(_) => CompareTarget::Lease,
        };
        Self {
            result: result.into(),
            target: target.into(),
            key: key.into(),
            target_union: Some(target_union),
            range_end: Bytes::new(),
        }
    }

    /// The keys compared.
    pub fn span(&self) -> KeySpan {
        KeySpan::new(&self.key, &self.range_end)
    }
}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RequestOp {
    /// The operation; `None` is refused as etcd does, with [`KvError::KeyNotFound`].
    ///
    /// [`KvError::KeyNotFound`]: crate::KvError::KeyNotFound
    #[prost(oneof = "OpRequest", tags = "1, 2, 3, 4")]
    pub request: Option<OpRequest>,
}

/// What a [`RequestOp`] asks for.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum OpRequest {
    /// Reads; sees earlier writes of the same transaction.
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    /// Sets one key.
    #[prost(message, tag = "2")]
    Put(PutRequest),
    /// Deletes keys.
    #[prost(message, tag = "3")]
    DeleteRange(DeleteRangeRequest),
    /// A transaction within. Its compares look at the state before the outermost transaction.
    #[prost(message, tag = "4")]
    Txn(TxnRequest),
}

impl From<OpRequest> for RequestOp {
    fn from(request: OpRequest) -> Self {
        Self { request: Some(request) }
    }
}

impl From<RangeRequest> for RequestOp {
    fn from(request: RangeRequest) -> Self {
        OpRequest::Range(request).into()
    }
}

impl From<PutRequest> for RequestOp {
    fn from(request: PutRequest) -> Self {
        OpRequest::Put(request).into()
    }
}

impl From<DeleteRangeRequest> for RequestOp {
    fn from(request: DeleteRangeRequest) -> Self {
        OpRequest::DeleteRange(request).into()
    }
}

impl From<TxnRequest> for RequestOp {
    fn from(request: TxnRequest) -> Self {
        OpRequest::Txn(request).into()
    }
}

/// The answer to one [`RequestOp`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResponseOp {
    /// The answer, of the kind of the request.
    #[prost(oneof = "OpResponse", tags = "1, 2, 3, 4")]
    pub response: Option<OpResponse>,
}

/// What a [`ResponseOp`] holds. Headers tell the revision only; that of a nested transaction is
/// present and empty.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum OpResponse {
    /// To a range.
    #[prost(message, tag = "1")]
    Range(RangeResponse),
    /// To a put.
    #[prost(message, tag = "2")]
    Put(PutResponse),
    /// To a deletion.
    #[prost(message, tag = "3")]
    DeleteRange(DeleteRangeResponse),
    /// To a transaction within.
    #[prost(message, tag = "4")]
    Txn(TxnResponse),
}

impl From<OpResponse> for ResponseOp {
    fn from(response: OpResponse) -> Self {
        Self { response: Some(response) }
    }
}

/// Carries out `success` if every compare holds, else `failure`; all of it at one revision.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TxnRequest {
    /// The conditions; none hold always.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// What to do if all conditions hold.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// What to do if one does not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

impl TxnRequest {
    /// Whether both branches hold nothing but ranges, so that the transaction needs no log entry.
    /// A nested transaction counts as a write whatever it holds, as in etcd.
    pub fn is_read_only(&self) -> bool {
        self.ops().all(|op| matches!(op.request, Some(OpRequest::Range(_))))
    }

    /// Whether a read-only transaction may be answered from possibly stale state: all its ranges
    /// are serializable. True without any operation, as in etcd.
    pub fn is_serializable(&self) -> bool {
        self.ops()
            .all(|op| matches!(&op.request, Some(OpRequest::Range(range)) if range.serializable))
    }

    fn ops(&self) -> impl Iterator<Item = &RequestOp> {
        self.success.iter().chain(&self.failure)
    }
}

/// The answer to a [`TxnRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TxnResponse {
    /// Its revision is the one the transaction made, or the current one if it changed nothing.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// Whether the compares held.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    /// One answer for each operation of the branch taken, in order.
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<ResponseOp>,
}
