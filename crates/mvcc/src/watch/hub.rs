//! Where the writer meets those who wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use quorate_types::{ByteSize, mutant};

use crate::StoreError;
use crate::meta::Head;
use crate::watch::recent::{Moment, RECENT_SIZE, Recent};
use crate::watch::ticket::Ticket;
use crate::watch::waiters::{ASLEEP, Place, Slot, Waiter, Waiters, Wake};
use crate::watch::{Milestone, WatchPosition, WatchQuery};

/// The newest events, and everybody who waits. All calls of `wake` are made without its lock.
pub(crate) struct Hub {
    state: Mutex<State>,
}

struct State {
    /// All events up to this revision were told to the waiters, and are found in the engine.
    revision: i64,
    compact_revision: i64,
    swept: i64,
    /// The store is gone or failed: nothing will happen any more.
    is_closed: bool,
    /// The last of these is of `revision`.
    recent: Recent,
    waiters: Waiters,
    milestones: BTreeMap<(Milestone, u64), Wake>,
    /// The number of the next waiter.
    next: u64,
}

/// What somebody waits for.
#[derive(Debug)]
pub(crate) enum Waiting {
    Events(Slot),
    Milestone(Milestone, u64),
}

/// Where the events at a position are to be taken from.
pub(crate) enum Supply {
    /// There are none yet.
    Nothing,
    /// From here: they begin at the position's revision.
    Recent(Vec<Arc<Moment>>),
    /// From `history`, up to the hub's revision.
    History,
}

/// What the hub knows of a position.
pub(crate) struct Outlook {
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
    pub(crate) supply: Supply,
}

/// The answer to the wish to wait.
pub(crate) enum Registration {
    Done(Ticket),
    /// There are events to be looked at first. Gives the waiter back.
    Late(Waiter),
}

impl Hub {
    pub(crate) fn new(head: &Head) -> Self {
        let state = State {
            revision: head.revision,
            compact_revision: head.compact_revision,
            swept: -1,
            is_closed: false,
            recent: Recent::new(RECENT_SIZE),
            waiters: Waiters::default(),
            milestones: BTreeMap::new(),
            next: 0,
        };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn set_recent_size(&self, size_max: ByteSize) {
        self.state.lock().recent.set_size_max(size_max);
    }

    /// Tells everybody what a run of entries did. The engine must hold it already.
    ///
    /// # Panics
    ///
    /// Unless the moments lead to the head.
    pub(crate) fn publish(&self, head: &Head, moments: Vec<Arc<Moment>>) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        for moment in moments {
            let (last, next) = (state.revision, moment.revision);
            assert!(next == last + 1, "revisions have no gaps: {next} comes after {last}");
            if !state.waiters.is_empty() {
                for (_, record) in &moment.events {
                    state.waiters.take(next, record, &mut wakes);
                }
            }
            state.revision = next;
            state.recent.push(moment);
        }
        let (told, revision) = (state.revision, head.revision);
        assert!(told == revision, "events up to {told} do not make revision {revision}");
        state.compact_revision = head.compact_revision;
        state.take_reached(&mut wakes);
        drop(state);
        call(wakes);
    }

    /// Takes note that the whole state was replaced by another one, at `head`. Everybody is woken,
    /// to ask again; how far that state is swept must be told anew.
    pub(crate) fn reset(&self, head: &Head) {
        let mut state = self.state.lock();
        let told = state.revision;
        state.revision = head.revision;
        state.compact_revision = head.compact_revision;
        state.swept = -1;
        state.recent.clear();
        let wakes = state.take_everybody(|from| {
            let next = mutant!(M15, from.max(told + 1), from.max(told + 1).min(head.revision + 1));
            mutant!(M06, next, head.compact_revision.max(1))
        });
        drop(state);
        call(wakes);
    }

