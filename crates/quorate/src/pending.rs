//! A request on its way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_raft_node::core::ProposeError;
use quorate_raft_node::driver::{Abandoned, Completion};

use crate::client::Member;
use crate::error::Error;

/// A request under way: await it on any runtime, or wait with [`Self::wait`] or
/// [`Self::wait_timeout`].
///
/// The request was sent when this was made. Dropping it abandons the wait, not the request: a write
/// may still happen. Awaiting a read may read the disk for a moment inside `poll`.
///
/// ```
/// # let node = quorate::Node::open(quorate::Config::in_memory(&quorate::MemoryData::new()))?;
/// let first = node.put("a", "1"); // both are under way now
/// let second = node.put("b", "2");
/// first.wait()?;
/// pollster::block_on(second)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a request may fail; wait for it or await it"]
pub struct Pending<T>(Option<State<T>>);

enum State<T> {
    Ready(Result<T, Error>),
    Waiting(Box<dyn Wait<T>>),
}

/// Waits for an answer of any type that becomes a `T`.
trait Wait<T>: Send {
    fn wait(self: Box<Self>) -> Result<T, Error>;
    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>>;
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>>;
}

/// An answer `A` of consensus, and what makes the caller's result of it.
struct Step<A, F> {
    completion: Completion<Result<A, ProposeError>>,
    finish: Option<F>,
    member: Arc<Member>,
}

impl<A, F> Step<A, F> {
    fn finish<T>(&mut self, answer: Result<Result<A, ProposeError>, Abandoned>) -> Result<T, Error>
    where
        F: FnOnce(A) -> Result<T, Error>,
    {
        let finish = self.finish.take().expect("an answer comes once");
        match answer {
            Ok(Ok(answer)) => finish(answer),
            Ok(Err(ProposeError::Overloaded)) => Err(Error::Overloaded),
            Ok(Err(ProposeError::TimedOut)) => Err(Error::TimedOut),
            Ok(Err(_)) => Err(Error::OutcomeUnknown),
            Err(Abandoned) => Err(self.member.stopped()),
        }
    }
}

impl<A, F, T> Wait<T> for Step<A, F>
where
    A: Send,
    F: FnOnce(A) -> Result<T, Error> + Send,
{
    fn wait(mut self: Box<Self>) -> Result<T, Error> {
        let answer = self.completion.wait();
        self.finish(answer)
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>> {
        let answer = self.completion.wait_timeout(timeout)?;
        Some(self.finish(answer))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        Pin::new(&mut self.completion).poll(context).map(|answer| self.finish(answer))
    }
}

impl<T> Pending<T> {
    pub(crate) fn ready(result: Result<T, Error>) -> Self {
        Self(Some(State::Ready(result)))
    }

    /// Makes the result of what consensus will answer.
    pub(crate) fn new<A: Send + 'static>(
        member: &Arc<Member>,
        completion: Completion<Result<A, ProposeError>>,
        finish: impl FnOnce(A) -> Result<T, Error> + Send + 'static,
    ) -> Self {
        let step = Step { completion, finish: Some(finish), member: member.clone() };
        Self(Some(State::Waiting(Box::new(step))))
    }

    /// Blocks the thread until the request is answered, at most a little more than the request
    /// timeout.
    ///
    /// # Errors
    ///
    /// [`Error`].
    ///
    /// # Panics
    ///
    /// If the result was taken before, by [`Self::wait_timeout`] or by polling.
    pub fn wait(self) -> Result<T, Error> {
        match self.0.expect(TAKEN) {
            State::Ready(result) => result,
            State::Waiting(step) => step.wait(),
        }
    }

    /// Blocks the thread until the request is answered or `timeout` has passed. Then it returns
    /// `None`; the request goes on, and the wait can be resumed.
    ///
    /// # Panics
    ///
    /// If the result was taken before.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>> {
        let result = match self.0.as_mut().expect(TAKEN) {
            State::Waiting(step) => step.wait_timeout(timeout),
            State::Ready(_) => self.take_ready(),
        };
        if result.is_some() {
            self.0 = None;
        }
        result
    }

    fn take_ready(&mut self) -> Option<Result<T, Error>> {
        match self.0.take() {
            Some(State::Ready(result)) => Some(result),
            other => {
                self.0 = other;
                None
            }
        }
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.take_ready() {
            return Poll::Ready(result);
        }
        let polled = match self.0.as_mut().expect(TAKEN) {
            State::Waiting(step) => step.poll(context),
            State::Ready(_) => Poll::Pending,
        };
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

const TAKEN: &str = "the result was taken before";
