//! What a log entry carries.

use crate::{DeleteRangeRequest, PutRequest, TxnRequest};

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
///
/// A member that meets a number it does not know sees an empty command, which fails alike on every
/// member of that version. So a new kind may only be proposed once every member knows it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Command {
    /// The change; `None` is refused with [`KvError::MalformedCommand`].
    ///
    /// [`KvError::MalformedCommand`]: crate::KvError::MalformedCommand
    #[prost(oneof = "CommandKind", tags = "4, 5, 6")]
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
}

impl From<CommandKind> for Command {
    fn from(kind: CommandKind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl From<PutRequest> for Command {
    fn from(request: PutRequest) -> Self {
        CommandKind::Put(request).into()
    }
}

impl From<DeleteRangeRequest> for Command {
    fn from(request: DeleteRangeRequest) -> Self {
        CommandKind::DeleteRange(request).into()
    }
}

impl From<TxnRequest> for Command {
    fn from(request: TxnRequest) -> Self {
        CommandKind::Txn(request).into()
    }
}
