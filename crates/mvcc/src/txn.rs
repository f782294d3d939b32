//! Deciding which branches a transaction takes, and refusing it before anything is changed.

use bytes::Bytes;
use quorate_kv_api::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeySpan, KeyValue, KvError,
    OpRequest, OpResponse, PutRequest, RangeRequest, RequestOp, ResponseHeader, TargetUnion,
    TxnRequest, TxnResponse,
};
use quorate_types::mutant;

use crate::meta::Head;
use crate::read::{decode_live, range, visit_current};
use crate::source::Source;
use crate::{RequestError, StoreError};

/// Which branch each transaction takes: the outermost first, then those nested in its branch, in
/// order. All compares look at the state before the outermost transaction, as in etcd.
pub(crate) struct Path {
    taken: Vec<bool>,
    next: usize,
}

impl Path {
    /// Evaluates the compares of `txn` and of everything nested in the branches taken.
    pub(crate) fn evaluate(source: &dyn Source, txn: &TxnRequest) -> Result<Self, StoreError> {
        let mut taken = Vec::new();
        evaluate(source, txn, &mut taken)?;
        Ok(Self { taken, next: 0 })
    }

    /// Starts again at the outermost transaction.
    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }

    /// Whether the next transaction takes its success branch, and that branch or the other.
    ///
    /// # Panics
    ///
    /// If it is called for more transactions than were evaluated.
    pub(crate) fn enter<'a>(&mut self, txn: &'a TxnRequest) -> (bool, &'a [RequestOp]) {
        let succeeded = self.taken[self.next];
        self.next += 1;
        (succeeded, branch(txn, succeeded))
    }
}

fn branch(txn: &TxnRequest, succeeded: bool) -> &[RequestOp] {
    if succeeded { &txn.success } else { &txn.failure }
}

fn evaluate(
    source: &dyn Source,
    txn: &TxnRequest,
    taken: &mut Vec<bool>,
) -> Result<(), StoreError> {
    let mut succeeded = true;
    for compare in &txn.compare {
        if !holds(source, compare)? {
            succeeded = false;
            break;
        }
    }
    taken.push(succeeded);
    for op in branch(txn, succeeded) {
        if let Some(OpRequest::Txn(nested)) = &op.request {
            evaluate(source, nested, taken)?;
        }
    }
    Ok(())
}

