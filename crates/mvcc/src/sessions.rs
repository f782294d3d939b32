//! Applied once: which commands of each member were applied.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_storage::{StorageError, WriteBatch};
use quorate_types::{CommandId, MemberId, mutant};

use crate::codec::{Decoder, Malformed, put_varint};
use crate::{SESSIONS, StoreError};

const SESSION_VERSION: u8 = 1;

/// The sessions of all members, with those touched since the last write.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<MemberId, Session>,
    touched: BTreeSet<MemberId>,
}

impl Sessions {
    /// Reads the table `sessions` from a scan over it.
    pub(crate) fn load(
        rows: impl Iterator<Item = Result<(Bytes, Bytes), StorageError>>,
    ) -> Result<Self, StoreError> {
        let mut loaded = Self::default();
        for row in rows {
            let (key, value) = row?;
            let corrupt = |detail| StoreError::corrupt(SESSIONS, &key, detail);
            let member = key[..].try_into().map(u64::from_be_bytes).ok();
            let member = member.and_then(MemberId::from_u64);
            let member = member.ok_or(corrupt("the key is no member id"))?;
            loaded.sessions.insert(member, Session::decode(&value).map_err(corrupt)?);
        }
        Ok(loaded)
    }

    /// Whether the command is to be applied now: it was not before, and its member still waits for
    /// it. Remembers that it was, and that all sequences below `floor` are finished.
    pub(crate) fn admit(&mut self, id: CommandId, floor: u64) -> bool {
        let session = self.sessions.entry(id.origin).or_default();
        if id.incarnation < session.incarnation {
            return false;
        }
        if id.incarnation > session.incarnation {
            *session = Session { incarnation: id.incarnation, ..Session::default() };
        }
        self.touched.insert(id.origin);
        let fresh = session.add(id.sequence);
        session.raise_floor(mutant!(M51, floor, floor + 1));
        mutant!(M73, fresh, true)
    }

    /// Appends the sessions touched since the last call to `batch`.
    pub(crate) fn write_touched(&mut self, batch: &mut WriteBatch) {
        while let Some(member) = self.touched.pop_first() {
            if let Some(session) = self.sessions.get(&member) {
                batch.put(SESSIONS, member.get().to_be_bytes().to_vec(), session.encode());
            }
        }
    }
}

/// Which commands of one life of a member were applied.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Session {
    incarnation: u64,
    /// Every sequence below this was applied or is never to be.
    floor: u64,
    /// The sequences applied at or above the floor: first to the one after the last. Ranges neither
    /// touch each other nor the floor. There are never more than the member has commands that it
    /// waits for, because its floor follows them.
    applied: BTreeMap<u64, u64>,
}

impl Default for Session {
    /// Nothing was applied yet; sequences count from 1.
    fn default() -> Self {
        Self { incarnation: 0, floor: 1, applied: BTreeMap::new() }
    }
}

impl Session {
    /// Adds a sequence; false if it was there, or lies below the floor.
    fn add(&mut self, sequence: u64) -> bool {
        if sequence < self.floor || sequence == u64::MAX {
            return false;
        }
        let mut start = sequence;
        let mut end = sequence + 1;
        if let Some((&before, &before_end)) = self.applied.range(..=sequence).next_back() {
            if sequence < before_end {
                return false;
            }
            if before_end == sequence {
                start = before;
            }
        }
        if let Some(after_end) = self.applied.remove(&end) {
            end = after_end;
        }
        self.applied.insert(start, end);
        self.settle();
        true
    }

    fn raise_floor(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        while let Some(first) = self.applied.first_entry() {
            if *first.key() >= floor {
                break;
            }
            let end = first.remove();
            if end > floor {
                self.applied.insert(floor, end);
            }
        }
        self.settle();
    }

    /// Moves the floor over what was applied without a gap.
    fn settle(&mut self) {
        if let Some(end) = self.applied.remove(&self.floor) {
            self.floor = end;
        }
    }

    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(32 + 4 * self.applied.len());
        out.push(SESSION_VERSION);
        put_varint(&mut out, self.incarnation);
        put_varint(&mut out, self.floor);
        put_varint(&mut out, self.applied.len() as u64);
        let mut last = self.floor;
        for (&start, &end) in &self.applied {
            put_varint(&mut out, start - last);
            put_varint(&mut out, end - start);
            last = end;
        }
        out.into()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        decoder.version(SESSION_VERSION)?;
        let incarnation = decoder.varint()?;
        let floor = decoder.varint()?;
        let mut applied = BTreeMap::new();
        let mut last = floor;
        for _ in 0..decoder.varint()? {
            let (gap, count) = (decoder.varint()?, decoder.varint()?);
            if gap == 0 || count == 0 {
                return Err("a range is empty or touches another");
            }
            let start = last.checked_add(gap).ok_or("a range is too far")?;
            last = start.checked_add(count).ok_or("a range is too long")?;
            applied.insert(start, last);
        }
        decoder.end()?;
        Ok(Self { incarnation, floor, applied })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(incarnation: u64, sequence: u64) -> CommandId {
        CommandId { origin: MemberId::new(1), incarnation, sequence }
    }

    #[test]
    fn every_sequence_once() {
        let mut sessions = Sessions::default();
        for sequence in [3, 1, 5, 2, 4, 9, 7] {
            assert!(sessions.admit(id(1, sequence), 1), "{sequence}");
            assert!(!sessions.admit(id(1, sequence), 1), "{sequence}");
        }
        let session = &sessions.sessions[&MemberId::new(1)];
        assert_eq!(session.floor, 6);
        assert_eq!(session.applied, BTreeMap::from([(7, 8), (9, 10)]));
    }

    #[test]
    fn the_floor_ends_what_lies_below() {
        let mut sessions = Sessions::default();
        assert!(sessions.admit(id(1, 10), 8));
        for below in [1, 7] {
            assert!(!sessions.admit(id(1, below), 1));
        }
        assert!(sessions.admit(id(1, 8), 1));
        assert!(sessions.admit(id(1, 9), 1));
        assert_eq!(sessions.sessions[&MemberId::new(1)].floor, 11);
        assert!(sessions.admit(id(1, 14), 1));
        assert!(sessions.admit(id(1, 20), 14));
        let session = &sessions.sessions[&MemberId::new(1)];
        assert_eq!((session.floor, session.applied.len()), (15, 1));
    }

    #[test]
    fn a_new_life_replaces_the_old() {
        let mut sessions = Sessions::default();
        assert!(sessions.admit(id(1, 5), 5));
        assert!(sessions.admit(id(2, 1), 1));
        assert!(!sessions.admit(id(1, 6), 6));
        assert!(sessions.admit(id(2, 2), 1));
        let other = CommandId { origin: MemberId::new(2), incarnation: 1, sequence: 1 };
        assert!(sessions.admit(other, 1));
    }

    #[test]
    fn golden_session() {
        let applied = BTreeMap::from([(304, 306), (310, 311)]);
        let session = Session { incarnation: 2, floor: 300, applied };
        let bytes = b"\x01\x02\xac\x02\x02\x04\x02\x04\x01";
        assert_eq!(session.encode(), &bytes[..]);
        assert_eq!(Session::decode(bytes), Ok(session));
        for length in 0..bytes.len() {
            assert!(Session::decode(&bytes[..length]).is_err());
        }
        assert!(Session::decode(b"\x01\x02\x05\x01\x00\x01").is_err());
    }
}
