//! The records of the tables `live`, `history` and `versions`. `docs/disk_format.md` describes
//! them.

use bytes::Bytes;
use quorate_kv_api::KeyValue;

use crate::codec::{Decoder, Malformed, VARINT_LEN_MAX, put_escaped, put_varint, unescape};

/// The version byte of the records of this file.
pub(crate) const RECORD_VERSION: u8 = 1;

/// One change of the store: `main` counts requests that changed something, `sub` the changes of one
/// request from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Revision {
    pub(crate) main: i64,
    pub(crate) sub: i64,
}

/// How many bytes a revision takes in a key.
pub(crate) const REVISION_LEN: usize = 16;

impl Revision {
    pub(crate) fn new(main: i64, sub: i64) -> Self {
        Self { main, sub }
    }

    /// The key in `history`: byte order is revision order.
    pub(crate) fn to_key(self) -> [u8; REVISION_LEN] {
        let mut key = [0; REVISION_LEN];
        key[..8].copy_from_slice(&self.main.to_be_bytes());
        key[8..].copy_from_slice(&self.sub.to_be_bytes());
        key
    }

    pub(crate) fn from_key(key: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(key);
        let revision = Self::new(decoder.i64()?, decoder.i64()?);
        decoder.end()?;
        revision.checked()
    }

    fn checked(self) -> Result<Self, Malformed> {
        if self.main < 0 || self.sub < 0 { Err("a revision is negative") } else { Ok(self) }
    }

    /// The end of a key in `versions`: byte order is revision order backwards.
    pub(crate) fn to_inverted(self) -> [u8; REVISION_LEN] {
        self.to_key().map(|byte| !byte)
    }

    fn from_inverted(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: [u8; REVISION_LEN] = bytes.try_into().map_err(|_| "it is cut off")?;
        Self::from_key(&bytes.map(|byte| !byte))
    }
}

/// What a version of a key is besides its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) create_revision: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

/// A record of `live` without its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LiveHeader {
    pub(crate) revision: Revision,
    pub(crate) attributes: Attributes,
    value_start: usize,
}

impl LiveHeader {
    pub(crate) fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(record);
        decoder.version(RECORD_VERSION)?;
        let revision = Revision::new(decoder.natural()?, decoder.natural()?);
        let attributes = decode_attributes(&mut decoder)?;
        Ok(Self { revision, attributes, value_start: decoder.position() })
    }

    /// The value that stands in `record`, from which this header was decoded.
    pub(crate) fn value(&self, record: &Bytes) -> Bytes {
        record.slice(self.value_start..)
    }

    /// What the API shows of this version besides its key and value, which are left empty.
    pub(crate) fn without_value(&self) -> KeyValue {
        key_value(Bytes::new(), self.revision.main, self.attributes, Bytes::new())
    }

    /// The whole of `record`, from which this header was decoded, as the API shows it.
    pub(crate) fn key_value(&self, key: Bytes, record: &Bytes) -> KeyValue {
        key_value(key, self.revision.main, self.attributes, self.value(record))
    }
}

/// Encodes a record of `live`.
pub(crate) fn encode_live(revision: Revision, attributes: Attributes, value: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(1 + 5 * VARINT_LEN_MAX + value.len());
    out.push(RECORD_VERSION);
    put_varint(&mut out, revision.main as u64);
    put_varint(&mut out, revision.sub as u64);
    put_attributes(&mut out, attributes);
    out.extend_from_slice(value);
    out.into()
}

/// A record of `history`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HistoryRecord {
    pub(crate) key: Bytes,
    /// The version of the key that this one took the place of. Zero if the key did not exist.
    pub(crate) superseded: Revision,
    pub(crate) change: Change,
}

/// What happened to the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Put { attributes: Attributes, value: Bytes },
    Delete,
}

const KIND_PUT: u8 = 0;
const KIND_DELETE: u8 = 1;

impl HistoryRecord {
    pub(crate) fn decode(record: &Bytes) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(record);
        decoder.version(RECORD_VERSION)?;
        let kind = decoder.byte()?;
        let superseded = Revision::new(decoder.natural()?, decoder.natural()?);
        match kind {
            KIND_PUT => {
                let attributes = decode_attributes(&mut decoder)?;
                let key = record.slice_ref(decoder.sized()?);
                let value = record.slice(decoder.position()..);
                Ok(Self { key, superseded, change: Change::Put { attributes, value } })
            }
            KIND_DELETE => {
                let key = record.slice_ref(decoder.sized()?);
                decoder.end()?;
                Ok(Self { key, superseded, change: Change::Delete })
            }
            _ => Err("its kind is unknown"),
        }
    }
}

/// Encodes a record of `history` for a put.
pub(crate) fn encode_put(
    key: &[u8],
    superseded: Revision,
    attributes: Attributes,
    value: &[u8],
) -> Bytes {
    let mut out = Vec::with_capacity(2 + 6 * VARINT_LEN_MAX + key.len() + value.len());
    out.extend_from_slice(&[RECORD_VERSION, KIND_PUT]);
    put_varint(&mut out, superseded.main as u64);
    put_varint(&mut out, superseded.sub as u64);
    put_attributes(&mut out, attributes);
    put_varint(&mut out, key.len() as u64);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
    out.into()
}

/// Encodes a record of `history` for a deletion.
pub(crate) fn encode_delete(key: &[u8], superseded: Revision) -> Bytes {
    let mut out = Vec::with_capacity(2 + 3 * VARINT_LEN_MAX + key.len());
    out.extend_from_slice(&[RECORD_VERSION, KIND_DELETE]);
    put_varint(&mut out, superseded.main as u64);
    put_varint(&mut out, superseded.sub as u64);
    put_varint(&mut out, key.len() as u64);
    out.extend_from_slice(key);
    out.into()
}

