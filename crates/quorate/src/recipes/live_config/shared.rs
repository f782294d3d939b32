//! What the handles on a live value share with its background task.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::LiveState;
use crate::error::Error;
use crate::seam::{Promise, Response};

/// The state, and who waits for another.
pub(super) struct Shared<T> {
    /// What holds without a key.
    default: Arc<T>,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    state: LiveState<T>,
    /// Who waits for a state later than that of a revision, by number.
    waiting: BTreeMap<u64, Promise>,
    /// The number of the next who waits.
    number: u64,
    end: Option<End>,
}

/// Why nothing changes any more.
enum End {
    /// The member has stopped.
    Stopped,
    /// The watch failed.
    Failed(Error),
}

impl<T> Shared<T> {
    pub(super) fn new(default: T) -> Self {
        let default = Arc::new(default);
        let state = LiveState { value: default.clone(), revision: 0, problem: None };
        let inner = Inner { state, waiting: BTreeMap::new(), number: 0, end: None };
        Self { default, inner: Mutex::new(inner) }
    }

    pub(super) fn state(&self) -> LiveState<T> {
        self.inner.lock().state.clone()
    }

    pub(super) fn default_value(&self) -> Arc<T> {
        self.default.clone()
    }

    /// Changes the state and wakes who waits for it.
    pub(super) fn set(&self, state: LiveState<T>) {
        let mut inner = self.inner.lock();
        inner.state = state;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        for promise in waiting.into_values() {
            promise.keep(Ok(Response::Done));
        }
    }

    /// Says that nothing changes any more.
    pub(super) fn fail(&self, error: Error) {
        self.end(End::Failed(error));
    }

    /// Says that the member has stopped, unless there was an error before.
    pub(super) fn stop(&self) {
        self.end(End::Stopped);
    }

    fn end(&self, end: End) {
        let mut inner = self.inner.lock();
        let end = inner.end.get_or_insert(end);
        let error = end.error();
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        for promise in waiting.into_values() {
            give_up(promise, error.clone());
        }
    }
}

impl End {
    fn error(&self) -> Option<Error> {
        match self {
            Self::Stopped => None,
            Self::Failed(error) => Some(error.clone()),
        }
    }
}

/// Without an error, dropping a promise tells that the member has stopped.
fn give_up(promise: Promise, error: Option<Error>) {
    if let Some(error) = error {
        promise.keep(Err(error));
    }
}

/// Somebody who waits. Dropping it ends the wait.
pub(super) struct Waiting<'a, T> {
    shared: &'a Shared<T>,
    number: u64,
}

impl<'a, T> Waiting<'a, T> {
    /// Keeps the promise as soon as the state is later than that of a revision.
    pub(super) fn new(shared: &'a Shared<T>, after: i64, promise: Promise) -> Self {
        let mut inner = shared.inner.lock();
        let number = inner.number;
        inner.number += 1;
        if inner.state.revision > after {
            drop(inner);
            promise.keep(Ok(Response::Done));
        } else if let Some(end) = &inner.end {
            let error = end.error();
            drop(inner);
            give_up(promise, error);
        } else {
            inner.waiting.insert(number, promise);
        }
        Self { shared, number }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let promise = self.shared.inner.lock().waiting.remove(&self.number);
        drop(promise);
    }
}
