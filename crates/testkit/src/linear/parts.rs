//! The check of a whole history: one search for each key, all in turns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::culprit;
use super::search::{Progress, Search};
use super::{Model, Operation};

/// How much a check may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How often the model may be asked, about. Reaching it is the same on every machine.
    pub steps: u64,
    /// How many bytes the search may take in all, about.
    pub memory: usize,
    /// How long it may take. Nothing for as long as steps and memory last.
    pub time: Option<Duration>,
}

impl Default for Limits {
    /// No limit but 1 GiB of memory.
    fn default() -> Self {
        Self { steps: u64::MAX, memory: 1 << 30, time: None }
    }
}

impl Limits {
    /// These, with another number of steps.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// These, with another number of bytes.
    #[must_use]
    pub fn with_memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// These, with an end of patience.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Self {
        Self { time: Some(time), ..self }
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is an order of the operations on each key that the model allows.
    Linearizable(Vec<Part>),
    /// There is a key without such an order.
    NotLinearizable(Box<Counterexample>),
    /// The search ended before it knew. Never to be counted as a pass.
    Unknown(Exhausted),
}

/// The order found for one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The key; nothing for operations without one.
    pub key: Option<String>,
    /// Places in the history. Of operations with unknown outcome, only those that must have
    /// happened are among them.
    pub order: Vec<usize>,
}

/// Why no order can be found. Operations are given by their places in the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The key; nothing for operations without one.
    pub key: Option<String>,
    /// The operation that cannot be placed. What had returned before it has an order, if need be
    /// with others that were under way; together with this one there is none. So the mistake was
    /// made no later than at its return, though maybe by another operation. (If the first such
    /// operation is hard to find, this is a later one.)
    pub culprit: usize,
    /// An order until just before that return.
    pub prefix: Vec<usize>,
    /// What the object could hold at that time, each differing from what the culprit saw or
    /// needed; at most eight.
    pub states: Vec<String>,
    /// Other operations on the same key that were under way together with the culprit.
    pub concurrent: Vec<usize>,
    /// How many operations on this key were answered.
    pub answered: usize,
}

