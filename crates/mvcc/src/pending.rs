//! The changes of a run of entries before they are written, seen together with what is below them.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{Direction, Engine, KeyRange, Scan, StorageError, Table, View, WriteBatch};

use quorate_types::mutant;

use crate::headers::Headers;
use crate::lease::{Leases, attached_key, attachment};
use crate::read::decode_live;
use crate::record::{LiveHeader, Revision, encode_version_key, encode_version_value};
use crate::source::Source;
use crate::{HISTORY, LEASE_KEYS, LIVE, StoreError, VERSIONS};

/// Changes of the tables `live`, `history`, `versions` and `lease_keys` over an engine that does
/// not change meanwhile, and of the leases.
pub(crate) struct Pending<'a> {
    engine: Arc<dyn Engine>,
    /// What is remembered of the engine, without the changes.
    headers: RefCell<&'a mut Headers>,
    /// Taken at the first scan.
    view: OnceCell<Arc<dyn View>>,
    /// The record of each key that changed; `None` if it was deleted.
    live: BTreeMap<Bytes, Option<Bytes>>,
    /// In ascending order, because revisions only grow.
    history: Vec<(Revision, Bytes)>,
    versions: BTreeMap<Bytes, Option<Bytes>>,
    lease_keys: BTreeMap<Bytes, Option<Bytes>>,
    /// All leases, with the changes.
    pub(crate) leases: &'a mut Leases,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        headers: &'a mut Headers,
        leases: &'a mut Leases,
    ) -> Self {
        Self {
            engine,
            headers: RefCell::new(headers),
            view: OnceCell::new(),
            live: BTreeMap::new(),
            history: Vec::new(),
            versions: BTreeMap::new(),
            lease_keys: BTreeMap::new(),
            leases,
        }
    }

    /// Sets or deletes the current version of a key. The key is copied, so that a record in memory
    /// does not keep a whole log entry alive.
    pub(crate) fn set_live(&mut self, key: &[u8], record: Option<Bytes>) {
        match self.live.get_mut(key) {
            Some(present) => *present = record,
            None => {
                self.live.insert(Bytes::copy_from_slice(key), record);
            }
        }
    }

    /// Adds what happened at `revision`.
    ///
    /// # Panics
    ///
    /// If the revision is not greater than every one before.
    pub(crate) fn add_history(&mut self, revision: Revision, record: Bytes) {
        if let Some((last, _)) = self.history.last() {
            assert!(revision > *last, "revisions grow: {revision:?} comes after {last:?}");
        }
        self.history.push((revision, record));
    }

    /// What happened, in order.
    pub(crate) fn history(&self) -> &[(Revision, Bytes)] {
        &self.history
    }

    /// Adds a version that is not current any more from the main revision `ended` on.
    pub(crate) fn add_version(&mut self, key: &[u8], revision: Revision, ended: i64) {
        let row = (encode_version_key(key, revision), Some(encode_version_value(ended)));
        self.versions.insert(row.0, row.1);
    }

    /// Moves a key from one lease to another; 0 stands for none.
    pub(crate) fn attach(&mut self, key: &[u8], from: i64, to: i64) {
        if from == to {
            return;
        }
        if from != 0 {
            self.lease_keys.insert(attached_key(from, key), None);
        }
        if to != 0 {
            self.lease_keys.insert(attached_key(to, key), Some(attachment()));
        }
    }

    /// The records of a range of `lease_keys`, in key order.
    pub(crate) fn lease_keys_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError> {
        self.merged(LEASE_KEYS, &self.lease_keys, range)
    }

    /// Appends all changes but those of leases to `batch`, and remembers the headers as they are
    /// after it: if the batch cannot be written then, they must not be used any more.
    pub(crate) fn write(self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let headers = self.headers.into_inner();
        for (key, record) in &self.live {
            let header = record.as_ref().map(|record| decode_live(key, record)).transpose()?;
            headers.set(key, mutant!(M79, header, header.or(headers.get(key).flatten())));
        }
        for (revision, record) in self.history {
            batch.put(HISTORY, revision.to_key().to_vec(), record);
        }
        let tables = [(VERSIONS, self.versions), (LEASE_KEYS, self.lease_keys), (LIVE, self.live)];
        for (table, changes) in tables {
            for (key, record) in changes {
                match record {
                    Some(record) => batch.put(table, key, record),
                    None => batch.delete(table, key),
                }
            }
        }
        Ok(())
    }

    fn view(&self) -> Result<&dyn View, StorageError> {
        if let Some(view) = self.view.get() {
            return Ok(&**view);
        }
        let view = self.engine.view()?;
        Ok(&**self.view.get_or_init(|| view))
    }

    fn merged<'s>(
        &'s self,
        table: Table,
        changes: &'s BTreeMap<Bytes, Option<Bytes>>,
        range: &KeyRange,
    ) -> Result<Scan<'s>, StorageError> {
        let below = self.view()?.scan(table, range, Direction::Forward);
        let end = match &range.end {
            // `BTreeMap::range` panics on a range that ends before it starts.
            Some(end) if *end <= range.start => return Ok(Box::new(std::iter::empty())),
            Some(end) => Bound::Excluded(end.clone()),
            None => Bound::Unbounded,
        };
        let mut above = changes.range((Bound::Included(range.start.clone()), end)).peekable();
        if above.peek().is_none() {
            return Ok(below);
        }
        Ok(Box::new(Merged { below: below.peekable(), above }))
    }
}

impl Source for Pending<'_> {
    fn live(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        match self.live.get(key) {
            Some(record) => Ok(record.clone()),
            None => self.engine.get(LIVE, key),
        }
    }

    fn live_header(&self, key: &[u8]) -> Result<Option<LiveHeader>, StoreError> {
        let decode = |record: &Bytes| decode_live(key, record);
        if let Some(record) = self.live.get(key) {
            return record.as_ref().map(decode).transpose();
        }
        if let Some(header) = self.headers.borrow().get(key) {
            return Ok(header);
        }
        let header = self.engine.get(LIVE, key)?.as_ref().map(decode).transpose()?;
        self.headers.borrow_mut().set(key, header);
        Ok(header)
    }

    fn live_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError> {
        self.merged(LIVE, &self.live, range)
    }

    fn history(&self, revision: Revision) -> Result<Option<Bytes>, StorageError> {
        match self.history.binary_search_by_key(&revision, |(at, _)| *at) {
            Ok(found) => Ok(Some(self.history[found].1.clone())),
            Err(_) => self.engine.get(HISTORY, &revision.to_key()),
        }
    }

    fn versions_scan(&self, range: &KeyRange) -> Result<Scan<'_>, StorageError> {
        self.merged(VERSIONS, &self.versions, range)
    }

    fn has_lease(&self, id: i64) -> Result<bool, StorageError> {
        Ok(self.leases.contains(id))
    }
}

/// Two sorted streams as one; a key of `above` hides the same key of `below`.
struct Merged<'a> {
    below: Peekable<Scan<'a>>,
    above: Peekable<btree_map::Range<'a, Bytes, Option<Bytes>>>,
}

impl Iterator for Merged<'_> {
    type Item = Result<(Bytes, Bytes), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.above.peek() else { return self.below.next() };
            if let Some(below) = self.below.peek() {
                match below {
                    Ok((below, _)) if below < *key => return self.below.next(),
                    Ok((below, _)) if below == *key => {
                        self.below.next();
                    }
                    Ok(_) => {}
                    Err(_) => return self.below.next(),
                }
            }
            if let Some((key, Some(record))) = self.above.next() {
                return Some(Ok((key.clone(), record.clone())));
            }
        }
    }
}
