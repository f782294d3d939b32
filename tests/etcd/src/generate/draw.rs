//! Random choices, and the keys, values and revisions that all requests share.

use bytes::Bytes;
use quorate_kv_api::prefix_end;
use quorate_types::SplitMix64;

use super::Outlook;

/// Draws from a seed.
pub struct Draw {
    random: SplitMix64,
}

impl Draw {
    /// The same seed draws the same.
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed) }
    }

    /// True in this many of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    /// True in one of this many cases.
    pub fn once_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    /// A number from the first to the last.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        let count = last.abs_diff(first) + 1;
        first + i64::try_from(self.random.below(count)).expect("the ranges here are small")
    }

    /// A length or count, below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("it is below a usize")
    }

    /// One of these, unless there is none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// One of these by their weights.
    pub fn weighted<T: Copy>(&mut self, all: &[(T, u64)]) -> T {
        let mut left = self.random.below(all.iter().map(|(_, weight)| weight).sum());
        for (item, weight) in all {
            if left < *weight {
                return *item;
            }
            left -= weight;
        }
        panic!("a number below the sum of the weights is below one of the partial sums")
    }

    /// One of the keys, or seldom none.
    pub fn key(&mut self) -> Bytes {
        if self.chance(1) {
            return Bytes::new();
        }
        Bytes::from_static(KEYS[self.below(KEYS.len())])
    }

    /// The second field of a range that begins at `key`.
    pub fn range_end(&mut self, key: &Bytes) -> Bytes {
        match self.random.below(100) {
            0..40 => Bytes::new(),
            40..55 => Bytes::from_static(b"\0"),
            55..75 => prefix_end(key),
            75..80 => key.clone(),
            _ => self.key(),
        }
    }

    /// One of the values.
    pub fn value(&mut self) -> Bytes {
        match self.random.below(12) {
            0 => Bytes::new(),
            1 => Bytes::from_static(b"\0\xff\0"),
            2 => Bytes::from(vec![b'x'; LONG_VALUE]),
            number => Bytes::from(number.to_string()),
        }
    }

    /// A revision to ask for: mostly one that can be read.
    pub fn revision(&mut self, outlook: &Outlook) -> i64 {
        let (oldest, newest) = (outlook.compact_revision, outlook.revision);
        match self.random.below(100) {
            0..40 => 0,
            40..70 => self.between(oldest.max(1), newest),
            70..80 => self.between((newest - 3).max(oldest), newest),
            80..86 => newest + self.between(1, 3),
            86..90 => -self.between(1, 5),
            90..95 => oldest,
            95..98 => oldest + 1,
            _ => oldest - 1,
        }
    }

    /// A revision to compare with: mostly a recent one.
    pub fn recent_revision(&mut self, outlook: &Outlook) -> i64 {
        let newest = outlook.revision;
        match self.random.below(100) {
            0..20 => 0,
            20..90 => self.between((newest - 20).max(0), newest),
            90..95 => newest + 1,
            _ => -1,
        }
    }

    /// A bound for a filter by revision: mostly none.
    pub fn revision_bound(&mut self, outlook: &Outlook) -> i64 {
        if self.chance(88) { 0 } else { self.recent_revision(outlook) }
    }

    /// A lease to attach or to ask for: one that lives, if there is one, or one that does not.
    pub fn lease(&mut self, outlook: &Outlook) -> i64 {
        match self.pick(&outlook.leases) {
            Some(lease) if self.random.below(100) < 90 => *lease,
            _ => self.between(-3, 40),
        }
    }
}

/// Neighbours, prefixes of each other, and bytes at the ends of their range.
const KEYS: [&[u8]; 12] = [
    b"\0",
    b"a",
    b"a\0",
    b"a\0\0",
    b"a\xff",
    b"a\xff\xff",
    b"ab",
    b"abc",
    b"b",
    b"k/1",
    b"\xff",
    b"\xff\xff",
];
const LONG_VALUE: usize = 40;
