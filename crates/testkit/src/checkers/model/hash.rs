//! etcd's hash over the history, kept for every revision; of a compacted one it is made anew.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::KeyValue;

/// The hash up to and with each revision.
#[derive(Debug)]
pub(super) struct HashChain {
    /// By revision, from 0.
    hashes: Vec<u32>,
    /// All changes in their order.
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    main: i64,
    sub: i64,
    key: Bytes,
    is_put: bool,
    /// What the hash is taken of.
    bytes: Vec<u8>,
}

impl HashChain {
    /// Of a store at revision 1, which is empty.
    pub(super) fn new() -> Self {
        let empty = append(0, b"key");
        Self { hashes: vec![empty, empty], changes: Vec::new() }
    }

    /// Adds a change with its main and sub revision; nothing stands for a deletion.
    pub(super) fn add(&mut self, revision: (i64, i64), key: &Bytes, now: Option<&KeyValue>) {
        let (main, sub) = revision;
        let mut bytes = [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes()].concat();
        match now {
            Some(kv) => bytes.extend(kv.encode_to_vec()),
            None => {
                bytes.push(b't');
                let gone = KeyValue { key: key.clone(), ..KeyValue::default() };
                bytes.extend(gone.encode_to_vec());
            }
        }
        let last = self.hashes.last().copied().unwrap_or_default();
        let hash = append(last, &bytes);
        let (key, is_put) = (key.clone(), now.is_some());
        self.changes.push(Change { main, sub, key, is_put, bytes });
        if sub == 0 {
            self.hashes.push(hash);
        } else if let Some(last) = self.hashes.last_mut() {
            *last = hash;
        }
    }

    /// The hash up to and with a revision, which must exist; what lies before 1 is empty.
    pub(super) fn at(&self, revision: i64) -> u32 {
        self.hashes[usize::try_from(revision).unwrap_or(0)]
    }

    /// The same after a compaction: of the changes up to there only the puts count that were still
    /// in force at the main revision `in_force_at`.
    pub(super) fn compacted_at(&self, revision: i64, compacted: i64, in_force_at: i64) -> u32 {
        let until = |main| self.changes.partition_point(|change| change.main <= main);
        let mut last = BTreeMap::new();
        for (place, change) in self.changes[..until(in_force_at)].iter().enumerate() {
            last.insert(&change.key, place);
        }
        let counts = |place: usize, change: &Change| {
            change.main > compacted || (change.is_put && last.get(&change.key) == Some(&place))
        };
        let counted = self.changes[..until(revision)].iter().enumerate();
        let counted = counted.filter(|(place, change)| counts(*place, change));
        counted.fold(append(0, b"key"), |hash, (_, change)| append(hash, &change.bytes))
    }

    /// The changes that a store keeps that was compacted: all but versions that were not current
    /// any more at that revision, and deletions before it.
    pub(super) fn left(&self, compacted: i64) -> Vec<(i64, i64)> {
        let mut next = BTreeMap::new();
        let mut left = Vec::new();
        for change in self.changes.iter().rev() {
            let successor = next.insert(&change.key, change.main);
            let is_left = match change.is_put {
                true => successor.is_none_or(|successor| successor > compacted),
                false => change.main >= compacted,
            };
            if is_left {
                left.push((change.main, change.sub));
            }
        }
        left.reverse();
        left
    }
}

/// CRC-32C of what `hash` is of and `bytes` behind it.
fn append(hash: u32, bytes: &[u8]) -> u32 {
    let step = |state: u32, byte: &u8| TABLE[usize::from(state as u8 ^ byte)] ^ (state >> 8);
    !bytes.iter().fold(!hash, step)
}

/// The remainders of all bytes by the polynomial of Castagnoli, bits in reverse.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = remainder & 1 != 0;
            remainder = (remainder >> 1) ^ if carry { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_polynomial() {
        assert_eq!(append(0, b"123456789"), 0xe306_9283);
        assert_eq!(append(append(0, b"1234"), b"56789"), 0xe306_9283);
    }
}
