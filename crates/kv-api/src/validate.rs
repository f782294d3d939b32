//! The checks that etcd makes before it proposes or answers a request.

use bytes::Bytes;
use prost::Message;

use crate::overlap::check_branch;
use crate::{
    AlarmAction, AlarmRequest, AlarmType, Command, CommandKind, DeleteRangeRequest, KvError,
    LeaseGrantRequest, Limits, OpRequest, PutRequest, RangeRequest, RequestOp, SortOrder,
    SortTarget, TxnRequest,
};

impl Command {
    /// Checks the command's shape, then its size.
    ///
    /// # Errors
    ///
    /// - [`KvError::MalformedCommand`] if it is empty.
    /// - For a put: [`KvError::EmptyKey`], [`KvError::KeyTooLarge`], [`KvError::ValueTooLarge`],
    ///   [`KvError::ValueProvided`], [`KvError::LeaseProvided`].
    /// - For a deletion: [`KvError::EmptyKey`].
    /// - For a transaction: those of [`TxnRequest::validate`].
    /// - For a lease: [`KvError::LeaseTtlTooLarge`]. For an alarm: [`KvError::InvalidAlarm`].
    /// - [`KvError::RequestTooLarge`] if it takes more bytes than [`Limits::request_bytes_max`].
    ///
    /// ```
    /// use quorate_kv_api::{Command, KvError, Limits, PutRequest};
    /// let limits = Limits::default();
    /// assert_eq!(Command::from(PutRequest::new("k", "v")).validate(&limits), Ok(()));
    /// let unnamed = Command::from(PutRequest::new("", "v"));
    /// assert_eq!(unnamed.validate(&limits), Err(KvError::EmptyKey));
    /// ```
    pub fn validate(&self, limits: &Limits) -> Result<(), KvError> {
        match &self.kind {
            None => return Err(KvError::MalformedCommand),
            Some(CommandKind::Put(request)) => check_put(request, limits)?,
            Some(CommandKind::DeleteRange(request)) => check_delete_range(request)?,
            Some(CommandKind::Txn(request)) => request.validate(limits)?,
            Some(CommandKind::LeaseGrant(request)) => check_grant(request)?,
            Some(CommandKind::Alarm(request)) => check_alarm(request)?,
            Some(
                CommandKind::Compaction(_)
                | CommandKind::LeaseRevoke(_)
                | CommandKind::LeaseCheckpoint(_)
                | CommandKind::LeaseKeepAlive(_)
                | CommandKind::LeaseExpire(_)
                | CommandKind::HashMark(_)
                | CommandKind::HashReport(_),
            ) => {}
        }
        let size = self.encoded_len() as u64;
        if size > u64::from(limits.request_bytes_max) {
            return Err(KvError::RequestTooLarge { size, limit: limits.request_bytes_max });
        }
        Ok(())
    }
}

impl RangeRequest {
    /// Checks the request's shape. `_limits` bounds nothing of a range yet.
    ///
    /// # Errors
    ///
    /// [`KvError::EmptyKey`], also if a range end is given; [`KvError::InvalidSortOption`].
    pub fn validate(&self, _limits: &Limits) -> Result<(), KvError> {
        check_range(self)
    }
}

impl TxnRequest {
    /// Checks the transaction's shape, with everything nested in it.
    ///
    /// # Errors
    ///
    /// - [`KvError::TooManyOperations`], [`KvError::TooDeep`]: see [`Limits`].
    /// - [`KvError::EmptyKey`] for a compare or an operation without a key.
    /// - [`KvError::KeyNotFound`] for an empty operation.
    /// - [`KvError::KeyTooLarge`], [`KvError::ValueTooLarge`], [`KvError::ValueProvided`],
    ///   [`KvError::LeaseProvided`], [`KvError::InvalidSortOption`] for an operation.
    /// - [`KvError::DuplicateKey`] if one branch puts a key twice, or puts and deletes it.
    pub fn validate(&self, limits: &Limits) -> Result<(), KvError> {
        check_txn(self, limits, limits.txn_ops_max, Limits::TXN_DEPTH_MAX)?;
        check_branch(&self.success)?;
        check_branch(&self.failure)
    }
}

