//! Random bytes for values.

use quorate_types::SplitMix64;

/// Bytes that do not compress.
pub(crate) fn random_bytes(random: &mut SplitMix64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(random.draw().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
