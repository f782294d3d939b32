//! Linearizable reads: which callers wait for which index.
//!
//! A read may be served by a member that has applied everything up to the commit index that the
//! leader had, confirmed by a majority, after the read arrived (Raft thesis, section 6.4). The
//! leader's rounds carry contexts of its own that only grow; a context that came over the network
//! never reaches the `raft` crate, whose queue would confirm newer reads by old answers if one came
//! twice.

use std::collections::{BTreeMap, VecDeque};

use quorate_types::{Instant, LogIndex, MemberId, mutant};

use crate::wire::{ReadIndexRequest, ReadIndexResponse};

/// Reads on their way to permission.
pub(super) struct Reads<T> {
    incarnation: u64,
    /// Arrived, not yet part of a round or request.
    waiting: Vec<Read<T>>,
    /// Requests of followers, not yet part of a round.
    remote: VecDeque<(MemberId, ReadIndexRequest)>,
    /// Rounds of this leader that no majority has confirmed yet, by context.
    rounds: BTreeMap<u64, Round<T>>,
    next_context: u64,
    /// The request of this follower to the leader, with the reads that it covers.
    request: Option<Request<T>>,
    next_request: u64,
    /// When the newest round was sent that a majority confirmed, in this term.
    last_confirmed: Option<Instant>,
    /// Reads that may be served once the index is applied.
    confirmed: BTreeMap<LogIndex, Vec<Read<T>>>,
    /// No read expires before this; it may be earlier than the first deadline, never later.
    earliest: Instant,
}

struct Read<T> {
    ticket: T,
    deadline: Instant,
    /// Whether a read lease is good enough for it.
    lease: bool,
}

struct Round<T> {
    sent: Instant,
    local: Vec<Read<T>>,
    remote: Vec<(MemberId, ReadIndexRequest)>,
}

struct Request<T> {
    id: u64,
    sent: Instant,
    reads: Vec<Read<T>>,
}

impl<T> Reads<T> {
    pub(super) fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            waiting: Vec::new(),
            remote: VecDeque::new(),
            rounds: BTreeMap::new(),
            next_context: 1,
            request: None,
            next_request: 1,
            last_confirmed: None,
            confirmed: BTreeMap::new(),
            earliest: Instant::MAX,
        }
    }

    /// Takes a read of a caller; with `lease` it may be answered under a read lease.
    pub(super) fn add(&mut self, ticket: T, deadline: Instant, lease: bool) {
        self.earliest = self.earliest.min(deadline);
        self.waiting.push(Read { ticket, deadline, lease });
    }

    /// Takes a follower's request; the oldest is dropped if too many wait, its sender asks again.
    pub(super) fn add_remote(&mut self, from: MemberId, request: ReadIndexRequest) {
        if self.remote.len() >= REMOTE_REQUESTS_MAX {
            self.remote.pop_front();
        }
        self.remote.push_back((from, request));
    }

    /// Whether a leader should start a round now. One round is under way at a time, so that reads
    /// which arrive meanwhile share the next.
    pub(super) fn wants_round(&self) -> bool {
        self.rounds.is_empty() && !(self.waiting.is_empty() && self.remote.is_empty())
    }

    /// Starts a round with everything that waits and returns its context, never used before.
    pub(super) fn start_round(&mut self, now: Instant) -> u64 {
        let context = mutant!(M17a, self.next_context, 1);
        self.next_context += 1;
        let local = std::mem::take(&mut self.waiting);
        let remote = self.remote.drain(..).collect();
        self.rounds.insert(context, Round { sent: now, local, remote });
        context
    }

    /// M17b: begins to count where nobody else does.
    #[cfg(feature = "mutants")]
    pub(super) fn count_contexts_from(&mut self, first: u64) {
        self.next_context = first;
    }

    /// M17b: whether a round would contain something.
    #[cfg(feature = "mutants")]
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A majority confirmed a round: its reads may be served once `index` is applied. Returns the
    /// answers to send.
    pub(super) fn confirm_round(
        &mut self,
        context: u64,
        index: LogIndex,
    ) -> Vec<(MemberId, ReadIndexResponse)> {
        let Some(round) = self.rounds.remove(&context) else { return Vec::new() };
        self.last_confirmed = self.last_confirmed.max(Some(round.sent));
        self.confirmed.entry(index).or_default().extend(round.local);
        let answer = |(to, request): (MemberId, ReadIndexRequest)| {
            let ReadIndexRequest { incarnation, id } = request;
            (to, ReadIndexResponse { incarnation, id, index: index.get() })
        };
        round.remote.into_iter().map(answer).collect()
    }

    /// When the newest round was sent that a majority confirmed, if there was one in this term.
    pub(super) fn last_confirmed(&self) -> Option<Instant> {
        self.last_confirmed
    }

    /// This leader holds a lease: those that wait and are content with it may be served once
    /// `index` is applied. Returns how many.
    pub(super) fn confirm_by_lease(&mut self, index: LogIndex) -> u64 {
        let content: Vec<_> = self.waiting.extract_if(.., |read| read.lease).collect();
        let count = content.len() as u64;
        if !content.is_empty() {
            self.confirmed.entry(index).or_default().extend(content);
        }
        count
    }

    /// Leadership or term changed: rounds and requests under way will never be answered.
    pub(super) fn restart(&mut self) {
        self.last_confirmed = None;
        for (_, round) in std::mem::take(&mut self.rounds) {
            self.waiting.extend(round.local);
        }
        self.remote.clear();
        if let Some(request) = self.request.take() {
            self.waiting.extend(request.reads);
        }
    }

    /// The request that a follower should send now: if reads wait and no request is under way, or
    /// the last one got no answer since `before`.
    pub(super) fn next_request(
        &mut self,
        now: Instant,
        before: Instant,
    ) -> Option<ReadIndexRequest> {
        match &self.request {
            Some(request) if mutant!(M19b, request.sent > before, true) => return None,
            None if self.waiting.is_empty() => return None,
            _ => {}
        }
        let mut reads = self.request.take().map(|request| request.reads).unwrap_or_default();
        reads.append(&mut self.waiting);
        let id = self.next_request;
        self.next_request += 1;
        self.request = Some(Request { id, sent: now, reads });
        Some(ReadIndexRequest { incarnation: self.incarnation, id })
    }

    /// The leader answered a request. Answers to anything but the present request are ignored.
    pub(super) fn confirm_request(&mut self, response: ReadIndexResponse) {
        let current = self
            .request
            .as_ref()
            .is_some_and(|request| mutant!(M81, request.id == response.id, true));
        mutant!(M20, { assert!(current, "answers to reads come in order") });
        if !current || response.incarnation != self.incarnation {
            return;
        }
        let request = self.request.take().expect("just seen");
        let index = LogIndex::new(mutant!(M57, response.index, 0));
        self.confirmed.entry(index).or_default().extend(request.reads);
    }

    /// When the request under way was sent.
    pub(super) fn request_sent(&self) -> Option<Instant> {
        self.request.as_ref().map(|request| request.sent)
    }

    /// The reads that may be served now that everything up to `applied` is applied.
    pub(super) fn take_ready(&mut self, applied: LogIndex) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some(entry) = self.confirmed.first_entry() {
            if *entry.key() > mutant!(M71, applied, applied.next()) {
                break;
            }
            ready.extend(entry.remove().into_iter().map(|read| read.ticket));
        }
        ready
    }

    /// Ends the reads whose deadline has come.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        if now < self.earliest {
            return expired;
        }
        let mut earliest = Instant::MAX;
        let mut sift = |reads: &mut Vec<Read<T>>| {
            expired.extend(reads.extract_if(.., |read| read.deadline <= now).map(|r| r.ticket));
            let first = reads.iter().map(|read| read.deadline).min();
            earliest = earliest.min(first.unwrap_or(Instant::MAX));
        };
        sift(&mut self.waiting);
        self.rounds.values_mut().for_each(|round| sift(&mut round.local));
        self.confirmed.values_mut().for_each(&mut sift);
        if let Some(request) = &mut self.request {
            sift(&mut request.reads);
        }
        self.earliest = earliest;
        self.confirmed.retain(|_, reads| !reads.is_empty());
        let over = self.request.as_ref().is_some_and(|request| request.reads.is_empty());
        if mutant!(M19b, over, false) {
            self.request = None;
        }
        expired
    }

    /// When to look for expired reads next; not later than the first deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        (self.earliest < Instant::MAX).then_some(self.earliest)
    }
}

