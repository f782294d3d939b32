//! What each record carries besides entries: where the log stands.

use quorate_types::{LogIndex, LogPosition, Term};

use crate::{HardState, LogState};

/// The first item of every record, with all that a log must know besides its entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Meta {
    /// The number of the record: one more than that of the record before.
    pub(super) number: u64,
    /// The newest record that was known to be synced when this one was written.
    pub(super) synced: u64,
    /// The hard state.
    pub(super) hard_state: HardState,
    /// The position before the first entry.
    pub(super) start: LogPosition,
    /// The index of the last entry.
    pub(super) last: LogIndex,
    /// The raft-engine region that holds the entries. Each reset moves on to the next one.
    pub(super) region: u64,
    /// How often the log was opened for writing.
    pub(super) incarnation: u64,
}

impl Meta {
    /// What a log without any record holds.
    pub(super) fn empty() -> Self {
        Self { region: FIRST_LOG_REGION, ..Self::default() }
    }

    /// The bytes: the version, then the numbers in the order of the fields, big-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(META_SIZE);
        bytes.push(META_VERSION);
        let numbers = [
            self.number,
            self.synced,
            self.hard_state.term.get(),
            self.hard_state.vote,
            self.hard_state.commit.get(),
            self.start.term.get(),
            self.start.index.get(),
            self.last.get(),
            self.region,
            self.incarnation,
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Meta::encode`] wrote; `None` if the bytes cannot come from it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&META_VERSION, numbers) = bytes.split_first()? else { return None };
        let mut numbers = numbers.chunks(8).map(|chunk| chunk.try_into().map(u64::from_be_bytes));
        let mut next = || numbers.next()?.ok();
        let meta = Self {
            number: next()?,
            synced: next()?,
            hard_state: HardState {
                term: Term::new(next()?),
                vote: next()?,
                commit: LogIndex::new(next()?),
            },
            start: LogPosition::new(Term::new(next()?), LogIndex::new(next()?)),
            last: LogIndex::new(next()?),
            region: next()?,
            incarnation: next()?,
        };
        let is_plausible = bytes.len() == META_SIZE
            && meta.synced < meta.number
            && meta.start.index <= meta.last
            && meta.region >= FIRST_LOG_REGION;
        is_plausible.then_some(meta)
    }

    /// What the log store tells of this.
    pub(super) fn state(&self) -> LogState {
        LogState {
            hard_state: self.hard_state,
            start: self.start,
            last: self.last,
            incarnation: self.incarnation,
        }
    }
}

/// The raft-engine region that holds nothing but the meta.
pub(super) const META_REGION: u64 = 1;

/// The region of the entries before the first reset.
pub(super) const FIRST_LOG_REGION: u64 = 2;

/// The key of the meta in its region.
pub(super) const META_KEY: &[u8] = b"meta";

/// The size of the meta: a version and ten numbers.
pub(super) const META_SIZE: usize = 1 + 10 * 8;

const META_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_survives_the_disk_and_damage_is_seen() {
        let meta = Meta {
            number: 9,
            synced: 8,
            hard_state: HardState { term: Term::new(3), vote: 77, commit: LogIndex::new(5) },
            start: LogPosition::new(Term::new(2), LogIndex::new(4)),
            last: LogIndex::new(6),
            region: 3,
            incarnation: 12,
        };
        let bytes = meta.encode();
        assert_eq!(bytes.len(), META_SIZE);
        assert_eq!(&bytes[..9], [1, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(Meta::decode(&bytes), Some(meta));
        assert_eq!(Meta::decode(&bytes[..META_SIZE - 1]), None);
        assert_eq!(Meta::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Meta::decode(&[&[2], &bytes[1..]].concat()), None);
        assert_eq!(Meta::decode(&[]), None);
    }
}
