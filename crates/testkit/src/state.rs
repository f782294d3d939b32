//! Hashes of whole states, which members that applied the same log must have in common.
//!
//! When a member removes what compactions made superfluous is its own affair. So the hash of a
//! state leaves out all that a sweep to the end would remove, by a rule of its own over the
//! documented records (see `docs/disk_format.md`); and how far the sweep came. The hash of what is
//! truly there is for the end of a run, when all sweeps are.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate_mvcc::TABLES;
use quorate_storage::{Direction, Engine, KeyRange, StorageError, Table, View};

use crate::checkers::consensus::hash_bytes;

/// The hash of everything that a snapshot carries, however far sweeps came.
pub(crate) fn logical_hash(engine: &dyn Engine) -> Result<u64, StorageError> {
    let view = engine.view()?;
    let mut superfluous = Superfluous::read(&*view)?;
    hash(&*view, |table, key, value| !superfluous.contains(table, key, value))
}

/// The hash of everything that a snapshot carries.
pub(crate) fn full_hash(engine: &dyn Engine) -> Result<u64, StorageError> {
    hash(&*engine.view()?, |_, _, _| true)
}

/// The main and sub revisions of all changes that are kept.
pub(crate) fn changes(engine: &dyn Engine) -> Result<Vec<(i64, i64)>, StorageError> {
    let view = engine.view()?;
    let rows = view.scan(HISTORY, &KeyRange::all(), Direction::Forward);
    rows.map(|row| Ok(revision(&row?.0).unwrap_or_default())).collect()
}

fn hash(
    view: &dyn View,
    mut counts: impl FnMut(Table, &Bytes, &Bytes) -> bool,
) -> Result<u64, StorageError> {
    let mut hash = 0;
    for table in TABLES {
        hash = hash_bytes(hash, table.0.as_bytes());
        for row in view.scan(*table, &KeyRange::all(), Direction::Forward) {
            let (key, value) = row?;
            if counts(*table, &key, &value) {
                hash = hash_bytes(hash_bytes(hash, &key), &value);
            }
        }
    }
    Ok(hash)
}

/// What a sweep would remove.
struct Superfluous {
    /// -1 if nothing was compacted.
    compacted: i64,
    /// When the versions were put that ended at the compact revision or before.
    ended: BTreeSet<(i64, i64)>,
}

impl Superfluous {
    fn read(view: &dyn View) -> Result<Self, StorageError> {
        let head = view.get(META, b"head")?.unwrap_or_default();
        let compacted = head.get(9..17).and_then(number).unwrap_or(-1);
        let mut ended = BTreeSet::new();
        if compacted >= 0 {
            for row in view.scan(VERSIONS, &KeyRange::all(), Direction::Forward) {
                let (key, value) = row?;
                if is_ended(&value, compacted) {
                    ended.extend(put_at(&key));
                }
            }
        }
        Ok(Self { compacted, ended })
    }

    fn contains(&mut self, table: Table, key: &Bytes, value: &Bytes) -> bool {
        match table {
            META => key == &b"swept"[..],
            _ if self.compacted < 0 => false,
            VERSIONS => is_ended(value, self.compacted),
            HISTORY => revision(key).is_some_and(|revision| {
                let is_deletion = value.get(1) == Some(&1);
                let is_old = is_deletion && revision.0 < self.compacted;
                is_old || self.ended.contains(&revision)
            }),
            _ => false,
        }
    }
}

/// Whether a version ended at a revision or before, by its record: a version byte and a varint.
fn is_ended(record: &[u8], compacted: i64) -> bool {
    let mut ended = 0;
    for (place, byte) in record.iter().skip(1).take(10).enumerate() {
        ended |= i64::from(byte & 0x7f) << (7 * place);
    }
    ended <= compacted
}

/// When a version was put, by its key, which ends with that revision, all bits inverted.
fn put_at(key: &[u8]) -> Option<(i64, i64)> {
    let start = key.len().checked_sub(16)?;
    let inverted: Vec<u8> = key[start..].iter().map(|byte| !byte).collect();
    revision(&inverted)
}

fn revision(key: &[u8]) -> Option<(i64, i64)> {
    Some((number(key.get(..8)?)?, number(key.get(8..)?)?))
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

const HISTORY: Table = Table("history");
const VERSIONS: Table = Table("versions");
const META: Table = Table("meta");
