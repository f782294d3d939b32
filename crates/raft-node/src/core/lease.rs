//! Read leases: a leader that was confirmed lately answers reads without asking again (Raft thesis,
//! section 6.4.1).
//!
//! **What followers promise.** From the moment a member hears a heartbeat of its leader it neither
//! votes nor answers a pre-vote for one election timeout by its own clock, and its own candidacy
//! comes no earlier (it counts whole ticks, so up to one tick is missing). The `raft` crate checks
//! that by itself as long as it knows a leader, but it forgets the leader when any message of a
//! higher term comes, and after a restart. So the promise is kept here. A member that was opened
//! with a term on its disk cannot know what it promised before, so it promises anew.
//!
//! **What leaders conclude.** Once a majority has acknowledged a round of heartbeats, all of it
//! heard them after they were sent. Every later majority shares a member with that one, so nobody
//! else is elected before the first of these members has counted an election timeout. The leader
//! counts half of one, less a tick, from the moment of *sending*: that is over sooner as long as no
//! member's clock runs twice as fast as another's, or faster. Within that time nobody else can have
//! committed anything, so the leader's commit index is the newest there is.
//!
//! **The exception.** A transfer of leadership lets its target be elected past every promise, and
//! the order may arrive late. A leader that began one holds no lease for the rest of its term. The
//! order counts for one term only: older ones cannot depose a leader.
//!
//! **Pauses.** The lease is checked at a time read after the read arrived, and the commit index is
//! taken after that. If the leader stands still in between, the index is right for the moment of
//! the check all the same, and that lies between the call and the answer.
//!
//! What breaks it: a clock that stands still while others go on, clocks of too different rates, and
//! members with different election timeouts.

use std::time::Duration;

use quorate_types::{Instant, mutant};
use raft::eraftpb::{Message, MessageType};

use super::Core;
use super::config::Tuning;

/// What this member promised as a follower, and what keeps it from a lease as a leader.
pub(super) struct Lease {
    /// Nobody gets a vote of this member before, unless leadership is being transferred.
    promised_until: Instant,
    /// The last term in which this member began to transfer its leadership.
    transferred_in: u64,
}

impl Lease {
    /// `promises`: whether an earlier life of this member may have promised something.
    pub(super) fn new(promises: bool, now: Instant, tuning: &Tuning) -> Self {
        let promised_until = if promises { now + tuning.election_time() } else { now };
        Self { promised_until, transferred_in: 0 }
    }
}

impl<T, R> Core<T, R> {
    /// Whether this leader may answer reads without asking.
    pub(super) fn holds_lease(&self, now: Instant) -> bool {
        let raft = &self.raw.raft;
        let transferred = mutant!(M93, self.lease.transferred_in == raft.term, false);
        if !self.leads() || !raft.commit_to_current_term() || transferred {
            return false;
        }
        let length = mutant!(M91, self.tuning.lease_time(), self.tuning.election_time() * 3);
        self.reads.last_confirmed().is_some_and(|sent| now < sent + length)
    }

    /// This member, now a follower, acknowledges its leader.
    pub(super) fn promise(&mut self, now: Instant) {
        self.lease.promised_until = now + self.tuning.election_time();
    }

    /// Whether a message asks for a vote that this member promised not to give.
    pub(super) fn promised_against(&self, message: &Message, now: Instant) -> bool {
        let asks = [MessageType::MsgRequestVote, MessageType::MsgRequestPreVote];
        let promised = mutant!(M92, now < self.lease.promised_until, false);
        promised
            && asks.contains(&message.get_msg_type())
            && message.term >= self.raw.raft.term
            && message.context != raft::CAMPAIGN_TRANSFER
    }

    pub(super) fn transfer_to(&mut self, to: u64) {
        self.raw.transfer_leader(to);
        if self.raw.raft.lead_transferee.is_some() {
            self.lease.transferred_in = self.raw.raft.term;
        }
    }
}

impl Tuning {
    /// The election timeout in whole ticks, as the `raft` crate counts it.
    fn election_time(&self) -> Duration {
        self.tick() * u32::try_from(self.election_ticks()).unwrap_or(u32::MAX)
    }

    /// How long a leader answers reads after it sent heartbeats that a majority acknowledged.
    pub(super) fn lease_time(&self) -> Duration {
        (self.election_time() - self.tick()) / CLOCK_RATES_RATIO
    }
}

/// Leases hold if no member's clock runs so many times as fast as another's, or faster.
const CLOCK_RATES_RATIO: u32 = 2;
