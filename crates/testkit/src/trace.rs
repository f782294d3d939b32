//! What happened, as a hash for comparing runs and as lines for reading.

use std::collections::VecDeque;

use quorate_types::Instant;

use crate::rng::mix;

/// Folds every event into a hash; keeps the newest lines if asked to.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    checkpoints: Vec<u64>,
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Trace {
    /// A trace that keeps the newest `lines_max` lines.
    pub(crate) fn new(lines_max: usize) -> Self {
        Self { hash: 0, events: 0, checkpoints: Vec::new(), lines: VecDeque::new(), lines_max }
    }

    /// Begins an event.
    pub(crate) fn event(&mut self, now: Instant, kind: u64, member: u64) {
        self.fold(now.as_nanos());
        self.fold(kind << 32 | member);
        self.events += 1;
        if self.events.is_multiple_of(CHECKPOINT_EVENTS) {
            self.checkpoints.push(self.hash);
        }
    }

    /// Adds a number to the hash.
    pub(crate) fn fold(&mut self, value: u64) {
        self.hash = mix(self.hash ^ value).wrapping_add(value);
    }

    /// Adds a line, if lines are kept.
    pub(crate) fn line(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if self.lines_max == 0 {
            return;
        }
        if self.lines.len() >= self.lines_max {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{now:?} {}", text()));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_checkpoints(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.checkpoints)
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into()
    }
}

/// How many events lie between two checkpoints of the hash.
const CHECKPOINT_EVENTS: u64 = 1_024;
