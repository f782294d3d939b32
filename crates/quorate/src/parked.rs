//! Requests that wait for the state to come to something: threads and futures that are woken by it.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use quorate_types::Instant;

use crate::error::Error;
use crate::member::Member;
use crate::seam::{Response, Wait};
use crate::timers::{Timer, Timers};

/// What a request that waits tries each time it is woken.
pub(crate) enum Attempt {
    /// The request has ended.
    Ended(Result<Response, Error>),
    /// It waits on, and has registered to be woken.
    Waiting,
}

/// Wakes whoever waits; may come before the wait.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    fired: bool,
    waker: Option<Waker>,
}

impl Signal {
    pub(crate) fn fire(&self) {
        let mut state = self.state.lock();
        state.fired = true;
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Blocks until the signal has fired, at most until `until`; whether it has.
    fn wait(&self, until: Option<std::time::Instant>) -> bool {
        let mut state = self.state.lock();
        while !state.fired {
            match until {
                None => self.changed.wait(&mut state),
                Some(until) => {
                    if self.changed.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut state.fired)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.fired) {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.fire();
    }
}

/// Blocks the thread until `poll` is ready, at most for `left`; whether it was.
pub(crate) fn block_on(
    left: Option<Duration>,
    poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
) -> bool {
    let until = left.map(|left| std::time::Instant::now() + left);
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if poll(&mut context).is_ready() {
            return true;
        }
        if !signal.wait(until) {
            return false;
        }
    }
}

/// A request that waits. `attempt` is called when it is made, whenever it is woken, and at its
/// deadline at the latest.
pub(crate) struct Parked<F> {
    member: Arc<Member>,
    attempt: F,
    signal: Arc<Signal>,
    is_registered: bool,
    /// Fires the signal at the deadline.
    timer: Option<Timer>,
    deadline: Instant,
}

impl<F> Parked<F>
where
    F: FnMut(&Member, &Arc<Signal>, bool) -> Attempt + Send,
{
    /// A wait of at most `timeout`. `attempt` is told whether that time is over, and must end then.
    pub(crate) fn new(member: Arc<Member>, timeout: Duration, attempt: F) -> Self {
        let deadline = member.driver.now() + timeout;
        let signal = Arc::new(Signal::default());
        Self { member, attempt, signal, is_registered: false, timer: None, deadline }
    }

    fn attempt(&mut self) -> Option<Result<Response, Error>> {
        let is_over = self.member.driver.now() >= self.deadline;
        match (self.attempt)(&self.member, &self.signal, is_over) {
            Attempt::Ended(result) => Some(result),
            Attempt::Waiting => {
                self.is_registered = true;
                let (timers, signal) = (&self.member.timers, &self.signal);
                self.timer.get_or_insert_with(|| Timers::set(timers, self.deadline, signal));
                None
            }
        }
    }

    fn wait_until(&mut self, until: Option<std::time::Instant>) -> Option<Result<Response, Error>> {
        loop {
            if !self.is_registered
                && let Some(result) = self.attempt()
            {
                return Some(result);
            }
            if !self.signal.wait(until) {
                return None;
            }
            self.is_registered = false;
        }
    }
}

impl<F> Wait<Response> for Parked<F>
where
    F: FnMut(&Member, &Arc<Signal>, bool) -> Attempt + Send,
{
    fn wait(mut self: Box<Self>) -> Result<Response, Error> {
        self.wait_until(None).expect("there is no time limit")
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<Response, Error>> {
        self.wait_until(Some(std::time::Instant::now() + timeout))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        loop {
            if !self.is_registered
                && let Some(result) = self.attempt()
            {
                return Poll::Ready(result);
            }
            if self.signal.poll(context).is_pending() {
                return Poll::Pending;
            }
            self.is_registered = false;
        }
    }
}