/// What a search ran out of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Exhausted {
    /// [`Limits::steps`].
    Steps,
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::time`].
    Time,
}

impl Verdict {
    /// Whether an order was found.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable(_))
    }

    /// Why there is no order, if that was found.
    pub fn counterexample(&self) -> Option<&Counterexample> {
        match self {
            Self::NotLinearizable(counterexample) => Some(counterexample),
            Self::Linearizable(_) | Self::Unknown(_) => None,
        }
    }
}

/// Searches an order of the operations on each key.
///
/// The verdict is a function of model, history, steps and memory; only a limit of time makes it
/// depend on the machine. Keys take turns, with more and more steps at each, so that a key without
/// an order is found soon even if another would take for ever.
///
/// # Panics
///
/// If the history has 2^31 operations or more, or if the model contradicts its
/// [`is_read`](Model::is_read).
pub fn check<M: Model>(
    model: &M,
    history: &[Operation<M::Input, M::Output>],
    limits: &Limits,
) -> Verdict {
    assert!(history.len() < 1 << 31, "{} operations are too many", history.len());
    let mut keys: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
    for (place, operation) in (0..).zip(history) {
        keys.entry(operation.key()).or_default().push(place);
    }
    // Short ones first: they are the cheapest to refute.
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by_key(|(_, places)| places.len());
    Turns {
        model,
        history,
        limits: *limits,
        steps: limits.steps,
        held: 0,
        end: limits.time.and_then(|time| Instant::now().checked_add(time)),
        waiting: keys.into_iter().map(|(key, places)| Turn { key, places, search: None }).collect(),
        found: Vec::new(),
        full: false,
    }
    .take_all()
}

/// All searches of one check.
struct Turns<'a, M: Model> {
    model: &'a M,
    history: &'a [Operation<M::Input, M::Output>],
    limits: Limits,
    /// How many are left.
    steps: u64,
    /// The bytes of the searches that wait for their next turn.
    held: usize,
    end: Option<Instant>,
    waiting: Vec<Turn<'a, M>>,
    found: Vec<Part>,
    /// Whether a search was given up for its memory.
    full: bool,
}

/// The search for one key.
struct Turn<'a, M: Model> {
    key: Option<&'a str>,
    places: Vec<u32>,
    /// Made at the first turn.
    search: Option<Search<'a, M>>,
}

impl<'a, M: Model> Turns<'a, M> {
    fn take_all(mut self) -> Verdict {
        let mut steps = STEPS_FIRST;
        while !self.waiting.is_empty() {
            for turn in std::mem::take(&mut self.waiting) {
                if let Some(verdict) = self.take(turn, steps) {
                    return verdict;
                }
            }
            steps = steps.saturating_mul(2);
        }
        if self.full {
            return Verdict::Unknown(Exhausted::Memory);
        }
        self.found.sort_by(|left, right| left.key.cmp(&right.key));
        Verdict::Linearizable(self.found)
    }

    /// Carries one search on; a verdict ends the whole check.
    fn take(&mut self, turn: Turn<'a, M>, steps: u64) -> Option<Verdict> {
        let Turn { key, places, search } = turn;
        let (model, history) = (self.model, self.history);
        let mut search = match search {
            Some(search) => {
                self.held -= search.bytes();
                search
            }
            None => Search::new(model, history, &places),
        };
        match self.run(&mut search, steps) {
            Err(exhausted) => return Some(Verdict::Unknown(exhausted)),
            Ok(Progress::Found) => {
                let key = key.map(str::to_owned);
                self.found.push(Part { key, order: search.order() });
            }
            Ok(Progress::Refuted) => {
                let found = self.counterexample(key, &places, &search);
                return Some(Verdict::NotLinearizable(Box::new(found)));
            }
            // The other keys may still be refuted, with the memory that this one held.
            Ok(Progress::Full) => self.full = true,
            Ok(Progress::Paused) => {
                self.held += search.bytes();
                self.waiting.push(Turn { key, places, search: Some(search) });
            }
        }
        None
    }

    /// Runs a search for some steps, or until a limit of the whole check is reached.
    fn run(&mut self, search: &mut Search<'_, M>, steps: u64) -> Result<Progress, Exhausted> {
        let mut left = steps;
        loop {
            if self.end.is_some_and(|end| Instant::now() >= end) {
                return Err(Exhausted::Time);
            }
            let slice = left.min(self.steps).min(STEPS_SLICE);
            let mut unused = slice;
            let progress = search.run(&mut unused, self.limits.memory.saturating_sub(self.held));
            left -= slice - unused;
            self.steps -= slice - unused;
            if progress != Progress::Paused || left == 0 {
                return Ok(progress);
            }
            if self.steps == 0 {
                return Err(Exhausted::Steps);
            }
        }
    }

    fn counterexample(
        &self,
        key: Option<&str>,
        places: &[u32],
        search: &Search<'_, M>,
    ) -> Counterexample {
        let memory = self.limits.memory;
        let stuck = culprit::find(self.model, self.history, places, search, memory);
        let culprit = &self.history[stuck.culprit];
        let others = places.iter().map(|place| *place as usize);
        let is_concurrent = |place: &usize| {
            *place != stuck.culprit && self.history[*place].is_concurrent_with(culprit)
        };
        let answered = others.clone().filter(|place| self.history[*place].output().is_some());
        Counterexample {
            key: key.map(str::to_owned),
            culprit: stuck.culprit,
            answered: answered.count(),
            concurrent: others.filter(is_concurrent).collect(),
            prefix: stuck.prefix,
            states: stuck.states,
        }
    }
}

/// How many steps each search has in the first round. Most keys need no second one.
const STEPS_FIRST: u64 = 4_096;

/// After how many steps the clock is looked at.
const STEPS_SLICE: u64 = 16_384;
