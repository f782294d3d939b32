//! Comparing the hashes of the members, through the log.
//!
//! A leader marks an entry of the log. Every member hashes its store as it was there and reports
//! the hash as another entry. All members see the same reports, so they come to the same verdict:
//! who differs from most of the others is under the alarm `Corrupt`.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_kv_api::HashReportRequest;
use quorate_storage::WriteBatch;
use quorate_types::MemberId;

use crate::codec::{Decoder, Malformed, put_varint};
use crate::meta::Head;
use crate::{META, StoreError};

/// The key of the comparison under way in the table `meta`.
pub(crate) const COMPARISON_KEY: &[u8] = b"comparison";

const COMPARISON_VERSION: u8 = 1;

/// Where all members hash their stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashMark {
    /// The log index of the mark.
    pub index: u64,
    /// The revision at which the store stood there.
    pub revision: i64,
}

/// What a member reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Report {
    compact_revision: i64,
    hash: u32,
}

/// The mark made last and what was reported of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Comparison {
    mark: Option<HashMark>,
    /// By member.
    reports: BTreeMap<u64, Report>,
    has_changed: bool,
}

impl Comparison {
    /// Reads what the table holds; a missing record stands for no mark.
    pub(crate) fn load(record: Option<Bytes>) -> Result<Self, StoreError> {
        let Some(record) = record else { return Ok(Self::default()) };
        decode(&record).map_err(|detail| StoreError::corrupt(META, COMPARISON_KEY, detail))
    }

    /// The mark at which a member has to hash its store, unless it has reported.
    pub(crate) fn mark_for(&self, member: MemberId) -> Option<HashMark> {
        self.mark.filter(|_| !self.reports.contains_key(&member.get()))
    }

    /// Begins a comparison at the entry that is being applied.
    pub(crate) fn begin(&mut self, head: &Head) {
        let mark = HashMark { index: head.applied.index.get(), revision: head.revision };
        *self = Self { mark: Some(mark), reports: BTreeMap::new(), has_changed: true };
    }

    /// Adds a report. Returns the members whose hash is another one than that of most of those that
    /// hashed with the same compact revision; 0, which is no member, as long as hashes differ and
    /// none is more frequent than each other one. A report of an earlier mark says nothing.
    pub(crate) fn add(&mut self, report: &HashReportRequest) -> Vec<u64> {
        if self.mark.is_none_or(|mark| mark.index != report.mark)
            || self.reports.len() >= REPORTS_MAX
        {
            return Vec::new();
        }
        let HashReportRequest { member_id, compact_revision, hash, .. } = *report;
        self.reports.insert(member_id, Report { compact_revision, hash });
        self.has_changed = true;
        self.suspects(compact_revision)
    }

    fn suspects(&self, compact_revision: i64) -> Vec<u64> {
        let comparable =
            || self.reports.iter().filter(|(_, it)| it.compact_revision == compact_revision);
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, report) in comparable() {
            *counts.entry(report.hash).or_default() += 1;
        }
        if counts.len() < 2 {
            return Vec::new();
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let mut leading = counts.iter().filter(|(_, count)| **count == most);
        match (leading.next(), leading.next()) {
            (Some((trusted, _)), None) => comparable()
                .filter(|(_, report)| report.hash != *trusted)
                .map(|(member, _)| *member)
                .collect(),
            _ => vec![0],
        }
    }

    /// Appends the record to `batch` if it has changed, and tells whether it has.
    pub(crate) fn write_changed(&mut self, batch: &mut WriteBatch) -> bool {
        let has_changed = std::mem::take(&mut self.has_changed);
        if has_changed {
            batch.put(META, COMPARISON_KEY, self.encode());
        }
        has_changed
    }

    fn encode(&self) -> Bytes {
        let mark = self.mark.unwrap_or(HashMark { index: 0, revision: 0 });
        let mut out = vec![COMPARISON_VERSION];
        out.extend_from_slice(&mark.index.to_be_bytes());
        out.extend_from_slice(&mark.revision.to_be_bytes());
        put_varint(&mut out, self.reports.len() as u64);
        for (member, report) in &self.reports {
            out.extend_from_slice(&member.to_be_bytes());
            out.extend_from_slice(&report.compact_revision.to_be_bytes());
            out.extend_from_slice(&report.hash.to_be_bytes());
        }
        out.into()
    }
}

fn decode(record: &[u8]) -> Result<Comparison, Malformed> {
    let mut decoder = Decoder::new(record);
    decoder.version(COMPARISON_VERSION)?;
    let mark = HashMark { index: decoder.u64()?, revision: decoder.i64()? };
    let mut reports = BTreeMap::new();
    for _ in 0..decoder.varint()? {
        let member = decoder.u64()?;
        let report = Report { compact_revision: decoder.i64()?, hash: decoder.u32()? };
        reports.insert(member, report);
    }
    decoder.end()?;
    Ok(Comparison { mark: Some(mark), reports, has_changed: false })
}

/// More members than a cluster ever has; what comes beyond is no report of a member.
const REPORTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use quorate_types::{LogIndex, LogPosition, Term};

    use super::*;

    fn comparison() -> Comparison {
        let applied = LogPosition::new(Term::new(1), LogIndex::new(9));
        let mut comparison = Comparison::default();
        comparison.begin(&Head { revision: 5, applied, ..Head::FRESH });
        comparison
    }

    fn report(member_id: u64, compact_revision: i64, hash: u32) -> HashReportRequest {
        HashReportRequest { mark: 9, member_id, compact_revision, hash }
    }

    #[test]
    fn the_minority_is_suspected() {
        let mut comparison = comparison();
        assert_eq!(comparison.mark_for(MemberId::new(1)).map(|mark| mark.revision), Some(5));
        assert_eq!(comparison.add(&report(1, -1, 7)), []);
        assert_eq!(comparison.mark_for(MemberId::new(1)), None);
        assert_eq!(comparison.add(&report(2, 3, 8)), [], "compacted in between");
        assert_eq!(comparison.add(&report(3, -1, 8)), [0], "nobody knows who is right");
        assert_eq!(comparison.add(&report(4, -1, 7)), [3]);
        assert_eq!(comparison.add(&HashReportRequest { mark: 8, ..report(5, -1, 1) }), []);
    }

    #[test]
    fn golden() {
        let mut comparison = comparison();
        comparison.add(&report(0x0102, -1, 7));
        let record = comparison.encode();
        let expected = b"\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x05\x01\
            \0\0\0\0\0\0\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x07";
        assert_eq!(record, &expected[..]);
        comparison.has_changed = false;
        assert_eq!(decode(&record), Ok(comparison));
        for length in 0..record.len() {
            assert!(decode(&record[..length]).is_err());
        }
    }
}
