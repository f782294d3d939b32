//! The search for an order, of the operations on one object.

use super::entries::{Entries, Links};
use super::table::{States, Tried};
use super::{Model, Operation, Step};

/// A search that can be carried on bit by bit.
///
/// Operations are placed one after another. The *barrier* is the return of the first operation
/// that is not placed yet: only operations called before it may come next. What lies ahead depends
/// on the barrier, the state, and which operations under way at the barrier are placed, so each
/// such combination is tried once. Of the unanswered ones, it is best to have placed few.
pub(super) struct Search<'a, M: Model> {
    model: &'a M,
    history: &'a [Operation<M::Input, M::Output>],
    entries: Entries,
    /// The entries of answered operations that are not placed.
    waiting: Links,
    /// The unanswered operations that are not placed.
    open: Links,
    states: States<M::State>,
    state_bytes: usize,
    tried: Tried,
    /// Where the search stands: the row of `tried`, made of barrier and state in one word, then a
    /// bit for each slot, then one for each unanswered operation.
    row: Vec<u64>,
    barrier: u32,
    state: u32,
    next: Candidate,
    /// The operations placed so far.
    path: Vec<u32>,
    frames: Vec<Frame>,
    /// The rows of the frames, one after another.
    rows: Vec<u64>,
    best: Best,
    bounds: Bounds,
    /// What can happen before the next read returns; kept for its memory only.
    ahead: Vec<&'a M::Input>,
    /// The farthest return that was found to be out of reach ahead of time.
    hopeless: u32,
}

/// What to try next.
#[derive(Clone, Copy)]
enum Candidate {
    /// The operation whose return is the barrier: it must come soon.
    Urgent,
    /// The answered operation of this entry or a later one.
    Answered(u32),
    /// This unanswered operation or a later one.
    Open(u32),
}

/// What to go back to.
struct Frame {
    /// How many operations were placed.
    placed: usize,
    barrier: u32,
    state: u32,
}

/// The farthest that was reached.
#[derive(Default)]
struct Best {
    /// The return that could not be passed.
    barrier: u32,
    /// The order up to there.
    path: Vec<u32>,
    /// How much of it is still a part of the search's own path.
    shared: usize,
    /// The states that the object could be in there.
    states: Vec<u32>,
}

/// How far a search goes. Entries are given by their numbers.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The last return that must be passed.
    pub(super) until: u32,
    /// The last return that may be looked at before it is reached.
    pub(super) ahead_until: u32,
}

/// How a search stands after some steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// There is an order.
    Found,
    /// There is none.
    Refuted,
    /// The steps were used up.
    Paused,
    /// The memory was used up.
    Full,
}

/// Why there is no order; operations by their places in the history.
pub(super) struct Stuck {
    pub(super) culprit: usize,
    pub(super) prefix: Vec<usize>,
    pub(super) states: Vec<String>,
}

impl<'a, M: Model> Search<'a, M> {
    pub(super) fn new(
        model: &'a M,
        history: &'a [Operation<M::Input, M::Output>],
        places: &[u32],
    ) -> Self {
        Self::until(model, history, places, Bounds { until: u32::MAX, ahead_until: u32::MAX })
    }

    /// A search for an order up to a certain return only.
    pub(super) fn until(
        model: &'a M,
        history: &'a [Operation<M::Input, M::Output>],
        places: &[u32],
        bounds: Bounds,
    ) -> Self {
        let entries = Entries::new(model, history, places);
        let open_count = entries.places.len() as u32 - entries.answered;
        let (width, open_width) = (1 + words(entries.slot_count), words(open_count));
        let mut search = Self {
            model,
            history,
            waiting: Links::new(2 * entries.answered),
            open: Links::new(open_count),
            entries,
            states: States::new(),
            state_bytes: 0,
            tried: Tried::new(width, open_width),
            row: vec![0; width + open_width],
            barrier: 0,
            state: 0,
            next: Candidate::Urgent,
            path: Vec::new(),
            frames: Vec::new(),
            rows: Vec::new(),
            best: Best::default(),
            bounds,
            ahead: Vec::new(),
            hopeless: 0,
        };
        search.state = search.number(model.init());
        search.settle();
        search.note_reached();
        search
    }