/// More than any cluster has followers times requests under way; a bound against a peer gone wild.
const REMOTE_REQUESTS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Instant = Instant::from_nanos(1_000);
    const NOW: Instant = Instant::from_nanos(10);

    #[test]
    fn contexts_never_repeat_even_after_a_restart() {
        let mut reads = Reads::new(1);
        reads.add("a", LATE, false);
        assert_eq!(reads.start_round(NOW), 1);
        reads.restart();
        assert!(reads.wants_round());
        assert_eq!(reads.start_round(NOW), 2);
        assert!(reads.confirm_round(1, LogIndex::new(9)).is_empty());
        assert!(reads.take_ready(LogIndex::new(9)).is_empty());
        reads.confirm_round(2, LogIndex::new(9));
        assert!(reads.take_ready(LogIndex::new(8)).is_empty());
        assert_eq!(reads.take_ready(LogIndex::new(9)), ["a"]);
    }

    #[test]
    fn an_answer_to_an_earlier_life_or_request_is_ignored() {
        let mut reads = Reads::new(2);
        reads.add("a", LATE, false);
        let first = reads.next_request(NOW, Instant::ZERO).expect("a read waits");
        assert_eq!(reads.next_request(NOW, Instant::ZERO), None);
        let second = reads.next_request(NOW, NOW).expect("no answer in time");
        assert_ne!(first, second);
        let answer = |incarnation, id| ReadIndexResponse { incarnation, id, index: 0 };
        reads.confirm_request(answer(2, first.id));
        reads.confirm_request(answer(1, second.id));
        assert!(reads.take_ready(LogIndex::new(9)).is_empty());
        reads.confirm_request(answer(2, second.id));
        assert_eq!(reads.take_ready(LogIndex::new(0)), ["a"]);
    }

    #[test]
    fn every_stage_expires() {
        let mut reads = Reads::new(1);
        reads.add("confirmed", LATE, false);
        let context = reads.start_round(NOW);
        reads.confirm_round(context, LogIndex::new(9));
        reads.add("round", LATE, false);
        reads.start_round(NOW);
        reads.add("request", LATE, false);
        reads.next_request(NOW, Instant::ZERO);
        reads.add("waiting", LATE, false);
        assert_eq!(reads.next_deadline(), Some(LATE));
        assert_eq!(reads.expire(LATE), ["waiting", "round", "confirmed", "request"]);
        assert_eq!(reads.next_deadline(), None);
    }
}
