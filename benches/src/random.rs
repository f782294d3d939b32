//! Random keys and values.

use quorate_types::SplitMix64;

/// Bytes that do not compress.
pub fn random_bytes(random: &mut SplitMix64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(random.draw().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Sixteen bytes, in an order that is not that of the numbers.
pub fn random_key(number: u64) -> String {
    format!("{:016x}", SplitMix64::new(number).draw())
}
