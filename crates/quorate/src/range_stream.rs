//! A large range in parts.

use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use quorate_kv_api::{KvError, RangeRequest, RangeResponse, SortOrder, SortTarget};

use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::Range;

/// A large range in parts: a blocking iterator and a [`Stream`] of responses, all at the revision
/// of the first. See [`Client::range_stream`].
///
/// The keys ascend over all parts; each response tells with `more` whether another part follows,
/// and only the last one tells the `count` of all keys. It ends with its first error, which is
/// [`KvError::Compacted`] if the revision was compacted meanwhile.
///
/// ```
/// use quorate::{Config, MemoryData, Node, Range};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// for i in 0..2_500 {
///     node.put(format!("row/{i:05}"), "x").wait()?;
/// }
/// let mut count = 0;
/// for part in node.range_stream(Range::prefix("row/")) {
///     count += part?.kvs.len();
/// }
/// assert_eq!(count, 2_500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RangeStream {
    client: Client,
    /// The range that is left to be read.
    range: Range,
    /// How many keys are still wanted; `None` for all.
    left: Option<i64>,
    /// How many keys came before.
    given: i64,
    part: i64,
    pending: Option<Pending<RangeResponse>>,
    ended: bool,
}

impl RangeStream {
    pub(crate) fn new(client: Client, range: Range) -> Self {
        let left = (range.request.limit > 0).then_some(range.request.limit);
        let refused = refusal(&range.request);
        let pending = refused.map(|cause| Pending::ready(Err(cause.into())));
        Self { client, range, left, given: 0, part: PART_FIRST, pending, ended: false }
    }

    /// The request for the next part; `None` if there is none.
    fn pending(&mut self) -> Option<&mut Pending<RangeResponse>> {
        if self.ended {
            return None;
        }
        let (client, range) = (&self.client, &mut self.range);
        range.request.limit = self.left.map_or(self.part, |left| left.min(self.part));
        // Only the part that a limit ends must look at what is beyond it, to count it.
        let is_counted = self.left.is_some_and(|left| left <= self.part);
        Some(self.pending.get_or_insert_with(|| {
            if is_counted || range.request.count_only {
                client.range(range.clone())
            } else {
                client.range_part(range.clone())
            }
        }))
    }

    /// Prepares for the part after this one.
    fn accept(&mut self, answer: Result<RangeResponse, Error>) -> Result<RangeResponse, Error> {
        self.pending = None;
        let mut response = answer.inspect_err(|_| self.ended = true)?;
        let request = &mut self.range.request;
        if request.count_only {
            self.ended = true;
            return Ok(response);
        }
        let size: usize = response.kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
        self.part = next_part(self.part, size);
        let came = response.kvs.len() as i64;
        self.left = self.left.map(|left| left - came);
        let count = self.given + response.count;
        self.given += came;
        let wants_more = self.left != Some(0);
        match response.kvs.last() {
            Some(last) if response.more && wants_more => {
                request.revision = match request.revision {
                    ..=0 => response.header.unwrap_or_default().revision,
                    pinned => pinned,
                };
                // This member stands at that revision, or later.
                request.serializable = true;
                self.range.at_least = None;
                self.range.lease = false;
                request.key = key_after(&last.key);
                response.count = 0;
            }
            _ => {
                self.ended = true;
                response.count = count;
            }
        }
        Ok(response)
    }
}

/// Refuses what cannot be read in parts.
fn refusal(request: &RangeRequest) -> Option<KvError> {
    let is_ordered = request.sort_target == i32::from(SortTarget::Key)
        && request.sort_order != i32::from(SortOrder::Descend);
    let is_filtered = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    (!is_ordered || is_filtered).then_some(KvError::UnorderedStream)
}

/// The first key behind another.
fn key_after(key: &Bytes) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// How many keys the next part has, when one of `part` keys had `size` bytes.
fn next_part(part: i64, size: usize) -> i64 {
    if size < PART_SIZE / 2 {
        (part * 2).min(PART_MAX)
    } else if size > PART_SIZE * 2 {
        (part / 2).max(1)
    } else {
        part
    }
}

impl Iterator for RangeStream {
    type Item = Result<RangeResponse, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pending()?;
        let answer = self.pending.take()?.wait();
        Some(self.accept(answer))
    }
}

impl FusedIterator for RangeStream {}

impl Stream for RangeStream {
    type Item = Result<RangeResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(pending) = self.pending() else { return Poll::Ready(None) };
        let answer = ready!(pending.poll_result(context));
        Poll::Ready(Some(self.accept(answer)))
    }
}

impl std::fmt::Debug for RangeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeStream").field("range", &self.range).finish_non_exhaustive()
    }
}

/// Keys of the first part; parts grow while they are small.
const PART_FIRST: i64 = 10;

/// Keys of the largest part, also if they are tiny.
const PART_MAX: i64 = 10_000;

/// About how many bytes of keys and values a part has.
const PART_SIZE: usize = 1 << 20;
