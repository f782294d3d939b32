//! The seam of production: a member and its threads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::RwLock;
use prost::Message as _;
use quorate_kv_api::{Command, KvError, Limits, ResponseHeader};
use quorate_mvcc::{Reader, RequestError};
use quorate_raft_node::core::ProposeError;
use quorate_raft_node::driver::{Abandoned, Completion, Driver, StopCause};
use quorate_types::{ClusterId, Instant, MemberId};

use crate::error::Error;
use crate::pending::Pending;
use crate::seam::{Request, Response, Seam, Wait};
use crate::status::Status;

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
}

/// A member by reference, so that requests under way can hold on to it.
pub(crate) struct Threads(pub(crate) Arc<Member>);

impl Seam for Threads {
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response> {
        match request {
            Request::Write(command) => self.write(&command, timeout),
            Request::Range(range) => {
                let local = range.serializable;
                self.permitted(local, timeout, move |reader| {
                    reader.range(&range).map(Response::Range)
                })
            }
            Request::ReadTxn(txn) => {
                let local = txn.is_serializable();
                self.permitted(local, timeout, move |reader| reader.txn(&txn).map(Response::Txn))
            }
            Request::Hash(revision) => self
                .permitted(false, timeout, move |reader| reader.hash(revision).map(Response::Hash)),
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
}

impl Threads {
    fn write(&self, command: &Command, timeout: Duration) -> Pending<Response> {
        let payload = command.encode_to_vec().into();
        let completion = self.0.driver.propose(payload, timeout);
        self.pending(completion, |member, answer: Answer| {
            let mut response = Response::from(answer?);
            member.sign(&mut response);
            Ok(response)
        })
    }

    /// Reads once a majority confirmed that this member may, or at once if `local`.
    fn permitted(
        &self,
        local: bool,
        timeout: Duration,
        read: impl FnOnce(&Reader) -> Result<Response, RequestError> + Send + 'static,
    ) -> Pending<Response> {
        let serve = move |member: &Member| {
            let mut response = read(&member.reader()?)?;
            member.sign(&mut response);
            Ok(response)
        };
        if !local {
            let completion = self.0.driver.read(timeout);
            return self.pending(completion, move |member, ()| serve(member));
        }
        if self.0.driver.stop_cause().is_some() {
            return Pending::ready(Err(self.0.stopped()));
        }
        Pending::ready(serve(&self.0))
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

impl Member {
    /// The error for callers of a member that stopped.
    fn stopped(&self) -> Error {
        Error::Stopped(self.driver.stop_cause().unwrap_or(StopCause::Closed))
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

impl Response {
    /// The header, which every response but a hash carries.
    pub fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Put(put) => put.header.as_mut(),
            Self::DeleteRange(deleted) => deleted.header.as_mut(),
            Self::Txn(txn) => txn.header.as_mut(),
            Self::Range(range) => range.header.as_mut(),
            Self::Hash(_) => None,
        }
    }
}

impl From<quorate_mvcc::Response> for Response {
    fn from(response: quorate_mvcc::Response) -> Self {
        match response {
            quorate_mvcc::Response::Put(put) => Self::Put(put),
            quorate_mvcc::Response::DeleteRange(deleted) => Self::DeleteRange(deleted),
            quorate_mvcc::Response::Txn(txn) => Self::Txn(txn),
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