/// A record of `versions`: a version that is not current any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OldVersion {
    /// When the version was put.
    pub(crate) revision: Revision,
    /// The main revision from which on it was not current any more.
    pub(crate) ended: i64,
}

impl OldVersion {
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, Malformed> {
        let start = key.len().checked_sub(REVISION_LEN).ok_or("the key is cut off")?;
        let revision = Revision::from_inverted(&key[start..])?;
        let mut decoder = Decoder::new(value);
        decoder.version(RECORD_VERSION)?;
        let ended = decoder.natural()?;
        decoder.end()?;
        Ok(Self { revision, ended })
    }

    /// Whether the version was the key's current one at the main revision `at`.
    pub(crate) fn was_current_at(&self, at: i64) -> bool {
        self.revision.main <= at && at < self.ended
    }
}

/// The user key within a key of `versions`.
pub(crate) fn user_key(version_key: &Bytes) -> Result<Bytes, Malformed> {
    let end = version_key.len().checked_sub(REVISION_LEN).ok_or("the key is cut off")?;
    unescape(&version_key.slice(..end))
}

/// The key in `versions`.
pub(crate) fn encode_version_key(key: &[u8], revision: Revision) -> Bytes {
    // Room for a few escapes; more of them only cost a second allocation.
    let mut out = Vec::with_capacity(key.len() + 8 + REVISION_LEN);
    put_escaped(&mut out, key);
    out.extend_from_slice(&revision.to_inverted());
    out.into()
}

/// The value in `versions`.
pub(crate) fn encode_version_value(ended: i64) -> Bytes {
    let mut out = Vec::with_capacity(1 + VARINT_LEN_MAX);
    out.push(RECORD_VERSION);
    put_varint(&mut out, ended as u64);
    out.into()
}

/// What the API shows of a version.
pub(crate) fn key_value(key: Bytes, main: i64, attributes: Attributes, value: Bytes) -> KeyValue {
    KeyValue {
        key,
        create_revision: attributes.create_revision,
        mod_revision: main,
        version: attributes.version,
        value,
        lease: attributes.lease,
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: Attributes) {
    put_varint(out, attributes.create_revision as u64);
    put_varint(out, attributes.version as u64);
    put_varint(out, attributes.lease as u64);
}

fn decode_attributes(decoder: &mut Decoder<'_>) -> Result<Attributes, Malformed> {
    Ok(Attributes {
        create_revision: decoder.natural()?,
        version: decoder.natural()?,
        lease: decoder.varint()? as i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: Attributes = Attributes { create_revision: 300, version: 2, lease: -1 };

    #[test]
    fn golden_live() {
        let record = encode_live(Revision::new(301, 1), ATTRIBUTES, b"value");
        let expected = b"\x01\xad\x02\x01\xac\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01value";
        assert_eq!(record, &expected[..]);
        let header = LiveHeader::decode(&record).unwrap();
        assert_eq!(header.revision, Revision::new(301, 1));
        assert_eq!(header.attributes, ATTRIBUTES);
        assert_eq!(header.value(&record), "value");
    }

    #[test]
    fn golden_history() {
        let attributes = Attributes { lease: 0, ..ATTRIBUTES };
        let record = encode_put(b"key", Revision::new(7, 0), attributes, b"value");
        assert_eq!(record, &b"\x01\x00\x07\x00\xac\x02\x02\x00\x03keyvalue"[..]);
        let change = Change::Put { attributes, value: "value".into() };
        let expected = HistoryRecord { key: "key".into(), superseded: Revision::new(7, 0), change };
        assert_eq!(HistoryRecord::decode(&record), Ok(expected));

        let record = encode_delete(b"key", Revision::new(7, 3));
        assert_eq!(record, &b"\x01\x01\x07\x03\x03key"[..]);
        let expected = HistoryRecord {
            key: "key".into(),
            superseded: Revision::new(7, 3),
            change: Change::Delete,
        };
        assert_eq!(HistoryRecord::decode(&record), Ok(expected));
        let key = Revision::new(0x0102, 3).to_key();
        assert_eq!(&key, b"\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03");
    }

    #[test]
    fn golden_versions() {
        let key = encode_version_key(b"a\0b", Revision::new(0x0102, 3));
        let expected = b"a\x00\xffb\x00\x01\
            \xff\xff\xff\xff\xff\xff\xfe\xfd\xff\xff\xff\xff\xff\xff\xff\xfc";
        assert_eq!(key, &expected[..]);
        let value = encode_version_value(300);
        assert_eq!(value, &b"\x01\xac\x02"[..]);
        let expected = OldVersion { revision: Revision::new(0x0102, 3), ended: 300 };
        assert_eq!(OldVersion::decode(&key, &value), Ok(expected));
        assert_eq!(user_key(&key), Ok(Bytes::from_static(b"a\0b")));
    }

    #[test]
    fn damaged_records_are_refused() {
        let record = encode_live(Revision::new(301, 1), ATTRIBUTES, b"");
        for length in 0..record.len() {
            assert!(LiveHeader::decode(&record[..length]).is_err());
        }
        let record = encode_delete(b"key", Revision::new(7, 3));
        for length in 0..record.len() {
            assert!(HistoryRecord::decode(&record.slice(..length)).is_err());
        }
        assert!(HistoryRecord::decode(&Bytes::from_static(b"\x01\x09\x07\x03\x03key")).is_err());
        assert!(HistoryRecord::decode(&Bytes::from_static(b"\x02\x01\x07\x03\x03key")).is_err());
        assert!(OldVersion::decode(b"k", b"\x01\x01").is_err());
        assert!(Revision::from_key(&[0xff; REVISION_LEN]).is_err());
    }
}
