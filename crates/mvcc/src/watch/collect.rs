//! Putting events into a batch, up to its limits.

use std::sync::Arc;

use prost::Message;
use quorate_kv_api::{Event, EventType, KeyValue, RangeRequest};

use crate::meta::Head;
use crate::read::range;
use crate::record::{Change, HistoryRecord, Revision, key_value};
use crate::source::{Source, ViewSource};
use crate::watch::recent::decode;
use crate::watch::{WatchBatch, WatchPosition, WatchQuery};
use crate::{HISTORY, RequestError, StoreError};

/// How many revisions a batch tells of, as in etcd. It keeps a batch of tiny events short.
const REVISIONS_MAX: usize = 1000;

/// A batch takes no further revision once its events have so many bytes, encoded.
const BATCH_SIZE: u64 = 2 << 20;

/// What the encoding of a batch adds to the one of an event: a tag and a length.
const EVENT_FRAME_SIZE: u64 = 6;

/// Where to look up how keys were before.
pub(crate) type Picture = (ViewSource, Head);

/// A batch being made of records that come in order.
pub(crate) struct Collector<'a> {
    query: &'a WatchQuery,
    events: Vec<Event>,
    /// How many bytes the events have, encoded.
    size: u64,
    revisions: usize,
    /// The revision of the last event.
    last: i64,
    /// The record that had no room.
    refused: Option<Revision>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(query: &'a WatchQuery) -> Self {
        Self { query, events: Vec::new(), size: 0, revisions: 0, last: -1, refused: None }
    }

    /// Whether events of `main` were taken.
    pub(crate) fn has_begun(&self, main: i64) -> bool {
        self.last == main
    }

    /// Takes a record if it is wanted. False if there is no room for it: the batch is full then.
    pub(crate) fn offer(
        &mut self,
        at: Revision,
        record: &HistoryRecord,
        picture: impl FnOnce() -> Result<Arc<Picture>, StoreError>,
    ) -> Result<bool, StoreError> {
        let is_delete = matches!(record.change, Change::Delete);
        if !self.query.wants(&record.key, is_delete) {
            return Ok(true);
        }
        let is_next = at.main > self.last;
        if is_next && (self.revisions == REVISIONS_MAX || self.size >= BATCH_SIZE) {
            self.refused = Some(at);
            return Ok(false);
        }
        let event = self.event(at, record, picture)?;
        let size = event.encoded_len() as u64 + EVENT_FRAME_SIZE;
        let is_cut = self.query.fragment_bytes.is_some_and(|limit| self.size + size > limit);
        if is_cut && !self.events.is_empty() {
            self.refused = Some(at);
            return Ok(false);
        }
        self.events.push(event);
        self.size += size;
        self.revisions += usize::from(is_next);
        self.last = at.main;
        Ok(true)
    }

    /// M07: the revision `last` again, if it was told, instead of `end`.
    #[cfg(feature = "mutants")]
    pub(crate) fn repeating(&self, last: i64, end: WatchPosition) -> WatchPosition {
        if self.has_begun(last) { WatchPosition::at(last) } else { end }
    }

    /// The batch, and where it goes on: at the record that had no room, or else at `end`.
    pub(crate) fn finish(self, end: WatchPosition, revision: i64) -> WatchBatch {
        let (next, fragment) = match self.refused {
            Some(at) => (WatchPosition { revision: at.main, event: at.sub }, at.main == self.last),
            None => (end, false),
        };
        WatchBatch { events: self.events, next, revision, fragment }
    }

    fn event(
        &self,
        at: Revision,
        record: &HistoryRecord,
        picture: impl FnOnce() -> Result<Arc<Picture>, StoreError>,
    ) -> Result<Event, StoreError> {
        let key = record.key.clone();
        let (kind, kv, is_create) = match &record.change {
            Change::Put { attributes, value } => {
                let kv = key_value(key, at.main, *attributes, value.clone());
                (EventType::Put, kv, attributes.create_revision == at.main)
            }
            Change::Delete => {
                let kv = KeyValue { key, mod_revision: at.main, ..KeyValue::default() };
                (EventType::Delete, kv, false)
            }
        };
        let mut event = Event { r#type: kind.into(), kv: Some(kv), prev_kv: None };
        if self.query.prev_kv && !is_create {
            let picture = picture()?;
            event.prev_kv = before(&picture.0, &picture.1, at.main, record)?;
        }
        Ok(event)
    }
}

/// The key of `record` as it was at the revision before `main`, unless that is compacted.
fn before(
    source: &ViewSource,
    head: &Head,
    main: i64,
    record: &HistoryRecord,
) -> Result<Option<KeyValue>, StoreError> {
    if main <= head.compact_revision {
        return Ok(None);
    }
    let key = record.key.clone();
    let at = record.superseded;
    if at.main == main {
        // The same request changed the key twice.
        let request = RangeRequest { key, revision: main - 1, ..RangeRequest::default() };
        return match range(source, head, &request) {
            Ok(mut found) => Ok(found.kvs.pop()),
            Err(RequestError::Refused(_)) => Ok(None),
            Err(RequestError::Failed(failure)) => Err(failure),
        };
    }
    let corrupt = |detail| StoreError::corrupt(HISTORY, &at.to_key(), detail);
    let old = source.history(at)?.ok_or(corrupt("it is missing"))?;
    match decode(at, &old)?.change {
        Change::Put { attributes, value } => Ok(Some(key_value(key, at.main, attributes, value))),
        Change::Delete => Err(corrupt("it is a deletion, a put was expected")),
    }
}
