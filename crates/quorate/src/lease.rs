//! Calls about leases, and the keeper that renews one in the background.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use quorate_kv_api::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use quorate_types::{Instant, mutant};

use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::seam::{Request, Response, Seam, Task, Wait};

impl Client {
    /// Makes a lease that ends `ttl_seconds` after it was granted or renewed last, never earlier
    /// and at most a little later: about half a second, and longer while no leader is elected.
    /// Less than [`Limits::lease_ttl_min`](crate::Limits::lease_ttl_min) is raised to that.
    ///
    /// With the lease all keys attached to it are deleted, in one revision.
    pub fn lease_grant(&self, ttl_seconds: i64) -> Pending<LeaseGrantResponse> {
        self.lease_grant_with(LeaseGrantRequest { ttl: ttl_seconds, id: 0 })
    }

    /// Makes a lease, with an id of the caller's choice unless that is 0.
    pub fn lease_grant_with(&self, mut request: LeaseGrantRequest) -> Pending<LeaseGrantResponse> {
        request.ttl = request.ttl.max(self.seam().limits().lease_ttl_min);
        self.write(request.into(), |response| match response {
            Response::LeaseGrant(granted) => Some(granted),
            _ => None,
        })
    }

    /// Ends a lease now and deletes the keys attached to it, in one revision.
    pub fn lease_revoke(&self, lease: i64) -> Pending<LeaseRevokeResponse> {
        self.write(LeaseRevokeRequest { id: lease }.into(), |response| match response {
            Response::LeaseRevoke(revoked) => Some(revoked),
            _ => None,
        })
    }

    /// Renews a lease once: it lives its whole time again. The response has a time to live of 0 if
    /// there is no such lease, or not any more.
    pub fn lease_keep_alive(&self, lease: i64) -> Pending<LeaseKeepAliveResponse> {
        self.write(LeaseKeepAliveRequest { id: lease }.into(), |response| match response {
            Response::LeaseKeepAlive(renewed) => Some(renewed),
            _ => None,
        })
    }

    /// Renews a lease in the background until the keeper is dropped or the lease is lost. The lease
    /// is renewed each third of its time to live, the first time at once.
    ///
    /// ```
    /// use quorate::{Config, MemoryData, Node};
    /// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
    /// let lease = node.lease_grant(5).wait()?.id;
    /// let keeper = node.lease_keeper(lease, 5);
    /// assert!(!keeper.is_lost());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lease_keeper(&self, lease: i64, ttl_seconds: i64) -> LeaseKeeper {
        self.lease_keeper_since(lease, ttl_seconds, self.now())
    }

    /// The same for a lease that was asked for at `since`.
    pub(crate) fn lease_keeper_since(
        &self,
        lease: i64,
        ttl_seconds: i64,
        since: Instant,
    ) -> LeaseKeeper {
        let ttl = Duration::from_secs(ttl_seconds.max(1).unsigned_abs());
        let now = self.now();
        let shared = Arc::new(Shared::default());
        shared.set_alive_until(since + ttl);
        let task = Keeping {
            client: self.with_timeout(ttl / 3),
            lease,
            ttl,
            renewed: now,
            pending: None,
            next: now,
            shared: shared.clone(),
        };
        self.seam().spawn(Box::new(task));
        LeaseKeeper { lease, shared, seam: self.seam() }
    }

    /// How long a lease still lives, as this member counts it, and with `keys` which keys are
    /// attached to it. The time to live is -1 if there is no such lease.
    pub fn lease_time_to_live(&self, lease: i64, keys: bool) -> Pending<LeaseTimeToLiveResponse> {
        let request = LeaseTimeToLiveRequest { id: lease, keys };
        self.submit(Request::LeaseTimeToLive(request), |response| match response {
            Response::LeaseTimeToLive(found) => Some(found),
            _ => None,
        })
    }

    /// All leases, the one that ends first in front.
    pub fn leases(&self) -> Pending<LeaseLeasesResponse> {
        self.submit(Request::Leases, |response| match response {
            Response::Leases(leases) => Some(leases),
            _ => None,
        })
    }
}

/// Renews a lease in the background; see [`Client::lease_keeper`]. Dropping it stops the renewals,
/// not the lease.
pub struct LeaseKeeper {
    lease: i64,
    shared: Arc<Shared>,
    seam: Arc<dyn Seam>,
}

#[derive(Default)]
struct Shared {
    lost: AtomicBool,
    dropped: AtomicBool,
    /// In nanoseconds. The lease cannot have expired before: its time counts from when the last
    /// renewal that was answered was asked for, or later.
    alive_until: AtomicU64,
    /// Who is told when the lease is lost, by number.
    waiting: Mutex<BTreeMap<u64, Waker>>,
    numbers: AtomicU64,
}

impl Shared {
    fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_values().for_each(Waker::wake);
    }

    /// Whether the lease may be gone, whatever the background work knows: a process that stood
    /// still may come here before that goes on.
    fn is_lost_at(&self, now: Instant) -> bool {
        let is_over = mutant!(M90, now >= self.alive_until(), false);
        if is_over && !self.lost.load(Ordering::SeqCst) {
            self.lose();
        }
        self.lost.load(Ordering::SeqCst)
    }

    fn alive_until(&self) -> Instant {
        Instant::from_nanos(self.alive_until.load(Ordering::SeqCst))
    }

    fn set_alive_until(&self, until: Instant) {
        self.alive_until.store(until.as_nanos(), Ordering::SeqCst);
    }
}

