//! When leases end by one member's clock, and what its leader is to propose about them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_kv_api::{Command, LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest};
use quorate_types::{Instant, Term, mutant};

use crate::lease::lessor::LessorTiming;
use crate::lease::record::Lease;
use crate::lease::set::Leases;

/// How many ends of leases one tick proposes. With two ticks a second it is etcd's rate of 1000 a
/// second.
const EXPIRIES_MAX: usize = 500;

/// How many leases one tick looks at for a checkpoint: they become one command of about 40 KiB at
/// most.
const CHECKPOINTS_MAX: usize = 1000;

/// All leases with their times.
#[derive(Debug)]
pub(crate) struct Timing {
    settings: LessorTiming,
    /// The term of the last tick; `None` if there was none since all leases were replaced.
    term: Option<Term>,
    leases: BTreeMap<i64, Timed>,
    /// The leases that have no stamp yet.
    unstamped: BTreeSet<i64>,
    /// `Stamp::propose_at` of all leases that have a stamp.
    expiries: BTreeSet<(Instant, i64)>,
    /// `Stamp::checkpoint_at` of all leases that have one.
    checkpoints: BTreeSet<(Instant, i64)>,
}

#[derive(Debug)]
struct Timed {
    lease: Lease,
    stamp: Option<Stamp>,
}

/// The times of a lease since a tick saw it.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    expiry: Instant,
    /// When its end is to be proposed: at its expiry, and again later if that had no effect.
    propose_at: Instant,
    /// When its remaining time is to be noted next.
    checkpoint_at: Option<Instant>,
}

impl Timing {
    pub(crate) fn new(leases: &Leases) -> Self {
        let mut timing = Self {
            settings: LessorTiming::default(),
            term: None,
            leases: BTreeMap::new(),
            unstamped: BTreeSet::new(),
            expiries: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
        };
        timing.replace(leases);
        timing
    }

    pub(crate) fn configure(&mut self, settings: LessorTiming) {
        self.settings = settings;
    }

    /// Forgets all leases for others, which have no stamp yet.
    pub(crate) fn replace(&mut self, leases: &Leases) {
        self.term = None;
        self.leases = leases.iter().map(|(id, lease)| (id, Timed { lease, stamp: None })).collect();
        self.unstamped = self.leases.keys().copied().collect();
        self.expiries.clear();
        self.checkpoints.clear();
    }

