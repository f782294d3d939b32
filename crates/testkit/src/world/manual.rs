//! The world as it is driven by hand.

use std::time::Duration;

use quorate::Error;
use quorate::seam::{Request, Response};
use quorate_raft_node::core::Probe;
use quorate_types::Instant;

use super::World;
use super::actors::{call_of, result_of};
use crate::checkers::history::Ending;
use crate::member::Ticket;
use crate::plan::{CutMode, Fault};
use crate::violation::Violation;

impl World<'_> {
    pub(crate) fn nodes(&self) -> usize {
        self.members.len()
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn advance_to(&mut self, at: Instant) {
        assert!(self.next_at().is_none_or(|next| next > at), "something is due before {at:?}");
        self.now = self.now.max(at);
    }

    pub(crate) fn probe(&self, place: usize) -> Option<Probe> {
        Some(self.members[place].running.as_ref()?.core.probe())
    }

    pub(crate) fn call_by_hand(
        &mut self,
        place: usize,
        request: Request,
        timeout: Duration,
    ) -> Result<Ticket, Violation> {
        self.call_of_actor(place, call_of(request), timeout)
    }

    /// How a call ended; nothing while it is open.
    pub(crate) fn outcome(&self, ticket: Ticket) -> Option<Result<Response, Error>> {
        match self.history.get(ticket)?.ending()? {
            Ending::Failed => Some(Err(Error::TimedOut)),
            Ending::Unknown => Some(Err(Error::OutcomeUnknown)),
            told => Some(result_of(Some(told))),
        }
    }

    pub(crate) fn cut_link(&mut self, from: usize, to: usize, mode: CutMode) {
        self.links.cut(from, to, mode);
    }

    pub(crate) fn mend_link(&mut self, from: usize, to: usize, mode: CutMode) {
        self.mend(BY_HAND, from, to, mode);
    }

    pub(crate) fn begin_fault(&mut self, fault: &Fault) -> Result<(), Violation> {
        self.inject(BY_HAND, fault)?;
        self.after_event();
        Ok(())
    }
}

/// The number of a fault that is not in the plan.
const BY_HAND: usize = usize::MAX;
