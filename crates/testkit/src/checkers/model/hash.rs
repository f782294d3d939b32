//! etcd's hash over the history, kept for every revision.

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::KeyValue;

/// The hash up to and with each revision.
#[derive(Debug)]
pub(super) struct HashChain {
    /// By revision, from 0.
    hashes: Vec<u32>,
}

impl HashChain {
    /// Of a store at revision 1, which is empty.
    pub(super) fn new() -> Self {
        let empty = append(0, b"key");
        Self { hashes: vec![empty, empty] }
    }

    /// Adds a change with its main and sub revision; nothing stands for a deletion.
    pub(super) fn add(&mut self, revision: (i64, i64), key: &Bytes, now: Option<&KeyValue>) {
        let (main, sub) = revision;
        let last = self.hashes.last().copied().unwrap_or_default();
        let mut hash = append(last, &main.to_be_bytes());
        hash = append(hash, b"_");
        hash = append(hash, &sub.to_be_bytes());
        hash = match now {
            Some(kv) => append(hash, &kv.encode_to_vec()),
            None => {
                let gone = KeyValue { key: key.clone(), ..KeyValue::default() };
                append(append(hash, b"t"), &gone.encode_to_vec())
            }
        };
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
