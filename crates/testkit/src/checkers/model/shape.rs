//! What is refused by its shape, before anything is proposed or read.

use prost::Message;
use quorate_kv_api::{
    Command, CommandKind, DeleteRangeRequest, KvError, Limits, OpRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};

/// Refuses a command as a client of a member with these limits must.
pub(crate) fn check_command(command: &Command, limits: &Limits) -> Result<(), KvError> {
    match &command.kind {
        None => return Err(KvError::MalformedCommand),
        Some(CommandKind::Put(put)) => check_put(put, limits)?,
        Some(CommandKind::DeleteRange(delete)) => check_key(&delete.key)?,
        Some(CommandKind::Txn(txn)) => check_txn(txn, limits)?,
        Some(CommandKind::LeaseGrant(grant)) if grant.ttl > TTL_MAX => {
            return Err(KvError::LeaseTtlTooLarge { ttl: grant.ttl, limit: TTL_MAX });
        }
        Some(CommandKind::Alarm(alarm)) => {
            let known = (0..=2).contains(&alarm.action) && (0..=2).contains(&alarm.alarm);
            known.then_some(()).ok_or(KvError::InvalidAlarm)?;
        }
        Some(_) => {}
    }
    let size = command.encoded_len() as u64;
    let limit = limits.request_bytes_max;
    if size > u64::from(limit) { Err(KvError::RequestTooLarge { size, limit }) } else { Ok(()) }
}

/// Refuses a range.
pub(crate) fn check_range(range: &RangeRequest) -> Result<(), KvError> {
    check_key(&range.key)?;
    let known = (0..=2).contains(&range.sort_order) && (0..=4).contains(&range.sort_target);
    if known { Ok(()) } else { Err(KvError::InvalidSortOption) }
}

/// Refuses a transaction: first for its size, then for its keys, then for what it writes twice.
pub(crate) fn check_txn(txn: &TxnRequest, limits: &Limits) -> Result<(), KvError> {
    check_level(txn, limits, limits.txn_ops_max, 1)?;
    written(&txn.success)?;
    written(&txn.failure)?;
    Ok(())
}

fn check_level(txn: &TxnRequest, limits: &Limits, limit: u32, depth: u32) -> Result<(), KvError> {
    if depth > Limits::TXN_DEPTH_MAX {
        return Err(KvError::TooDeep { limit: Limits::TXN_DEPTH_MAX });
    }
    let lengths = [txn.compare.len(), txn.success.len(), txn.failure.len()];
    let count = lengths.into_iter().max().unwrap_or(0) as u64;
    if count > u64::from(limit) {
        return Err(KvError::TooManyOperations { count, limit });
    }
    // A nested transaction may use what is left.
    let left = limit - count as u32;
    txn.compare.iter().try_for_each(|compare| check_key(&compare.key))?;
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            None => return Err(KvError::KeyNotFound),
            Some(OpRequest::Range(range)) => check_range(range)?,
            Some(OpRequest::Put(put)) => check_put(put, limits)?,
            Some(OpRequest::DeleteRange(delete)) => check_key(&delete.key)?,
            Some(OpRequest::Txn(nested)) => check_level(nested, limits, left, depth + 1)?,
        }
    }
    Ok(())
}

fn check_put(put: &PutRequest, limits: &Limits) -> Result<(), KvError> {
    check_key(&put.key)?;
    let (size, limit) = (put.key.len() as u64, limits.key_bytes_max);
    if size > u64::from(limit) {
        return Err(KvError::KeyTooLarge { size, limit });
    }
    let (size, limit) = (put.value.len() as u64, limits.value_bytes_max);
    if size > u64::from(limit) {
        return Err(KvError::ValueTooLarge { size, limit });
    }
    if put.ignore_value && !put.value.is_empty() {
        return Err(KvError::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(KvError::LeaseProvided);
    }
    Ok(())
}

/// The longest time to live of a lease in seconds, as in etcd.
const TTL_MAX: i64 = 9_000_000_000;

fn check_key(key: &[u8]) -> Result<(), KvError> {
    if key.is_empty() { Err(KvError::EmptyKey) } else { Ok(()) }
}

/// What a branch writes, with everything nested in it.
#[derive(Default)]
struct Written<'a> {
    puts: Vec<&'a [u8]>,
    deletions: Vec<&'a DeleteRangeRequest>,
}

impl Written<'_> {
    fn check_not_deleted(&self, key: &[u8]) -> Result<(), KvError> {
        let hit = |deletion: &&DeleteRangeRequest| match &deletion.range_end[..] {
            [] => key == &deletion.key[..],
            // etcd overlooks deletions without an end here: they count as an empty range.
            end => key >= &deletion.key[..] && key < end,
        };
        if self.deletions.iter().any(hit) { Err(KvError::DuplicateKey) } else { Ok(()) }
    }

    fn check_not_put(&self, key: &[u8]) -> Result<(), KvError> {
        if self.puts.contains(&key) { Err(KvError::DuplicateKey) } else { Ok(()) }
    }
}

/// Collects what a branch writes: the deletions of the level first, then nested transactions in
/// order, then the puts of the level. A put must not meet what was collected before it, but for
/// one: the two branches of one transaction may put the same key.
fn written(ops: &[RequestOp]) -> Result<Written<'_>, KvError> {
    let mut all = Written::default();
    for op in ops {
        if let Some(OpRequest::DeleteRange(deletion)) = &op.request {
            all.deletions.push(deletion);
        }
    }
    for op in ops {
        let Some(OpRequest::Txn(nested)) = &op.request else { continue };
        let branches = [written(&nested.success)?, written(&nested.failure)?];
        for key in branches.iter().flat_map(|branch| &branch.puts) {
            all.check_not_put(key)?;
            all.check_not_deleted(key)?;
        }
        for branch in branches {
            all.puts.extend(branch.puts);
            all.deletions.extend(branch.deletions);
        }
    }
    for op in ops {
        let Some(OpRequest::Put(put)) = &op.request else { continue };
        all.check_not_put(&put.key)?;
        all.check_not_deleted(&put.key)?;
        all.puts.push(&put.key);
    }
    Ok(all)
}
