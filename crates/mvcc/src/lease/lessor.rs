//! The handle to what counts the time of the leases.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quorate_kv_api::Command;
use quorate_types::{Instant, Term};

use crate::lease::record::Lease;
use crate::lease::set::Leases;
use crate::lease::timing::Timing;

/// Counts how long the leases of a [`Store`] still live, by the clock of this member. Clones share
/// everything.
///
/// Every member has one. The store tells it which leases were granted, renewed and ended; it learns
/// the time from [`Self::tick`] alone. A lease is counted from the first tick after it was granted
/// or renewed, so it may end late, by the time between two ticks, and never early.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use prost::Message;
/// use quorate_kv_api::{Command as KvCommand, LeaseExpireRequest, LeaseGrantRequest};
/// use quorate_mvcc::{Command, Entry, Store, TABLES};
/// use quorate_storage::memory::MemoryEngine;
/// use quorate_types::{CommandId, Instant, LogIndex, LogPosition, MemberId, Term};
///
/// let term = Term::new(1);
/// let mut store = Store::open(Arc::new(MemoryEngine::new(TABLES)))?;
/// let lessor = store.lessor();
/// assert_eq!(lessor.tick(Instant::ZERO, term, true), []);
///
/// let grant = KvCommand::from(LeaseGrantRequest { id: 7, ttl: 5 }).encode_to_vec();
/// let id = CommandId { origin: MemberId::new(1), incarnation: 1, sequence: 1 };
/// let position = LogPosition::new(term, LogIndex::new(1));
/// let commands = vec![Command { id, floor: 1, payload: grant.into() }];
/// store.apply(&[Entry { position, commands, membership: None }], &mut Vec::new())?;
///
/// let granted = Instant::ZERO + Duration::from_secs(1);
/// assert_eq!(lessor.tick(granted, term, true), []);
/// let end = granted + Duration::from_secs(5);
/// assert_eq!(lessor.next(), Some(end));
/// let expire = KvCommand::from(LeaseExpireRequest { id: 7, renewed_at: 1 });
/// assert_eq!(lessor.tick(end, term, true), [expire]);
/// # Ok::<(), quorate_mvcc::StoreError>(())
/// ```
///
/// [`Store`]: crate::Store
#[derive(Clone)]
pub struct Lessor {
    timing: Arc<Mutex<Timing>>,
}

/// The times that a [`Lessor`] goes by. What changes counts for leases granted or renewed later,
/// and for all of them after the next change of leadership.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LessorTiming {
    /// How much longer than its time to live a lease lives after a change of leadership, when
    /// nobody could renew it. Default 1 s; any value.
    pub election_timeout: Duration,
    /// How often the leader notes the remaining time of a lease, for those that live longer than
    /// this. Default 5 min. Zero, or more than any time to live: never, so that leases live their
    /// full time again after a change of leadership.
    pub checkpoint_interval: Duration,
    /// How long the leader waits for the end of a lease before it proposes it once more. Default
    /// 3 s; zero proposes it at every tick.
    pub retry_interval: Duration,
}

impl Default for LessorTiming {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_secs(1),
            checkpoint_interval: Duration::from_secs(5 * 60),
            retry_interval: Duration::from_secs(3),
        }
    }
}

impl Lessor {
    pub(crate) fn new(leases: &Leases) -> Self {
        Self { timing: Arc::new(Mutex::new(Timing::new(leases))) }
    }

    /// Changes the times to go by.
    pub fn configure(&self, settings: LessorTiming) {
        self.timing.lock().configure(settings);
    }

    /// Counts the leases that are new, or were renewed, from `now` on. If `leads`, returns what the
    /// leader is to propose: the end of leases whose time is over ([`LeaseExpireRequest`], at most
    /// 500), and remaining times ([`LeaseCheckpointRequest`], at most one with 1000 of them). To be
    /// called about twice a second, with a clock that does not go back.
    ///
    /// `term` is the term in which the member leads, or that it has seen. In the first tick of a
    /// term, and in the first one after the store was opened or took a snapshot over, every lease
    /// gets its full time again, or what its last checkpoint left, and the election timeout.
    ///
    /// What is proposed may be lost or come too late: the end of a lease that was renewed before it
    /// in the log has no effect.
    ///
    /// It costs nothing for leases about which there is nothing to do, but for those first ticks.
    ///
    /// [`LeaseExpireRequest`]: quorate_kv_api::LeaseExpireRequest
    /// [`LeaseCheckpointRequest`]: quorate_kv_api::LeaseCheckpointRequest
    pub fn tick(&self, now: Instant, term: Term, leads: bool) -> Vec<Command> {
        self.timing.lock().tick(now, term, leads)
    }

    /// When a tick has something to do, at the earliest, if this member leads; [`Instant::ZERO`] if
    /// leases wait to be counted, and `None` if there is nothing to wait for. It does not know of a
    /// change of leadership.
    pub fn next(&self) -> Option<Instant> {
        self.timing.lock().next()
    }

    /// Tells what became of leases: `None` for one that is gone.
    pub(crate) fn tell(&self, changes: &[(i64, Option<Lease>)]) {
        if changes.is_empty() {
            return;
        }
        let mut timing = self.timing.lock();
        for &(id, lease) in changes {
            match lease {
                Some(lease) => timing.set(id, lease),
                None => timing.remove(id),
            }
        }
    }

    /// Forgets all leases for others.
    pub(crate) fn replace(&self, leases: &Leases) {
        self.timing.lock().replace(leases);
    }

    /// How long a lease still lives that the tables show like this. A lease that is not counted yet
    /// has all its time.
    pub(crate) fn remaining(&self, id: i64, lease: &Lease, now: Instant) -> Duration {
        self.timing.lock().remaining(id, lease, now)
    }

    /// The ids of all leases, the one that ends first in front.
    pub(crate) fn by_expiry(&self, now: Instant) -> Vec<i64> {
        self.timing.lock().by_expiry(now)
    }
}
