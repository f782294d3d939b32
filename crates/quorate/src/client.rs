//! The client handle of a member.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use prost::Message as _;
use quorate_kv_api::{
    Command, Compare, DeleteRangeRequest, DeleteRangeResponse, KeyValue, KvError, Limits,
    PutRequest, PutResponse, RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse,
    prefix_end,
};
use quorate_mvcc::{Reader, RequestError, Response, StoreHash};
use quorate_raft_node::driver::{Driver, StopCause};
use quorate_types::{ClusterId, MemberId};

use crate::error::Error;
use crate::pending::Pending;
use crate::request::Range;
use crate::status::Status;

/// What consensus answers to a command.
pub(crate) type Answer = Result<Response, KvError>;

/// What all handles on one member share.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) cluster_id: ClusterId,
    pub(crate) member_id: MemberId,
    pub(crate) driver: Driver<Answer>,
    /// Taken when the member is closed, so that clients do not keep its store open.
    pub(crate) reader: RwLock<Option<Reader>>,
    pub(crate) limits: Limits,
}

impl Member {
    /// The error for callers of a member that stopped.
    pub(crate) fn stopped(&self) -> Error {
        Error::Stopped(self.driver.stop_cause().unwrap_or(StopCause::Closed))
    }

    /// The state, unless the member was closed.
    pub(crate) fn reader(&self) -> Result<Reader, Error> {
        self.reader.read().clone().ok_or_else(|| self.stopped())
    }

    fn sign(&self, header: &mut Option<ResponseHeader>) {
        if let Some(header) = header {
            header.cluster_id = self.cluster_id.get();
            header.member_id = self.member_id.get();
            header.raft_term = self.driver.term().get();
        }
    }
}

/// A handle on one member. Cheap to clone, usable from any thread. Every call may be made on every
/// member: a member that does not lead passes it on.
///
/// Calls return at once with a [`Pending`]. Writes are durable on a majority before they are
/// answered, and reads see every write that was answered to anybody before, unless asked otherwise
/// with [`Range::local`].
///
/// ```
/// use quorate::{Config, MemoryData, Node, Range, put, value};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// node.put("color", "red").wait()?;
/// let swap = node.txn().when(value("color").equals("red")).then(put("color", "blue"));
/// assert!(swap.commit().wait()?.succeeded);
/// let all = node.range(Range::prefix("co")).wait()?;
/// assert_eq!(&all.kvs[0].value[..], b"blue");
/// assert_eq!(all.kvs[0].version, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) member: Arc<Member>,
    pub(crate) timeout: Duration,
}

