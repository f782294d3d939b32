//! Independent streams of random numbers, all derived from one seed.
//!
//! Every number is a function of (seed, purpose, entity, counter). What one part of a simulation
//! draws therefore never moves what another part gets: without one fault, the noise of every link
//! and disk stays as it was.

use std::time::Duration;

/// What a stream is for. Streams of different purposes are independent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// The shape of a plan: members, limits, noise.
    Shape = 1,
    /// The fault timeline of a plan.
    Faults = 2,
    /// The operations of a plan.
    Operations = 3,
    /// Delay, loss and copies of the messages of a link.
    Link = 4,
    /// Durations and failures of snapshot streams.
    Bulk = 5,
    /// Durations of a member's log writes.
    Log = 6,
    /// Durations of a member's applying.
    Apply = 7,
    /// Durations of a member's flushes.
    Flush = 8,
    /// Durations of a member's fetches.
    Fetch = 9,
    /// How long a member's consensus takes to wake up.
    Wake = 10,
    /// What a crash leaves on disk.
    Crash = 11,
    /// Seeds of the members' cores.
    Core = 12,
    /// Which of several events at one time comes first.
    Order = 13,
    /// How strong each class of faults is.
    Levels = 14,
    /// Who must recover first when faults end, and what becomes of the others meanwhile.
    Recovery = 15,
    /// The order in which messages that were held back leave.
    Release = 16,
    /// What a failed operation of a disk leaves.
    DiskFailure = 17,
    /// When messages of earlier lives arrive.
    Stale = 18,
    /// What actors draw for themselves.
    Actor = 19,
    /// How long actors' threads take to wake up.
    Turn = 20,
    /// The operations of a user's own workload.
    Workload = 21,
    /// The faults of users' own nemeses.
    Nemesis = 22,
    /// What a member missed while it was paused.
    Resume = 23,
    /// How long calls that wait at a member take to wake up.
    Parked = 24,
    /// The watchers of a plan.
    Watches = 30,
    /// How fast watchers read, and what they ask for.
    Watcher = 31,
    /// When members do what they do on their own, and how much of it.
    Chores = 25,
}

/// The number at `counter` of the stream for (`seed`, `purpose`, `entity`).
pub fn rng(seed: u64, purpose: Purpose, entity: u64, counter: u64) -> u64 {
    let key = mix(seed ^ mix(purpose as u64));
    mix(mix(key ^ mix(entity.wrapping_add(GOLDEN))) ^ counter.wrapping_mul(GOLDEN))
}

/// Numbers drawn one after another; a stream within a stream.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The stream that starts at `counter` of (`seed`, `purpose`, `entity`).
    pub fn new(seed: u64, purpose: Purpose, entity: u64, counter: u64) -> Self {
        Self(rng(seed, purpose, entity, counter))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of a product of 128 bits always fits.
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `first` up to and with `last`, which must not be smaller.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        assert!(first <= last, "no number from {first} to {last}");
        first + self.below((last - first).saturating_add(1))
    }

    /// A place in a list of `count`, which must not be empty.
    pub fn place(&mut self, count: usize) -> usize {
        assert!(count > 0, "no place in an empty list");
        usize::try_from(self.below(count as u64)).expect("smaller than a usize")
    }

    /// True `ppm` times in a million.
    pub fn chance(&mut self, ppm: u64) -> bool {
        self.below(MILLION) < ppm
    }

    /// A time from `first` up to and with `last`.
    pub fn duration(&mut self, first: Duration, last: Duration) -> Duration {
        Duration::from_nanos(self.between(nanos(first), nanos(last)))
    }

    /// A time around `mean` that is half as probable with each further `mean`, by whole numbers
    /// only: the same on every machine.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        let drawn = self.draw();
        let whole = u64::from(drawn.trailing_zeros().min(20));
        let part = (u128::from(drawn >> 32) * mean.as_nanos()) >> 32;
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos(mean).saturating_mul(whole).saturating_add(part))
    }

    /// A time from `base` on that is mostly short and seldom very long: each doubling is half as
    /// probable.
    pub fn long_tail(&mut self, base: Duration, limit: Duration) -> Duration {
        let doublings = self.draw().trailing_zeros().min(20);
        let long = Duration::from_nanos(nanos(base).saturating_mul(1 << doublings));
        self.duration(base, long.max(base)).min(limit)
    }
}

/// A million, of which chances are parts.
pub const MILLION: u64 = 1_000_000;

/// Nanoseconds of a time; those of this crate fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let mut mixed = value;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The first number that SplitMix64 draws from a seed.
pub(crate) fn split_mix(seed: u64) -> u64 {
    mix(seed.wrapping_add(GOLDEN))
}

/// 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_of_each_other() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..8 {
            for purpose in [Purpose::Link, Purpose::Log, Purpose::Order] {
                for entity in 0..8 {
                    for counter in 0..64 {
                        assert!(seen.insert(rng(seed, purpose, entity, counter)));
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_stream_gives_the_same_numbers() {
        let draw = || {
            let mut stream = Stream::new(7, Purpose::Link, 3, 9);
            [stream.draw(), stream.below(10), stream.between(5, 6)]
        };
        assert_eq!(draw(), draw());
        // Fixed for ever: saved seeds depend on it.
        assert_eq!(rng(0, Purpose::Shape, 0, 0), 12_674_958_152_852_001_198);
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut stream = Stream::new(1, Purpose::Bulk, 0, 0);
        let mut hits = 0;
        for _ in 0..10_000 {
            assert!(stream.below(3) < 3);
            assert!((5..=7).contains(&stream.between(5, 7)));
            hits += u64::from(stream.chance(100_000));
            assert!(stream.exponential(Duration::from_secs(1)) <= Duration::from_secs(21));
            let limit = Duration::from_secs(1);
            assert!(stream.long_tail(Duration::from_millis(1), limit) <= limit);
        }
        assert!((800..1_200).contains(&hits), "{hits}");
        assert_eq!(stream.between(0, u64::MAX).leading_zeros() / 65, 0);
    }
}
