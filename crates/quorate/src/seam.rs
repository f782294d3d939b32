//! The one place through which handles reach a member: submit a request, get a completion, be told
//! the time, leave a task behind.
//!
//! In production a member's threads stand behind it. A simulator, as the one of `quorate-testkit`,
//! stands behind it with virtual time; a [`Client`](crate::Client) and everything built on it run
//! unchanged in both. Applications need none of this.

use std::task::{Context, Poll};
use std::time::Duration;

use quorate_kv_api::{
    AlarmResponse, Command, CompactionResponse, DeleteRangeResponse, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, Limits, PutResponse, RangeRequest, RangeResponse, ResponseHeader,
    TxnRequest, TxnResponse,
};
use quorate_mvcc::{StoreHash, WatchBatch, WatchQuery};
use quorate_types::Instant;

use crate::error::Error;
use crate::pending::Pending;
use crate::status::Status;

/// A request that was checked against the limits of its member.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A change, to be replicated.
    Write(Command),
    /// A read of a range of keys.
    Range(Read),
    /// A transaction that changes nothing; from the member's own state if all of its reads say
    /// `serializable`.
    ReadTxn(TxnRequest),
    /// A hash of the history up to a revision.
    Hash(i64),
    /// How long a lease still lives.
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    /// All leases.
    Leases,
    /// All alarms.
    Alarms,
    /// The next events of a watch. If none come within the timeout, the answer has none: it tells
    /// up to where there are none.
    Watch(WatchQuery),
    /// The events of a watch that are there already, maybe none.
    WatchNow(WatchQuery),
    /// Waits until the member has removed what compactions up to a revision made superfluous.
    Swept(i64),
}

/// A read of a range of keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Which keys; from the member's own state if it says `serializable`.
    pub range: RangeRequest,
    /// The revision that the member's own state must have come to, for a `serializable` range.
    pub at_least: Option<i64>,
    /// Whether a leader may answer under a read lease, unless the range is `serializable`.
    pub lease: bool,
    /// Whether keys beyond the limit are left alone; then the count is that of the keys given.
    pub is_part: bool,
}

impl From<RangeRequest> for Read {
    fn from(range: RangeRequest) -> Self {
        Self { range, at_least: None, lease: false, is_part: false }
    }
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
    /// To a compaction.
    Compaction(CompactionResponse),
    /// To a new lease.
    LeaseGrant(LeaseGrantResponse),
    /// To the revocation of a lease.
    LeaseRevoke(LeaseRevokeResponse),
    /// To the renewal of a lease.
    LeaseKeepAlive(LeaseKeepAliveResponse),
    /// To an alarm, or the list of them.
    Alarm(AlarmResponse),
    /// To what a leader proposes on its own.
    Chore(ResponseHeader),
    /// To a range.
    Range(RangeResponse),
    /// To a hash.
    Hash(StoreHash),
    /// How long a lease still lives.
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    /// All leases.
    Leases(LeaseLeasesResponse),
    /// To a watch.
    Watch(WatchAnswer),
    /// What was waited for has come.
    Done,
}

/// The next part of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchAnswer {
    /// As in every response.
    pub header: ResponseHeader,
    /// The events, and where the watch stands after them.
    pub batch: WatchBatch,
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

    /// Leaves a task to the member, which carries it out beside its own work until the task ends or
    /// the member stops.
    fn spawn(&self, task: Box<dyn Task>);

    /// Blocks the calling thread until `poll` is ready, at most until a time; whether it was.
    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool;

    /// A name that no other call gives, on any member of the cluster and in any of its lives.
    fn unique(&self) -> Unique;

    /// Something to wait for that a task gives: the one end for the task, the other for whoever
    /// waits.
    fn promise(&self) -> (Promise, Pending<Response>);
}

/// Something to be done in the background. It is dropped when it has ended or the member stops.
pub trait Task: Send {
    /// Does what is due, without blocking. Returns when to call again, or `None` at the end.
    fn step(&mut self, now: Instant) -> Option<Instant>;
}

/// A name that is given once; see [`Seam::unique`]. It is shown as hexadecimal digits and hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Unique {
    /// The member.
    pub member: u64,
    /// Its life: it begins another one each time it is opened.
    pub life: u64,
    /// Counts the names that it gave in that life.
    pub number: u64,
}

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{:x}-{:x}", self.member, self.life, self.number)
    }
}

/// The giving end of [`Seam::promise`]. If it is dropped, whoever waits is told that the member has
/// stopped.
pub struct Promise(Box<dyn FnOnce(Result<Response, Error>) + Send>);

impl Promise {
    /// A promise kept by calling `keep`; for implementations of [`Seam`].
    pub fn new(keep: impl FnOnce(Result<Response, Error>) + Send + 'static) -> Self {
        Self(Box::new(keep))
    }

    /// Gives what was waited for.
    pub fn keep(self, result: Result<Response, Error>) {
        (self.0)(result);
    }
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
