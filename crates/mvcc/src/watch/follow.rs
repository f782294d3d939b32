//! Finding what comes next for a watch.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use quorate_kv_api::KvError;
use quorate_storage::{Direction, KeyRange};
use quorate_types::mutant;

use crate::meta::Head;
use crate::reader::Reader;
use crate::record::Revision;
use crate::watch::collect::{Collector, Picture};
use crate::watch::hub::{Outlook, Registration, Supply};
use crate::watch::recent::{Moment, decode};
use crate::watch::waiters::{Waiter, Wake};
use crate::watch::{Milestone, Ticket, WatchBatch, WatchPosition, WatchQuery, Watching};
use crate::{HISTORY, RequestError, StoreError};

/// How many of the newest revisions are looked at together.
const MOMENTS_MAX: usize = 1000;

/// How many records are read from one view, so that none is held for long.
const RECORDS_MAX: usize = 10_000;

impl Reader {
    /// Tells what happened from `query.from` on; if that is nothing, `wake` is called once there
    /// may be something. Nothing can happen unnoticed between the two.
    ///
    /// A watch that wakes, or that got a batch, goes on by another call from [`Ticket::position`],
    /// or [`WatchBatch::next`]. It may be woken in vain: when the store was replaced by a snapshot,
    /// and when the store is dropped.
    ///
    /// `wake` runs on the thread that applies entries, within [`Store::apply`], so it must be short
    /// and must not panic. It may drop tickets and call the methods of this type.
    ///
    /// What the last 16 MiB of events cover (see [`Store::with_recent_events_size`]) comes from
    /// memory. From further back the whole history is read through until something is found, which
    /// may take long.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use quorate_kv_api::KeySpan;
    /// use quorate_mvcc::{Store, TABLES, WatchQuery, Watching};
    /// use quorate_storage::memory::MemoryEngine;
    ///
    /// let store = Store::open(Arc::new(MemoryEngine::new(TABLES)))?;
    /// let (wake, woken) = std::sync::mpsc::channel();
    /// let query = WatchQuery::new(KeySpan::Key("k".into()), store.reader().revision() + 1);
    /// let watching = store.reader().watch(&query, Box::new(move || wake.send(()).unwrap_or(())));
    /// let Ok(Watching::Waiting(ticket)) = watching else { panic!("nothing happened yet") };
    ///
    /// drop(store); // or a change of `k`
    /// assert!(woken.recv().is_ok());
    /// assert_eq!(ticket.position(), query.from);
    /// # Ok::<(), quorate_mvcc::StoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::Compacted`] if events from `query.from` on may be
    /// compacted, or its revision is negative, and with [`KvError::EmptyWatchRange`];
    /// [`RequestError::Failed`], with [`StoreError::Closed`] if there is nothing to tell and the
    /// store is gone or failed. `wake` is not called then.
    ///
    /// [`Store::apply`]: crate::Store::apply
    /// [`Store::with_recent_events_size`]: crate::Store::with_recent_events_size
    pub fn watch(
        &self,
        query: &WatchQuery,
        wake: Box<dyn FnOnce() + Send>,
    ) -> Result<Watching, RequestError> {
        let mut wake: Wake = wake;
        let mut from = query.from;
        // Each round begins where the last one ended, so this ends when the head is reached.
        loop {
            let batch = self.advance(query, from)?;
            if !batch.events.is_empty() {
                return Ok(Watching::Batch(batch));
            }
            from = batch.next;
            let waiter = Waiter::new(query, from, wake);
            match self.shared().hub().register(query, waiter)? {
                Registration::Done(ticket) => return Ok(Watching::Waiting(ticket)),
                Registration::Late(waiter) => wake = waiter.into_wake(),
            }
        }
    }

    /// Tells what happened from `query.from` on, and never waits. A batch without events means that
    /// nothing was missed up to its revision, which is the store's; it goes on after that, or where
    /// the query begins if that is later.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::Compacted`] if events from `query.from` on may be
    /// compacted, or its revision is negative, and with [`KvError::EmptyWatchRange`];
    /// [`RequestError::Failed`].
    pub fn watch_now(&self, query: &WatchQuery) -> Result<WatchBatch, RequestError> {
        mutant!(M05, {
            let revision = self.shared().hub().outlook(query.from, 0).revision;
            return Ok(Collector::new(query).finish(query.from, revision));
        });
        self.advance(query, query.from)
    }