/// Whether every key of a compare satisfies it.
fn holds(source: &dyn Source, compare: &Compare) -> Result<bool, StoreError> {
    let span = compare.span();
    let is_value = compare.target == i32::from(CompareTarget::Value);
    if let KeySpan::Key(key) = &span
        && !is_value
    {
        let kv = source.live_header(key)?.map(|header| header.without_value()).unwrap_or_default();
        let holds = holds_for(compare, &kv);
        return Ok(mutant!(M68, holds, holds || kv.version == 0));
    }
    let mut is_missing = true;
    let mut all_hold = true;
    visit_current(source, &span, |key, record| {
        is_missing = false;
        let kv = decode_live(&key, &record)?.key_value(key, &record);
        all_hold = holds_for(compare, &kv);
        Ok(all_hold)
    })?;
    if is_missing {
        // A missing value is not the empty value.
        return Ok(!is_value && holds_for(compare, &KeyValue::default()));
    }
    Ok(all_hold)
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let union = &compare.target_union;
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => kv.version.cmp(&match union {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        Ok(CompareTarget::Create) => kv.create_revision.cmp(&match union {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Mod) => kv.mod_revision.cmp(&match union {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Value) => kv.value[..].cmp(match union {
            Some(TargetUnion::Value(value)) => &value[..],
            _ => &[],
        }),
        Ok(CompareTarget::Lease) => kv.lease.cmp(&match union {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
        Err(_) => std::cmp::Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Err(_) => true,
    }
}

/// Refuses a transaction that could not be carried out whole: first for its puts, then for its
/// ranges, both on the branches taken and against the state before it.
pub(crate) fn check(
    source: &dyn Source,
    head: &Head,
    txn: &TxnRequest,
    path: &mut Path,
) -> Result<(), RequestError> {
    path.rewind();
    check_puts(source, txn, path, &mut DeletedFrom::default())?;
    path.rewind();
    check_ranges(head, txn, path)?;
    path.rewind();
    Ok(())
}

/// The keys that earlier deletions without an end take away. (Deletions of other ranges and puts of
/// their keys are refused together before a transaction is proposed.)
#[derive(Default)]
struct DeletedFrom(Option<Bytes>);

impl DeletedFrom {
    fn add(&mut self, request: &DeleteRangeRequest) {
        if let KeySpan::From(start) = request.span()
            && self.0.as_ref().is_none_or(|first| start < *first)
        {
            self.0 = Some(start);
        }
    }

    fn contains(&self, key: &Bytes) -> bool {
        self.0.as_ref().is_some_and(|first| key >= first)
    }
}

fn check_puts(
    source: &dyn Source,
    txn: &TxnRequest,
    path: &mut Path,
    deleted: &mut DeletedFrom,
) -> Result<(), RequestError> {
    for op in path.enter(txn).1 {
        match &op.request {
            Some(OpRequest::Put(request)) => check_put(source, request, deleted)?,
            Some(OpRequest::DeleteRange(request)) => deleted.add(request),
            Some(OpRequest::Txn(nested)) => check_puts(source, nested, path, deleted)?,
            Some(OpRequest::Range(_)) | None => {}
        }
    }
    Ok(())
}

fn check_put(
    source: &dyn Source,
    request: &PutRequest,
    deleted: &DeletedFrom,
) -> Result<(), RequestError> {
    let keeps_something = request.ignore_value || request.ignore_lease;
    if keeps_something && (deleted.contains(&request.key) || source.live(&request.key)?.is_none()) {
        return Err(KvError::KeyNotFound.into());
    }
    check_lease(source, request.lease)
}

/// Refuses a lease that does not exist; 0 stands for none.
pub(crate) fn check_lease(source: &dyn Source, lease: i64) -> Result<(), RequestError> {
    if lease == 0 || source.has_lease(lease).map_err(StoreError::from)? {
        Ok(())
    } else {
        Err(KvError::LeaseNotFound { lease }.into())
    }
}

fn check_ranges(head: &Head, txn: &TxnRequest, path: &mut Path) -> Result<(), RequestError> {
    for op in path.enter(txn).1 {
        match &op.request {
            Some(OpRequest::Range(request)) => check_range(head, request)?,
            Some(OpRequest::Txn(nested)) => check_ranges(head, nested, path)?,
            Some(OpRequest::Put(_) | OpRequest::DeleteRange(_)) | None => {}
        }
    }
    Ok(())
}

fn check_range(head: &Head, request: &RangeRequest) -> Result<(), KvError> {
    let Head { revision: current, compact_revision, .. } = *head;
    match request.revision {
        0 => Ok(()),
        requested if requested > current => Err(KvError::FutureRevision { requested, current }),
        requested if requested < compact_revision => {
            Err(KvError::Compacted { requested, compact_revision })
        }
        _ => Ok(()),
    }
}

/// Answers a transaction that holds nothing but ranges.
pub(crate) fn read_only(
    source: &dyn Source,
    head: &Head,
    txn: &TxnRequest,
) -> Result<TxnResponse, RequestError> {
    if !txn.is_read_only() {
        return Err(KvError::NotReadOnly.into());
    }
    let mut path = Path::evaluate(source, txn)?;
    check(source, head, txn, &mut path)?;
    let (succeeded, ops) = path.enter(txn);
    let mut responses = Vec::with_capacity(ops.len());
    for op in ops {
        if let Some(OpRequest::Range(request)) = &op.request {
            responses.push(OpResponse::Range(range(source, head, request)?).into());
        }
    }
    let header = Some(ResponseHeader::at(head.revision));
    Ok(TxnResponse { header, succeeded, responses })
}
