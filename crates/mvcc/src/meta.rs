//! The table `meta`: format, revisions, applied position, membership, progress of the sweep.

use bytes::Bytes;
use quorate_storage::{Engine, StorageError, WriteBatch};
use quorate_types::{LogIndex, LogPosition, Term};

use crate::codec::{Decoder, Malformed};
use crate::{META, StoreError};

/// The format of all tables that this version writes, and the newest it reads.
///
/// Format 1 has no leases: its tables `leases` and `lease_keys` are absent or empty.
pub(crate) const FORMAT: u32 = 2;

/// The key of the format number.
pub(crate) const FORMAT_KEY: &[u8] = b"format";
/// The key of the [`Head`].
pub(crate) const HEAD_KEY: &[u8] = b"head";
/// The key of the opaque membership.
pub(crate) const MEMBERSHIP_KEY: &[u8] = b"membership";
/// The key of how far the garbage of compactions was removed.
pub(crate) const SWEPT_KEY: &[u8] = b"swept";

const HEAD_VERSION: u8 = 1;
const SWEPT_VERSION: u8 = 1;

/// Where the store stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// The newest revision. A fresh store is at 1.
    pub(crate) revision: i64,
    /// The oldest revision that can be read; -1 if nothing was ever compacted.
    pub(crate) compact_revision: i64,
    /// The last log entry applied.
    pub(crate) applied: LogPosition,
}

impl Head {
    /// A fresh store, as etcd has it.
    pub(crate) const FRESH: Self = Self {
        revision: 1,
        compact_revision: -1,
        applied: LogPosition::new(Term::new(0), LogIndex::new(0)),
    };

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(33);
        out.push(HEAD_VERSION);
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(&self.compact_revision.to_be_bytes());
        out.extend_from_slice(&self.applied.term.get().to_be_bytes());
        out.extend_from_slice(&self.applied.index.get().to_be_bytes());
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        decoder.version(HEAD_VERSION)?;
        let head = Self {
            revision: decoder.i64()?,
            compact_revision: decoder.i64()?,
            applied: LogPosition::new(Term::new(decoder.u64()?), LogIndex::new(decoder.u64()?)),
        };
        decoder.end()?;
        if head.revision < 1 || head.compact_revision > head.revision {
            return Err("its revisions are impossible");
        }
        Ok(head)
    }

    /// Reads the head through `get`, which looks up a key of the table `meta`.
    pub(crate) fn read(
        get: impl Fn(&[u8]) -> Result<Option<Bytes>, StorageError>,
    ) -> Result<Self, StoreError> {
        let record = get(HEAD_KEY)?;
        let record = record.ok_or(StoreError::corrupt(META, HEAD_KEY, "it is missing"))?;
        Self::decode(&record).map_err(|detail| StoreError::corrupt(META, HEAD_KEY, detail))
    }
}

/// Encodes that all garbage of compactions up to `revision` is gone.
pub(crate) fn encode_swept(revision: i64) -> Bytes {
    let mut out = vec![SWEPT_VERSION];
    out.extend_from_slice(&revision.to_be_bytes());
    out.into()
}

/// Up to which revision the garbage of compactions is gone; -1 without a record.
pub(crate) fn read_swept(record: Option<Bytes>, head: &Head) -> Result<i64, StoreError> {
    let Some(record) = record else { return Ok(-1) };
    let decode = || {
        let mut decoder = Decoder::new(&record);
        decoder.version(SWEPT_VERSION)?;
        let swept = decoder.i64()?;
        decoder.end()?;
        let is_possible = 0 <= swept && swept <= head.compact_revision;
        if is_possible { Ok(swept) } else { Err("nothing was compacted there") }
    };
    decode().map_err(|detail| StoreError::corrupt(META, SWEPT_KEY, detail))
}

/// Writes what a fresh store holds.
pub(crate) fn initialise(batch: &mut WriteBatch) {
    batch.put(META, FORMAT_KEY, FORMAT.to_be_bytes().to_vec());
    batch.put(META, HEAD_KEY, Head::FRESH.encode());
}

/// Makes what an earlier version wrote a state of this one. Each earlier format is one of this
/// version that lacks something, so only the number changes.
pub(crate) fn upgrade(engine: &dyn Engine) -> Result<(), StoreError> {
    if check_format(engine.get(META, FORMAT_KEY)?)? < FORMAT {
        let mut batch = WriteBatch::new();
        batch.put(META, FORMAT_KEY, FORMAT.to_be_bytes().to_vec());
        engine.write(&batch)?;
    }
    Ok(())
}

/// Checks and returns the format number, which may be missing.
pub(crate) fn check_format(record: Option<Bytes>) -> Result<u32, StoreError> {
    let corrupt = |detail| StoreError::corrupt(META, FORMAT_KEY, detail);
    let record = record.ok_or(corrupt("it is missing"))?;
    let found = record[..].try_into().map(u32::from_be_bytes);
    match found {
        Err(_) => Err(corrupt("it is not four bytes long")),
        Ok(found) if found > FORMAT => Err(StoreError::NewerFormat { found, supported: FORMAT }),
        Ok(0) => Err(corrupt("it is zero")),
        Ok(found) => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_head() {
        let head = Head {
            revision: 0x0102,
            compact_revision: -1,
            applied: LogPosition::new(Term::new(3), LogIndex::new(0x0405)),
        };
        let expected = b"\x01\0\0\0\0\0\0\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\
            \0\0\0\0\0\0\0\x03\0\0\0\0\0\0\x04\x05";
        assert_eq!(head.encode(), &expected[..]);
        assert_eq!(Head::decode(expected), Ok(head));
        assert!(Head::decode(&expected[..32]).is_err());
        assert!(Head::decode(&[1; 34]).is_err());
    }

    #[test]
    fn golden_swept() {
        let record = encode_swept(0x0102);
        assert_eq!(record, &b"\x01\0\0\0\0\0\0\x01\x02"[..]);
        let read = |compact_revision, record: &Bytes| {
            let head = Head { revision: 1000, compact_revision, ..Head::FRESH };
            read_swept(Some(record.clone()), &head).ok()
        };
        assert_eq!((read(0x0102, &record), read(0x0101, &record)), (Some(0x0102), None));
        assert_eq!((read(1000, &record.slice(..8)), read(1000, &encode_swept(-1))), (None, None));
        assert_eq!(read_swept(None, &Head::FRESH).ok(), Some(-1));
    }

    #[test]
    fn formats() {
        for known in 1..=FORMAT {
            let record = Bytes::copy_from_slice(&known.to_be_bytes());
            assert_eq!(check_format(Some(record)).unwrap(), known);
        }
        let newer = check_format(Some(Bytes::from_static(&[0, 0, 0, 3])));
        assert!(matches!(newer, Err(StoreError::NewerFormat { found: 3, supported: 2 })));
        for bad in [None, Some(Bytes::new()), Some(Bytes::from_static(&[0; 4]))] {
            assert!(matches!(check_format(bad), Err(StoreError::Corrupt { .. })));
        }
    }
}