fn check_txn(
    txn: &TxnRequest,
    limits: &Limits,
    ops_max: u32,
    depth_left: u32,
) -> Result<(), KvError> {
    if depth_left == 0 {
        return Err(KvError::TooDeep { limit: Limits::TXN_DEPTH_MAX });
    }
    let count = txn.compare.len().max(txn.success.len()).max(txn.failure.len()) as u64;
    if count > u64::from(ops_max) {
        return Err(KvError::TooManyOperations { count, limit: ops_max });
    }
    // The check above keeps the count within the limit, which is a u32.
    let nested_max = ops_max - count as u32;
    for compare in &txn.compare {
        check_key(&compare.key)?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        check_op(op, limits, nested_max, depth_left - 1)?;
    }
    Ok(())
}

fn check_op(op: &RequestOp, limits: &Limits, ops_max: u32, depth_left: u32) -> Result<(), KvError> {
    match &op.request {
        None => Err(KvError::KeyNotFound),
        Some(OpRequest::Range(request)) => check_range(request),
        Some(OpRequest::Put(request)) => check_put(request, limits),
        Some(OpRequest::DeleteRange(request)) => check_delete_range(request),
        Some(OpRequest::Txn(request)) => check_txn(request, limits, ops_max, depth_left),
    }
}

fn check_range(request: &RangeRequest) -> Result<(), KvError> {
    check_key(&request.key)?;
    if !SortOrder::is_valid(request.sort_order) || !SortTarget::is_valid(request.sort_target) {
        return Err(KvError::InvalidSortOption);
    }
    Ok(())
}

