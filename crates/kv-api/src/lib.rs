//! The key-value API as plain data: requests, responses, commands, limits and errors.
//!
//! Every message has etcd's field numbers, so the encoded form of a request or response is the one
//! that etcd's own gRPC API uses. Only [`Command`] is ours: it is what one entry of the Raft log
//! carries for the state machine.
//!
//! Nothing here does I/O. [`Command::validate`], [`RangeRequest::validate`] and
//! [`TxnRequest::validate`] are the checks etcd makes before it proposes a request.
//!
//! Messages of auth have their place beside these and do not exist yet.

mod alarm;
mod command;
mod compaction;
mod error;
mod key_value;
mod lease;
mod limits;
mod maintenance;
mod overlap;
mod range;
mod span;
mod txn;
mod validate;
mod watch;
mod write;

pub use alarm::{AlarmAction, AlarmMember, AlarmRequest, AlarmResponse, AlarmType};
pub use command::{Command, CommandKind};
pub use compaction::{CompactionRequest, CompactionResponse};
pub use error::KvError;
pub use key_value::{KeyValue, ResponseHeader};
pub use lease::{
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
pub use limits::Limits;
pub use maintenance::{HashKvRequest, HashKvResponse, HashMarkRequest, HashReportRequest};
pub use range::{RangeRequest, RangeResponse, SortOrder, SortTarget};
pub use span::{KeySpan, prefix_end};
pub use txn::{
    Compare, CompareResult, CompareTarget, OpRequest, OpResponse, RequestOp, ResponseOp,
    TargetUnion, TxnRequest, TxnResponse,
};
pub use watch::{Event, EventType};
pub use write::{DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse};
