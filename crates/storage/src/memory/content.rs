//! The tables of a memory engine: several versions of each key, and how to go back or clean up.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{KeyRange, Table, WriteBatch, WriteOp};

/// All tables, with as many old versions as views and a possible crash need.
///
/// Each written batch has a number, counted from 1 without gaps. A version belongs to the batch
/// that wrote it.
#[derive(Debug)]
pub(super) struct Content {
    tables: Vec<(Table, BTreeMap<Bytes, Slot>)>,
    /// The number of the newest batch.
    pub(super) newest: u64,
    /// The newest batch that a crash cannot take. Never above `newest`.
    pub(super) flushed: u64,
    /// Whether a crash took this content away: then it is empty, and only views of before still
    /// hold it.
    lost: bool,
    /// Which keys which batch changed, oldest batch first. Holds at least every batch above
    /// `flushed`, so that it serves to take batches back (from its end) and to find garbage (from
    /// its start).
    changes: VecDeque<Change>,
    /// Bytes of the newest keys and values.
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Change {
    batch: u64,
    table: usize,
    key: Bytes,
}

/// The versions of one key. A key that is absent has no slot, or `None` as its newest value.
#[derive(Debug)]
struct Slot {
    newest: Version,
    /// Older versions, oldest first; mostly empty and then without memory of its own.
    older: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    batch: u64,
    value: Option<Bytes>,
}

impl Slot {
    fn at(&self, batch: u64) -> Option<&Bytes> {
        if self.newest.batch <= batch {
            return self.newest.value.as_ref();
        }
        self.older.iter().rev().find(|version| version.batch <= batch)?.value.as_ref()
    }
}

/// The table's keys and slots in one of both directions.
pub(super) type Keys<'a> = Box<dyn Iterator<Item = (&'a Bytes, Option<&'a Bytes>)> + 'a>;

impl Content {
    /// Empty tables.
    pub(super) fn new(tables: &[Table]) -> Self {
        Self {
            tables: tables.iter().map(|table| (*table, BTreeMap::new())).collect(),
            newest: 0,
            flushed: 0,
            lost: false,
            changes: VecDeque::new(),
            bytes: 0,
        }
    }

    /// What stays in place of a content that a crash took.
    pub(super) fn lost() -> Self {
        Self { lost: true, ..Self::new(&[]) }
    }

    /// Whether a crash took this content.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// A content of sorted `pairs`, one list for each table, durable from the start.
    pub(super) fn restored(tables: Vec<(Table, Vec<(Bytes, Bytes)>)>) -> Self {
        let mut bytes = 0;
        let tables = tables.into_iter().map(|(table, pairs)| {
            let slots = pairs.into_iter().map(|(key, value)| {
                bytes += pair_bytes(&key, &value);
                let newest = Version { batch: 0, value: Some(value) };
                (key, Slot { newest, older: Vec::new() })
            });
            (table, slots.collect())
        });
        let tables = tables.collect();
        Self { tables, bytes, ..Self::new(&[]) }
    }

    /// How many changes are remembered.
    #[cfg(test)]
    pub(super) fn changes(&self) -> usize {
        self.changes.len()
    }

    /// The names of the tables.
    pub(super) fn table_names(&self) -> Vec<Table> {
        self.tables.iter().map(|(table, _)| *table).collect()
    }

    /// Where `table` stands.
    ///
    /// # Panics
    ///
    /// If the engine was not made with this table.
    pub(super) fn table_place(&self, table: Table) -> usize {
        let place = self.tables.iter().position(|(known, _)| *known == table);
        assert!(place.is_some(), "the engine was opened without the table {}", table.0);
        place.expect("the line above stops if the table is unknown")
    }

    /// The value of `key` as `batch` left it.
    pub(super) fn get(&self, table: Table, key: &[u8], batch: u64) -> Option<&Bytes> {
        self.tables[self.table_place(table)].1.get(key)?.at(batch)
    }