fn check_put(request: &PutRequest, limits: &Limits) -> Result<(), KvError> {
    check_key(&request.key)?;
    let (key, value) = (request.key.len() as u64, request.value.len() as u64);
    if key > u64::from(limits.key_bytes_max) {
        return Err(KvError::KeyTooLarge { size: key, limit: limits.key_bytes_max });
    }
    if value > u64::from(limits.value_bytes_max) {
        return Err(KvError::ValueTooLarge { size: value, limit: limits.value_bytes_max });
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(KvError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(KvError::LeaseProvided);
    }
    Ok(())
}

fn check_delete_range(request: &DeleteRangeRequest) -> Result<(), KvError> {
    check_key(&request.key)
}

fn check_grant(request: &LeaseGrantRequest) -> Result<(), KvError> {
    let (ttl, limit) = (request.ttl, Limits::LEASE_TTL_MAX);
    if ttl > limit { Err(KvError::LeaseTtlTooLarge { ttl, limit }) } else { Ok(()) }
}

/// Refuses what etcd's server does not know, which would make it panic.
fn check_alarm(request: &AlarmRequest) -> Result<(), KvError> {
    if AlarmAction::is_valid(request.action) && AlarmType::is_valid(request.alarm) {
        Ok(())
    } else {
        Err(KvError::InvalidAlarm)
    }
}

fn check_key(key: &Bytes) -> Result<(), KvError> {
    if key.is_empty() { Err(KvError::EmptyKey) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compare, CompareResult, TargetUnion};

    fn check(command: impl Into<Command>, expected: Result<(), KvError>) {
        let command = command.into();
        assert_eq!(command.validate(&Limits::default()), expected, "{command:?}");
    }

    fn txn(ops: Vec<RequestOp>) -> TxnRequest {
        TxnRequest { compare: vec![], success: ops, failure: vec![] }
    }

    fn range(request: RangeRequest) -> TxnRequest {
        txn(vec![request.into()])
    }

    #[test]
    fn puts_and_deletions() {
        check(PutRequest::new("", "v"), Err(KvError::EmptyKey));
        check(DeleteRangeRequest::default(), Err(KvError::EmptyKey));
        check(DeleteRangeRequest::key("k"), Ok(()));
        let put = PutRequest { ignore_value: true, ..PutRequest::new("k", "v") };
        check(put, Err(KvError::ValueProvided));
        let put = PutRequest { ignore_lease: true, lease: 1, ..PutRequest::new("k", "v") };
        check(put, Err(KvError::LeaseProvided));
        check(Command::default(), Err(KvError::MalformedCommand));
    }

    #[test]
    fn sizes() {
        let overhead = Command::from(PutRequest::new("k", vec![0; 1_500_000])).encoded_len();
        let value = vec![0; 1_572_864 - (overhead - 1_500_000)];
        check(PutRequest::new("k", value.clone()), Ok(()));
        let error = KvError::RequestTooLarge { size: 1_572_865, limit: 1_572_864 };
        check(PutRequest::new("kk", value), Err(error));
    }

    #[test]
    fn operations_of_a_transaction() {
        check(TxnRequest::default(), Ok(()));
        check(txn(vec![RequestOp::default()]), Err(KvError::KeyNotFound));
        check(range(RangeRequest::default()), Err(KvError::EmptyKey));
        let request = RangeRequest { range_end: "z".into(), ..RangeRequest::default() };
        check(range(request), Err(KvError::EmptyKey));
        let request = RangeRequest { sort_order: 3, ..RangeRequest::key("k") };
        check(range(request), Err(KvError::InvalidSortOption));
        let request = RangeRequest { sort_target: 5, ..RangeRequest::key("k") };
        check(range(request), Err(KvError::InvalidSortOption));
        let compare = Compare::key("", CompareResult::Equal, TargetUnion::Version(0));
        check(TxnRequest { compare: vec![compare], ..txn(vec![]) }, Err(KvError::EmptyKey));
        let twice = vec![PutRequest::new("k", "1").into(), PutRequest::new("k", "2").into()];
        check(txn(twice), Err(KvError::DuplicateKey));
    }

    #[test]
    fn count_of_operations() {
        let ranges = |count| vec![RequestOp::from(RangeRequest::key("k")); count];
        check(txn(ranges(128)), Ok(()));
        let error = KvError::TooManyOperations { count: 129, limit: 128 };
        check(txn(ranges(129)), Err(error.clone()));
        check(TxnRequest { failure: ranges(129), ..txn(vec![]) }, Err(error.clone()));
        let compare = Compare::key("k", CompareResult::Equal, TargetUnion::Version(0));
        check(TxnRequest { compare: vec![compare; 129], ..txn(vec![]) }, Err(error));

        let outer = |inner: usize| {
            let mut ops = ranges(99);
            ops.push(txn(ranges(inner)).into());
            txn(ops)
        };
        check(outer(28), Ok(()));
        check(outer(29), Err(KvError::TooManyOperations { count: 29, limit: 28 }));
    }

    #[test]
    fn depth_of_transactions() {
        let nested = |depth: usize| {
            (1..depth).fold(range(RangeRequest::key("k")), |inner, _| txn(vec![inner.into()]))
        };
        let deepest = Command::from(nested(32));
        check(deepest.clone(), Ok(()));
        let decoded = Command::decode(&deepest.encode_to_vec()[..]);
        assert_eq!(decoded, Ok(deepest));
        check(nested(33), Err(KvError::TooDeep { limit: 32 }));
    }

    #[test]
    fn etcd_texts_and_codes() {
        let table = [
            (KvError::EmptyKey, 3, "etcdserver: key is not provided"),
            (KvError::LeaseNotFound { lease: 7 }, 5, "etcdserver: requested lease not found"),
            (
                KvError::Compacted { requested: 1, compact_revision: 2 },
                11,
                "etcdserver: mvcc: required revision has been compacted",
            ),
        ];
        for (error, code, text) in table {
            assert_eq!((error.grpc_code(), error.etcd_message()), (code, text));
            assert!(!error.is_retryable() && !error.is_outcome_unknown());
        }
    }

    #[test]
    fn wire_numbers() {
        let put = PutRequest {
            lease: 3,
            prev_kv: true,
            ignore_value: true,
            ignore_lease: true,
            ..PutRequest::new("k", "v")
        };
        let bytes = b"\x0a\x01k\x12\x01v\x18\x03\x20\x01\x28\x01\x30\x01";
        assert_eq!(put.encode_to_vec(), bytes);
        let command = Command::from(put);
        assert_eq!(command.encode_to_vec(), [b"\x22\x0e", &bytes[..]].concat());
        let compare = Compare {
            range_end: "z".into(),
            ..Compare::key("a", CompareResult::NotEqual, TargetUnion::Lease(9))
        };
        assert_eq!(compare.encode_to_vec(), b"\x08\x03\x10\x04\x1a\x01a\x40\x09\x82\x04\x01z");
    }
}
