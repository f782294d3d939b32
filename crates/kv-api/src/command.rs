//! What a log entry carries.

use crate::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseCheckpointRequest,
    LeaseExpireRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest,
    TxnRequest,
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
///
/// A member that meets a number it does not know sees an empty command, which fails alike on every
/// member of that version. So a new kind may only be proposed once every member knows it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Command {
    /// The change; `None` is refused with [`KvError::MalformedCommand`].
    ///
    /// [`KvError::MalformedCommand`]: crate::KvError::MalformedCommand
    #[prost(oneof = "CommandKind", tags = "4, 5, 6, 7, 8, 9, 10, 11, 2000, 2001")]
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
}
