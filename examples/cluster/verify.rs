//! Compares what the members hold with what they must hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate::{Client, Error, KeyValue, Range, StoreHash};

use crate::failure::Failure;
use crate::folder::NAMES;
use crate::members::Named;
use crate::text;

/// What a cluster must hold, and nothing else.
#[derive(Default)]
pub(crate) struct Expected {
    /// Everything acknowledged.
    pub(crate) entries: BTreeMap<Bytes, Bytes>,
    /// Writes whose outcome was never learnt: they may be there or not.
    pub(crate) uncertain: BTreeMap<Bytes, Bytes>,
}

/// A comparison of members at one revision.
pub(crate) struct Check {
    /// When it was made.
    pub(crate) moment: &'static str,
    /// The revision.
    pub(crate) revision: i64,
    /// How many entries each member must hold.
    pub(crate) entry_count: u64,
    /// What was found on each member in the order of [`NAMES`]; `None` for one that was down.
    pub(crate) found: [Option<Found>; 3],
}

/// What was found on one member.
pub(crate) struct Found {
    /// The hash of its history up to the revision.
    pub(crate) hash: StoreHash,
    /// What is missing or differs.
    pub(crate) differences: Differences,
}

/// How a member differs from what it must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Keys that are absent.
    pub(crate) missing_count: u64,
    /// Keys with another value.
    pub(crate) wrong_count: u64,
    /// Keys that nobody wrote.
    pub(crate) foreign_count: u64,
    /// The first few of all, described.
    pub(crate) first: Vec<String>,
}

impl Check {
    /// Whether all members hold what they must and have the same history.
    pub(crate) fn is_passed(&self) -> bool {
        let found = || self.found.iter().flatten();
        let mut hashes = found().map(|found| found.hash);
        let first = hashes.next();
        first.is_some()
            && hashes.all(|hash| Some(hash) == first)
            && found().all(|found| found.differences.is_empty())
    }
}

impl Differences {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing_count + self.wrong_count + self.foreign_count == 0
    }

    fn add(&mut self, kind: Kind, key: &[u8]) {
        let (count, what) = match kind {
            Kind::Missing => (&mut self.missing_count, "is missing"),
            Kind::Wrong => (&mut self.wrong_count, "has another value"),
            Kind::Foreign => (&mut self.foreign_count, "was written by nobody"),
        };
        *count += 1;
        if self.first.len() < SHOWN_MAX {
            let key = text::excerpt(&String::from_utf8_lossy(key), KEY_WIDTH);
            self.first.push(format!("{key} {what}"));
        }
    }
}

enum Kind {
    Missing,
    Wrong,
    Foreign,
}

/// Reads everything from each member, in pages at one revision, and compares.
///
/// # Errors
///
/// [`Failure::Request`] if a member cannot be read.
pub(crate) fn check(
    moment: &'static str,
    members: &[Named],
    expected: &Expected,
) -> Result<Check, Failure> {
    let failed = |source| Failure::Request { action: "read the members back", source };
    let revision = newest_revision(members).map_err(failed)?;
    let mut found = [None, None, None];
    for (place, name) in found.iter_mut().zip(NAMES) {
        let Some((_, client)) = members.iter().find(|(running, _)| *running == name) else {
            continue;
        };
        let differences = compare(client, revision, expected).map_err(failed)?;
        let hash = client.hash(revision).wait().map_err(failed)?;
        *place = Some(Found { hash, differences });
    }
    Ok(Check { moment, revision, entry_count: expected.entries.len() as u64, found })
}

/// Everything that a member holds.
///
/// # Errors
///
/// [`Failure::Request`] if it cannot be read.
pub(crate) fn read_all(members: &[Named]) -> Result<(i64, BTreeMap<Bytes, Bytes>), Failure> {
    let failed = |source| Failure::Request { action: "read what the folder holds", source };
    let revision = newest_revision(members).map_err(failed)?;
    let mut entries = BTreeMap::new();
    if let Some((_, client)) = members.first() {
        let add = |entry: KeyValue| drop(entries.insert(entry.key, entry.value));
        read_pages(client, revision, add).map_err(failed)?;
    }
    Ok((revision, entries))
}

/// A revision that contains everything acknowledged so far.
fn newest_revision(members: &[Named]) -> Result<i64, Error> {
    let Some((_, client)) = members.first() else { return Ok(0) };
    let response = client.range(Range::all().count_only()).wait()?;
    Ok(response.header.map_or(0, |header| header.revision))
}

