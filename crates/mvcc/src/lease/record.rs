//! The records of the tables `leases` and `lease_keys`. `docs/disk_format.md` describes them.

use std::time::Duration;

use bytes::Bytes;
use quorate_storage::KeyRange;
use quorate_types::LogIndex;

use crate::codec::{Decoder, Malformed, VARINT_LEN_MAX, put_varint};
use crate::{LEASES, StoreError};

/// The version byte of the records of this file.
const RECORD_VERSION: u8 = 1;

/// How many bytes the id of a lease takes in a key.
const ID_LEN: usize = 8;

/// A lease as the log made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    /// How long it lives without being renewed, in seconds.
    pub(crate) granted_ttl: i64,
    /// The log entry that granted or renewed it last.
    pub(crate) renewed_at: LogIndex,
    /// How long it still lived at its last checkpoint since then, in seconds; from 1 to the time
    /// granted.
    pub(crate) remaining_ttl: Option<i64>,
}

impl Lease {
    /// How long it lives if nobody knows better: what the last checkpoint told, or else all that
    /// was granted.
    pub(crate) fn time_to_live(&self) -> Duration {
        let seconds = self.remaining_ttl.unwrap_or(self.granted_ttl);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// Whether a checkpoint can tell this remaining time.
    pub(crate) fn can_remain(&self, seconds: i64) -> bool {
        (1..=self.granted_ttl).contains(&seconds)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(1 + 3 * VARINT_LEN_MAX);
        out.push(RECORD_VERSION);
        put_varint(&mut out, self.granted_ttl as u64);
        put_varint(&mut out, self.renewed_at.get());
        put_varint(&mut out, self.remaining_ttl.unwrap_or(0) as u64);
        out.into()
    }

    fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(record);
        decoder.version(RECORD_VERSION)?;
        let granted_ttl = decoder.varint()? as i64;
        let renewed_at = LogIndex::new(decoder.varint()?);
        let remaining = decoder.natural()?;
        decoder.end()?;
        let lease = Self { granted_ttl, renewed_at, remaining_ttl: None };
        match remaining {
            0 => Ok(lease),
            _ if lease.can_remain(remaining) => {
                Ok(Self { remaining_ttl: Some(remaining), ..lease })
            }
            _ => Err("more time remains than was granted"),
        }
    }
}

/// The key in `leases`.
pub(crate) fn lease_key(id: i64) -> [u8; ID_LEN] {
    id.to_be_bytes()
}

/// Decodes a row of `leases`.
pub(crate) fn decode_lease(key: &[u8], record: &[u8]) -> Result<(i64, Lease), StoreError> {
    let corrupt = |detail| StoreError::corrupt(LEASES, key, detail);
    let id = key.try_into().map(i64::from_be_bytes);
    let id = id.map_err(|_| corrupt("the key is no lease id"))?;
    Ok((id, Lease::decode(record).map_err(corrupt)?))
}

/// The key in `lease_keys` that attaches a user key to a lease.
pub(crate) fn attached_key(id: i64, key: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(ID_LEN + key.len());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(key);
    out.into()
}

/// The value in `lease_keys`.
pub(crate) fn attachment() -> Bytes {
    Bytes::from_static(&[RECORD_VERSION])
}

/// The rows of `lease_keys` of one lease.
pub(crate) fn attachments(id: i64) -> KeyRange {
    let start = Bytes::copy_from_slice(&id.to_be_bytes());
    // The keys order ids as unsigned numbers, whose last one has no next.
    let next = (id as u64).checked_add(1);
    KeyRange { start, end: next.map(|next| Bytes::copy_from_slice(&next.to_be_bytes())) }
}

/// The user key within a key of `lease_keys`.
pub(crate) fn user_key(attached_key: &Bytes) -> Bytes {
    attached_key.slice(ID_LEN.min(attached_key.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(granted_ttl: i64, renewed_at: u64, remaining_ttl: Option<i64>) -> Lease {
        Lease { granted_ttl, renewed_at: LogIndex::new(renewed_at), remaining_ttl }
    }

    #[test]
    fn golden_leases() {
        let table: [(Lease, &[u8]); 3] = [
            (lease(300, 7, None), b"\x01\xac\x02\x07\x00"),
            (lease(600, 0x80, Some(300)), b"\x01\xd8\x04\x80\x01\xac\x02"),
            (lease(-1, 1, None), b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x00"),
        ];
        for (lease, record) in table {
            assert_eq!(lease.encode(), record);
            assert_eq!(decode_lease(&lease_key(-2), record).unwrap(), (-2, lease));
            for length in 0..record.len() {
                assert!(Lease::decode(&record[..length]).is_err());
            }
            assert!(Lease::decode(&[record, b"\0"].concat()).is_err());
        }
        assert_eq!(lease_key(0x0102), *b"\0\0\0\0\0\0\x01\x02");
        assert_eq!(lease_key(-2), *b"\xff\xff\xff\xff\xff\xff\xff\xfe");
    }

    #[test]
    fn damaged_leases_are_refused() {
        for record in [&b"\x02\x05\x01\x00"[..], b"\x01\x05\x01\x06", b"\x01\x00\x01\x01"] {
            let error = decode_lease(&lease_key(1), record).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { table: "leases", .. }), "{error}");
        }
        assert!(decode_lease(b"short", b"\x01\x05\x01\x00").is_err());
    }

    #[test]
    fn golden_attachments() {
        let key = attached_key(0x0102, b"a\0b");
        assert_eq!(key, &b"\0\0\0\0\0\0\x01\x02a\0b"[..]);
        assert_eq!(attachment(), &b"\x01"[..]);
        assert_eq!(user_key(&key), &b"a\0b"[..]);
        for id in [1, -2, -1, i64::MAX, i64::MIN] {
            for key in [&b""[..], b"\0", b"\xff\xff"] {
                assert!(attachments(id).contains(&attached_key(id, key)));
                for other in [id.wrapping_add(1), id.wrapping_sub(1)] {
                    assert!(!attachments(id).contains(&attached_key(other, key)));
                }
            }
        }
    }

    #[test]
    fn times_to_live() {
        let seconds = |lease: Lease| lease.time_to_live().as_secs();
        assert_eq!(seconds(lease(10, 1, None)), 10);
        assert_eq!(seconds(lease(10, 1, Some(3))), 3);
        assert_eq!(seconds(lease(-10, 1, None)), 0);
    }
}
