//! The seam of production: a member and its threads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use prost::Message as _;
use quorate_kv_api::{
    AlarmAction, AlarmRequest, AlarmResponse, AlarmType, Command, KvError, Limits, RangeRequest,
    ResponseHeader,
};
use quorate_mvcc::{
    Milestone, Reader, RequestError, StoreError, Ticket, WatchBatch, WatchQuery, Watching,
};
use quorate_raft_node::core::ProposeError;
use quorate_raft_node::driver::{Abandoned, Completion, Driver, StopCause, completion};
use quorate_types::{ByteSize, ClusterId, Instant, MemberId};

use crate::error::Error;
use crate::parked::{Attempt, Parked, Signal, block_on};
use crate::pending::Pending;
use crate::seam::{Promise, Read, Request, Response, Seam, Task, Unique, Wait, WatchAnswer};
use crate::status::Status;
use crate::timers::Timers;

/// What consensus answers to a command.
pub(crate) type Answer = Result<quorate_mvcc::Response, KvError>;

/// What all handles on one member share.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) cluster_id: ClusterId,
    pub(crate) member_id: MemberId,
    pub(crate) driver: Driver<Answer>,
    /// Taken when the member is closed, so that clients do not keep its store open.
    pub(crate) reader: RwLock<Option<Reader>>,
    pub(crate) limits: Limits,
    pub(crate) space_quota: Option<ByteSize>,
    pub(crate) timers: Arc<Timers>,
    /// How many watches wait.
    pub(crate) watches: AtomicU32,
    /// How many unique names were given.
    pub(crate) uniques: AtomicU64,
}

/// A member by reference, so that requests under way can hold on to it.
pub(crate) struct Threads(pub(crate) Arc<Member>);

