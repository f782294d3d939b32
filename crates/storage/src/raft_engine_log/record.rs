//! The records in raft-engine's files, as far as it takes to tell good ones from bad ones.
//!
//! From the source of raft-engine 0.4.2 (`file_pipe_log/format.rs`, `log_batch.rs`, `codec.rs`). A
//! file:
//!
//! ```text
//! magic, 53 bytes | version: u64 = 2 | alignment: u64 = 0 | records
//! ```
//!
//! A record, numbers big-endian unless said otherwise:
//!
//! ```text
//! size of the record: u56 | compression: u8 = 0 | offset of the items: u64
//! entries, and their CRC-32: u32 little-endian (nothing at all without entries)
//! items, and their CRC-32: u32 little-endian, XORed with the low 32 bits of the file's number
//! ```
//!
//! The XOR makes records of a file's earlier life invalid after the file is used again.

use super::meta::{META_KEY, META_REGION, META_SIZE, Meta};

/// One good record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record<'a> {
    /// The bytes that it takes up.
    pub(super) size: usize,
    items: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the start of `bytes`, in the file with this number.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(bytes: &'a [u8], file_number: u64) -> Result<Self, &'static str> {
        let record = Self::parse_frame(bytes)?;
        record.check(bytes, file_number)?;
        Ok(record)
    }

    /// Whether any good record that begins at `bytes` could have been written as part of an append:
    /// a cheap test before the checksums.
    pub(super) fn parse_append(bytes: &'a [u8], file_number: u64) -> Option<(Self, Meta)> {
        let record = Self::parse_frame(bytes).ok()?;
        let meta = record.meta()?;
        record.check(bytes, file_number).ok()?;
        Some((record, meta))
    }

    /// The meta that a record of an append begins with.
    pub(super) fn meta(&self) -> Option<Meta> {
        let mut items = self.items;
        let _count = take_number(&mut items)?;
        if take_number(&mut items)? != META_REGION || take(&mut items, 2)? != [KEY_VALUE, PUT] {
            return None;
        }
        if take_number(&mut items)? != META_KEY.len() as u64 {
            return None;
        }
        if take(&mut items, META_KEY.len())? != META_KEY {
            return None;
        }
        if take_number(&mut items)? != META_SIZE as u64 {
            return None;
        }
        Meta::decode(take(&mut items, META_SIZE)?)
    }

    fn parse_frame(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let Some((header, _)) = bytes.split_at_checked(RECORD_HEADER_SIZE) else {
            return Err("the header of a record is cut off");
        };
        let (first, second) = (be_u64(&header[..8]), be_u64(&header[8..]));
        if first & 0xff != 0 {
            return Err("the header of a record names a compression");
        }
        let size = usize::try_from(first >> 8).unwrap_or(usize::MAX);
        let items = usize::try_from(second).unwrap_or(usize::MAX);
        if items < RECORD_HEADER_SIZE || items.saturating_add(CHECKSUM_SIZE) >= size {
            return Err("the header of a record contradicts itself");
        }
        let Some(record) = bytes.get(..size) else {
            return Err("a record is longer than the file");
        };
        Ok(Self { size, items: &record[items..] })
    }

    fn check(&self, bytes: &[u8], file_number: u64) -> Result<(), &'static str> {
        let signature = u32::try_from(file_number & u64::from(u32::MAX)).unwrap_or(0);
        if !checksum_holds(self.items, signature) {
            return Err("the checksum of the items does not match");
        }
        let entries = &bytes[RECORD_HEADER_SIZE..self.size - self.items.len()];
        if !entries.is_empty() && !checksum_holds(entries, 0) {
            return Err("the checksum of the entries does not match");
        }
        Ok(())
    }
}

/// Whether a file starts as raft-engine writes it.
pub(super) fn file_header_is_good(content: &[u8]) -> bool {
    content.get(..FILE_HEADER_SIZE) == Some(&file_header()[..])
}

fn file_header() -> Vec<u8> {
    [MAGIC, &2_u64.to_be_bytes()[..], &0_u64.to_be_bytes()[..]].concat()
}

/// Whether `bytes` end with the CRC-32 of what is before, XORed with `signature`.
fn checksum_holds(bytes: &[u8], signature: u32) -> bool {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_SIZE>() else { return false };
    !content.is_empty() && crc32fast::hash(content) == u32::from_le_bytes(*checksum) ^ signature
}

fn be_u64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// A number of variable length: seven bits a byte, lowest first, the top bit set in all but the
/// last byte.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Where the first record of a file begins.
pub(super) const FILE_HEADER_SIZE: usize = MAGIC.len() + 8 + 8;

const MAGIC: &[u8] = b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5";
const RECORD_HEADER_SIZE: usize = 16;
const CHECKSUM_SIZE: usize = 4;
const KEY_VALUE: u8 = 3;
const PUT: u8 = 1;
