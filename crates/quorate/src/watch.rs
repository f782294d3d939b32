//! Watches: what changes from some revision on, in order, without loss or repetition.

use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use quorate_kv_api::{Event, KeySpan, KvError, ResponseHeader, prefix_end};
use quorate_mvcc::{WatchPosition, WatchQuery};
use quorate_types::ByteSize;

use crate::error::Error;
use crate::pending::Pending;
use crate::seam::{Request, Response, Seam, WatchAnswer};

/// What to watch: keys, from which revision on, and what to tell of each change.
///
/// ```
/// use quorate::Watch;
/// let jobs = Watch::prefix("job/").with_prev_kv();
/// let again = Watch::key("job/7").from_revision(42).without_deletes();
/// # let _ = (jobs, again);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    key: Bytes,
    range_end: Bytes,
    from_revision: Option<i64>,
    puts: bool,
    deletes: bool,
    prev_kv: bool,
    fragment_size: Option<ByteSize>,
    progress_interval: Option<Duration>,
}

impl Watch {
    /// One key; an empty one means the first possible key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            range_end: Bytes::new(),
            from_revision: None,
            puts: true,
            deletes: true,
            prev_kv: false,
            fragment_size: None,
            progress_interval: None,
        }
    }

    /// Every key that starts with `prefix`; an empty prefix means all keys.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let end = prefix_end(&prefix);
        Self::between(prefix, end)
    }

    /// Keys from `start` up to but without `end`.
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { range_end: end.into(), ..Self::key(start) }
    }

    /// All keys.
    pub fn all() -> Self {
        Self::prefix(Bytes::new())
    }

    /// From this revision on, included; it may lie in the past, as long as it is not compacted, or
    /// in the future. Zero means from now on, as if this were not called; a negative one counts as
    /// compacted.
    #[must_use]
    pub fn from_revision(mut self, revision: i64) -> Self {
        self.from_revision = (revision != 0).then_some(revision);
        self
    }

    /// Leaves puts out.
    #[must_use]
    pub fn without_puts(mut self) -> Self {
        self.puts = false;
        self
    }

    /// Leaves deletions out.
    #[must_use]
    pub fn without_deletes(mut self) -> Self {
        self.deletes = false;
        self
    }

    /// Tells with each event what the key held before, unless that is compacted.
    #[must_use]
    pub fn with_prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Cuts a revision with more bytes of keys and values than this into several responses, between
    /// events. Otherwise the events of one revision always come in one response.
    #[must_use]
    pub fn fragmented(mut self, size: ByteSize) -> Self {
        self.fragment_size = Some(size);
        self
    }

    /// Gives a response without events whenever nothing came for so long. It tells up to which
    /// revision there is nothing more to come.
    #[must_use]
    pub fn progress_every(mut self, interval: Duration) -> Self {
        self.progress_interval = Some(interval);
        self
    }

    /// The first key, which must not be empty below.
    fn first_key(&self) -> Bytes {
        if self.key.is_empty() { Bytes::from_static(b"\0") } else { self.key.clone() }
    }

    /// The keys watched.
    pub(crate) fn span(&self) -> KeySpan {
        KeySpan::new(&self.first_key(), &self.range_end)
    }

    pub(crate) fn start(&self) -> Option<i64> {
        self.from_revision
    }

    /// # Errors
    ///
    /// [`KvError::EmptyWatchRange`]; [`KvError::Compacted`] for a negative revision.
    pub(crate) fn validate(&self) -> Result<(), KvError> {
        if self.span().is_empty() {
            return Err(KvError::EmptyWatchRange);
        }
        match self.from_revision {
            Some(requested) if requested < 0 => {
                Err(KvError::Compacted { requested, compact_revision: 0 })
            }
            _ => Ok(()),
        }
    }

    fn query(&self, revision: i64) -> WatchQuery {
        WatchQuery {
            span: self.span(),
            from: WatchPosition { revision, event: 0 },
            puts: self.puts,
            deletes: self.deletes,
            prev_kv: self.prev_kv,
            fragment_bytes: self.fragment_size.map(ByteSize::bytes),
        }
    }
}

/// What a [`Watcher`] gives: the events of one or more whole revisions, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchResponse {
    /// As in every response; its revision is that of the store when this was read.
    pub header: ResponseHeader,
    /// The events, by revision and within a revision in the order of the writes. None in a response
    /// that only tells the progress: nothing is left to come up to the header's revision.
    pub events: Vec<Event>,
    /// Whether more events of the last revision come in the next response.
    pub fragment: bool,
}

impl WatchResponse {
    /// Whether this only tells the progress.
    pub fn is_progress(&self) -> bool {
        self.events.is_empty()
    }
}

/// A running watch: a blocking iterator and a [`Stream`] of responses. Dropping it ends it.
///
/// Every change of the watched keys comes exactly once and in order, from the first revision asked
/// for: also if this reads slowly, if the leader changes, or if the member gets a snapshot from
/// another. What is not read yet stays in the store, not in memory. Only a compaction can overtake
/// a watch that is not read; then it ends with [`KvError::Compacted`].
///
/// A watch ends with its first error. To go on where it stopped, on this member opened anew or on
/// another one, watch from [`Self::next_revision`].
///
/// ```
/// use quorate::{Config, MemoryData, Node, Watch};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let mut watcher = node.watch(Watch::prefix("color/")).wait()?;
/// node.put("color/sky", "blue").wait()?;
/// node.delete("color/sky").wait()?;
/// let events: Vec<_> = watcher.by_ref().events().take(2).collect::<Result<_, _>>()?;
/// assert!(events[0].is_create() && events[1].is_delete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watcher {
    seam: Arc<dyn Seam>,
    query: WatchQuery,
    progress_interval: Option<Duration>,
    timeout: Duration,
    /// The request for the next events, if one is under way.
    pending: Option<Pending<Response>>,
    /// What is left of a response whose events are taken one by one; the next event stands last.
    begun: Option<WatchResponse>,
    ended: bool,
}