    /// Takes note that all that compactions up to `revision` made superfluous is gone; or, when the
    /// store was opened or replaced, that it was so from the beginning.
    pub(crate) fn set_swept(&self, revision: i64) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        state.swept = revision;
        state.take_reached(&mut wakes);
        drop(state);
        call(wakes);
    }

    /// Takes note that nothing will happen any more, and wakes everybody.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let told = state.revision;
        let wakes = state.take_everybody(|from| from.max(told + 1));
        drop(state);
        call(wakes);
    }

    /// What there is from `position` on; of the newest events, those of `moments_max` revisions.
    pub(crate) fn outlook(&self, position: WatchPosition, moments_max: usize) -> Outlook {
        let state = self.state.lock();
        let supply = if position.revision > state.revision {
            Supply::Nothing
        } else {
            match state.recent.since(position.revision, moments_max) {
                Some(moments) => Supply::Recent(moments),
                None => Supply::History,
            }
        };
        let State { revision, compact_revision, .. } = *state;
        Outlook { revision, compact_revision, supply }
    }

    /// Lets a waiter sleep until something happens that it wants, unless something happened since
    /// the position that it is complete up to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    pub(crate) fn register(
        self: &Arc<Self>,
        query: &WatchQuery,
        waiter: Waiter,
    ) -> Result<Registration, StoreError> {
        let mut state = self.state.lock();
        let from = waiter.from;
        if mutant!(M36, from.revision <= state.revision, false) {
            return Ok(Registration::Late(waiter));
        }
        if state.is_closed {
            return Err(StoreError::Closed);
        }
        let slot = (Place::of(&query.span), state.number());
        let woken = waiter.woken();
        state.waiters.insert(slot.clone(), waiter);
        drop(state);
        Ok(Registration::Done(Ticket::new(self.clone(), Waiting::Events(slot), from, woken)))
    }

    /// Lets somebody wait for a milestone; `None` if it is reached already.
    pub(crate) fn wait_for(self: &Arc<Self>, milestone: Milestone, wake: Wake) -> Option<Ticket> {
        let mut state = self.state.lock();
        if state.has_reached(milestone) {
            return None;
        }
        let number = state.number();
        let mut wake = Some(wake);
        if !state.is_closed {
            state.milestones.extend(wake.take().map(|wake| ((milestone, number), wake)));
        }
        drop(state);
        call(wake);
        let waiting = Waiting::Milestone(milestone, number);
        let woken = Arc::new(AtomicI64::new(ASLEEP));
        Some(Ticket::new(self.clone(), waiting, WatchPosition::at(0), woken))
    }

    /// Ends a waiting, if it still goes on.
    pub(crate) fn withdraw(&self, waiting: &Waiting) {
        let mut state = self.state.lock();
        let wake = match waiting {
            Waiting::Events(slot) => state.waiters.remove(slot).map(Waiter::into_wake),
            Waiting::Milestone(milestone, number) => {
                state.milestones.remove(&(*milestone, *number))
            }
        };
        drop(state);
        // What the closure holds may be a ticket, whose end takes the lock.
        drop(wake);
    }

    /// Hands the hub's revision to `read`, while nobody is told anything.
    pub(crate) fn with_revision<T>(&self, read: impl FnOnce(i64) -> T) -> T {
        read(self.state.lock().revision)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn has_reached(&self, milestone: Milestone) -> bool {
        match milestone {
            Milestone::Revision(revision) => revision <= self.revision,
            Milestone::Swept(revision) => revision <= self.swept,
        }
    }

    /// Takes out who waits for what is reached.
    fn take_reached(&mut self, wakes: &mut Vec<Wake>) {
        if self.milestones.is_empty() {
            return;
        }
        for (first, last) in [
            (Milestone::Revision(i64::MIN), Milestone::Revision(self.revision)),
            (Milestone::Swept(i64::MIN), Milestone::Swept(self.swept)),
        ] {
            let reached = self.milestones.range((first, 0)..=(last, u64::MAX));
            let reached: Vec<(Milestone, u64)> = reached.map(|(waiting, _)| *waiting).collect();
            wakes.extend(reached.iter().filter_map(|waiting| self.milestones.remove(waiting)));
        }
    }

    /// Takes out everybody. A watch that is complete and wants nothing before `from` is said to go
    /// on at `position(from)`.
    fn take_everybody(&mut self, position: impl Fn(i64) -> i64) -> Vec<Wake> {
        let mut wakes: Vec<Wake> = std::mem::take(&mut self.milestones).into_values().collect();
        for waiter in self.waiters.take_all() {
            let next = position(waiter.from.revision);
            wakes.push(waiter.rouse(next));
        }
        wakes
    }
}