    /// Calls `wake` when the milestone is reached; `None` if it is reached already, and `wake` is
    /// not called then. Also called when the store is replaced by a snapshot, and when it is
    /// dropped or failed, at once if it was before: look again then.
    pub fn wait_for(&self, milestone: Milestone, wake: Box<dyn FnOnce() + Send>) -> Option<Ticket> {
        self.shared().hub().wait_for(milestone, wake)
    }

    /// Finds the next events from `from` on. If there are none in the batch, there are none up to
    /// its revision, which was the hub's newest.
    fn advance(&self, query: &WatchQuery, from: WatchPosition) -> Result<WatchBatch, RequestError> {
        if query.span.is_empty() {
            return Err(KvError::EmptyWatchRange.into());
        }
        let mut from = WatchPosition { event: from.event.max(0), ..from };
        loop {
            let Outlook { revision, compact_revision, supply } =
                self.shared().hub().outlook(from, MOMENTS_MAX);
            from = check_compacted(from, compact_revision)?;
            let batch = match supply {
                Supply::Nothing => {
                    let next = mutant!(M14, from, WatchPosition::at(revision + 1));
                    return Ok(Collector::new(query).finish(next, revision));
                }
                Supply::Recent(moments) => self.read_recent(query, from, &moments, revision)?,
                Supply::History => self.read_history(query, from, revision)?,
            };
            if !batch.events.is_empty() || batch.next.revision > revision {
                return Ok(batch);
            }
            from = batch.next;
        }
    }

    fn read_recent(
        &self,
        query: &WatchQuery,
        from: WatchPosition,
        moments: &[Arc<Moment>],
        revision: i64,
    ) -> Result<WatchBatch, RequestError> {
        let picture: OnceCell<Arc<Picture>> = OnceCell::new();
        let take_picture = || match picture.get() {
            Some(taken) => Ok(taken.clone()),
            None => {
                let taken = Arc::new(self.picture()?);
                Ok(picture.get_or_init(|| taken).clone())
            }
        };
        let mut collector = Collector::new(query);
        let mut end = from;
        let first = Revision::new(from.revision, from.event);
        'full: for moment in moments {
            for (at, record) in &moment.events {
                if *at >= first && !collector.offer(*at, record, take_picture)? {
                    break 'full;
                }
            }
            end = WatchPosition::at(moment.revision + 1);
        }
        Ok(collector.finish(end, revision))
    }

    /// Reads events up to the revision `last`, or a part of them.
    fn read_history(
        &self,
        query: &WatchQuery,
        from: WatchPosition,
        last: i64,
    ) -> Result<WatchBatch, RequestError> {
        let picture = Arc::new(self.picture()?);
        let Head { revision, compact_revision, .. } = picture.1;
        let from = check_compacted(from, compact_revision)?;
        // The view is older only if a snapshot of an older state is just being installed. The hub
        // is told of it next; until then there is nothing to read.
        let end = WatchPosition::at(last.min(revision).saturating_add(1));
        let mut collector = Collector::new(query);
        if end <= from {
            return Ok(collector.finish(from, last));
        }
        let key = |at: Revision| Bytes::copy_from_slice(&at.to_key());
        let start = key(Revision::new(from.revision, from.event));
        let range = KeyRange::new(start, key(Revision::new(end.revision, 0)));
        let view = &picture.0.0;
        for (count, row) in view.scan(HISTORY, &range, Direction::Forward).enumerate() {
            let (key, record) = row.map_err(StoreError::from)?;
            let corrupt = |detail| StoreError::corrupt(HISTORY, &key, detail);
            let at = Revision::from_key(&key).map_err(corrupt)?;
            if count >= RECORDS_MAX && !collector.has_begun(at.main) {
                let here = WatchPosition { revision: at.main, event: at.sub };
                return Ok(collector.finish(here, last));
            }
            let record = decode(at, &record)?;
            if !collector.offer(at, &record, || Ok(picture.clone()))? {
                break;
            }
        }
        let next = mutant!(M07, end, collector.repeating(last, end));
        Ok(collector.finish(next, last))
    }
}

/// Where a watch at `from` can go on: there, unless that is compacted.
fn check_compacted(from: WatchPosition, compact_revision: i64) -> Result<WatchPosition, KvError> {
    if from.revision >= compact_revision.max(0) {
        return Ok(from);
    }
    let refusal = KvError::Compacted { requested: from.revision, compact_revision };
    mutant!(M08, Err(refusal), Ok(WatchPosition::at(compact_revision.max(0))))
}
