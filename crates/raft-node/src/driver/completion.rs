//! One answer on its way from a member's threads to a caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The answer can never come: the member stopped before it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the member stopped before it answered")]
pub struct Abandoned;

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Waiting(Option<Waker>),
    Done(Result<T, Abandoned>),
    Taken,
}

/// The giving end. Dropping it tells the caller [`Abandoned`].
pub struct Completer<T>(Option<Arc<Shared<T>>>);

/// The waiting end: a `Future` for any runtime, or wait with [`Self::wait`]. Dropping it abandons
/// the wait, not the work.
pub struct Completion<T>(Arc<Shared<T>>);

/// A connected pair.
pub fn completion<T>() -> (Completer<T>, Completion<T>) {
    let state = Mutex::new(State::Waiting(None));
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    (Completer(Some(shared.clone())), Completion(shared))
}

impl<T> Completer<T> {
    /// Gives the answer.
    pub fn complete(mut self, value: T) {
        if let Some(shared) = self.0.take() {
            shared.finish(Ok(value));
        }
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.finish(Err(Abandoned));
        }
    }
}

impl<T> Shared<T> {
    fn finish(&self, result: Result<T, Abandoned>) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut *state, State::Done(result));
        drop(state);
        self.changed.notify_one();
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Completion<T> {
    /// An answer that is known already.
    pub fn ready(value: T) -> Self {
        let (completer, completion) = completion();
        completer.complete(value);
        completion
    }

    /// Blocks the thread until the answer is there.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] if the member stopped.
    ///
    /// # Panics
    ///
    /// If the answer was taken before, through [`Self::wait_timeout`] or by polling.
    pub fn wait(&mut self) -> Result<T, Abandoned> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(result) = state.take() {
                return result;
            }
            self.0.changed.wait(&mut state);
        }
    }

    /// Blocks the thread until the answer is there or `timeout` has passed; then `None`, and the
    /// wait can go on.
    ///
    /// # Panics
    ///
    /// If the answer was taken before.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Abandoned>> {
        let deadline = std::time::Instant::now() + timeout;
        let mut state = self.0.state.lock();
        loop {
            if let Some(result) = state.take() {
                return Some(result);
            }
            if self.0.changed.wait_until(&mut state, deadline).timed_out() {
                return state.take();
            }
        }
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, Abandoned>> {
        match self {
            Self::Waiting(_) => None,
            Self::Done(_) => match std::mem::replace(self, Self::Taken) {
                Self::Done(result) => Some(result),
                _ => None,
            },
            Self::Taken => panic!("the answer was taken before"),
        }
    }
}

impl<T> Future for Completion<T> {
    type Output = Result<T, Abandoned>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        if let Some(result) = state.take() {
            return Poll::Ready(result);
        }
        if let State::Waiting(waker) = &mut *state {
            match waker {
                Some(known) if known.will_wake(context.waker()) => {}
                _ => *waker = Some(context.waker().clone()),
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reaches_a_waiting_thread() {
        let (completer, mut completion) = completion();
        let waiting = std::thread::spawn(move || completion.wait());
        completer.complete(7);
        assert_eq!(waiting.join().expect("no panic"), Ok(7));
    }

    #[test]
    fn a_dropped_completer_is_an_answer() {
        let (completer, mut completion) = completion::<u8>();
        drop(completer);
        assert_eq!(completion.wait(), Err(Abandoned));
    }

    #[test]
    fn a_wait_can_be_given_up_and_resumed() {
        let (completer, mut completion) = completion();
        assert_eq!(completion.wait_timeout(Duration::ZERO), None);
        completer.complete("late");
        assert_eq!(completion.wait_timeout(Duration::ZERO), Some(Ok("late")));
    }

    #[test]
    fn a_future_is_woken() {
        let (completer, mut completion) = completion();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut completion).poll(&mut context), Poll::Pending);
        completer.complete(1);
        assert_eq!(Pin::new(&mut completion).poll(&mut context), Poll::Ready(Ok(1)));
    }
}
