//! The tasks and timers of a member's handles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use quorate_types::Instant;

use crate::parked::Signal;
use crate::seam::Task;

/// The tasks and timers of a member's handles, and what wakes the thread that carries them out.
#[derive(Default)]
pub(crate) struct Timers {
    state: Mutex<TimersState>,
    changed: Condvar,
    stopped: AtomicBool,
    numbers: AtomicU64,
}

#[derive(Default)]
struct TimersState {
    timers: BTreeMap<(Instant, u64), Arc<Signal>>,
    tasks: BTreeMap<(Instant, u64), Box<dyn Task>>,
    /// Whether something was added that is due before the thread meant to look.
    is_earlier: bool,
    /// When the thread means to look next.
    next_look: Instant,
}

impl Timers {
    /// Fires a signal at `at`, unless the timer is dropped before.
    pub(crate) fn set(timers: &Arc<Self>, at: Instant, signal: &Arc<Signal>) -> Timer {
        let number = timers.numbers.fetch_add(1, Ordering::Relaxed);
        timers.state.lock().timers.insert((at, number), signal.clone());
        timers.look_at(at);
        Timer { timers: timers.clone(), key: (at, number) }
    }

    /// Adds a task, to be begun at once.
    pub(crate) fn spawn(&self, task: Box<dyn Task>) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        if self.stopped.load(Ordering::SeqCst) {
            return;
        }
        self.state.lock().tasks.insert((Instant::ZERO, number), task);
        self.look_at(Instant::ZERO);
    }

    /// Has the thread look at once: there may be something to do that no time was set for.
    pub(crate) fn nudge(&self) {
        self.look_at(Instant::ZERO);
    }

    /// Ends the thread at once; tasks are dropped and all signals fired.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let mut state = self.state.lock();
        let timers = std::mem::take(&mut state.timers);
        let tasks = std::mem::take(&mut state.tasks);
        state.is_earlier = true;
        drop(state);
        self.changed.notify_all();
        timers.into_values().for_each(|signal| signal.fire());
        drop(tasks);
    }

    fn look_at(&self, at: Instant) {
        let mut state = self.state.lock();
        if at < state.next_look {
            state.is_earlier = true;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Fires what is due and steps the tasks that are; returns when the next is.
    pub(crate) fn run_due(&self, now: Instant) -> Instant {
        let mut state = self.state.lock();
        // Whatever is added from here on must be looked at before the thread waits.
        state.next_look = Instant::MAX;
        state.is_earlier = false;
        let later = state.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        let later = state.tasks.split_off(&(now, u64::MAX));
        let tasks = std::mem::replace(&mut state.tasks, later);
        drop(state);
        due.into_values().for_each(|signal| signal.fire());
        for ((_, number), mut task) in tasks {
            if let Some(next) = task.step(now) {
                self.state.lock().tasks.insert((next, number), task);
            }
        }
        let state = self.state.lock();
        let first = |key: Option<&(Instant, u64)>| key.map_or(Instant::MAX, |(at, _)| *at);
        first(state.timers.keys().next()).min(first(state.tasks.keys().next()))
    }

    /// Blocks until `next`, which is `left` from now, or until something is added that is due
    /// before, or until stopped; whether it was stopped.
    pub(crate) fn wait(&self, next: Instant, left: Duration) -> bool {
        let until = std::time::Instant::now() + left.min(WAIT_MAX);
        let mut state = self.state.lock();
        state.next_look = next;
        while !state.is_earlier && !self.stopped.load(Ordering::SeqCst) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        self.stopped.load(Ordering::SeqCst)
    }
}

/// A timer that is set. Dropping it withdraws it.
pub(crate) struct Timer {
    timers: Arc<Timers>,
    key: (Instant, u64),
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.state.lock().timers.remove(&self.key);
    }
}

/// However far the next thing is, the thread looks whether the member has stopped.
const WAIT_MAX: Duration = Duration::from_secs(1);
