//! The client handle of a member.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::{
    Command, CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest,
    DeleteRangeResponse, KeyValue, PutRequest, PutResponse, RangeResponse, RequestOp, TxnRequest,
    TxnResponse, prefix_end,
};
use quorate_mvcc::StoreHash;
use quorate_types::Instant;

use crate::pending::Pending;
use crate::range_stream::RangeStream;
use crate::request::Range;
use crate::seam::{Promise, Read, Request, Response, Seam, Task};
use crate::status::Status;
use crate::watch::{Watch, Watcher};

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
    seam: Arc<dyn Seam>,
    timeout: Duration,
}

impl Client {
    /// A handle on the member behind a seam, with a request timeout. Applications get theirs from
    /// [`Node::client`](crate::Node::client).
    pub fn new(seam: Arc<dyn Seam>, timeout: Duration) -> Self {
        Self { seam, timeout }
    }

    /// The seam that this handle uses, for another handle or for one that looks at what passes.
    pub fn seam(&self) -> Arc<dyn Seam> {
        self.seam.clone()
    }

    /// The same handle with another request timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { seam: self.seam.clone(), timeout }
    }

    /// The same handle on another seam.
    pub(crate) fn with_seam(&self, seam: Arc<dyn Seam>) -> Self {
        Self { seam, timeout: self.timeout }
    }

    /// Sets `key` to `value`. The key must not be empty; the value may be. Both together must fit
    /// into
    /// [`Limits::request_bytes_max`](crate::Limits::request_bytes_max).
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

    /// Reads a large range in parts, all at one revision, with bounded memory.
    ///
    /// The range may have a limit, and a revision; an order other than ascending keys and filters
    /// by revision are refused with [`KvError::UnorderedStream`](crate::KvError::UnorderedStream).
    pub fn range_stream(&self, range: Range) -> RangeStream {
        RangeStream::new(self.clone(), range)
    }

    /// Watches keys. Once the result is there, every change from then on, or from the revision
    /// asked for, will be given. See [`Watcher`].
    ///
    /// A watch from now on asks a majority what "now" is: what was answered to anybody before the
    /// call does not come. Fails with
    /// [`KvError::EmptyWatchRange`](crate::KvError::EmptyWatchRange) if no key can be meant. That a
    /// revision is compacted is told by the watcher.
    pub fn watch(&self, watch: Watch) -> Pending<Watcher> {
        if let Err(refused) = watch.validate() {
            return Pending::ready(Err(refused.into()));
        }
        let (seam, timeout) = (self.seam.clone(), self.timeout);
        if let Some(revision) = watch.start() {
            return Pending::ready(Ok(Watcher::new(seam, &watch, revision, timeout)));
        }
        let now = Range::key(&b"\0"[..]).count_only();
        self.range(now).then(move |now| {
            let revision = now.header.unwrap_or_default().revision + 1;
            Ok(Watcher::new(seam, &watch, revision, timeout))
        })
    }

    /// Forgets what was superseded before `revision`: reads and watches below it are refused from
    /// then on. The members remove it from their tables in the background.
    pub fn compact(&self, revision: i64) -> Pending<CompactionResponse> {
        self.compact_with(CompactionRequest { revision, physical: false })
    }

    /// Forgets what was superseded before a revision; with `physical`, waits until this member has
    /// removed it from its tables.
    pub fn compact_with(&self, request: CompactionRequest) -> Pending<CompactionResponse> {
        let compacted = self.write(request.into(), |response| match response {
            Response::Compaction(compacted) => Some(compacted),
            _ => None,
        });
        if !request.physical {
            return compacted;
        }
        let client = self.clone();
        Pending::steps(self.seam.clone(), async move {
            let response = compacted.await?;
            let swept =
                client.submit(Request::Swept(request.revision), |response| match response {
                    Response::Done => Some(()),
                    _ => None,
                });
            swept.await?;
            Ok(response)
        })
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
        self.write(request.into(), txn_response)
    }

    /// A hash over everything that happened in the store up to `revision`, 0 for now: equal on all
    /// members, and equal to etcd's `HashKV` for the same history. Reads the whole history of this
    /// member.
    pub fn hash(&self, revision: i64) -> Pending<StoreHash> {
        self.submit(Request::Hash(revision), |response| match response {
            Response::Hash(hash) => Some(hash),
            _ => None,
        })
    }

    /// Something to wait for that comes after so long, in the time of [`Self::now`].
    pub fn after(&self, duration: Duration) -> Pending<()> {
        let (promise, pending) = self.seam.promise();
        self.seam.spawn(Box::new(Alarm { at: self.now() + duration, promise: Some(promise) }));
        pending.then(|_| Ok(()))
    }

    /// What this member looks like now. A member that stopped tells the cause.
    pub fn status(&self) -> Status {
        self.seam.status()
    }

    /// The time as this member counts it, from any moment on: monotonic, and virtual in a
    /// simulation. Application code that shall run in both asks here and sleeps with
    /// [`Self::sleep`].
    pub fn now(&self) -> Instant {
        self.seam.now()
    }

    /// Blocks the calling thread for at least this long, in the time of [`Self::now`].
    pub fn sleep(&self, duration: Duration) {
        self.seam.sleep(duration);
    }

    pub(crate) fn write<T: 'static>(
        &self,
        command: Command,
        pick: fn(Response) -> Option<T>,
    ) -> Pending<T> {
        match command.validate(self.seam.limits()) {
            Ok(()) => self.submit(Request::Write(command), pick),
            Err(refused) => Pending::ready(Err(refused.into())),
        }
    }

    fn read<T: 'static>(
        &self,
        range: Range,
        pick: impl FnOnce(RangeResponse) -> T + Send + 'static,
    ) -> Pending<T> {
        let Range { request: range, at_least, lease } = range;
        self.read_with(Read { range, at_least, lease, is_part: false }, pick)
    }

    /// Reads a part of a range: the keys beyond its limit are not counted.
    pub(crate) fn range_part(&self, range: Range) -> Pending<RangeResponse> {
        let Range { request: range, at_least, lease } = range;
        self.read_with(Read { range, at_least, lease, is_part: true }, |response| response)
    }

    fn read_with<T: 'static>(
        &self,
        read: Read,
        pick: impl FnOnce(RangeResponse) -> T + Send + 'static,
    ) -> Pending<T> {
        if let Err(refused) = read.range.validate(self.seam.limits()) {
            return Pending::ready(Err(refused.into()));
        }
        self.submit(Request::Range(read), move |response| match response {
            Response::Range(range) => Some(pick(range)),
            _ => None,
        })
    }

    fn read_txn(&self, request: TxnRequest) -> Pending<TxnResponse> {
        match request.validate(self.seam.limits()) {
            Ok(()) => self.submit(Request::ReadTxn(request), txn_response),
            Err(refused) => Pending::ready(Err(refused.into())),
        }
    }

    pub(crate) fn submit<T: 'static>(
        &self,
        request: Request,
        pick: impl FnOnce(Response) -> Option<T> + Send + 'static,
    ) -> Pending<T> {
        let pending = self.seam.submit(request, self.timeout);
        pending.then(|response| Ok(pick(response).expect("a request is answered in kind")))
    }
}

/// Keeps a promise at a time.
struct Alarm {
    at: Instant,
    promise: Option<Promise>,
}

impl Task for Alarm {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        if now < self.at {
            return Some(self.at);
        }
        if let Some(promise) = self.promise.take() {
            promise.keep(Ok(Response::Done));
        }
        None
    }
}

fn txn_response(response: Response) -> Option<TxnResponse> {
    match response {
        Response::Txn(txn) => Some(txn),
        _ => None,
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