    /// A lease was granted, renewed or got a checkpoint.
    pub(crate) fn set(&mut self, id: i64, lease: Lease) {
        match self.leases.get_mut(&id) {
            // A checkpoint notes what is known here; it moves nothing.
            Some(timed) if timed.lease.renewed_at == lease.renewed_at => timed.lease = lease,
            _ => {
                self.remove(id);
                self.leases.insert(id, Timed { lease, stamp: None });
                self.unstamped.insert(id);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: i64) {
        let Some(timed) = self.leases.remove(&id) else { return };
        match timed.stamp {
            None => {
                self.unstamped.remove(&id);
            }
            Some(stamp) => {
                self.expiries.remove(&(stamp.propose_at, id));
                if let Some(at) = stamp.checkpoint_at {
                    self.checkpoints.remove(&(at, id));
                }
            }
        }
    }

    pub(crate) fn tick(&mut self, now: Instant, term: Term, leads: bool) -> Vec<Command> {
        if self.term != Some(term) {
            self.term = Some(term);
            mutant!(M87, self.extend(now), self.stamp_new(now));
        } else {
            self.stamp_new(now);
        }
        if !leads {
            return Vec::new();
        }
        let mut commands = self.expire(now);
        commands.extend(self.checkpoint(now));
        commands
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        if !self.unstamped.is_empty() {
            return Some(Instant::ZERO);
        }
        let firsts = [self.expiries.first(), self.checkpoints.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    pub(crate) fn remaining(&self, id: i64, lease: &Lease, now: Instant) -> Duration {
        let timed = self.leases.get(&id);
        let timed = timed.filter(|timed| timed.lease.renewed_at == lease.renewed_at);
        match timed.and_then(|timed| timed.stamp) {
            Some(stamp) => stamp.expiry.saturating_since(now),
            None => lease.time_to_live(),
        }
    }

    pub(crate) fn by_expiry(&self, now: Instant) -> Vec<i64> {
        let expiry = |timed: &Timed| match timed.stamp {
            Some(stamp) => stamp.expiry,
            None => now + timed.lease.time_to_live(),
        };
        let mut leases: Vec<(Instant, i64)> =
            self.leases.iter().map(|(id, timed)| (expiry(timed), *id)).collect();
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
    }

    /// Gives the leases without a stamp one.
    fn stamp_new(&mut self, now: Instant) {
        while let Some(id) = self.unstamped.pop_first() {
            if let Some(timed) = self.leases.get_mut(&id) {
                let stamp = Stamp::new(&self.settings, now, timed.lease.time_to_live());
                timed.stamp = Some(stamp);
                self.expiries.insert((stamp.propose_at, id));
                self.checkpoints.extend(stamp.checkpoint_at.map(|at| (at, id)));
            }
        }
    }

    /// Gives every lease a new stamp: nobody could renew it while there was no leader.
    fn extend(&mut self, now: Instant) {
        self.unstamped.clear();
        let mut expiries = Vec::with_capacity(self.leases.len());
        let mut checkpoints = Vec::new();
        for (&id, timed) in &mut self.leases {
            let time_to_live = timed.lease.time_to_live();
            let extended = time_to_live.saturating_add(self.settings.election_timeout);
            let stamp = Stamp::new(&self.settings, now, extended);
            timed.stamp = Some(stamp);
            expiries.push((stamp.propose_at, id));
            checkpoints.extend(stamp.checkpoint_at.map(|at| (at, id)));
        }
        // Sets are built from sorted rows much faster than row by row.
        self.expiries = expiries.into_iter().collect();
        self.checkpoints = checkpoints.into_iter().collect();
    }

    /// Proposes to end leases whose time is over.
    fn expire(&mut self, now: Instant) -> Vec<Command> {
        let mut commands = Vec::new();
        while commands.len() < EXPIRIES_MAX {
            let Some(id) = pop_due(&mut self.expiries, now) else { break };
            if let Some(Timed { lease, stamp: Some(stamp) }) = self.leases.get_mut(&id) {
                stamp.propose_at = now + self.settings.retry_interval;
                let renewed_at = lease.renewed_at.get();
                commands.push((stamp.propose_at, LeaseExpireRequest { id, renewed_at }));
            }
        }
        // Only now, so that no lease comes twice in a tick.
        self.expiries.extend(commands.iter().map(|(at, request)| (*at, request.id)));
        commands.into_iter().map(|(_, request)| request.into()).collect()
    }

    /// Proposes to note the remaining times that are due for it.
    fn checkpoint(&mut self, now: Instant) -> Option<Command> {
        let interval = self.settings.checkpoint_interval;
        let mut request = LeaseCheckpointRequest::default();
        let mut again = Vec::new();
        for _ in 0..CHECKPOINTS_MAX {
            let Some(id) = pop_due(&mut self.checkpoints, now) else { break };
            if let Some(Timed { lease, stamp: Some(stamp) }) = self.leases.get_mut(&id) {
                let remaining = stamp.expiry.saturating_since(now);
                stamp.checkpoint_at = next_checkpoint(interval, now, remaining);
                again.extend(stamp.checkpoint_at.map(|at| (at, id)));
                let remaining_ttl = seconds_up(remaining);
                if remaining_ttl < lease.remaining_ttl.unwrap_or(lease.granted_ttl)
                    && lease.can_remain(remaining_ttl)
                {
                    let renewed_at = lease.renewed_at.get();
                    let checkpoint = LeaseCheckpoint { id, remaining_ttl, renewed_at };
                    request.checkpoints.push(checkpoint);
                }
            }
        }
        self.checkpoints.extend(again);
        if request.checkpoints.is_empty() { None } else { Some(request.into()) }
    }
}

impl Stamp {
    /// The times of a lease that lives for `time_to_live` from `now` on.
    fn new(settings: &LessorTiming, now: Instant, time_to_live: Duration) -> Self {
        let expiry = now + time_to_live;
        let checkpoint_at = next_checkpoint(settings.checkpoint_interval, now, time_to_live);
        Self { expiry, propose_at: expiry, checkpoint_at }
    }
}

/// When the next checkpoint is due for a lease that lives for `remaining`.
fn next_checkpoint(interval: Duration, now: Instant, remaining: Duration) -> Option<Instant> {
    (!interval.is_zero() && remaining > interval).then(|| now + interval)
}

/// Takes the first lease whose time has come.
fn pop_due(times: &mut BTreeSet<(Instant, i64)>, now: Instant) -> Option<i64> {
    if times.first()?.0 > now {
        return None;
    }
    times.pop_first().map(|(_, id)| id)
}

/// Whole seconds, rounded up: a checkpoint must not shorten a lease.
fn seconds_up(duration: Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
