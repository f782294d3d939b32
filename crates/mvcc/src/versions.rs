//! Finding the versions that were current at an older revision.

use bytes::Bytes;
use quorate_kv_api::KeySpan;
use quorate_storage::{KeyRange, Scan};

use crate::codec::{Malformed, put_escaped};
use crate::record::{OldVersion, REVISION_LEN, Revision, encode_version_key, user_key};
use crate::source::Source;
use crate::{StoreError, VERSIONS};

/// Walks over those rows of `versions` that were current at one revision, in key order. A key has
/// at most one.
pub(crate) struct OldVersions<'a> {
    source: &'a dyn Source,
    /// The main revision asked for.
    at: i64,
    end: Option<Bytes>,
    scan: Scan<'a>,
    /// Rows passed over in vain since the last hit or jump, all of one key.
    missed: u32,
    missed_key: Bytes,
}

/// After so many useless rows of one key the walk jumps instead of stepping on. A jump costs as
/// much as a few dozen steps.
const MISSES_MAX: u32 = 32;

impl<'a> OldVersions<'a> {
    pub(crate) fn new(source: &'a dyn Source, span: &KeySpan, at: i64) -> Result<Self, StoreError> {
        // Nothing was there before revision 0, and no row can be told for it.
        let at = at.max(0);
        let KeyRange { start, end } = rows(span, at);
        let scan = source.versions_scan(&KeyRange { start, end: end.clone() })?;
        Ok(Self { source, at, end, scan, missed: 0, missed_key: Bytes::new() })
    }

    /// The next key, and where `history` holds its version.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, Revision)>, StoreError> {
        while let Some(row) = self.scan.next() {
            let (key, value) = row?;
            let corrupt = |detail| StoreError::corrupt(VERSIONS, &key, detail);
            let version = OldVersion::decode(&key, &value).map_err(corrupt)?;
            if version.was_current_at(self.at) {
                self.missed = 0;
                return Ok(Some((user_key(&key).map_err(corrupt)?, version.revision)));
            }
            if self.is_stuck(&key) {
                let start = self.jump(&key, &version).map_err(corrupt)?;
                let range = KeyRange { start, end: self.end.clone() };
                self.scan = self.source.versions_scan(&range)?;
            }
        }
        Ok(None)
    }

    /// Counts a miss; whether it was one too many.
    fn is_stuck(&mut self, key: &Bytes) -> bool {
        // The row was decoded, so it is at least as long as a revision.
        let key = key.slice(..key.len() - REVISION_LEN);
        if key != self.missed_key {
            self.missed = 0;
            self.missed_key = key;
        }
        self.missed += 1;
        if self.missed < MISSES_MAX {
            return false;
        }
        self.missed = 0;
        true
    }

    /// Where the walk is to go on after a useless row.
    fn jump(&self, key: &Bytes, version: &OldVersion) -> Result<Bytes, Malformed> {
        if version.revision.main > self.at {
            return Ok(encode_version_key(&user_key(key)?, Revision::new(self.at, i64::MAX)));
        }
        // This version ended before, so all older ones did: go to the next key. Its escaped form is
        // greater than this one's with the terminator raised by one.
        let mut next = key[..key.len() - REVISION_LEN].to_vec();
        if let Some(last) = next.last_mut() {
            *last += 1;
        }
        Ok(next.into())
    }
}

/// The rows of `versions` that can hold a version of a key of `span` at `at`.
fn rows(span: &KeySpan, at: i64) -> KeyRange {
    match span {
        KeySpan::Key(key) => {
            let end = encode_version_key(key, Revision::new(0, 0));
            KeyRange::new(encode_version_key(key, Revision::new(at, i64::MAX)), end)
        }
        KeySpan::From(start) => KeyRange { start: escaped(start), end: None },
        KeySpan::Range { start, end } => KeyRange::new(escaped(start), escaped(end)),
    }
}

fn escaped(key: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(key.len() + 8);
    put_escaped(&mut out, key);
    out.into()
}