impl Seam for Threads {
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response> {
        match request {
            Request::Write(command) => self.write(command, timeout),
            Request::Range(Read { range, at_least: Some(revision), is_part, .. }) => {
                self.reached(Milestone::Revision(revision), timeout, move |member| {
                    member.serve(|reader| read(reader, &range, is_part))
                })
            }
            Request::Range(Read { range, at_least: None, lease, is_part }) => {
                let otherwise = if lease { Permission::Lease } else { Permission::Majority };
                let permission = Permission::local_if(range.serializable, otherwise);
                self.permitted(permission, timeout, move |reader, _| read(reader, &range, is_part))
            }
            Request::ReadTxn(txn) => {
                let local = txn.is_serializable();
                let permission = Permission::local_if(local, Permission::Majority);
                self.permitted(permission, timeout, move |reader, _| {
                    reader.txn(&txn).map(Response::Txn)
                })
            }
            Request::Hash(revision) => {
                self.permitted(Permission::Majority, timeout, move |reader, _| {
                    reader.hash(revision).map(Response::Hash)
                })
            }
            Request::LeaseTimeToLive(request) => {
                self.permitted(Permission::Majority, timeout, move |reader, now| {
                    Ok(Response::LeaseTimeToLive(reader.time_to_live(&request, now)?))
                })
            }
            Request::Leases => self.permitted(Permission::Majority, timeout, move |reader, now| {
                Ok(Response::Leases(reader.leases(now)))
            }),
            Request::Alarms => self.permitted(Permission::Majority, timeout, move |reader, _| {
                let header = Some(ResponseHeader::at(reader.revision()));
                Ok(Response::Alarm(AlarmResponse { header, alarms: reader.alarms() }))
            }),
            Request::Watch(query) => self.watch(query, timeout),
            Request::WatchNow(query) => {
                self.permitted(Permission::Local, timeout, move |reader, _| {
                    reader.watch_now(&query).map(watch_response)
                })
            }
            Request::Swept(revision) => {
                self.0.timers.nudge();
                self.reached(Milestone::Swept(revision), timeout, |_| Ok(Response::Done))
            }
        }
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    fn now(&self) -> Instant {
        self.0.driver.now()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.0.timers.spawn(task);
    }

    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool {
        let now = self.now();
        let left = until.map(|until| until.saturating_since(now));
        block_on(left, poll)
    }

    fn unique(&self) -> Unique {
        Unique {
            member: self.0.member_id.get(),
            life: self.0.driver.incarnation(),
            number: self.0.uniques.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn promise(&self) -> (Promise, Pending<Response>) {
        let (completer, completion) = completion();
        let promise = Promise::new(move |result| completer.complete(Ok(result)));
        (promise, self.pending(completion, |_, result: Result<Response, Error>| result))
    }
}

impl Threads {
    fn write(&self, command: Command, timeout: Duration) -> Pending<Response> {
        if self.0.is_out_of_space(&command) {
            let alarm = AlarmRequest {
                action: AlarmAction::Activate.into(),
                member_id: self.0.member_id.get(),
                alarm: AlarmType::NoSpace.into(),
            };
            // If it is lost, the next write raises it.
            let _abandoned = self.0.driver.propose(encode(alarm.into()), timeout);
            return Pending::ready(Err(KvError::NoSpace.into()));
        }
        let completion = self.0.driver.propose(encode(command), timeout);
        self.pending(completion, |member, answer: Answer| {
            let mut response = Response::from(answer?);
            member.sign(&mut response);
            Ok(response)
        })
    }

    /// Reads once it is permitted.
    fn permitted(
        &self,
        permission: Permission,
        timeout: Duration,
        read: impl FnOnce(&Reader, Instant) -> Result<Response, RequestError> + Send + 'static,
    ) -> Pending<Response> {
        let serve = move |member: &Member| member.serve(|r| read(r, member.driver.now()));
        let completion = match permission {
            Permission::Majority => self.0.driver.read(timeout),
            Permission::Lease => self.0.driver.read_by_lease(timeout),
            Permission::Local if self.0.driver.stop_cause().is_some() => {
                return Pending::ready(Err(self.0.stopped()));
            }
            Permission::Local => return Pending::ready(serve(&self.0)),
        };
        self.pending(completion, move |member, ()| serve(member))
    }

    /// Waits for the next events of a watch, or for its time to be over.
    fn watch(&self, mut query: WatchQuery, timeout: Duration) -> Pending<Response> {
        let limit = self.0.limits.watches_max;
        let Some(slot) = WatchSlot::take(&self.0, limit) else {
            return Pending::ready(Err(KvError::TooManyWatches { limit }.into()));
        };
        let mut ticket: Option<Ticket> = None;
        let attempt = move |member: &Member, signal: &Arc<Signal>, is_over: bool| {
            let _held = &slot;
            // While it waited it went on with the store.
            if let Some(ticket) = ticket.take() {
                query.from = ticket.position();
            }
            if let Some(stopped) = member.stop_error() {
                return Attempt::Ended(Err(stopped));
            }
            if is_over {
                return Attempt::Ended(member.serve(|r| r.watch_now(&query).map(watch_response)));
            }
            let signal = signal.clone();
            let wake = Box::new(move || signal.fire());
            match member.reader().map(|reader| reader.watch(&query, wake)) {
                Ok(Ok(Watching::Waiting(registered))) => {
                    ticket = Some(registered);
                    Attempt::Waiting
                }
                Ok(Ok(Watching::Batch(batch))) => {
                    Attempt::Ended(member.serve(|_| Ok(watch_response(batch))))
                }
                Ok(Err(error)) => Attempt::Ended(Err(member.read_error(error))),
                Err(stopped) => Attempt::Ended(Err(stopped)),
            }
        };
        Pending::waiting(Box::new(Parked::new(self.0.clone(), timeout, attempt)))
    }

    /// Waits until the state has come to something.
    fn reached(
        &self,
        milestone: Milestone,
        timeout: Duration,
        serve: impl FnOnce(&Member) -> Result<Response, Error> + Send + 'static,
    ) -> Pending<Response> {
        let mut serve = Some(serve);
        let mut ticket: Option<Ticket> = None;
        let attempt = move |member: &Member, signal: &Arc<Signal>, is_over: bool| {
            if let Some(stopped) = member.stop_error() {
                return Attempt::Ended(Err(stopped));
            }
            let signal = signal.clone();
            let wake = Box::new(move || signal.fire());
            match member.reader().map(|reader| reader.wait_for(milestone, wake)) {
                Ok(Some(_)) if is_over => Attempt::Ended(Err(Error::TimedOut)),
                Ok(Some(registered)) => {
                    ticket.replace(registered);
                    Attempt::Waiting
                }
                Ok(None) => Attempt::Ended(serve.take().expect("a request ends once")(member)),
                Err(stopped) => Attempt::Ended(Err(stopped)),
            }
        };
        Pending::waiting(Box::new(Parked::new(self.0.clone(), timeout, attempt)))
    }

    fn pending<A: Send + 'static>(
        &self,
        completion: Completion<Result<A, ProposeError>>,
        finish: impl FnOnce(&Member, A) -> Result<Response, Error> + Send + 'static,
    ) -> Pending<Response> {
        let step = Step { completion, finish: Some(finish), member: self.0.clone() };
        Pending::waiting(Box::new(step))
    }
}

/// Who permits a read.
#[derive(Clone, Copy)]
enum Permission {
    /// A majority, which is asked.
    Majority,
    /// A read lease of this member, or else a majority.
    Lease,
    /// Nobody: what is read may be old.
    Local,
}

impl Permission {
    fn local_if(local: bool, otherwise: Self) -> Self {
        if local { Self::Local } else { otherwise }
    }
}

impl Member {
    /// The error for callers of a member that stopped.
    fn stopped(&self) -> Error {
        Error::Stopped(self.driver.stop_cause().unwrap_or(StopCause::Closed))
    }

    /// Reads the state and completes the header of the response.
    fn serve(
        &self,
        read: impl FnOnce(&Reader) -> Result<Response, RequestError>,
    ) -> Result<Response, Error> {
        let mut response = read(&self.reader()?).map_err(|error| self.read_error(error))?;
        self.sign(&mut response);
        Ok(response)
    }

    fn read_error(&self, error: RequestError) -> Error {
        match error {
            RequestError::Failed(StoreError::Closed) => self.stopped(),
            other => other.into(),
        }
    }

    /// The error for callers, if the member has stopped.
    fn stop_error(&self) -> Option<Error> {
        self.driver.stop_cause().map(Error::Stopped)
    }

    /// Whether a command would add to a store that has used up its quota.
    fn is_out_of_space(&self, command: &Command) -> bool {
        let Some(quota) = self.space_quota else { return false };
        let cost = command.space_cost();
        let size = self.reader().map_or(0, |reader| reader.size_bytes());
        cost > 0 && size + cost >= quota.bytes()
    }

    /// The state, unless the member was closed.
    pub(crate) fn reader(&self) -> Result<Reader, Error> {
        self.reader.read().clone().ok_or_else(|| self.stopped())
    }

    /// Completes the header of a response.
    fn sign(&self, response: &mut Response) {
        if let Some(header) = response.header_mut() {
            header.cluster_id = self.cluster_id.get();
            header.member_id = self.member_id.get();
            header.raft_term = self.driver.term().get();
        }
    }
}

/// Answers a range, whole or in part.
fn read(reader: &Reader, range: &RangeRequest, is_part: bool) -> Result<Response, RequestError> {
    let found = if is_part { reader.range_part(range) } else { reader.range(range) };
    found.map(Response::Range)
}

fn watch_response(batch: WatchBatch) -> Response {
    let header = ResponseHeader::at(batch.revision);
    Response::Watch(WatchAnswer { header, batch })
}

fn encode(command: Command) -> Bytes {
    command.encode_to_vec().into()
}

/// One of the watches that may wait on a member.
struct WatchSlot(Arc<Member>);

impl WatchSlot {
    fn take(member: &Arc<Member>, limit: u32) -> Option<Self> {
        let slot = Self(member.clone());
        let before = member.watches.fetch_add(1, Ordering::Relaxed);
        (before < limit).then_some(slot)
    }
}

impl Drop for WatchSlot {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Response {
    /// The header, which nearly every response carries.
    pub fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Put(put) => put.header.as_mut(),
            Self::DeleteRange(deleted) => deleted.header.as_mut(),
            Self::Txn(txn) => txn.header.as_mut(),
            Self::Range(range) => range.header.as_mut(),
            Self::Compaction(compacted) => compacted.header.as_mut(),
            Self::LeaseGrant(granted) => granted.header.as_mut(),
            Self::LeaseRevoke(revoked) => revoked.header.as_mut(),
            Self::LeaseKeepAlive(renewed) => renewed.header.as_mut(),
            Self::LeaseTimeToLive(found) => found.header.as_mut(),
            Self::Leases(leases) => leases.header.as_mut(),
            Self::Alarm(alarms) => alarms.header.as_mut(),
            Self::Chore(header) => Some(header),
            Self::Watch(answer) => Some(&mut answer.header),
            Self::Hash(_) | Self::Done => None,
        }
    }
}

impl From<quorate_mvcc::Response> for Response {
    fn from(response: quorate_mvcc::Response) -> Self {
        match response {
            quorate_mvcc::Response::Put(put) => Self::Put(put),
            quorate_mvcc::Response::DeleteRange(deleted) => Self::DeleteRange(deleted),
            quorate_mvcc::Response::Txn(txn) => Self::Txn(txn),
            quorate_mvcc::Response::Compaction(compacted) => Self::Compaction(compacted),
            quorate_mvcc::Response::LeaseGrant(granted) => Self::LeaseGrant(granted),
            quorate_mvcc::Response::LeaseRevoke(revoked) => Self::LeaseRevoke(revoked),
            quorate_mvcc::Response::LeaseKeepAlive(renewed) => Self::LeaseKeepAlive(renewed),
            quorate_mvcc::Response::Alarm(alarms) => Self::Alarm(alarms),
            quorate_mvcc::Response::Chore(header) => Self::Chore(header),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(cause) => Self::Refused(cause),
            RequestError::Failed(cause) => Self::Store(cause),
            other => unreachable!("no other kind of request error exists: {other}"),
        }
    }
}

/// An answer `A` of consensus, and what makes the caller's response of it.
struct Step<A, F> {
    completion: Completion<Result<A, ProposeError>>,
    finish: Option<F>,
    member: Arc<Member>,
}

impl<A, F> Step<A, F>
where
    F: FnOnce(&Member, A) -> Result<Response, Error>,
{
    fn finish(
        &mut self,
        answer: Result<Result<A, ProposeError>, Abandoned>,
    ) -> Result<Response, Error> {
        let finish = self.finish.take().expect("an answer comes once");
        match answer {
            Ok(Ok(answer)) => finish(&self.member, answer),
            Ok(Err(cause)) => Err(cause.into()),
            Err(Abandoned) => Err(self.member.stopped()),
        }
    }
}

impl<A, F> Wait<Response> for Step<A, F>
where
    A: Send,
    F: FnOnce(&Member, A) -> Result<Response, Error> + Send,
{
    fn wait(mut self: Box<Self>) -> Result<Response, Error> {
        let answer = self.completion.wait();
        self.finish(answer)
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<Response, Error>> {
        let answer = self.completion.wait_timeout(timeout)?;
        Some(self.finish(answer))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        Pin::new(&mut self.completion).poll(context).map(|answer| self.finish(answer))
    }
}
