//! What a log entry carries.

use crate::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, HashMarkRequest, HashReportRequest,
    LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, OpRequest, PutRequest, RequestOp, TxnRequest,
};

/// One change proposed to the cluster: the payload that the state machine applies.
///
/// The field numbers are those of etcd's `InternalRaftRequest`, so that the size of a command,
/// which [`Limits`](crate::Limits) bounds, is the size etcd would see:
///
/// | number | kind |
/// |---|---|
/// | 4 | put |
/// | 5 | delete range |
/// | 6 | transaction |
/// | 7 | compaction |
/// | 8 | lease grant |
/// | 9 | lease revocation |
/// | 10 | alarm |
/// | 11 | lease checkpoints |
/// | 2000 | lease renewal; etcd's leader renews without the log |
/// | 2001 | lease expiry; etcd has no kind of its own for it |
/// | 2002 | mark for a comparison of hashes; not in etcd |
/// | 2003 | hash of a member at a mark; not in etcd |
///
/// A member that meets a number it does not know sees an empty command, which fails alike on every
/// member of that version. So a new kind may only be proposed once every member knows it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Command {
    /// The change; `None` is refused with [`KvError::MalformedCommand`].
    ///
    /// [`KvError::MalformedCommand`]: crate::KvError::MalformedCommand
    #[prost(oneof = "CommandKind", tags = "4, 5, 6, 7, 8, 9, 10, 11, 2000, 2001, 2002, 2003")]
    pub kind: Option<CommandKind>,
}

/// The change that a [`Command`] asks for.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum CommandKind {
    /// Sets one key.
    #[prost(message, tag = "4")]
    Put(PutRequest),
    /// Deletes keys.
    #[prost(message, tag = "5")]
    DeleteRange(DeleteRangeRequest),
    /// A transaction.
    #[prost(message, tag = "6")]
    Txn(TxnRequest),
    /// Forgets old revisions.
    #[prost(message, tag = "7")]
    Compaction(CompactionRequest),
    /// Makes a lease.
    #[prost(message, tag = "8")]
    LeaseGrant(LeaseGrantRequest),
    /// Ends a lease.
    #[prost(message, tag = "9")]
    LeaseRevoke(LeaseRevokeRequest),
    /// Raises or clears an alarm.
    #[prost(message, tag = "10")]
    Alarm(AlarmRequest),
    /// Notes how long leases still live.
    #[prost(message, tag = "11")]
    LeaseCheckpoint(LeaseCheckpointRequest),
    /// Renews a lease.
    #[prost(message, tag = "2000")]
    LeaseKeepAlive(LeaseKeepAliveRequest),
    /// Ends a lease whose time is over.
    #[prost(message, tag = "2001")]
    LeaseExpire(LeaseExpireRequest),
    /// Begins a comparison of the members' hashes.
    #[prost(message, tag = "2002")]
    HashMark(HashMarkRequest),
    /// Tells the hash of a member.
    #[prost(message, tag = "2003")]
    HashReport(HashReportRequest),
}

impl From<CommandKind> for Command {
    fn from(kind: CommandKind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// A command of one kind is made from its request.
macro_rules! from_request {
    ($($request:ident => $kind:ident),* $(,)?) => {$(
        impl From<$request> for Command {
            fn from(request: $request) -> Self {
                CommandKind::$kind(request).into()
            }
        }
    )*};
}

from_request! {
    PutRequest => Put,
    DeleteRangeRequest => DeleteRange,
    TxnRequest => Txn,
    CompactionRequest => Compaction,
    LeaseGrantRequest => LeaseGrant,
    LeaseRevokeRequest => LeaseRevoke,
    AlarmRequest => Alarm,
    LeaseCheckpointRequest => LeaseCheckpoint,
    LeaseKeepAliveRequest => LeaseKeepAlive,
    LeaseExpireRequest => LeaseExpire,
    HashMarkRequest => HashMark,
    HashReportRequest => HashReport,
}

impl Command {
    /// How many bytes a command may add to the store at most, as etcd counts them against its
    /// space quota: 256 and the bytes of key and value for each put, of a transaction's larger
    /// branch, and 64 for a lease. 0 for everything else.
    ///
    /// ```
    /// use quorate_kv_api::{Command, DeleteRangeRequest, PutRequest};
    /// assert_eq!(Command::from(PutRequest::new("key", "value")).space_cost(), 256 + 8);
    /// assert_eq!(Command::from(DeleteRangeRequest::key("key")).space_cost(), 0);
    /// ```
    pub fn space_cost(&self) -> u64 {
        match &self.kind {
            Some(CommandKind::Put(request)) => put_cost(request),
            Some(CommandKind::Txn(request)) => txn_cost(request),
            Some(CommandKind::LeaseGrant(_)) => LEASE_COST,
            _ => 0,
        }
    }
}

fn put_cost(request: &PutRequest) -> u64 {
    PUT_COST + (request.key.len() + request.value.len()) as u64
}

fn txn_cost(request: &TxnRequest) -> u64 {
    let branch = |ops: &[RequestOp]| -> u64 {
        let costs = ops.iter().map(|op| match &op.request {
            Some(OpRequest::Put(request)) => put_cost(request),
            Some(OpRequest::Txn(request)) => txn_cost(request),
            _ => 0,
        });
        costs.sum()
    };
    branch(&request.success).max(branch(&request.failure))
}

/// What a put takes beside its key and value.
const PUT_COST: u64 = 256;

/// What a lease takes.
const LEASE_COST: u64 = 64;