impl LeaseKeeper {
    /// The lease.
    pub fn lease(&self) -> i64 {
        self.lease
    }

    /// Whether the lease may be gone: it was revoked or has expired, it could not be renewed in
    /// time, or the member has stopped. This is told before the time is over after which the
    /// cluster may end the lease, so whoever asks here before acting is not late by more than the
    /// time between asking and acting.
    pub fn is_lost(&self) -> bool {
        self.shared.is_lost_at(self.seam.now())
    }

    /// Something to wait for that comes when the lease is lost; see [`Self::is_lost`].
    pub fn lost(&self) -> Pending<()> {
        let (shared, seam) = (self.shared.clone(), self.seam.clone());
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
        Pending::waiting(Box::new(Loss { shared, seam, number }))
    }
}

/// A wait for the loss of a lease. Nothing is left of it when it is dropped.
struct Loss {
    shared: Arc<Shared>,
    seam: Arc<dyn Seam>,
    number: u64,
}

impl Loss {
    fn wait_until(&mut self, until: Option<Instant>) -> bool {
        let seam = self.seam.clone();
        seam.block_on(until, &mut |context| self.poll(context).map(|_| ()))
    }
}

impl Wait<()> for Loss {
    fn wait(mut self: Box<Self>) -> Result<(), Error> {
        assert!(self.wait_until(None), "there is no time limit");
        Ok(())
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<(), Error>> {
        let until = self.seam.now() + timeout;
        self.wait_until(Some(until)).then_some(Ok(()))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let former = self.shared.waiting.lock().insert(self.number, context.waker().clone());
        drop(former);
        // Looked at last: whoever loses the lease notes that before it wakes.
        let is_lost = self.shared.is_lost_at(self.seam.now());
        if is_lost { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        // The waker goes after the lock: with it may go another wait of the same kind.
        let waker = self.shared.waiting.lock().remove(&self.number);
        drop(waker);
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for LeaseKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseKeeper")
            .field("lease", &self.lease)
            .field("is_lost", &self.is_lost())
            .finish()
    }
}

/// The task behind a [`LeaseKeeper`].
struct Keeping {
    client: Client,
    lease: i64,
    ttl: Duration,
    /// When the renewal under way was asked for.
    renewed: Instant,
    pending: Option<Pending<LeaseKeepAliveResponse>>,
    /// When to renew next.
    next: Instant,
    shared: Arc<Shared>,
}

impl Keeping {
    /// Takes the answer to the renewal under way; whether the lease is gone.
    fn take(&mut self, now: Instant, answer: Result<LeaseKeepAliveResponse, Error>) -> bool {
        self.pending = None;
        match answer {
            Ok(renewed) if renewed.ttl <= 0 => return true,
            Ok(renewed) => {
                self.ttl = Duration::from_secs(renewed.ttl.unsigned_abs());
                self.shared.set_alive_until(self.renewed + self.ttl);
                self.next = self.renewed + self.ttl / 3;
            }
            Err(Error::Stopped(_) | Error::Refused(_)) => return true,
            Err(_) => self.next = now + RETRY_INTERVAL,
        }
        false
    }
}

impl Task for Keeping {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let is_over = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        if is_over(&self.shared.dropped) || is_over(&self.shared.lost) {
            return None;
        }
        if self.pending.is_none() && now >= self.next {
            self.renewed = now;
            self.pending = Some(self.client.lease_keep_alive(self.lease));
        }
        if let Some(pending) = &mut self.pending
            && let Poll::Ready(answer) =
                pending.poll_result(&mut Context::from_waker(Waker::noop()))
            && self.take(now, answer)
        {
            self.shared.lose();
            return None;
        }
        if now >= self.shared.alive_until() {
            self.shared.lose();
            return None;
        }
        let soon = if self.pending.is_some() { now + POLL_INTERVAL } else { self.next };
        Some(soon.min(self.shared.alive_until()))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        // Also when the member stops: nobody renews any more.
        self.shared.lose();
    }
}

/// How often a renewal under way is looked at: often beside any time to live, seldom beside the
/// time that a renewal takes.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// After a failure the next renewal is tried.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Config, MemoryData, Node};

    #[test]
    fn nothing_is_left_of_who_does_not_wait_any_more() {
        let node = Node::open(Config::in_memory(&MemoryData::new())).unwrap();
        let keeper = node.lease_keeper(node.lease_grant(10).wait().unwrap().id, 10);
        for _ in 0..10 {
            assert!(keeper.lost().wait_timeout(Duration::from_millis(1)).is_none());
        }
        assert_eq!(keeper.shared.waiting.lock().len(), 0);
        let lost = keeper.lost();
        node.lease_revoke(keeper.lease()).wait().unwrap();
        lost.wait().unwrap();
        assert_eq!(keeper.lost().wait_timeout(Duration::ZERO).map(|lost| lost.is_ok()), Some(true));
    }
}
