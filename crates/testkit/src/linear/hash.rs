//! A fast hash that is the same in every process.

use std::hash::{Hash, Hasher};

/// The hash of a value. Different values may share one.
pub(super) fn hash_of(value: &(impl Hash + ?Sized)) -> u32 {
    let mut hasher = Folding::default();
    value.hash(&mut hasher);
    upper(hasher.finish())
}

/// The hash of a row of words.
pub(super) fn hash_of_words(words: &[u64]) -> u32 {
    upper(words.iter().fold(SEED, |hash, word| fold(hash ^ word)))
}

fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Multiplies and folds the two halves of the product into one word.
struct Folding(u64);

impl Default for Folding {
    fn default() -> Self {
        Self(SEED)
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = fold(self.0 ^ value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn fold(word: u64) -> u64 {
    let product = u128::from(word ^ (word >> 29)) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// Odd and without a pattern in its bits: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a hash starts with: the first digits of pi after the point.
const SEED: u64 = 0x243f_6a88_85a3_08d3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_spread_and_stay_the_same() {
        let mut buckets = [0_u32; 64];
        for number in 0..64_000_u64 {
            buckets[hash_of(&number) as usize % 64] += 1;
        }
        assert!(buckets.iter().all(|count| (800..1_200).contains(count)), "{buckets:?}");
        assert_eq!(hash_of("linearizable"), hash_of(&"linearizable".to_owned()));
        assert_ne!(hash_of("ab"), hash_of("ab\0"));
        assert_ne!(hash_of_words(&[1, 2]), hash_of_words(&[2, 1]));
    }
}
