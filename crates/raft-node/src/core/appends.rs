//! Appends on their way to the disk.

use std::collections::VecDeque;

use quorate_types::mutant;

use super::outputs::Append;

/// Which appends the log has not reported yet, and those held back while the state is being
/// replaced.
#[derive(Default)]
pub(super) struct Appends {
    /// Numbers handed out and not reported, ascending.
    in_flight: VecDeque<u64>,
    /// The newest number of the `raft` crate, written or not.
    last: u64,
    /// Appends that must wait until a snapshot is installed; `None` when none is.
    held: Option<Vec<Append>>,
    /// The number of the append that starts the log anew after a snapshot, until it is durable.
    reset: Option<(u64, u64)>,
}

impl Appends {
    /// How many appends the disk still has to do.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a snapshot is being installed.
    pub(super) fn holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the log does not yet start anew, durably, after a snapshot that was accepted. Until
    /// then the `raft` crate's applied index lies before its log.
    pub(super) fn replacing(&self) -> bool {
        self.held.is_some() || self.reset.is_some()
    }

    /// Holds back all appends from now on. The one with this number will start the log anew after
    /// `index`.
    pub(super) fn hold(&mut self, number: u64, index: u64) {
        assert!(self.held.is_none(), "one snapshot at a time");
        self.held = Some(Vec::new());
        self.reset = Some((number, index));
    }

    /// Takes back what was held.
    pub(super) fn release(&mut self) -> Vec<Append> {
        self.held.take().expect("a snapshot was being installed")
    }

    /// Whether an append with nothing to write may count as done at once.
    pub(super) fn idle(&self) -> bool {
        self.in_flight.is_empty() && self.held.is_none()
    }

    /// Notes a number that needs no report.
    pub(super) fn skip(&mut self, number: u64) {
        self.last = number;
    }

    /// Notes an append; returns it if it may go to the disk now.
    pub(super) fn start(&mut self, append: Append) -> Option<Append> {
        assert!(append.number > self.last, "append {} after {}", append.number, self.last);
        self.last = append.number;
        self.in_flight.push_back(append.number);
        if self.held.is_some() {
            mutant!(M27b, { return Some(append) });
        }
        match &mut self.held {
            Some(held) => {
                held.push(append);
                None
            }
            None => Some(append),
        }
    }

    /// Everything up to `number` is done. Returns the number up to which the `raft` crate may be
    /// told so.
    pub(super) fn finish(&mut self, number: u64) -> u64 {
        assert!(self.in_flight.contains(&number), "append {number} was not under way");
        while self.in_flight.front().is_some_and(|first| *first <= number) {
            self.in_flight.pop_front();
        }
        if mutant!(M41a, self.in_flight.is_empty(), true) { self.last } else { number }
    }

    /// The log index at which a snapshot became durable with append `number`, once.
    pub(super) fn take_reset(&mut self, number: u64) -> Option<u64> {
        let (reset, index) = self.reset?;
        (reset <= number).then(|| {
            self.reset = None;
            index
        })
    }
}
