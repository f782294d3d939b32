//! Blocks of a snapshot as bytes.

use bytes::Bytes;
use quorate_types::{LogIndex, LogPosition, Term};

use crate::codec::{Decoder, Malformed, put_varint};

/// The version of the stream.
pub(crate) const STREAM_VERSION: u8 = 1;

/// A block of rows is closed when it is at least this long, so it is longer by at most one row.
pub(crate) const BLOCK_BYTES_TARGET: usize = 256 * 1024;

const KIND_HEAD: u8 = 0;
const KIND_ROWS: u8 = 1;
const KIND_END: u8 = 2;

/// The first block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeadBlock {
    /// The format of the tables.
    pub(crate) format: u32,
    /// The last log entry that the state includes.
    pub(crate) position: LogPosition,
}

/// The last block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EndBlock {
    /// How many rows came.
    pub(crate) rows: u64,
    /// CRC-32C over the checksums of all blocks before, four bytes each.
    pub(crate) chain: u32,
}

/// A decoded block.
#[derive(Debug)]
pub(crate) enum Block<'a> {
    Head(HeadBlock),
    Rows(RowsBlock<'a>),
    End(EndBlock),
}

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct RowsBlock<'a> {
    pub(crate) table: &'a [u8],
    pub(crate) rows: Vec<(&'a [u8], &'a [u8])>,
}

/// Builds one block.
pub(crate) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    fn new(kind: u8, number: u64) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&[STREAM_VERSION, kind]);
        bytes.extend_from_slice(&number.to_be_bytes());
        Self { bytes }
    }

    pub(crate) fn head(number: u64, head: &HeadBlock) -> Bytes {
        let mut builder = Self::new(KIND_HEAD, number);
        builder.bytes.extend_from_slice(&head.format.to_be_bytes());
        builder.bytes.extend_from_slice(&head.position.term.get().to_be_bytes());
        builder.bytes.extend_from_slice(&head.position.index.get().to_be_bytes());
        builder.finish()
    }

    pub(crate) fn end(number: u64, end: &EndBlock) -> Bytes {
        let mut builder = Self::new(KIND_END, number);
        builder.bytes.extend_from_slice(&end.rows.to_be_bytes());
        builder.bytes.extend_from_slice(&end.chain.to_be_bytes());
        builder.finish()
    }

    /// Begins a block of rows.
    pub(crate) fn rows(number: u64, table: &[u8]) -> Self {
        let mut builder = Self::new(KIND_ROWS, number);
        builder.put_sized(table);
        builder
    }

    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.put_sized(key);
        self.put_sized(value);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK_BYTES_TARGET
    }

    pub(crate) fn finish(mut self) -> Bytes {
        let checksum = crc32c::crc32c(&self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&checksum.to_be_bytes());
        self.bytes.into()
    }

    fn put_sized(&mut self, bytes: &[u8]) {
        put_varint(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

/// Checks and decodes block `number` of a stream.
pub(crate) fn decode(block: &[u8], number: u64) -> Result<Block<'_>, Malformed> {
    let mut decoder = Decoder::new(block);
    if decoder.u32()? != crc32c::crc32c(&block[4..]) {
        return Err("its checksum is wrong");
    }
    decoder.version(STREAM_VERSION)?;
    let kind = decoder.byte()?;
    if decoder.u64()? != number {
        return Err("it is out of order");
    }
    let decoded = match kind {
        KIND_HEAD => {
            let format = decoder.u32()?;
            let (term, index) = (decoder.u64()?, decoder.u64()?);
            let position = LogPosition::new(Term::new(term), LogIndex::new(index));
            Block::Head(HeadBlock { format, position })
        }
        KIND_ROWS => {
            let table = decoder.sized()?;
            let mut rows = Vec::new();
            while !decoder.is_at_end() {
                rows.push((decoder.sized()?, decoder.sized()?));
            }
            Block::Rows(RowsBlock { table, rows })
        }
        KIND_END => Block::End(EndBlock { rows: decoder.u64()?, chain: decoder.u32()? }),
        _ => return Err("its kind is unknown"),
    };
    decoder.end()?;
    Ok(decoded)
}

/// Adds a block's checksum to the chain.
pub(crate) fn extend_chain(chain: u32, block: &[u8]) -> u32 {
    crc32c::crc32c_append(chain, &block[..4.min(block.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_blocks() {
        let position = LogPosition::new(Term::new(3), LogIndex::new(9));
        let head = Builder::head(0, &HeadBlock { format: 1, position });
        let body = b"\x01\x00\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x09";
        assert_eq!(&head[4..], body);
        assert_eq!(head[..4], crc32c::crc32c(body).to_be_bytes());

        let mut rows = Builder::rows(1, b"live");
        rows.add(b"k", b"value");
        let rows = rows.finish();
        assert_eq!(&rows[4..], b"\x01\x01\0\0\0\0\0\0\0\x01\x04live\x01k\x05value");

        let end = Builder::end(2, &EndBlock { rows: 1, chain: 0x01020304 });
        assert_eq!(&end[4..], b"\x01\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x01\x02\x03\x04");
        for (number, block) in (0..).zip([head, rows, end]) {
            assert!(decode(&block, number).is_ok());
            assert!(decode(&block, number + 1).is_err());
            for length in 0..block.len() {
                assert!(decode(&block[..length], number).is_err());
            }
        }
    }
}
