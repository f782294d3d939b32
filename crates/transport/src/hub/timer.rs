//! Holds delayed messages until they are due, on one thread that runs only while some wait.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::slot::{Network, Slot};
use crate::mailbox::Letter;

/// A message that is not due yet.
struct Delayed {
    due: Instant,
    /// Orders messages that are due at the same time.
    sequence: u64,
    to: Arc<Slot>,
    letter: Letter,
}

pub(super) struct Timer {
    shared: Arc<Shared>,
}

struct Shared {
    network: Arc<Network>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Delayed>,
    sequence: u64,
    /// The thread that empties the heap. It clears this when the heap is empty and ends.
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    pub(super) fn new(network: Arc<Network>) -> Self {
        let shared = Shared { network, state: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Delivers `letter` to `to` after `delay`. More than [`DELAYED_COUNT_MAX`] are not delayed.
    pub(super) fn delay(&self, delay: Duration, to: Arc<Slot>, letter: Letter) {
        let mut state = self.shared.state.lock();
        let full = state.heap.len() >= DELAYED_COUNT_MAX;
        if full || (state.thread.is_none() && !self.run(&mut state)) {
            drop(state);
            self.shared.network.deliver(&to, letter);
            return;
        }
        let sequence = state.sequence;
        state.sequence += 1;
        let delayed = Delayed { due: Instant::now() + delay, sequence, to, letter };
        let first = state.heap.peek().is_none_or(|first| delayed.due < first.due);
        state.heap.push(delayed);
        drop(state);
        if first {
            self.shared.changed.notify_one();
        }
    }

    /// Starts the thread; false if the operating system refuses.
    fn run(&self, state: &mut State) -> bool {
        let shared = Arc::clone(&self.shared);
        let name = "quorate-hub-timer".to_owned();
        state.thread = thread::Builder::new().name(name).spawn(move || shared.deliver_all()).ok();
        state.thread.is_some()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.heap.clear();
        let thread = state.thread.take();
        drop(state);
        self.shared.changed.notify_one();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn deliver_all(&self) {
        let mut state = self.state.lock();
        loop {
            let Some(first) = state.heap.peek() else {
                state.thread = None;
                return;
            };
            let due = first.due;
            if due > Instant::now() {
                self.changed.wait_until(&mut state, due);
                continue;
            }
            let Some(Delayed { to, letter, .. }) = state.heap.pop() else { continue };
            drop(state);
            self.network.deliver(&to, letter);
            state = self.state.lock();
        }
    }
}

impl Ord for Delayed {
    /// The heap gives the greatest first: that is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Delayed {}

/// The messages that can wait at the same time: ten seconds of a busy network. A message above
/// this is delivered at once.
const DELAYED_COUNT_MAX: usize = 1_000_000;
