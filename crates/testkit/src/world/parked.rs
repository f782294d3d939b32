//! Calls that wait at a member until its state has come to something, and the background tasks of
//! its handles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate::seam::Task;
use quorate_mvcc::{Milestone, WatchPosition, WatchQuery, Watching};
use quorate_raft_node::core::ProposeError;
use quorate_types::Instant;

use super::World;
use crate::checkers::history::{Call, Ending};
use crate::effect::Found;
use crate::member::Ticket;
use crate::queue::Event;
use crate::rng::{Purpose, Stream};
use crate::violation::Violation;

/// What waits at the members of a world.
#[derive(Default)]
pub(super) struct Parked {
    /// The registration of each call at its store; nothing while it is about to look again.
    calls: BTreeMap<Ticket, ParkedCall>,
    /// Calls for which something has come.
    woken: Arc<Mutex<Vec<Ticket>>>,
    /// Counts wakes; noise.
    wakes: u64,
    /// Background tasks, by number.
    tasks: BTreeMap<u64, PlacedTask>,
    tasks_count: u64,
}

struct ParkedCall {
    place: usize,
    /// When it must end, by the clock of its member.
    deadline: Instant,
    registered: Option<quorate_mvcc::Ticket>,
    /// When its deadline is looked at, in true time.
    timer: Instant,
    /// How far a watch has come while it waited.
    reached: Option<WatchPosition>,
}

struct PlacedTask {
    place: usize,
    task: Box<dyn Task>,
}