    /// The keys of a non-empty range from its start on, with their values as `batch` left them.
    pub(super) fn keys(&self, place: usize, bounds: KeyBounds<'_>, batch: u64) -> Keys<'_> {
        let slots = self.tables[place].1.range::<[u8], _>(bounds);
        Box::new(slots.map(move |(key, slot)| (key, slot.at(batch))))
    }

    /// Like [`Content::keys`], from the end of the range on.
    pub(super) fn keys_back(&self, place: usize, bounds: KeyBounds<'_>, batch: u64) -> Keys<'_> {
        let slots = self.tables[place].1.range::<[u8], _>(bounds);
        Box::new(slots.rev().map(move |(key, slot)| (key, slot.at(batch))))
    }

    /// Applies one batch and gives it the next number.
    pub(super) fn write(&mut self, batch: &WriteBatch) {
        // Unknown tables are found before anything changes, so that a batch is never half applied.
        let places: Vec<usize> =
            batch.ops().iter().map(|op| self.table_place(op.table())).collect();
        self.newest += 1;
        for (op, place) in batch.ops().iter().zip(places) {
            match op {
                WriteOp::Put { key, value, .. } => self.set(place, key, Some(value.clone())),
                WriteOp::Delete { key, .. } => self.set(place, key, None),
                WriteOp::DeleteRange { range, .. } => self.delete_range(place, range),
            }
        }
    }

    fn delete_range(&mut self, place: usize, range: &KeyRange) {
        let Some(bounds) = bounds(range) else { return };
        let slots = self.tables[place].1.range::<[u8], _>(bounds);
        let present = slots.filter(|(_, slot)| slot.newest.value.is_some());
        let keys: Vec<Bytes> = present.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.set(place, &key, None);
        }
    }

    fn set(&mut self, table: usize, key: &Bytes, value: Option<Bytes>) {
        let batch = self.newest;
        let added = value.as_ref().map_or(0, |value| pair_bytes(key, value));
        let slots = &mut self.tables[table].1;
        let Some(slot) = slots.get_mut(&key[..]) else {
            if value.is_some() {
                let newest = Version { batch, value };
                slots.insert(key.clone(), Slot { newest, older: Vec::new() });
                self.bytes += added;
                self.changes.push_back(Change { batch, table, key: key.clone() });
            }
            return;
        };
        let removed = slot.newest.value.as_ref().map_or(0, |value| pair_bytes(key, value));
        if slot.newest.batch == batch {
            slot.newest.value = value;
        } else {
            let older = std::mem::replace(&mut slot.newest, Version { batch, value });
            slot.older.push(older);
            self.changes.push_back(Change { batch, table, key: key.clone() });
        }
        self.bytes = self.bytes + added - removed;
    }

    /// Takes all batches after `last` back; they must not be flushed.
    pub(super) fn roll_back_to(&mut self, last: u64) {
        assert!(last >= self.flushed, "batch {} was flushed, cannot go to {last}", self.flushed);
        while self.changes.back().is_some_and(|change| change.batch > last) {
            let change = self.changes.pop_back().expect("the condition of the loop saw it");
            let slots = &mut self.tables[change.table].1;
            let slot = slots
                .get_mut(&change.key[..])
                .expect("garbage collection spares batches above `flushed`");
            let removed = slot.newest.value.as_ref();
            self.bytes -= removed.map_or(0, |value| pair_bytes(&change.key, value));
            match slot.older.pop() {
                Some(older) => {
                    let back = older.value.as_ref();
                    self.bytes += back.map_or(0, |value| pair_bytes(&change.key, value));
                    slot.newest = older;
                }
                None => {
                    slots.remove(&change.key[..]);
                }
            }
        }
        self.newest = last;
    }

    /// Drops versions that no reader at or after batch `horizon` can see, looking at no more than
    /// `changes_max` changes. `horizon` must not be above `flushed`.
    pub(super) fn collect_garbage(&mut self, horizon: u64, changes_max: usize) {
        for _ in 0..changes_max {
            let Some(change) = self.changes.pop_front_if(|change| change.batch <= horizon) else {
                return;
            };
            let slots = &mut self.tables[change.table].1;
            let Some(slot) = slots.get_mut(&change.key[..]) else { continue };
            if slot.newest.batch <= horizon {
                if slot.newest.value.is_none() {
                    slots.remove(&change.key[..]);
                } else {
                    slot.older = Vec::new();
                }
                continue;
            }
            let visible = slot.older.partition_point(|version| version.batch <= horizon);
            let Some(kept) = visible.checked_sub(1) else { continue };
            // A removal that nothing older stands behind is the same as no version at all.
            let first = if slot.older[kept].value.is_none() { visible } else { kept };
            slot.older.drain(..first);
        }
    }
}

/// Bounds that `BTreeMap::range` takes.
pub(super) type KeyBounds<'a> = (std::ops::Bound<&'a [u8]>, std::ops::Bound<&'a [u8]>);

/// The bounds of `range`, or `None` if it is empty (which `BTreeMap::range` does not always take).
pub(super) fn bounds(range: &KeyRange) -> Option<KeyBounds<'_>> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match &range.end {
        Some(end) if end <= &range.start => None,
        Some(end) => Some((Included(&range.start[..]), Excluded(&end[..]))),
        None => Some((Included(&range.start[..]), Unbounded)),
    }
}

fn pair_bytes(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}
