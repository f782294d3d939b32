//! What a planned request becomes when it is called.

use bytes::Bytes;
use prost::Message;
use quorate::seam::Read;
use quorate_kv_api::{
    AlarmRequest, Command, CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest,
    LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, OpRequest, PutRequest,
    RangeRequest, RequestOp, TargetUnion, TxnRequest,
};

use super::request;
use super::{Given, Op, Request, Revision, Value};
use crate::checkers::history::Call;
use crate::effect::Seen;

impl Request {
    /// The call with this number, by a client that was told what `seen` holds.
    pub(crate) fn call(&self, seen: &Seen, number: usize) -> Call {
        let context = Context { seen, number };
        match self {
            Self::Put(put) => write(context.put(put)),
            Self::Delete(delete) => write(context.delete(delete)),
            Self::Range(range) => Call::Range(context.read(range)),
            Self::Txn(txn) => {
                let txn = context.txn(txn);
                if txn.is_read_only() { Call::ReadTxn(txn) } else { write(txn) }
            }
            Self::Hash(revision) => Call::Hash(context.revision(*revision)),
            Self::Compact(request::Compact { revision, physical }) => {
                let (revision, physical) = (context.revision(*revision), *physical);
                write(CompactionRequest { revision, physical })
            }
            Self::Swept(revision) => Call::Swept(context.revision(*revision)),
            // As the client of a member, which raises what is too short.
            Self::LeaseGrant(request::LeaseGrant { id, ttl }) => {
                write(LeaseGrantRequest { id: *id, ttl: (*ttl).max(1) })
            }
            Self::LeaseRevoke(lease) => write(LeaseRevokeRequest { id: lease.id }),
            Self::LeaseKeepAlive(lease) => write(LeaseKeepAliveRequest { id: lease.id }),
            Self::LeaseTimeToLive(request::LeaseTimeToLive { id, keys }) => {
                Call::LeaseTimeToLive(LeaseTimeToLiveRequest { id: *id, keys: *keys })
            }
            Self::Leases => Call::Leases,
            Self::Alarm(request::Alarm { action, member, alarm }) => {
                write(AlarmRequest { action: *action, member_id: *member, alarm: *alarm })
            }
            Self::Alarms => Call::Alarms,
        }
    }
}

fn write(request: impl Into<Command>) -> Call {
    Call::Write(request.into().encode_to_vec().into())
}

/// What a request needs to know of the run.
#[derive(Clone, Copy)]
struct Context<'a> {
    seen: &'a Seen,
    number: usize,
}

impl Context<'_> {
    fn put(self, put: &request::Put) -> PutRequest {
        let value = match &put.value {
            Value::Unique { padding } => {
                let mut value = self.number.to_string().into_bytes();
                value.resize(value.len() + padding, b'.');
                value.into()
            }
            Value::Text(text) => text.clone().into(),
        };
        PutRequest {
            key: put.key.clone().into(),
            value,
            lease: put.lease,
            prev_kv: put.prev_kv,
            ignore_value: put.ignore_value,
            ignore_lease: put.ignore_lease,
        }
    }

    fn delete(self, delete: &request::Delete) -> DeleteRangeRequest {
        let request::Delete { span, prev_kv } = delete.clone();
        DeleteRangeRequest { key: span.key.into(), range_end: span.end.into(), prev_kv }
    }

    fn read(self, range: &request::Range) -> Read {
        let at_least = range.at_least.map(|revision| self.revision(revision));
        Read { range: self.range(range), at_least, is_part: range.part }
    }

    fn range(self, range: &request::Range) -> RangeRequest {
        let request::Span { key, end } = range.span.clone();
        RangeRequest {
            key: key.into(),
            range_end: end.into(),
            limit: range.limit,
            revision: self.revision(range.revision),
            sort_order: range.order,
            sort_target: range.target,
            serializable: range.local || range.at_least.is_some(),
            keys_only: range.keys_only,
            count_only: range.count_only,
            min_mod_revision: self.revision(range.min_mod_revision),
            max_mod_revision: self.revision(range.max_mod_revision),
            min_create_revision: self.revision(range.min_create_revision),
            max_create_revision: self.revision(range.max_create_revision),
        }
    }

    fn txn(self, txn: &request::Txn) -> TxnRequest {
        TxnRequest {
            compare: txn.compare.iter().map(|compare| self.compare(compare)).collect(),
            success: txn.success.iter().map(|op| self.op(op)).collect(),
            failure: txn.failure.iter().map(|op| self.op(op)).collect(),
        }
    }

    fn op(self, op: &Op) -> RequestOp {
        let request = match op {
            Op::Put(put) => OpRequest::Put(self.put(put)),
            Op::Delete(delete) => OpRequest::DeleteRange(self.delete(delete)),
            Op::Range(range) => OpRequest::Range(self.range(range)),
            Op::Txn(txn) => OpRequest::Txn(self.txn(txn)),
            Op::Empty => return RequestOp::default(),
        };
        request.into()
    }

    fn compare(self, compare: &request::Compare) -> Compare {
        let request::Span { key, end } = compare.span.clone();
        let target_union = match &compare.given {
            Given::Nothing => None,
            Given::Version(version) => Some(TargetUnion::Version(*version)),
            Given::CreateRevision(revision) => {
                Some(TargetUnion::CreateRevision(self.revision(*revision)))
            }
            Given::ModRevision(revision) => {
                Some(TargetUnion::ModRevision(self.revision(*revision)))
            }
            Given::SeenModRevision => {
                Some(TargetUnion::ModRevision(self.seen.mod_revision(key.as_bytes())))
            }
            Given::Value(value) => Some(TargetUnion::Value(Bytes::from(value.clone()))),
            Given::Lease(lease) => Some(TargetUnion::Lease(*lease)),
        };
        Compare {
            result: compare.result,
            target: compare.target,
            key: key.into(),
            target_union,
            range_end: end.into(),
        }
    }

    fn revision(self, revision: Revision) -> i64 {
        revision.resolve(self.seen.revision())
    }
}

impl Revision {
    /// The number meant, by a client that was told of the revision `seen`.
    pub(crate) fn resolve(self, seen: i64) -> i64 {
        match self {
            Self::At(revision) => revision,
            Self::Seen(offset) => seen.saturating_add(offset).max(1),
        }
    }
}
