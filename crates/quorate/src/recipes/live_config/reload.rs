//! The background task of a live value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::KeyValue;
use quorate_types::Instant;

use super::LiveState;
use super::shared::Shared;
use crate::error::Error;
use crate::recipes::RecipeError;
use crate::recipes::follow::{Followed, Follower};
use crate::seam::Task;

/// Makes a value of bytes, or says why it cannot.
pub(super) type Parse<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send>;

/// Follows a key and parses what it holds.
pub(super) struct Reload<T> {
    follower: Follower,
    key: Bytes,
    parse: Parse<T>,
    /// Gone when the last handle is.
    shared: Weak<Shared<T>>,
}

impl<T> Reload<T> {
    pub(super) fn new(
        follower: Follower,
        key: Bytes,
        parse: Parse<T>,
        shared: &Arc<Shared<T>>,
    ) -> Self {
        Self { follower, key, parse, shared: Arc::downgrade(shared) }
    }

    /// Takes what comes next.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let followed = ready!(self.follower.poll(context))?;
        let Some(shared) = self.shared.upgrade() else { return Poll::Ready(Ok(())) };
        match followed {
            Followed::All { kvs, revision } => match kvs.into_iter().next() {
                Some(kv) => self.take(&shared, &kv),
                None => self.take_absence(&shared, revision),
            },
            Followed::Changes(events) => {
                for event in events {
                    let (is_delete, kv) = (event.is_delete(), event.kv.unwrap_or_default());
                    if is_delete {
                        self.take_absence(&shared, kv.mod_revision);
                    } else {
                        self.take(&shared, &kv);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&self, shared: &Shared<T>, kv: &KeyValue) {
        let revision = kv.mod_revision;
        let before = shared.state();
        if before.revision == revision {
            // Read again after a gap in which nothing happened.
            return;
        }
        let parsed = catch_unwind(AssertUnwindSafe(|| (self.parse)(&kv.value)));
        let parsed = parsed.unwrap_or_else(|_| Err("the parser panicked".to_owned()));
        shared.set(match parsed {
            Ok(value) => LiveState { value: Arc::new(value), revision, problem: None },
            Err(reason) => {
                let key = String::from_utf8_lossy(&self.key).into_owned();
                let problem = RecipeError::BadValue { key, revision, reason };
                LiveState { value: before.value, revision, problem: Some(problem) }
            }
        });
    }

    fn take_absence(&self, shared: &Shared<T>, revision: i64) {
        shared.set(LiveState { value: shared.default_value(), revision, problem: None });
    }
}

impl<T: Send + Sync> Task for Reload<T> {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let shared = self.shared.upgrade()?;
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Some(now),
            Poll::Pending => Some(now + POLL_INTERVAL),
            Poll::Ready(Err(error)) if error.is_retryable() => Some(now + RETRY_INTERVAL),
            Poll::Ready(Err(error)) => {
                shared.fail(error);
                None
            }
        }
    }
}

impl<T> Drop for Reload<T> {
    fn drop(&mut self) {
        // After an error, nobody waits any more; else the member has stopped.
        if let Some(shared) = self.shared.upgrade() {
            shared.stop();
        }
    }
}

/// How often it is looked whether there is something new: often for a person who changes a
/// configuration, seldom for a processor.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// After a failure that may pass it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
