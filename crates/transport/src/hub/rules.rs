//! Faults of the in-process network.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_types::{MemberId, SplitMix64};

use crate::TransportError;

/// One million: the certain probability.
pub const PPM: u32 = 1_000_000;

/// The longest delay a rule may ask for. Bounds how long a stopped network is remembered.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// How late a reordered message is at most. Long enough that messages sent after it overtake it.
pub const REORDER_DELAY_MAX: Duration = Duration::from_millis(10);

/// What happens to messages of one direction between two members. The default does nothing.
///
/// Probabilities are in parts per million, from 0 (never) to [`PPM`] (always), and independent of
/// each other. Bulk streams heed `cut` only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkRules {
    /// How often a message is lost.
    pub drop_ppm: u32,
    /// How often a message arrives twice.
    pub duplicate_ppm: u32,
    /// How often a message is held back, up to [`REORDER_DELAY_MAX`], so that later ones overtake
    /// it.
    pub reorder_ppm: u32,
    /// The shortest delay of every message; at most `delay_max`. Default zero.
    pub delay_min: Duration,
    /// The longest delay of every message; at most [`DELAY_MAX`]. Default zero. Delays differ from
    /// message to message, so they reorder too.
    pub delay_max: Duration,
    /// Nothing passes: messages are lost without notice, bulk streams break.
    pub cut: bool,
}

impl LinkRules {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] with the first field that is outside its range.
    pub fn validate(&self) -> Result<(), TransportError> {
        for (field, value) in [
            ("drop_ppm", self.drop_ppm),
            ("duplicate_ppm", self.duplicate_ppm),
            ("reorder_ppm", self.reorder_ppm),
        ] {
            if value > PPM {
                return Err(invalid(field, value.to_string(), "at most 1000000"));
            }
        }
        if self.delay_max > DELAY_MAX {
            return Err(invalid("delay_max", format!("{:?}", self.delay_max), "at most 60 s"));
        }
        if self.delay_min > self.delay_max {
            return Err(invalid("delay_min", format!("{:?}", self.delay_min), "at most delay_max"));
        }
        Ok(())
    }
}

/// The faults in force.
pub(crate) struct Faults {
    links: BTreeMap<(MemberId, MemberId), LinkRules>,
    isolated: BTreeSet<MemberId>,
    random: SplitMix64,
}

/// When the copies of one message arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Lost,
    Once(Duration),
    Twice(Duration, Duration),
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { links: BTreeMap::new(), isolated: BTreeSet::new(), random: SplitMix64::new(seed) }
    }

    pub(crate) fn set(&mut self, from: MemberId, to: MemberId, rules: LinkRules) {
        if rules == LinkRules::default() {
            self.links.remove(&(from, to));
        } else {
            self.links.insert((from, to), rules);
        }
    }

    pub(crate) fn cut(&mut self, from: MemberId, to: MemberId) {
        self.links.entry((from, to)).or_default().cut = true;
    }

    pub(crate) fn isolate(&mut self, member: MemberId) {
        self.isolated.insert(member);
    }

    pub(crate) fn heal(&mut self) {
        self.links.clear();
        self.isolated.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.isolated.is_empty()
    }

    pub(crate) fn is_cut(&self, from: MemberId, to: MemberId) -> bool {
        (from != to && (self.isolated.contains(&from) || self.isolated.contains(&to)))
            || self.links.get(&(from, to)).is_some_and(|rules| rules.cut)
    }

    /// Decides about one message. Draws the same number of random numbers for every message of a
    /// link with rules.
    pub(crate) fn fate(&mut self, from: MemberId, to: MemberId) -> Fate {
        if self.is_cut(from, to) {
            return Fate::Lost;
        }
        let Some(rules) = self.links.get(&(from, to)).copied() else {
            return Fate::Once(Duration::ZERO);
        };
        let lost = self.happens(rules.drop_ppm);
        let twice = self.happens(rules.duplicate_ppm);
        let (first, second) = (self.delay(&rules), self.delay(&rules));
        match (lost, twice) {
            (true, _) => Fate::Lost,
            (false, false) => Fate::Once(first),
            (false, true) => Fate::Twice(first, second),
        }
    }

    fn happens(&mut self, ppm: u32) -> bool {
        self.random.below(u64::from(PPM)) < u64::from(ppm)
    }

    fn delay(&mut self, rules: &LinkRules) -> Duration {
        let held = self.happens(rules.reorder_ppm);
        let late = self.random.below(nanos(REORDER_DELAY_MAX));
        let spread = nanos(rules.delay_max - rules.delay_min);
        let delay = rules.delay_min + Duration::from_nanos(self.random.below(spread + 1));
        if held { delay + Duration::from_nanos(late) } else { delay }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("delays are at most DELAY_MAX")
}

