//! Watchers: each a chain of calls that goes on where the one before ended, at whatever member.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_kv_api::{KvError, RangeRequest};
use quorate_mvcc::{WatchPosition, WatchQuery};
use quorate_types::Instant;

use super::World;
use crate::checkers::history::{Call, Ending};
use crate::checkers::watch::Chain;
use crate::effect::Found;
use crate::member::Ticket;
use crate::plan::{Plan, WatchStart};
use crate::queue::Event;
use crate::rng::{Purpose, Stream};
use crate::violation::Violation;

/// The watchers of a run.
#[derive(Default)]
pub(super) struct Watchers {
    list: Vec<Watcher>,
    /// Whose call it is, for each call under way.
    waiting: BTreeMap<Ticket, usize>,
    /// Since when nothing else is left to do than that watchers catch up.
    catching_up: Option<Instant>,
}

/// One watcher.
struct Watcher {
    /// The member that it asks.
    member: usize,
    /// The life of a member that it asked last.
    asked: Option<(usize, u64)>,
    /// What it asks for next; nothing as long as it does not know where it begins.
    query: Option<WatchQuery>,
    /// Its calls, one after another.
    calls: Vec<Ticket>,
    /// Counts its steps; noise.
    step: u64,
    /// Whether the last answer said that nothing more is there.
    is_idle: bool,
    /// Its watch was refused for good.
    has_ended: bool,
}

impl Watchers {
    pub(super) fn new(plan: &Plan) -> Self {
        let watcher = |member| Watcher {
            member,
            asked: None,
            query: None,
            calls: Vec::new(),
            step: 0,
            is_idle: false,
            has_ended: false,
        };
        let list = plan.watches.iter().map(|watch| watcher(watch.member)).collect();
        Self { list, waiting: BTreeMap::new(), catching_up: None }
    }

    /// What each watcher called.
    pub(super) fn chains(&self) -> Vec<Chain> {
        let chain = |watcher: &Watcher| Chain { calls: watcher.calls.clone() };
        self.list.iter().map(chain).collect()
    }
}

