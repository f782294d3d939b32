//! Scans over a memory engine that lock it for one chunk at a time.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::vec;

use bytes::Bytes;

use super::content::{Content, KeyBounds, Keys};
use super::engine::MemoryView;
use crate::{Direction, KeyRange, StorageError, Table};

/// Walks over one range of a view.
pub(super) struct MemoryScan<'a> {
    view: &'a MemoryView,
    table: Table,
    direction: Direction,
    /// The keys not yet visited; shrinks from the side the scan comes from. `None` at the end.
    rest: Option<Rest>,
    /// Pairs that were fetched but not yet handed out.
    fetched: vec::IntoIter<(Bytes, Bytes)>,
    /// How many keys the next chunk may visit.
    chunk: usize,
}

#[derive(Clone, Debug)]
struct Rest {
    range: KeyRange,
    /// Whether `range.start` itself was visited already; only of use for forward scans.
    start_visited: bool,
}

impl<'a> MemoryScan<'a> {
    pub(super) fn new(
        view: &'a MemoryView,
        table: Table,
        range: &KeyRange,
        direction: Direction,
    ) -> Self {
        let rest = Rest { range: range.clone(), start_visited: false };
        let fetched = Vec::new().into_iter();
        Self { view, table, direction, rest: Some(rest), fetched, chunk: CHUNK_KEYS_MIN }
    }

    fn fetch(&mut self) -> Result<(), StorageError> {
        let Some(rest) = self.rest.take() else { return Ok(()) };
        let (table, direction, chunk) = (self.table, self.direction, self.chunk);
        let (pairs, rest) = self.view.with_content(|content, batch| {
            chunk_of(content, table, rest, direction, chunk, batch)
        })?;
        self.fetched = pairs.into_iter();
        self.rest = rest;
        self.chunk = (self.chunk * 2).min(CHUNK_KEYS_MAX);
        Ok(())
    }
}

impl Iterator for MemoryScan<'_> {
    type Item = Result<(Bytes, Bytes), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pair) = self.fetched.next() {
                return Some(Ok(pair));
            }
            self.rest.as_ref()?;
            if let Err(error) = self.fetch() {
                return Some(Err(error));
            }
        }
    }
}

type Pairs = Vec<(Bytes, Bytes)>;

/// Visits up to `chunk` keys of `rest`; returns the present ones and what is left after them.
fn chunk_of(
    content: &Content,
    table: Table,
    rest: Rest,
    direction: Direction,
    chunk: usize,
    batch: u64,
) -> (Pairs, Option<Rest>) {
    let place = content.table_place(table);
    let Some(bounds) = bounds(&rest) else { return (Vec::new(), None) };
    let mut keys: Keys<'_> = match direction {
        Direction::Forward => content.keys(place, bounds, batch),
        Direction::Backward => content.keys_back(place, bounds, batch),
    };
    let mut pairs = Vec::new();
    let mut last = None;
    for (key, value) in keys.by_ref().take(chunk) {
        last = Some(key);
        if let Some(value) = value {
            pairs.push((key.clone(), value.clone()));
        }
    }
    let rest = match last {
        Some(key) if keys.next().is_some() => Some(after(&rest, key.clone(), direction)),
        _ => None,
    };
    (pairs, rest)
}

fn after(rest: &Rest, key: Bytes, direction: Direction) -> Rest {
    match direction {
        Direction::Forward => {
            let range = KeyRange { start: key, end: rest.range.end.clone() };
            Rest { range, start_visited: true }
        }
        Direction::Backward => {
            let range = KeyRange { start: rest.range.start.clone(), end: Some(key) };
            Rest { range, start_visited: false }
        }
    }
}

/// The bounds of what is left, or `None` if that is nothing.
fn bounds(rest: &Rest) -> Option<KeyBounds<'_>> {
    let KeyRange { start, end } = &rest.range;
    if end.as_ref().is_some_and(|end| end <= start) {
        return None;
    }
    let start = if rest.start_visited { Excluded(&start[..]) } else { Included(&start[..]) };
    let end = end.as_ref().map_or(Unbounded, |end| Excluded(&end[..]));
    Some((start, end))
}

/// How many keys the first chunk of a scan visits: few, since many scans stop early.
const CHUNK_KEYS_MIN: usize = 16;

/// How many keys a chunk visits at most: bounds how long a writer waits for a scan.
const CHUNK_KEYS_MAX: usize = 512;