fn invalid(field: &'static str, found: String, expected: &'static str) -> TransportError {
    TransportError::InvalidConfig { field, found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MemberId = MemberId::new(1);
    const B: MemberId = MemberId::new(2);

    fn fates(rules: LinkRules) -> Vec<Fate> {
        let mut faults = Faults::new(7);
        faults.set(A, B, rules);
        (0..1_000).map(|_| faults.fate(A, B)).collect()
    }

    fn check_invalid(rules: LinkRules, expected: &str) {
        let error = rules.validate().expect_err("the rules are invalid");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn refuses_values_outside_their_range() {
        let rules = LinkRules::default();
        assert!(rules.validate().is_ok());
        check_invalid(
            LinkRules { drop_ppm: PPM + 1, ..rules },
            "invalid drop_ppm: found 1000001, expected at most 1000000",
        );
        check_invalid(
            LinkRules { delay_max: Duration::from_secs(61), ..rules },
            "invalid delay_max: found 61s, expected at most 60 s",
        );
        check_invalid(
            LinkRules { delay_min: Duration::from_secs(1), ..rules },
            "invalid delay_min: found 1s, expected at most delay_max",
        );
    }

    #[test]
    fn certain_and_impossible_faults_are_exact() {
        let rules = LinkRules::default();
        assert!(fates(rules).iter().all(|fate| *fate == Fate::Once(Duration::ZERO)));
        let lost = LinkRules { drop_ppm: PPM, ..rules };
        assert!(fates(lost).iter().all(|fate| *fate == Fate::Lost));
        let twice = LinkRules { duplicate_ppm: PPM, ..rules };
        let both = Fate::Twice(Duration::ZERO, Duration::ZERO);
        assert!(fates(twice).iter().all(|fate| *fate == both));
    }

    #[test]
    fn probabilities_are_kept_and_the_seed_repeats_them() {
        let rules = LinkRules { drop_ppm: PPM / 4, ..LinkRules::default() };
        let lost = fates(rules).iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((200..300).contains(&lost), "lost {lost} of 1000");
        assert_eq!(fates(rules), fates(rules));
    }

    #[test]
    fn delays_stay_in_their_range() {
        let (min, max) = (Duration::from_millis(2), Duration::from_millis(3));
        let rules = LinkRules { delay_min: min, delay_max: max, ..LinkRules::default() };
        for fate in fates(rules) {
            let Fate::Once(delay) = fate else { panic!("only delays were asked for: {fate:?}") };
            assert!(delay >= min && delay <= max, "delay {delay:?}");
        }
    }

    #[test]
    fn isolation_cuts_both_ways_until_healed() {
        let mut faults = Faults::new(7);
        faults.isolate(A);
        assert!(faults.is_cut(A, B) && faults.is_cut(B, A) && !faults.is_cut(A, A));
        faults.cut(B, B);
        faults.heal();
        assert!(faults.is_empty() && !faults.is_cut(A, B) && !faults.is_cut(B, B));
    }
}