impl Client {
    /// The same handle with another request timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { member: self.member.clone(), timeout }
    }

    /// Sets `key` to `value`. The key must not be empty; the value may be. Both together must fit
    /// into
    /// [`Limits::request_bytes_max`].
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Pending<PutResponse> {
        self.put_with(PutRequest::new(key, value))
    }

    /// Sets a key with every option of a put.
    pub fn put_with(&self, request: PutRequest) -> Pending<PutResponse> {
        self.write(request.into(), |response| match response {
            Response::Put(put) => Some(put),
            _ => None,
        })
    }

    /// The value of `key` and what is known about it, or `None` if it is absent.
    pub fn get(&self, key: impl Into<Bytes>) -> Pending<Option<KeyValue>> {
        self.read(Range::key(key), |response| response.kvs.into_iter().next())
    }

    /// Reads a range of keys, in ascending order unless told otherwise.
    pub fn range(&self, range: Range) -> Pending<RangeResponse> {
        self.read(range, |response| response)
    }

    /// Deletes `key`. The response tells how many keys that were: none or one.
    pub fn delete(&self, key: impl Into<Bytes>) -> Pending<DeleteRangeResponse> {
        self.delete_with(DeleteRangeRequest::key(key))
    }

    /// Deletes every key that starts with `prefix`, which must not be empty, in one revision.
    pub fn delete_prefix(&self, prefix: impl Into<Bytes>) -> Pending<DeleteRangeResponse> {
        let key = prefix.into();
        let range_end = if key.is_empty() { Bytes::new() } else { prefix_end(&key) };
        self.delete_with(DeleteRangeRequest { key, range_end, prev_kv: false })
    }

    /// Deletes keys with every option.
    pub fn delete_with(&self, request: DeleteRangeRequest) -> Pending<DeleteRangeResponse> {
        self.write(request.into(), |response| match response {
            Response::DeleteRange(deleted) => Some(deleted),
            _ => None,
        })
    }

    /// Starts a transaction.
    pub fn txn(&self) -> Txn {
        Txn { client: self.clone(), request: TxnRequest::default() }
    }

    /// Carries out a transaction: compares, then all operations of one branch at one revision, or
    /// nothing.
    pub fn txn_with(&self, request: TxnRequest) -> Pending<TxnResponse> {
        if request.is_read_only() {
            return self.read_txn(request);
        }
        self.write(request.into(), |response| match response {
            Response::Txn(txn) => Some(txn),
            _ => None,
        })
    }

    /// A hash over everything that happened in the store up to `revision`, 0 for now: equal on all
    /// members, and equal to etcd's `HashKV` for the same history. Reads the whole history of this
    /// member.
    pub fn hash(&self, revision: i64) -> Pending<StoreHash> {
        let member = self.member.clone();
        self.permitted(false, move || member.reader()?.hash(revision).map_err(error))
    }

    /// What this member looks like now. A member that stopped tells the cause.
    pub fn status(&self) -> Status {
        Status::of(&self.member)
    }

    fn write<T: HasHeader + 'static>(
        &self,
        command: Command,
        pick: fn(Response) -> Option<T>,
    ) -> Pending<T> {
        if let Err(refused) = command.validate(&self.member.limits) {
            return Pending::ready(Err(refused.into()));
        }
        let payload = command.encode_to_vec().into();
        let completion = self.member.driver.propose(payload, self.timeout);
        let member = self.member.clone();
        Pending::new(&self.member, completion, move |answer: Answer| {
            let mut response = pick(answer?).expect("a command is answered in kind");
            member.sign(response.header_mut());
            Ok(response)
        })
    }

    fn read<T: 'static>(
        &self,
        range: Range,
        pick: impl FnOnce(RangeResponse) -> T + Send + 'static,
    ) -> Pending<T> {
        let Range { request } = range;
        if let Err(refused) = request.validate(&self.member.limits) {
            return Pending::ready(Err(refused.into()));
        }
        let member = self.member.clone();
        let local = request.serializable;
        self.permitted(local, move || {
            let mut response = member.reader()?.range(&request).map_err(error)?;
            member.sign(&mut response.header);
            Ok(pick(response))
        })
    }

    fn read_txn(&self, request: TxnRequest) -> Pending<TxnResponse> {
        if let Err(refused) = request.validate(&self.member.limits) {
            return Pending::ready(Err(refused.into()));
        }
        let member = self.member.clone();
        let local = request.is_serializable();
        self.permitted(local, move || {
            let mut response = member.reader()?.txn(&request).map_err(error)?;
            member.sign(&mut response.header);
            Ok(response)
        })
    }

    /// Reads once a majority confirmed that this member may, or at once if `local`.
    fn permitted<T: 'static>(
        &self,
        local: bool,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Pending<T> {
        if !local {
            let completion = self.member.driver.read(self.timeout);
            return Pending::new(&self.member, completion, move |()| read());
        }
        if self.member.driver.stop_cause().is_some() {
            return Pending::ready(Err(self.member.stopped()));
        }
        Pending::ready(read())
    }
}

fn error(error: RequestError) -> Error {
    match error {
        RequestError::Refused(cause) => Error::Refused(cause),
        RequestError::Failed(cause) => Error::Store(cause),
        other => unreachable!("no other kind of request error exists: {other}"),
    }
}

/// Responses that carry a header to be completed.
trait HasHeader {
    fn header_mut(&mut self) -> &mut Option<ResponseHeader>;
}

impl HasHeader for PutResponse {
    fn header_mut(&mut self) -> &mut Option<ResponseHeader> {
        &mut self.header
    }
}

impl HasHeader for DeleteRangeResponse {
    fn header_mut(&mut self) -> &mut Option<ResponseHeader> {
        &mut self.header
    }
}

impl HasHeader for TxnResponse {
    fn header_mut(&mut self) -> &mut Option<ResponseHeader> {
        &mut self.header
    }
}

/// A transaction being put together; see [`Client::txn`].
#[must_use = "a transaction does nothing until it is committed"]
pub struct Txn {
    client: Client,
    request: TxnRequest,
}

impl Txn {
    /// Adds a comparison. The `then` branch is taken if all comparisons hold, or if there are none.
    pub fn when(mut self, compare: Compare) -> Self {
        self.request.compare.push(compare);
        self
    }

    /// Adds an operation to the branch taken if all comparisons hold.
    pub fn then(mut self, op: RequestOp) -> Self {
        self.request.success.push(op);
        self
    }

    /// Adds an operation to the branch taken if a comparison fails.
    pub fn or_else(mut self, op: RequestOp) -> Self {
        self.request.failure.push(op);
        self
    }

    /// The request as it stands, to be nested in another transaction.
    pub fn into_request(self) -> TxnRequest {
        self.request
    }

    /// Carries it out.
    pub fn commit(self) -> Pending<TxnResponse> {
        self.client.txn_with(self.request)
    }
}