impl Watcher {
    /// A watch from `revision` on.
    pub(crate) fn new(
        seam: Arc<dyn Seam>,
        watch: &Watch,
        revision: i64,
        timeout: Duration,
    ) -> Self {
        Self {
            seam,
            query: watch.query(revision),
            progress_interval: watch.progress_interval,
            timeout,
            pending: None,
            begun: None,
            ended: false,
        }
    }

    /// The revision from which on nothing was given yet: where a new watch goes on. If the last
    /// response was a fragment, its revision, so that its events come again from the first.
    pub fn next_revision(&self) -> i64 {
        let begun = self.begun.as_ref().and_then(|response| response.events.last());
        begun.map_or(self.query.from.revision, Event::revision)
    }

    /// Blocks until there are events, or a progress if one was asked for, at most for `timeout`;
    /// then `None`, and the watch goes on. Also `None` once it has ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<WatchResponse, Error>> {
        if let Some(begun) = self.take_begun() {
            return Some(Ok(begun));
        }
        let deadline = self.seam.now() + timeout;
        loop {
            let left = deadline.saturating_since(self.seam.now());
            let answer = self.pending()?.wait_timeout(left)?;
            if let Some(response) = self.accept(answer) {
                return Some(response);
            }
        }
    }

    /// Asks whether everything is given: `Some(revision)` if nothing is left to come up to that
    /// revision of the store as this member has it, `None` if there are events to be read first, or
    /// if the watch begins in the future.
    pub fn progress(&self) -> Pending<Option<i64>> {
        if self.begun.is_some() {
            return Pending::ready(Ok(None));
        }
        let from = self.query.from.revision;
        let pending = self.seam.submit(Request::WatchNow(self.query.clone()), self.timeout);
        pending.then(move |response| {
            let Response::Watch(WatchAnswer { batch, .. }) = response else {
                unreachable!("a request is answered in kind")
            };
            let is_done = batch.events.is_empty() && from <= batch.revision + 1;
            Ok(is_done.then_some(batch.revision))
        })
    }

    /// Single events instead of responses; progress is left out. What is left of a response when
    /// this is dropped comes with the next one.
    pub fn events(&mut self) -> Events<'_> {
        Events(self)
    }

    /// What is left of a response whose events were taken one by one.
    fn take_begun(&mut self) -> Option<WatchResponse> {
        let mut begun = self.begun.take()?;
        begun.events.reverse();
        Some(begun)
    }

    /// The request under way; `None` if the watch has ended.
    fn pending(&mut self) -> Option<&mut Pending<Response>> {
        if self.ended {
            return None;
        }
        let (seam, query) = (&self.seam, &self.query);
        let timeout = self.progress_interval.unwrap_or(IDLE_MAX);
        Some(
            self.pending.get_or_insert_with(|| seam.submit(Request::Watch(query.clone()), timeout)),
        )
    }

    /// Takes an answer; `None` if it is nothing to be told.
    fn accept(&mut self, answer: Result<Response, Error>) -> Option<Result<WatchResponse, Error>> {
        self.pending = None;
        let WatchAnswer { header, batch } = match answer {
            Ok(Response::Watch(answer)) => answer,
            Ok(_) => unreachable!("a request is answered in kind"),
            Err(error) => {
                self.ended = true;
                return Some(Err(error));
            }
        };
        assert!(batch.next >= self.query.from, "a watch never goes back");
        self.query.from = batch.next;
        let is_wanted = !batch.events.is_empty() || self.progress_interval.is_some();
        let response = WatchResponse { header, events: batch.events, fragment: batch.fragment };
        is_wanted.then_some(Ok(response))
    }
}

impl Iterator for Watcher {
    type Item = Result<WatchResponse, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(begun) = self.take_begun() {
            return Some(Ok(begun));
        }
        loop {
            self.pending()?;
            let answer = self.pending.take()?.wait();
            if let Some(response) = self.accept(answer) {
                return Some(response);
            }
        }
    }
}

impl FusedIterator for Watcher {}

impl Stream for Watcher {
    type Item = Result<WatchResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(begun) = self.take_begun() {
            return Poll::Ready(Some(Ok(begun)));
        }
        loop {
            let Some(pending) = self.pending() else { return Poll::Ready(None) };
            let answer = ready!(Pin::new(pending).poll(context));
            if let Some(response) = self.accept(answer) {
                return Poll::Ready(Some(response));
            }
        }
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("query", &self.query).finish_non_exhaustive()
    }
}

/// The single events of a [`Watcher`].
pub struct Events<'a>(&'a mut Watcher);

impl Iterator for Events<'_> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.0.begun.is_none() {
            match self.0.next()? {
                Ok(mut response) => {
                    response.events.reverse();
                    self.0.begun = (!response.events.is_empty()).then_some(response);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        let begun = self.0.begun.as_mut()?;
        let event = begun.events.pop();
        if begun.events.is_empty() {
            self.0.begun = None;
        }
        event.map(Ok)
    }
}

/// How long a watch waits before it asks again, which changes nothing for its user.
const IDLE_MAX: Duration = Duration::from_secs(3_600);
