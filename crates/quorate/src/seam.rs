//! The one place through which handles reach a member: submit a request, get a completion, be told
//! the time.
//!
//! In production a member's threads stand behind it. A simulator, as the one of `quorate-testkit`,
//! stands behind it with virtual time; a [`Client`](crate::Client) and everything built on it run
//! unchanged in both. Applications need none of this.

use std::task::{Context, Poll};
use std::time::Duration;

use quorate_kv_api::{
    Command, DeleteRangeResponse, Limits, PutResponse, RangeRequest, RangeResponse, TxnRequest,
    TxnResponse,
};
use quorate_mvcc::StoreHash;
use quorate_types::Instant;

use crate::error::Error;
use crate::pending::Pending;
use crate::status::Status;

/// A request that was checked against the limits of its member.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A change, to be replicated.
    Write(Command),
    /// A read of a range of keys; from the member's own state if it says `serializable`.
    Range(RangeRequest),
    /// A transaction that changes nothing; from the member's own state if all of its reads say
    /// `serializable`.
    ReadTxn(TxnRequest),
    /// A hash of the history up to a revision.
    Hash(i64),
}

/// What a request is answered with, in kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To a put.
    Put(PutResponse),
    /// To a deletion.
    DeleteRange(DeleteRangeResponse),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a range.
    Range(RangeResponse),
    /// To a hash.
    Hash(StoreHash),
}

/// A member, as a handle sees it.
pub trait Seam: Send + Sync {
    /// Starts a request, which takes effect or fails whether anybody waits for it or not. It ends
    /// at the latest a little after `timeout`.
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response>;

    /// What requests are checked against before they are submitted.
    fn limits(&self) -> &Limits;

    /// What the member looks like now.
    fn status(&self) -> Status;

    /// The time, counted from any moment; it never goes back.
    fn now(&self) -> Instant;

    /// Blocks the calling thread for at least this long.
    fn sleep(&self, duration: Duration);
}

/// A request under way behind a [`Pending`].
pub trait Wait<T>: Send {
    /// Blocks the calling thread until the request has ended.
    ///
    /// # Errors
    ///
    /// [`Error`].
    fn wait(self: Box<Self>) -> Result<T, Error>;

    /// Blocks the calling thread until the request has ended or `timeout` has passed; then `None`.
    /// Not called again once it gave a result.
    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>>;

    /// As for a future. Not called again once it gave a result.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>>;
}