impl World<'_> {
    /// Lets the planned watchers come, counted from now.
    pub(super) fn begin_watchers(&mut self) {
        let since = self.now - Instant::ZERO;
        for (watcher, watch) in self.plan.watches.iter().enumerate() {
            self.queue.push(watch.at + since, Event::Watcher { watcher, step: 0 });
        }
    }

    /// A watcher makes its next call.
    pub(super) fn watcher_step(&mut self, number: usize, step: u64) -> Result<(), Violation> {
        let plan = self.plan;
        let watch = &plan.watches[number];
        let watcher = &mut self.watchers.list[number];
        if watcher.step != step {
            return Ok(());
        }
        let place = watcher.member;
        if watcher.query.is_none()
            && let WatchStart::Revision(start) = watch.from
        {
            let revision = start.resolve(self.members[place].seen.revision()).max(0);
            watcher.query = Some(watch.query(revision));
        }
        let mut noise = Stream::new(plan.seed, Purpose::Watcher, number as u64 * 2, step);
        let looks = noise.chance(watch.progress_ppm) && !watcher.is_idle;
        let call = match watcher.query.clone() {
            None => {
                let every = RangeRequest { range_end: "\0".into(), ..RangeRequest::key("\0") };
                Call::Range(RangeRequest { count_only: true, ..every }.into())
            }
            Some(query) if looks => Call::WatchNow(query),
            Some(query) => Call::Watch(query),
        };
        let life = (place, self.members[place].life);
        if watcher.query.is_some() && self.members[place].running.is_some() {
            let asked = watcher.asked.replace(life);
            self.counts.watch_resumes += u64::from(asked.is_some_and(|asked| asked != life));
        }
        // The call may end at once, so it is known before whose it is.
        let ticket = self.history.len();
        watcher.calls.push(ticket);
        self.watchers.waiting.insert(ticket, number);
        let begun = self.call_of_actor(place, call, watch.patience)?;
        assert_eq!(begun, ticket, "calls are numbered in order");
        Ok(())
    }

    /// A call ended; if it was a watcher's, that one goes on from there.
    pub(super) fn tell_watcher(&mut self, ticket: Ticket) {
        let Some(number) = self.watchers.waiting.remove(&ticket) else { return };
        let watch = &self.plan.watches[number];
        let watcher = &mut self.watchers.list[number];
        watcher.step += 1;
        let entity = number as u64 * 2 + 1;
        let mut noise = Stream::new(self.plan.seed, Purpose::Watcher, entity, watcher.step);
        let mut delay = noise.duration(SHORTEST_DELAY, SHORTEST_DELAY * 4);
        match self.history[ticket].ending() {
            Some(Ending::Read(Ok(Found::Range(range)))) => {
                let revision = range.header.unwrap_or_default().revision;
                watcher.query = Some(watch.query(revision + 1));
            }
            Some(Ending::Read(Ok(Found::Watch(batch)))) => {
                if let Some(query) = &mut watcher.query {
                    query.from = batch.next;
                }
                watcher.is_idle = batch.events.is_empty();
                self.counts.watch_events += batch.events.len() as u64;
                if watcher.is_idle {
                    self.counts.watch_progress += 1;
                } else {
                    self.counts.watch_batches += 1;
                    delay += noise.duration(Duration::ZERO, watch.pace);
                }
            }
            Some(Ending::Read(Err(KvError::Compacted { compact_revision, .. }))) => {
                // What was between is lost; who watches goes on with what is left.
                if let Some(query) = &mut watcher.query {
                    query.from = WatchPosition::at(*compact_revision).max(query.from);
                }
                delay += noise.duration(Duration::ZERO, RETRY_MAX);
            }
            Some(Ending::Read(_) | Ending::Refused(_)) => {
                watcher.has_ended = true;
                return;
            }
            Some(Ending::Failed | Ending::Unknown | Ending::Answered(_)) | None => {
                delay += noise.duration(Duration::ZERO, RETRY_MAX);
                watcher.is_idle = false;
                if watch.moves {
                    watcher.member = (watcher.member + 1) % self.members.len();
                }
            }
        }
        if self.watchers.catching_up.is_some() {
            delay = SHORTEST_DELAY;
        }
        let step = watcher.step;
        self.queue.push(self.now + delay, Event::Watcher { watcher: number, step });
    }

    /// Once nothing else is left to do: whether every watcher was told everything. From then on
    /// they read as fast as they can, and have some time for it.
    pub(super) fn watchers_caught_up(&mut self) -> Result<bool, Violation> {
        let since = match self.watchers.catching_up {
            Some(since) => since,
            None => {
                self.hurry_watchers();
                *self.watchers.catching_up.insert(self.now)
            }
        };
        let head = self.applied.model().revision();
        let is_late = |watcher: &Watcher| {
            let begun = !watcher.calls.is_empty() && !watcher.has_ended;
            begun && watcher.query.as_ref().is_none_or(|query| query.from.revision <= head)
        };
        let Some(number) = self.watchers.list.iter().position(is_late) else { return Ok(true) };
        Violation::unless(self.now - since <= CATCH_UP_MAX, "watch-catch-up", || {
            let query = &self.watchers.list[number].query;
            format!("watcher {number} is not at {head} within {CATCH_UP_MAX:?}: {query:?}")
        })?;
        Ok(false)
    }

    /// Calls those back who are still busy with what they were told.
    fn hurry_watchers(&mut self) {
        let waiting: Vec<usize> = self.watchers.waiting.values().copied().collect();
        for (number, watcher) in self.watchers.list.iter_mut().enumerate() {
            let busy = !watcher.calls.is_empty() && !watcher.has_ended;
            if busy && !waiting.contains(&number) {
                watcher.step += 1;
                let event = Event::Watcher { watcher: number, step: watcher.step };
                self.queue.push(self.now, event);
            }
        }
    }
}

/// Time passes between an answer and the next call.
const SHORTEST_DELAY: Duration = Duration::from_micros(10);

/// How long a watcher whose call failed waits at most before it tries again.
const RETRY_MAX: Duration = Duration::from_millis(300);

/// How long it takes watchers at most to read what is left, once everything else has recovered: as
/// long as one that waits is patient, by the slowest of clocks, and as thousands of small batches
/// take.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
