//! Fewer faults and operations, and an earlier end.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_types::Instant;

use super::Search;
use crate::plan::Plan;

impl Search<'_> {
    /// Takes away all operations, all faults, or all watches: many failures need one of them only,
    /// and every later run is quicker.
    pub(super) fn all_at_once(&mut self) {
        let candidate = Plan { operations: Vec::new(), ..self.plan.clone() };
        self.accepts_some(&candidate, RESEEDS_COARSE);
        let candidate = Plan { faults: Vec::new(), ..self.plan.clone() };
        self.accepts_some(&candidate, RESEEDS_COARSE);
        let candidate = Plan { watches: Vec::new(), ..self.plan.clone() };
        self.accepts_some(&candidate, RESEEDS_COARSE);
    }

    /// Ends the faults earlier: at once after the violation, or after a part of the time if the
    /// violation was noticed at the end only.
    pub(super) fn cut_end(&mut self) {
        let noticed = self.failure.at - Instant::ZERO;
        self.ends_at(noticed);
        while PARTS.iter().any(|eighths| self.ends_at(self.plan.duration * *eighths / 8)) {}
    }

    /// Ends the faults right after a point in time, at a round one.
    fn ends_at(&mut self, end: Duration) -> bool {
        let end = round_up(end);
        end < self.plan.duration && self.accepts_some(&ending(&self.plan, end), RESEEDS_COARSE)
    }

    /// Leaves out the first part of the time; what comes later comes earlier by that much.
    pub(super) fn cut_start(&mut self) {
        while PARTS.iter().rev().any(|eighths| {
            let start = self.plan.duration * *eighths / 8;
            self.accepts_some(&starting(&self.plan, start), RESEEDS_COARSE)
        }) {}
    }

    pub(super) fn fewer_faults(&mut self) {
        self.remove_parts(self.plan.faults.len(), |plan, kept| {
            let faults = plan.faults.iter().enumerate();
            let faults = faults.filter(|(place, _)| kept(*place)).map(|(_, fault)| fault.clone());
            Plan { faults: faults.collect(), ..plan.clone() }
        });
    }

    pub(super) fn fewer_watches(&mut self) {
        self.remove_parts(self.plan.watches.len(), |plan, kept| {
            let watches = plan.watches.iter().enumerate();
            let watches = watches.filter(|(place, _)| kept(*place)).map(|(_, watch)| watch.clone());
            Plan { watches: watches.collect(), ..plan.clone() }
        });
    }

    /// Removes clients, which are those of one member each, then single operations.
    pub(super) fn fewer_operations(&mut self) {
        let members: BTreeSet<usize> =
            self.plan.operations.iter().map(|operation| operation.member).collect();
        for member in members {
            let mut candidate = self.plan.clone();
            candidate.operations.retain(|operation| operation.member != member);
            self.accepts_some(&candidate, RESEEDS_FINE);
        }
        self.remove_parts(self.plan.operations.len(), |plan, kept| {
            let parts = plan.operations.iter().enumerate();
            let parts = parts.filter(|(place, _)| kept(*place)).map(|(_, part)| part.clone());
            Plan { operations: parts.collect(), ..plan.clone() }
        });
    }

    /// Removes parts of a list of `count`: all, then ever smaller runs of them, until no single one
    /// can go (delta debugging, Zeller and Hildebrandt 2002, by complements).
    fn remove_parts(
        &mut self,
        count: usize,
        keeping: impl Fn(&Plan, &dyn Fn(usize) -> bool) -> Plan,
    ) {
        let mut left = count;
        let mut size = left;
        while size > 0 && left > 0 {
            let (mut first, mut removed) = (0, false);
            while first < left {
                let end = (first + size).min(left);
                let candidate = keeping(&self.plan, &|place| place < first || place >= end);
                let few = if left <= FEW { RESEEDS_FINE } else { 0 };
                let reseeds = if size * 4 >= left { RESEEDS_COARSE } else { few };
                if self.accepts_some(&candidate, reseeds) {
                    left -= end - first;
                    removed = true;
                } else {
                    first = end;
                }
                if self.is_over() {
                    return;
                }
            }
            // Single ones are tried again: one may be needed only by another that went after it.
            if size > 1 || !removed {
                size /= 2;
            }
        }
    }
}

/// The plan with faults only until `end`, and without what would come later.
fn ending(plan: &Plan, end: Duration) -> Plan {
    let mut plan = plan.clone();
    let at = Instant::ZERO + end;
    plan.duration = end;
    plan.faults.retain(|fault| fault.at < at);
    plan.operations.retain(|operation| operation.at < at);
    plan.watches.retain(|watch| watch.at < at);
    plan
}

/// The plan without what comes before `start`, which becomes the beginning.
fn starting(plan: &Plan, start: Duration) -> Plan {
    let mut plan = plan.clone();
    let at = Instant::ZERO + start;
    plan.duration = round_up(plan.duration.saturating_sub(start));
    plan.faults.retain(|fault| fault.at >= at);
    plan.operations.retain(|operation| operation.at >= at);
    plan.faults.iter_mut().for_each(|fault| fault.at = fault.at - start);
    plan.operations.iter_mut().for_each(|operation| operation.at = operation.at - start);
    // A watcher goes on to the end, so one that began earlier may still be needed.
    for watch in &mut plan.watches {
        watch.at = Instant::ZERO + watch.at.saturating_since(at);
    }
    plan
}

/// The next time above that has two digits, and at least a millisecond.
fn round_up(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1) + 1;
    let mut unit = 1;
    while millis / unit >= 100 {
        unit *= 10;
    }
    Duration::from_millis(millis.div_ceil(unit).saturating_mul(unit))
}

/// How many other seeds are tried where much is taken away at once, and where little is.
pub(super) const RESEEDS_COARSE: u64 = 8;
const RESEEDS_FINE: u64 = 3;

/// Where no more parts are left than this, other seeds are tried for each.
const FEW: usize = 40;

/// Parts of the time that are tried, in eighths, the shortest first.
const PARTS: [u32; 5] = [1, 2, 4, 6, 7];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_round_and_later() {
        let millis = |nanos| round_up(Duration::from_nanos(nanos)).as_millis();
        assert_eq!((millis(0), millis(999_999), millis(1_000_000)), (1, 1, 2));
        assert_eq!(
            (millis(98_999_999), millis(123_456_789), millis(3_100_000_000)),
            (99, 130, 3_200)
        );
    }
}