    /// Tries at most this many steps and takes at most about this many bytes.
    pub(super) fn run(&mut self, steps: &mut u64, bytes_max: usize) -> Progress {
        loop {
            if self.waiting.is_end(self.waiting.first()) || self.barrier > self.bounds.until {
                return Progress::Found;
            }
            if *steps == 0 {
                return Progress::Paused;
            }
            *steps -= 1;
            let Some(operation) = self.candidate() else {
                if !self.ascend() {
                    return Progress::Refuted;
                }
                continue;
            };
            let Some(state) = self.step(operation) else { continue };
            // What may never happen need not happen where it changes nothing.
            if operation >= self.entries.answered && state == self.state {
                continue;
            }
            self.descend(operation, state);
            let is_useless = self.is_hopeless() || !self.tried.insert(&self.row);
            if is_useless {
                self.ascend();
                continue;
            }
            self.note_reached();
            if self.bytes() > bytes_max {
                return Progress::Full;
            }
        }
    }

    /// The bytes that grow with the steps.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.path.capacity() + self.best.path.capacity();
        self.tried.bytes()
            + self.states.bytes()
            + self.state_bytes
            + self.rows.capacity() * size_of::<u64>()
            + self.frames.capacity() * size_of::<Frame>()
            + lists * size_of::<u32>()
    }

    /// The order that was found.
    pub(super) fn order(&self) -> Vec<usize> {
        self.in_history(&self.path)
    }

    /// Between which returns the first one lies that cannot be passed, once that is refuted.
    pub(super) fn refuted_between(&self) -> (u32, u32) {
        (self.best.barrier, self.best.barrier.max(self.hopeless))
    }

    /// The returns from one entry up to and with another.
    pub(super) fn returns(&self, first: u32, last: u32) -> Vec<u32> {
        (first..=last).filter(|at| self.entries.entries[*at as usize].is_return).collect()
    }

    /// What is known of the return that the search could not pass; another may be the culprit.
    pub(super) fn stuck(&self, culprit: u32) -> Stuck {
        let entry = self.entries.entries[culprit as usize];
        let state = |id: &u32| self.model.describe_state(self.states.get(*id));
        Stuck {
            culprit: self.entries.places[entry.operation as usize] as usize,
            prefix: self.in_history(&self.best.path),
            states: self.best.states.iter().map(state).collect(),
        }
    }

    fn in_history(&self, path: &[u32]) -> Vec<usize> {
        path.iter().map(|operation| self.entries.places[*operation as usize] as usize).collect()
    }

    /// Takes the next operation that may come next.
    fn candidate(&mut self) -> Option<u32> {
        loop {
            match self.next {
                Candidate::Urgent => {
                    self.next = Candidate::Answered(self.waiting.first());
                    let urgent = self.urgent();
                    if !self.entries.is_read[urgent as usize] {
                        return Some(urgent);
                    }
                }
                Candidate::Answered(at) if at == self.barrier => {
                    self.next = Candidate::Open(self.open.first());
                }
                Candidate::Answered(at) => {
                    self.next = Candidate::Answered(self.waiting.after(at));
                    let operation = self.entries.entries[at as usize].operation;
                    // All reads that fit were placed on the way here.
                    if operation != self.urgent()
                        && !self.entries.is_read[operation as usize]
                        && !self.can_wait(operation)
                    {
                        return Some(operation);
                    }
                }
                Candidate::Open(number) => {
                    let is_late = |at: u32| at > self.barrier;
                    if self.open.is_end(number) || is_late(self.entries.open_at[number as usize]) {
                        return None;
                    }
                    self.next = Candidate::Open(self.open.after(number));
                    let twin = self.entries.twins[number as usize];
                    if twin.is_none_or(|twin| self.is_placed(self.entries.answered + twin)) {
                        return Some(self.entries.answered + number);
                    }
                }
            }
        }
    }

    /// Whether the read that returns next can no longer find what it found.
    fn is_hopeless(&mut self) -> bool {
        let mut others = std::mem::take(&mut self.ahead);
        others.clear();
        let hopeless = self.next_read(&mut others).filter(|at| {
            let read = self.called(self.entries.entries[*at as usize].operation);
            let state = self.states.get(self.state);
            !self.model.may_follow(state, read.input(), read.output(), &others)
        });
        self.hopeless = self.hopeless.max(hopeless.unwrap_or(0));
        self.ahead = others;
        hopeless.is_some()
    }

    /// Where the read that is not placed returns that returns next, if that is not too far ahead;
    /// and what can happen before that.
    fn next_read(&self, others: &mut Vec<&'a M::Input>) -> Option<u32> {
        let mut at = self.waiting.first();
        loop {
            let is_far = others.len() >= AHEAD_MAX || at > self.bounds.ahead_until;
            if is_far || self.waiting.is_end(at) {
                return None;
            }
            let entry = self.entries.entries[at as usize];
            match (entry.is_return, self.entries.is_read[entry.operation as usize]) {
                (true, true) => break,
                (false, false) => others.push(self.called(entry.operation).input()),
                (true, false) | (false, true) => {}
            }
            at = self.waiting.after(at);
        }
        let mut number = self.open.first();
        while !self.open.is_end(number) && self.entries.open_at[number as usize] <= at {
            others.push(self.called(self.entries.answered + number).input());
            number = self.open.after(number);
        }
        Some(at)
    }

    fn called(&self, operation: u32) -> &'a Operation<M::Input, M::Output> {
        &self.history[self.entries.places[operation as usize] as usize]
    }

    /// The operation whose return is the barrier.
    fn urgent(&self) -> u32 {
        self.entries.entries[self.barrier as usize].operation
    }

    /// Whether another operation that does the same must come sooner.
    fn can_wait(&self, operation: u32) -> bool {
        let kind = |operation: u32| self.entries.kinds[operation as usize];
        let mut at = self.waiting.first();
        while at != self.barrier {
            let other = self.entries.entries[at as usize].operation;
            let is_sooner = self.return_of(other) < self.return_of(operation);
            if is_sooner && kind(other) == kind(operation) {
                return true;
            }
            at = self.waiting.after(at);
        }
        false
    }

    /// The state after an operation, if it fits.
    fn step(&mut self, operation: u32) -> Option<u32> {
        let called = self.called(operation);
        let state = self.states.get(self.state);
        match self.model.step(state, called.input(), called.output()) {
            Step::Refused => None,
            Step::Same => Some(self.state),
            Step::To(state) => Some(self.number(state)),
        }
    }

    fn number(&mut self, state: M::State) -> u32 {
        let bytes = self.model.state_size(&state);
        let (number, is_new) = self.states.number(state);
        if is_new {
            self.state_bytes += bytes;
        }
        number
    }

    /// Places an operation, then all reads that fit.
    fn descend(&mut self, operation: u32, state: u32) {
        let (placed, barrier) = (self.path.len(), self.barrier);
        self.frames.push(Frame { placed, barrier, state: self.state });
        self.rows.extend_from_slice(&self.row);
        self.place(operation);
        self.state = state;
        self.settle();
    }

    /// Goes back to before the last descent, to try what comes after it. Returns whether there was
    /// one.
    fn ascend(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        let tried = self.path[frame.placed];
        while self.path.len() > frame.placed {
            let operation = self.path.pop().expect("there are more than were placed");
            self.take_back(operation);
        }
        self.best.shared = self.best.shared.min(frame.placed);
        let saved = self.rows.len() - self.row.len();
        self.row.copy_from_slice(&self.rows[saved..]);
        self.rows.truncate(saved);
        (self.barrier, self.state) = (frame.barrier, frame.state);
        self.next = match tried.checked_sub(self.entries.answered) {
            None if tried == self.urgent() => Candidate::Answered(self.waiting.first()),
            None => {
                let call = self.entries.call_at[tried as usize];
                Candidate::Answered(self.waiting.after(call))
            }
            Some(number) => Candidate::Open(self.open.after(number)),
        };
        true
    }

    /// Places all reads that fit, which can only help, and finds the barrier.
    fn settle(&mut self) {
        let mut at = self.waiting.first();
        while !self.waiting.is_end(at) && !self.entries.entries[at as usize].is_return {
            let after = self.waiting.after(at);
            let operation = self.entries.entries[at as usize].operation;
            if self.entries.is_read[operation as usize]
                && let Some(state) = self.step(operation)
            {
                assert!(state == self.state, "{} is no read", self.describe(operation));
                self.pass(at);
                self.place(operation);
                // Its return, which may come next, was taken out as well.
                let is_own = after == self.return_of(operation);
                at = if is_own { self.waiting.after(after) } else { after };
                continue;
            }
            at = after;
        }
        self.pass(at);
        self.row[0] = u64::from(self.barrier) << 32 | u64::from(self.state);
        self.next = Candidate::Urgent;
    }

    /// Moves the barrier on to this entry. What returned before it need not be remembered.
    fn pass(&mut self, to: u32) {
        for at in self.barrier..to {
            let entry = self.entries.entries[at as usize];
            if entry.is_return {
                let slot = self.entries.slots[entry.operation as usize];
                self.row[1 + word(slot)] &= !bit(slot);
            }
        }
        self.barrier = self.barrier.max(to);
    }

    fn describe(&self, operation: u32) -> String {
        let called = self.called(operation);
        self.model.describe(called.input(), called.output())
    }

    fn return_of(&self, operation: u32) -> u32 {
        self.entries.return_at[operation as usize]
    }

    fn place(&mut self, operation: u32) {
        match operation.checked_sub(self.entries.answered) {
            None => {
                self.waiting.take_out(self.entries.call_at[operation as usize]);
                self.waiting.take_out(self.return_of(operation));
            }
            Some(number) => self.open.take_out(number),
        }
        let (word, bit) = self.place_of_bit(operation);
        self.row[word] |= bit;
        self.path.push(operation);
    }

    /// Undoes placing; the row is restored as a whole.
    fn take_back(&mut self, operation: u32) {
        match operation.checked_sub(self.entries.answered) {
            None => {
                self.waiting.put_back(self.return_of(operation));
                self.waiting.put_back(self.entries.call_at[operation as usize]);
            }
            Some(number) => self.open.put_back(number),
        }
    }

    fn is_placed(&self, operation: u32) -> bool {
        let (word, bit) = self.place_of_bit(operation);
        self.row[word] & bit != 0
    }

    fn place_of_bit(&self, operation: u32) -> (usize, u64) {
        match operation.checked_sub(self.entries.answered) {
            None => {
                let slot = self.entries.slots[operation as usize];
                (1 + word(slot), bit(slot))
            }
            Some(number) => (1 + words(self.entries.slot_count) + word(number), bit(number)),
        }
    }

    /// Remembers how far the search came.
    fn note_reached(&mut self) {
        let best = &mut self.best;
        if best.barrier < self.barrier {
            best.barrier = self.barrier;
            best.path.truncate(best.shared);
            best.path.extend_from_slice(&self.path[best.shared..]);
            best.shared = self.path.len();
            best.states.clear();
        }
        let is_best = best.barrier == self.barrier;
        if is_best && best.states.len() < STATES_MAX && !best.states.contains(&self.state) {
            best.states.push(self.state);
        }
    }
}

/// How many words hold this many bits.
fn words(bits: u32) -> usize {
    bits.div_ceil(u64::BITS) as usize
}

/// Which word holds a bit.
fn word(number: u32) -> usize {
    (number / u64::BITS) as usize
}

/// A bit within its word.
fn bit(number: u32) -> u64 {
    1 << (number % u64::BITS)
}

/// How many calls are looked at ahead of time; one that is farther away is reached anyway.
const AHEAD_MAX: usize = 64;

/// How many states are shown where a search could not go on; more would not be read.
const STATES_MAX: usize = 8;
