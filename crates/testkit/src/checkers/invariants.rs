//! Invariants of one member by itself: what it shows after each poll, hands out and opens with.
//!
//! Those of several members are in [`super::consensus`].

use std::collections::BTreeMap;

use quorate_raft_node::core::{Probe, Role};
use quorate_storage::{HardState, LogBatch};
use quorate_types::LogPosition;

use super::consensus::LastSeen;
use crate::mirror::LogMirror;
use crate::violation::Violation;

/// Everything up to where the log starts is applied, what is applied is committed, and what is
/// committed is in the log. The start of the log and the list of members do not move back.
pub(crate) fn check_positions(
    member: u64,
    probe: &Probe,
    last: &LastSeen,
) -> Result<(), Violation> {
    let positions = [probe.log_start.index, probe.applied.index, probe.commit, probe.log_last];
    Violation::unless(positions.is_sorted(), "position-order", || {
        format!("member {member}: start, applied, commit and last are {positions:?}")
    })?;
    let start = probe.log_start.index.get();
    Violation::unless(start >= last.log_start, "start-monotonic", || {
        format!("the log of member {member} started at {} and now at {start}", last.log_start)
    })
}

/// No member exceeds its limits or forgets who is in the cluster.
pub(crate) fn check_bounds(
    member: u64,
    probe: &Probe,
    members: usize,
    commands_max: usize,
) -> Result<(), Violation> {
    let pending = probe.commands_pending;
    Violation::unless(pending <= commands_max, "queue-bounds", || {
        format!("{pending} commands wait on member {member}, allowed are {commands_max}")
    })?;
    let ids = probe.members.iter().map(|id| id.get());
    Violation::unless(ids.eq(1..=members as u64), "membership", || {
        format!("member {member} knows {:?}, the cluster has {members}", probe.members)
    })
}

/// No more snapshots are kept than are under way: one for each peer, and one to be installed.
pub(crate) fn check_snapshots(
    member: u64,
    opened: usize,
    staged: usize,
    members: usize,
) -> Result<(), Violation> {
    Violation::unless(opened < members && staged <= 1, "snapshots-bounded", || {
        format!("member {member} keeps {opened} snapshots opened and {staged} staged")
    })
}

/// While a member leads in one term, it only adds to its log, and only entries of that term.
pub(crate) fn check_append_only(
    member: u64,
    probe: &Probe,
    last: &LastSeen,
    before: &LogMirror,
    batch: &LogBatch,
) -> Result<(), Violation> {
    let leads = probe.role == Role::Leader && last.leads && last.term == probe.term.get();
    let Some(first) = batch.entries.first().filter(|_| leads) else { return Ok(()) };
    let appends = batch.reset.is_none() && first.position.index.get() == before.last() + 1;
    Violation::unless(appends, "leader-append-only", || {
        format!("leader {member} replaces {} in a log to {}", first.position, before.last())
    })?;
    let foreign = batch.entries.iter().find(|entry| entry.position.term != probe.term);
    Violation::unless(foreign.is_none(), "leader-append-only", || {
        format!("leader {member} of term {} adds {foreign:?}", probe.term)
    })
}

/// What may be forgotten of the log is what the durable state contains.
pub(crate) fn check_purge(
    member: u64,
    through: LogPosition,
    durable_applied: u64,
) -> Result<(), Violation> {
    Violation::unless(through.index.get() <= durable_applied, "purge-durable", || {
        format!("member {member} purges through {through}, its durable state is {durable_applied}")
    })
}

/// A member opens with the vote that was durable, on its disk and in its consensus.
pub(crate) fn check_vote_kept(
    member: u64,
    durable: HardState,
    opened: HardState,
    probe: &Probe,
) -> Result<(), Violation> {
    let vote = probe.vote.map_or(0, |vote| vote.get());
    let forgot = |term: u64, vote: u64| term == durable.term.get() && vote != durable.vote;
    let fine = durable.vote == 0
        || !(forgot(opened.term.get(), opened.vote) || forgot(probe.term.get(), vote));
    Violation::unless(fine, "vote-kept", || {
        format!("member {member} opens with {opened:?} and vote {vote}, durable was {durable:?}")
    })
}

/// A member opens with the last entry that was durable and committed; `committed` tells the term of
/// a committed entry. Another one in its place may have been replaced since.
pub(crate) fn check_log_kept(
    member: u64,
    commit: u64,
    committed: impl Fn(u64) -> Option<u64>,
    durable: &LogMirror,
    opened: &LogMirror,
) -> Result<(), Violation> {
    let index = commit.min(durable.last());
    let Some(term) = durable.term_at(index) else { return Ok(()) };
    let kept = committed(index) != Some(term) || opened.holds(index, term);
    Violation::unless(kept, "log-kept", || {
        format!("member {member} opens without entry {index} of term {term}, which was durable")
    })
}

/// The revision of the store at each index that somebody stood at.
#[derive(Debug, Default)]
pub(crate) struct Revisions(BTreeMap<u64, i64>);

impl Revisions {
    /// A member that applied everything up to `index` is at this revision. All members are at the
    /// same one, in all their lives, and it grows with the index.
    pub(crate) fn stands(
        &mut self,
        member: u64,
        index: u64,
        revision: i64,
    ) -> Result<(), Violation> {
        let below = self.0.range(..=index).next_back().map(|(index, revision)| (*index, *revision));
        let above = self.0.range(index..).next().map(|(index, revision)| (*index, *revision));
        let fine = below.is_none_or(|(_, known)| known <= revision)
            && above.is_none_or(|(_, known)| revision <= known);
        Violation::unless(fine, "revision-monotonic", || {
            format!(
                "member {member} is at revision {revision} at index {index}, \
                 known are {below:?} and {above:?}"
            )
        })?;
        self.0.insert(index, revision);
        Ok(())
    }
}

/// The least index that each linearizable read must be served from.
#[derive(Debug, Default)]
pub(crate) struct ReadFloors(BTreeMap<usize, u64>);

impl ReadFloors {
    /// A client calls; entries up to `commit` are known to be committed by somebody.
    pub(crate) fn called(&mut self, ticket: usize, commit: u64) {
        self.0.insert(ticket, commit);
    }

    /// The call is over, perhaps because the member may now answer from its state at `applied`.
    pub(crate) fn ended(&mut self, ticket: usize, applied: Option<u64>) -> Result<(), Violation> {
        let floor = self.0.remove(&ticket).unwrap_or(0);
        Violation::unless(applied.is_none_or(|applied| applied >= floor), "read-index", || {
            format!("read {ticket} is served at {applied:?}, committed before its call was {floor}")
        })
    }
}

/// A call is answered once.
pub(crate) fn check_open(ticket: usize, ended: bool) -> Result<(), Violation> {
    Violation::unless(!ended, "answered-once", || format!("call {ticket} is answered again"))
}

/// Only a member that runs sends.
pub(crate) fn check_runs(member: u64, running: bool) -> Result<(), Violation> {
    Violation::unless(running, "stopped-silent", || {
        format!("member {member} sends though it does not run")
    })
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
