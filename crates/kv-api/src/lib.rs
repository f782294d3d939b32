//! The key-value API as plain data: requests, responses, commands, limits and errors.
//!
//! Every message has etcd's field numbers, so the encoded form of a request or response is the one
//! that etcd's own gRPC API uses. Only [`Command`] is ours: it is what one entry of the Raft log
//! carries for the state machine.
//!
//! Nothing here does I/O. [`Command::validate`], [`RangeRequest::validate`] and
//! [`TxnRequest::validate`] are the checks etcd makes before it proposes a request.
//!
//! Messages of compaction, watches, leases and auth have their places beside these and do not exist
//! yet.

mod command;
mod error;
mod key_value;
mod limits;
mod maintenance;
mod overlap;
mod range;
mod span;
mod txn;
mod validate;
mod write;

pub use command::{Command, CommandKind};
pub use error::KvError;
pub use key_value::{KeyValue, ResponseHeader};
pub use limits::Limits;
pub use maintenance::{HashKvRequest, HashKvResponse};
pub use range::{RangeRequest, RangeResponse, SortOrder, SortTarget};
pub use span::{KeySpan, prefix_end};
pub use txn::{
    Compare, CompareResult, CompareTarget, OpRequest, OpResponse, RequestOp, ResponseOp,
    TargetUnion, TxnRequest, TxnResponse,
};
pub use write::{DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse};
