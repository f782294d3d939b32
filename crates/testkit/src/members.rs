//! How many members a cluster has when that is drawn for each seed.

use std::fmt;
use std::str::FromStr;

use crate::rng::{Purpose, Stream};

/// A smallest and a largest number of members, both included, of which each seed draws one.
///
/// ```
/// use quorate_testkit::MembersRange;
/// let range: MembersRange = "3..5".parse()?;
/// assert!((0..100).all(|seed| (3..=5).contains(&range.draw(seed))));
/// assert_eq!("4".parse::<MembersRange>()?.draw(1), 4);
/// # Ok::<(), quorate_testkit::MembersRangeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MembersRange {
    first: usize,
    last: usize,
}

/// A text is no range of members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MembersRangeError {
    /// The text.
    pub found: String,
}

impl MembersRange {
    /// From `first` up to and with `last`; nothing if that is empty or goes beyond 1 to 7.
    pub fn new(first: usize, last: usize) -> Option<Self> {
        (1 <= first && first <= last && last <= MEMBERS_MAX).then_some(Self { first, last })
    }

    /// The number of members of a seed.
    pub fn draw(self, seed: u64) -> usize {
        let mut stream = Stream::new(seed, Purpose::Shape, MEMBERS_ENTITY, 0);
        stream.between(self.first as u64, self.last as u64) as usize
    }
}

impl FromStr for MembersRange {
    type Err = MembersRangeError;

    /// Reads one number, or two with two dots between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let range = first.parse().ok().zip(last.parse().ok());
        range
            .and_then(|(first, last)| Self::new(first, last))
            .ok_or_else(|| MembersRangeError { found: text.to_owned() })
    }
}

impl fmt::Display for MembersRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}..{}", self.first, self.last)
        }
    }
}

impl fmt::Display for MembersRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "members cannot be {}, only 1 to {MEMBERS_MAX}, as in 3 or 3..5", self.found)
    }
}

impl std::error::Error for MembersRangeError {}

/// The most members of a cluster.
const MEMBERS_MAX: usize = 7;

/// The stream of shapes that members are drawn from; 0 is that of everything else.
const MEMBERS_ENTITY: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for text in ["1", "3..5", "7"] {
            assert_eq!(text.parse::<MembersRange>().expect("a range").to_string(), text);
        }
        for wrong in ["", "0", "8", "5..3", "3..", "..5", "3..8", "three", "-1"] {
            let error = wrong.parse::<MembersRange>().expect_err(wrong);
            assert_eq!(error.found, wrong);
        }
    }

    #[test]
    fn every_number_of_a_range_is_drawn() {
        let range = MembersRange::new(3, 5).expect("a range");
        for members in 3..=5 {
            assert!((0..64).any(|seed| range.draw(seed) == members));
        }
    }
}