impl World<'_> {
    /// A call begins to wait.
    pub(super) fn park(
        &mut self,
        place: usize,
        ticket: Ticket,
        timeout: Duration,
    ) -> Result<(), Violation> {
        let member = &self.members[place];
        let deadline = member.local_time(self.now) + timeout;
        let timer = member.true_time(deadline).max(self.now);
        let parked = ParkedCall { place, deadline, registered: None, timer, reached: None };
        self.parked.calls.insert(ticket, parked);
        let event = Event::Parked { member: place, life: member.life, ticket };
        self.queue.push(timer, event);
        self.try_parked(place, ticket)
    }

    /// A call that waits looks whether it can end.
    pub(super) fn try_parked(&mut self, place: usize, ticket: Ticket) -> Result<(), Violation> {
        #[cfg(feature = "mutants")]
        crate::mutants::run_as(Some(place));
        let now = self.members[place].local_time(self.now);
        let Some(parked) = self.parked.calls.get_mut(&ticket) else { return Ok(()) };
        if let Some(registered) = parked.registered.take() {
            // While it waited it went on with the store.
            parked.reached = Some(registered.position());
        }
        let reached = parked.reached;
        let is_over = now >= parked.deadline;
        let woken = self.parked.woken.clone();
        let wake = Box::new(move || {
            woken.lock().unwrap_or_else(PoisonError::into_inner).push(ticket);
        });
        let Some(running) = self.members[place].running.as_ref() else { return Ok(()) };
        let reader = running.machine.kv.store().reader();
        let milestone = match &self.history[ticket].call {
            Call::Watch(query) => {
                let from = reached.unwrap_or(query.from);
                let query = WatchQuery { from, ..query.clone() };
                return self.try_watch(place, ticket, &query, (!is_over).then_some(wake));
            }
            Call::Range(read) => Milestone::Revision(read.at_least.unwrap_or(0)),
            Call::Swept(revision) => Milestone::Swept(*revision),
            _ => return Ok(()),
        };
        match reader.wait_for(milestone, wake) {
            None => {
                self.parked.calls.remove(&ticket);
                self.serve(place, ticket)
            }
            Some(_) if is_over => {
                self.parked.calls.remove(&ticket);
                self.answered(ticket, Err(ProposeError::TimedOut))
            }
            Some(registered) => {
                self.register(ticket, registered);
                Ok(())
            }
        }
    }

    /// A watch looks whether there are events; without a `wake` it does not wait for any.
    fn try_watch(
        &mut self,
        place: usize,
        ticket: Ticket,
        query: &WatchQuery,
        wake: Option<Box<dyn FnOnce() + Send>>,
    ) -> Result<(), Violation> {
        let Some(running) = self.members[place].running.as_ref() else { return Ok(()) };
        let reader = running.machine.kv.store().reader();
        let result = match wake {
            None => reader.watch_now(query).map(Found::Watch),
            Some(wake) => match reader.watch(query, wake) {
                Ok(Watching::Waiting(registered)) => {
                    self.register(ticket, registered);
                    return Ok(());
                }
                Ok(Watching::Batch(batch)) => Ok(Found::Watch(batch)),
                Err(error) => Err(error),
            },
        };
        self.parked.calls.remove(&ticket);
        self.found(place, ticket, result)
    }

    fn register(&mut self, ticket: Ticket, registered: quorate_mvcc::Ticket) {
        let Some(parked) = self.parked.calls.get_mut(&ticket) else { return };
        parked.registered = Some(registered);
        // The clock may have stood still, and the deadline is later by that.
        let member = &self.members[parked.place];
        let timer = member.true_time(parked.deadline).max(self.now + SHORTEST_STEP);
        if timer > parked.timer {
            parked.timer = timer;
            let event = Event::Parked { member: parked.place, life: member.life, ticket };
            self.queue.push(timer, event);
        }
    }

    /// Schedules those for whom something has come.
    pub(super) fn wake_parked(&mut self) {
        let woken =
            std::mem::take(&mut *self.parked.woken.lock().unwrap_or_else(PoisonError::into_inner));
        for ticket in woken {
            let Some(parked) = self.parked.calls.get(&ticket) else { continue };
            let place = parked.place;
            self.parked.wakes += 1;
            let mut noise =
                Stream::new(self.plan.seed, Purpose::Parked, place as u64, self.parked.wakes);
            let delay = noise.duration(Duration::ZERO, WAKE_DELAY_MAX);
            let life = self.members[place].life;
            self.queue.push(self.now + delay, Event::Parked { member: place, life, ticket });
        }
    }

    /// A handle of a member leaves a task there.
    pub(super) fn add_task(&mut self, place: usize, life: u64, task: Box<dyn Task>) {
        let member = &self.members[place];
        if member.life != life || member.running.is_none() {
            return;
        }
        self.parked.tasks_count += 1;
        let number = self.parked.tasks_count;
        self.parked.tasks.insert(number, PlacedTask { place, task });
        self.queue.push(self.now, Event::Task { member: place, life, number });
    }

    /// A task of a member is due.
    pub(super) fn step_task(&mut self, place: usize, number: u64) -> Result<(), Violation> {
        let (now, life) = (self.now, self.members[place].life);
        if let Some(players) = &self.players {
            players.cast.stage.tell_time(now);
        }
        let Some(placed) = self.parked.tasks.get_mut(&number) else { return Ok(()) };
        match placed.task.step(now) {
            Some(next) => {
                let at = next.max(now + SHORTEST_STEP);
                self.queue.push(at, Event::Task { member: place, life, number });
            }
            None => {
                self.parked.tasks.remove(&number);
            }
        }
        self.take_asks()
    }

    /// A member's life ended, and with it what waits there.
    pub(super) fn drop_parked(&mut self, place: usize) {
        let calls = self.parked.calls.iter().filter(|(_, parked)| parked.place == place);
        let gone: Vec<Ticket> = calls.map(|(ticket, _)| *ticket).collect();
        for ticket in gone {
            self.parked.calls.remove(&ticket);
            self.end_call(ticket, Ending::Failed);
        }
        self.parked.tasks.retain(|_, placed| placed.place != place);
    }
}

/// About what an operating system takes to wake a thread.
const WAKE_DELAY_MAX: Duration = Duration::from_micros(50);

/// Time passes between two steps of a task.
const SHORTEST_STEP: Duration = Duration::from_micros(1);
