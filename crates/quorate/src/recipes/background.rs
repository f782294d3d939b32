//! Ends in the background what nobody waits for any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use quorate_types::Instant;

use crate::client::Client;
use crate::seam::Task;

/// Does `work`, the first step of it at once and the rest in the background, until it is done or
/// the member stops.
pub(super) fn in_background(client: &Client, work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Work(Box::pin(work));
    if work.step(client.now()).is_some() {
        client.seam().spawn(Box::new(work));
    }
}

struct Work(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Task for Work {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let polled = self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        polled.is_pending().then(|| now + POLL_INTERVAL)
    }
}

/// How often work under way is looked at. Nobody waits for it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long after a failure it is tried again.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(200);