fn call(wakes: impl IntoIterator<Item = Wake>) {
    for wake in wakes {
        wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use quorate_kv_api::KeySpan;

    use super::*;
    use crate::record::{Revision, encode_delete};

    fn head(revision: i64) -> Head {
        Head { revision, ..Head::FRESH }
    }

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(&head(1)))
    }

    /// Deletes a key at each of these revisions.
    fn publish(hub: &Hub, changes: &[(i64, &'static str)]) {
        let record = |&(main, key): &(i64, &'static str)| {
            (Revision::new(main, 0), encode_delete(key.as_bytes(), Revision::new(1, 0)))
        };
        let records: Vec<_> = changes.iter().map(record).collect();
        let last = records.last().map_or(1, |(at, _)| at.main);
        hub.publish(&head(last), Moment::split(&records).unwrap());
    }

    #[derive(Clone, Default)]
    struct Calls(Arc<AtomicUsize>);

    impl Calls {
        fn wake(&self) -> Wake {
            let calls = self.0.clone();
            Box::new(move || {
                calls.fetch_add(1, Ordering::Relaxed);
            })
        }

        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn query(key: &'static str, revision: i64) -> WatchQuery {
        WatchQuery::new(KeySpan::Key(key.into()), revision)
    }

    fn wait(hub: &Arc<Hub>, query: &WatchQuery, calls: &Calls) -> Option<Ticket> {
        let waiter = Waiter::new(query, query.from, calls.wake());
        match hub.register(query, waiter).expect("the hub is open") {
            Registration::Done(ticket) => Some(ticket),
            Registration::Late(_) => None,
        }
    }

    #[test]
    fn a_waiter_moves_on_with_the_store_until_it_is_woken() {
        let (hub, calls) = (hub(), Calls::default());
        let ticket = wait(&hub, &query("a", 2), &calls).unwrap();
        assert_eq!(ticket.position(), WatchPosition::at(2));
        publish(&hub, &[(2, "b"), (3, "c")]);
        assert_eq!((ticket.position(), calls.count()), (WatchPosition::at(4), 0));
        publish(&hub, &[(4, "b"), (5, "a"), (6, "a")]);
        publish(&hub, &[(7, "a")]);
        assert_eq!((ticket.position(), calls.count()), (WatchPosition::at(5), 1));
    }

    #[test]
    fn nobody_waits_who_missed_something() {
        let (hub, calls) = (hub(), Calls::default());
        assert!(wait(&hub, &query("a", 1), &calls).is_none());
        publish(&hub, &[(2, "b")]);
        assert!(wait(&hub, &query("a", 2), &calls).is_none());
        assert!(wait(&hub, &query("a", 3), &calls).is_some());
    }

    #[test]
    fn the_future_does_not_wake_early_nor_move() {
        let (hub, calls) = (hub(), Calls::default());
        let from = WatchPosition { revision: 3, event: 2 };
        let ticket = wait(&hub, &WatchQuery { from, ..query("a", 3) }, &calls).unwrap();
        publish(&hub, &[(2, "a")]);
        assert_eq!((ticket.position(), calls.count()), (from, 0));
        publish(&hub, &[(3, "a")]);
        assert_eq!((ticket.position(), calls.count()), (from, 1));
    }

    #[test]
    fn a_dropped_ticket_is_not_called() {
        let (hub, calls) = (hub(), Calls::default());
        drop(wait(&hub, &query("a", 2), &calls));
        drop(hub.wait_for(Milestone::Revision(2), calls.wake()));
        publish(&hub, &[(2, "a")]);
        assert_eq!((calls.count(), Arc::strong_count(&calls.0)), (0, 1));
    }

    #[test]
    fn a_call_may_use_the_hub() {
        let (hub, calls) = (hub(), Calls::default());
        let other = wait(&hub, &query("b", 2), &calls);
        let (inner, inner_calls) = (hub.clone(), calls.clone());
        let wake = Box::new(move || {
            drop(other);
            assert!(wait(&inner, &query("a", 3), &inner_calls).is_some());
            inner_calls.wake()();
        });
        let first = query("a", 2);
        let waiter = Waiter::new(&first, first.from, wake);
        let Ok(Registration::Done(_ticket)) = hub.register(&first, waiter) else { unreachable!() };
        publish(&hub, &[(2, "a")]);
        assert_eq!(calls.count(), 1);
        assert!(hub.state.lock().waiters.is_empty());
    }

    #[test]
    fn a_ticket_may_be_held_by_the_call_of_another() {
        let (hub, calls) = (hub(), Calls::default());
        let inner = wait(&hub, &query("b", 2), &calls);
        let first = query("a", 2);
        let waiter = Waiter::new(&first, first.from, Box::new(move || drop(inner)));
        let outer = hub.register(&first, waiter);
        assert!(matches!(&outer, Ok(Registration::Done(_))));
        drop(outer);
        assert!(hub.state.lock().waiters.is_empty());
    }

    #[test]
    fn a_compaction_does_not_harm_who_is_complete() {
        let (hub, calls) = (hub(), Calls::default());
        let ticket = wait(&hub, &query("a", 2), &calls).unwrap();
        publish(&hub, &[(2, "b"), (3, "b")]);
        hub.publish(&Head { compact_revision: 3, ..head(3) }, Vec::new());
        assert_eq!((ticket.position(), calls.count()), (WatchPosition::at(4), 0));
        assert_eq!(hub.outlook(ticket.position(), 1).compact_revision, 3);
    }

    #[test]
    fn milestones() {
        let (hub, calls) = (hub(), Calls::default());
        assert!(hub.wait_for(Milestone::Revision(1), calls.wake()).is_none());
        let tickets = [3, 2, 4].map(|r| hub.wait_for(Milestone::Revision(r), calls.wake()));
        let swept = [3, 0].map(|r| hub.wait_for(Milestone::Swept(r), calls.wake()));
        assert!(tickets.iter().chain(&swept).all(Option::is_some));
        publish(&hub, &[(2, "a"), (3, "a")]);
        assert_eq!(calls.count(), 2);
        hub.set_swept(2);
        assert_eq!(calls.count(), 3);
        assert!(hub.wait_for(Milestone::Swept(2), calls.wake()).is_none());
        hub.reset(&head(9));
        assert_eq!(calls.count(), 5);
        assert!(hub.wait_for(Milestone::Swept(2), calls.wake()).is_some());
        assert!(hub.state.lock().milestones.is_empty());
    }

    #[test]
    fn another_state_wakes_everybody_where_they_were() {
        let (hub, calls) = (hub(), Calls::default());
        let tickets = [2, 5, 50].map(|revision| wait(&hub, &query("a", revision), &calls));
        publish(&hub, &[(2, "b"), (3, "b")]);
        hub.reset(&head(20));
        let positions = tickets.map(|ticket| ticket.unwrap().position().revision);
        assert_eq!((positions, calls.count()), ([4, 5, 50], 3));
        assert!(matches!(hub.outlook(WatchPosition::at(3), 9).supply, Supply::History));
        publish(&hub, &[(21, "a")]);
    }

    #[test]
    fn the_end_wakes_everybody() {
        let (hub, calls) = (hub(), Calls::default());
        let first = query("a", 2);
        let ticket = wait(&hub, &first, &calls).unwrap();
        let milestone = hub.wait_for(Milestone::Revision(9), calls.wake());
        hub.close();
        assert_eq!((ticket.position(), calls.count()), (first.from, 2));
        let waiter = Waiter::new(&first, first.from, calls.wake());
        assert!(matches!(hub.register(&first, waiter), Err(StoreError::Closed)));
        assert!(milestone.is_some());
        assert!(hub.wait_for(Milestone::Revision(9), calls.wake()).is_some());
        assert_eq!(calls.count(), 3);
    }
}
