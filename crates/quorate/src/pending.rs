//! A request on its way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_types::Instant;

use crate::error::Error;
use crate::seam::{Seam, Wait};

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

impl<T> Pending<T> {
    /// A request that has ended already.
    pub fn ready(result: Result<T, Error>) -> Self {
        Self(Some(State::Ready(result)))
    }

    /// A request under way; for implementations of [`Seam`](crate::seam::Seam).
    pub fn waiting(wait: Box<dyn Wait<T>>) -> Self {
        Self(Some(State::Waiting(wait)))
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
            State::Waiting(wait) => wait.wait(),
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
            State::Waiting(wait) => wait.wait_timeout(timeout),
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

impl<A: 'static> Pending<A> {
    /// The same request with something else made of its answer.
    pub(crate) fn then<T: 'static>(
        self,
        finish: impl FnOnce(A) -> Result<T, Error> + Send + 'static,
    ) -> Pending<T> {
        match self.0.expect(TAKEN) {
            State::Ready(answer) => Pending::ready(answer.and_then(finish)),
            State::Waiting(wait) => {
                Pending::waiting(Box::new(Then { wait: Some(wait), finish: Some(finish) }))
            }
        }
    }
}

impl<T: Send + 'static> Pending<T> {
    /// Something that takes several requests, one after the other. Unlike a single request it does
    /// nothing until it is awaited or waited for.
    pub(crate) fn steps(
        seam: Arc<dyn Seam>,
        steps: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self::waiting(Box::new(Steps { seam, steps: Box::pin(steps) }))
    }
}

/// Requests one after the other, as a future says.
struct Steps<T> {
    seam: Arc<dyn Seam>,
    steps: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
}

impl<T: Send> Steps<T> {
    fn wait_until(&mut self, until: Option<Instant>) -> Option<Result<T, Error>> {
        let mut result = None;
        let steps = &mut self.steps;
        self.seam.block_on(until, &mut |context| {
            steps.as_mut().poll(context).map(|ended| result = Some(ended))
        });
        result
    }
}

impl<T: Send> Wait<T> for Steps<T> {
    fn wait(mut self: Box<Self>) -> Result<T, Error> {
        self.wait_until(None).expect("there is no time limit")
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>> {
        let until = self.seam.now() + timeout;
        self.wait_until(Some(until))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        self.steps.as_mut().poll(context)
    }
}

/// A wait for an `A` that becomes something else.
struct Then<A, F> {
    wait: Option<Box<dyn Wait<A>>>,
    finish: Option<F>,
}

impl<A, F> Then<A, F> {
    fn wait_mut(&mut self) -> &mut dyn Wait<A> {
        self.wait.as_deref_mut().expect(TAKEN)
    }

    fn finish<T>(&mut self, answer: Result<A, Error>) -> Result<T, Error>
    where
        F: FnOnce(A) -> Result<T, Error>,
    {
        answer.and_then(self.finish.take().expect(TAKEN))
    }
}

impl<A, F, T> Wait<T> for Then<A, F>
where
    F: FnOnce(A) -> Result<T, Error> + Send,
{
    fn wait(mut self: Box<Self>) -> Result<T, Error> {
        let answer = self.wait.take().expect(TAKEN).wait();
        self.finish(answer)
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Error>> {
        let answer = self.wait_mut().wait_timeout(timeout)?;
        Some(self.finish(answer))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        self.wait_mut().poll(context).map(|answer| self.finish(answer))
    }
}

impl<T> Pending<T> {
    /// Polls as a future does.
    pub(crate) fn poll_result(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if let Some(result) = self.take_ready() {
            return Poll::Ready(result);
        }
        let polled = match self.0.as_mut().expect(TAKEN) {
            State::Waiting(wait) => wait.poll(context),
            State::Ready(_) => Poll::Pending,
        };
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(context)
    }
}

const TAKEN: &str = "the result was taken before";
