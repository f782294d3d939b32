//! Searching for one bug, several times.

use std::time::{Duration, Instant};

use quorate_types::mutants::{Selection, select};

use super::Row;
use crate::run::Options;

/// What became of the searches for a bug.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The bug.
    pub row: Row,
    /// How many searches there were: each goes on where the one before ended.
    pub searches: usize,
    /// The searches that broke a promise within the budget.
    pub findings: Vec<Finding>,
    /// How many seeds were run.
    pub runs: u64,
    /// In how many of them the bug acted.
    pub runs_reached: u64,
}

/// A seed that found a bug.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// How many members its cluster has.
    pub members: usize,
    /// Which promise was broken.
    pub checker: &'static str,
    /// How many seeds the search took.
    pub seeds: u64,
    /// How long it took.
    pub time: Duration,
}

/// Searches `searches` times for the bug of `row`, from `first_seed` on. The options are those of
/// every run; a selection in them tells only in which member and how late the bug acts.
pub fn measure(row: &Row, searches: usize, first_seed: u64, options: &Options) -> Measured {
    let mut measured =
        Measured { row: *row, searches, findings: Vec::new(), runs: 0, runs_reached: 0 };
    for _ in 0..searches {
        let finding = search(&mut measured, first_seed, options);
        match finding {
            Some(finding) => measured.findings.push(finding),
            // A second budget is not spent on what the first one did not find.
            None => break,
        }
    }
    measured
}

fn search(measured: &mut Measured, first_seed: u64, options: &Options) -> Option<Finding> {
    let Row { mutant, class, scenario, .. } = measured.row;
    let selection = Selection { mutant, ..options.mutant.unwrap_or(Selection::of(mutant)) };
    let options = Options { mutant: None, ..options.clone() };
    let begun = Instant::now();
    let mut seeds = 0;
    while seeds < class.seeds() || begun.elapsed() < class.time() {
        let seed = first_seed + measured.runs;
        let prepared = scenario.prepare(seed, &options);
        let selected = select(selection);
        let result = prepared.run(&options);
        seeds += 1;
        measured.runs += 1;
        measured.runs_reached += u64::from(selected.hits() > 0);
        if let Err(failure) = result {
            let checker = failure.violation.checker;
            let (members, time) = (prepared.members(), begun.elapsed());
            return Some(Finding { seed, members, checker, seeds, time });
        }
    }
    None
}

impl Measured {
    /// Whether every search found the bug within its budget.
    pub fn is_found(&self) -> bool {
        !self.findings.is_empty() && self.findings.len() == self.searches
    }

    /// How many seeds a search took, in the middle of all; nothing without a finding.
    pub fn seeds_median(&self) -> Option<u64> {
        let mut seeds: Vec<u64> = self.findings.iter().map(|finding| finding.seeds).collect();
        seeds.sort_unstable();
        seeds.get(seeds.len() / 2).copied()
    }

    /// The time that this many searches of a hundred took at most; nothing without a finding.
    pub fn time_percentile(&self, percent: usize) -> Option<Duration> {
        let mut times: Vec<Duration> = self.findings.iter().map(|finding| finding.time).collect();
        times.sort_unstable();
        let place = (times.len() * percent).div_ceil(100).max(1) - 1;
        times.get(place).copied()
    }

    /// The promises that were broken, each once.
    pub fn checkers(&self) -> Vec<&'static str> {
        let mut checkers: Vec<&str> = self.findings.iter().map(|finding| finding.checker).collect();
        checkers.sort_unstable();
        checkers.dedup();
        checkers
    }

    /// The sizes of the clusters that broke a promise, each once.
    pub fn members(&self) -> Vec<usize> {
        let mut members: Vec<usize> = self.findings.iter().map(|finding| finding.members).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::{Mutant, row};

    #[test]
    fn medians_and_percentiles() {
        let finding = |seeds| Finding {
            seed: 0,
            members: 3,
            checker: "panic",
            seeds,
            time: Duration::from_secs(seeds),
        };
        let findings = [5, 1, 9].map(finding).to_vec();
        let row = *row(Mutant::M39);
        let measured = Measured { row, searches: 3, findings, runs: 15, runs_reached: 15 };
        assert!(measured.is_found());
        assert_eq!(measured.seeds_median(), Some(5));
        assert_eq!(measured.time_percentile(50), Some(Duration::from_secs(5)));
        assert_eq!(measured.time_percentile(90), Some(Duration::from_secs(9)));
        assert_eq!((measured.checkers(), measured.members()), (vec!["panic"], vec![3]));
        let nothing = Measured { findings: Vec::new(), ..measured };
        assert!(!nothing.is_found());
        assert_eq!((nothing.seeds_median(), nothing.time_percentile(90)), (None, None));
    }
}