fn compare(client: &Client, revision: i64, expected: &Expected) -> Result<Differences, Error> {
    let mut comparison = Comparison {
        expected: expected.entries.iter().peekable(),
        uncertain: &expected.uncertain,
        differences: Differences::default(),
    };
    read_pages(client, revision, |entry| comparison.meet(&entry.key, &entry.value))?;
    Ok(comparison.finish())
}

/// Walks through all keys in order. The reads are linearizable: the member has applied everything
/// acknowledged before, and then answers as of `revision` however much is written meanwhile.
fn read_pages(client: &Client, revision: i64, mut meet: impl FnMut(KeyValue)) -> Result<(), Error> {
    let mut start = Bytes::from_static(b"\0");
    loop {
        let page = Range::between(start, &b"\0"[..]).limit(PAGE_COUNT).revision(revision);
        let page = client.range(page).wait()?;
        let Some(last) = page.kvs.last() else { return Ok(()) };
        // The first possible key after the last one.
        start = [&last.key[..], b"\0"].concat().into();
        page.kvs.into_iter().for_each(&mut meet);
        if !page.more {
            return Ok(());
        }
    }
}

/// Walks along two ordered lists at once.
struct Comparison<'a, I: Iterator<Item = (&'a Bytes, &'a Bytes)>> {
    expected: std::iter::Peekable<I>,
    uncertain: &'a BTreeMap<Bytes, Bytes>,
    differences: Differences,
}

impl<'a, I: Iterator<Item = (&'a Bytes, &'a Bytes)>> Comparison<'a, I> {
    /// Takes the next entry found.
    fn meet(&mut self, key: &Bytes, value: &Bytes) {
        while let Some((missing, _)) = self.expected.next_if(|(expected, _)| *expected < key) {
            self.differences.add(Kind::Missing, missing);
        }
        let expected = self.expected.next_if(|(expected, _)| *expected == key);
        if self.uncertain.get(key) == Some(value) {
            return;
        }
        match expected {
            Some((_, expected)) if expected == value => {}
            Some(_) => self.differences.add(Kind::Wrong, key),
            None => self.differences.add(Kind::Foreign, key),
        }
    }

    /// No entry is left: whatever is expected still is missing.
    fn finish(mut self) -> Differences {
        for (missing, _) in self.expected {
            self.differences.add(Kind::Missing, missing);
        }
        self.differences
    }
}

/// Entries read at a time.
const PAGE_COUNT: i64 = 1_000;

/// Differences described; the others are counted.
const SHOWN_MAX: usize = 3;

/// What a line of 80 columns leaves for a key.
const KEY_WIDTH: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> BTreeMap<Bytes, Bytes> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned().into(), value.to_owned().into())).collect()
    }

    fn check(expected: &str, uncertain: &str, found: &str) -> (u64, u64, u64) {
        let (expected, uncertain) = (entries(expected), entries(uncertain));
        let differences = Differences::default();
        let mut comparison =
            Comparison { expected: expected.iter().peekable(), uncertain: &uncertain, differences };
        for (key, value) in &entries(found) {
            comparison.meet(key, value);
        }
        let Differences { missing_count, wrong_count, foreign_count, first } = comparison.finish();
        let count = missing_count + wrong_count + foreign_count;
        assert_eq!(first.len() as u64, count.min(SHOWN_MAX as u64));
        (missing_count, wrong_count, foreign_count)
    }

    #[test]
    fn each_difference_is_counted_once() {
        assert_eq!(check("a=1 b=2 c=3", "", "a=1 b=2 c=3"), (0, 0, 0));
        assert_eq!(check("a=1 b=2 c=3", "", "b=2"), (2, 0, 0));
        assert_eq!(check("a=1 b=2", "", "a=2 b=2"), (0, 1, 0));
        assert_eq!(check("b=2", "", "a=1 b=2 c=3"), (0, 0, 2));
        assert_eq!(check("a=1 b=2 d=4", "", "b=3 c=3 d=4"), (1, 1, 1));
        assert_eq!(check("a=1 b=2 c=3 d=4", "", ""), (4, 0, 0));
    }

    #[test]
    fn what_is_uncertain_may_be_there_or_not() {
        assert_eq!(check("a=1", "b=2", "a=1"), (0, 0, 0));
        assert_eq!(check("a=1", "b=2", "a=1 b=2"), (0, 0, 0));
        assert_eq!(check("a=1", "b=2", "a=1 b=3"), (0, 0, 1));
        assert_eq!(check("a=1", "a=2", "a=2"), (0, 0, 0));
    }
}
