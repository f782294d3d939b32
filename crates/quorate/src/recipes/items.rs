//! Items of a queue: each is added once and handed out once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream as _;
use quorate_kv_api::{Event, KeyValue, SortOrder, SortTarget};
use quorate_types::mutant;

use super::attempt::Attempt;
use super::background::in_background;
use super::changes::Changes;
use crate::client::Client;
use crate::error::Error;
use crate::request::{Range, create_revision, delete, mod_revision, put};
use crate::watch::Watch;

/// The items under a name.
///
/// The key of an item begins with its rank, if the items have ranks, followed by a revision that
/// lies a little before that of its creation. So the oldest item of the first rank is among the
/// first keys, and is found without a look at the others.
#[derive(Clone)]
pub(super) struct Items {
    client: Client,
    name: String,
    /// How many bytes of a key tell its rank.
    rank_size: usize,
}

impl Items {
    pub(super) fn new(client: &Client, name: String, rank_size: usize) -> Self {
        Self { client: client.clone(), name, rank_size }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Adds an item. If this is dropped half-way, it may be added nevertheless.
    ///
    /// Fails with [`Error::TimedOut`] if it is certain that the item was not added and will not be.
    pub(super) async fn add(&self, rank: String, value: Bytes) -> Result<(), Error> {
        assert_eq!(rank.len(), self.rank_size, "all ranks have one length");
        let attempt = self.attempt().await?;
        let key = format!("{}{rank}{:016x}-{}", self.prefix(), attempt.since(), attempt.name());
        self.create(attempt, key, value).await
    }

    async fn create(&self, attempt: Attempt, key: String, value: Bytes) -> Result<(), Error> {
        let txn = self.client.txn().when(attempt.may_happen());
        let txn = txn.when(create_revision(key.clone()).equals(0)).then(put(key.clone(), value));
        let error = match txn.commit().await {
            Ok(created) => {
                assert!(created.succeeded, "the key is nobody else's");
                return Ok(());
            }
            Err(error) => error,
        };
        let was_created = attempt.has_happened(error, &key, |event| !event.is_delete()).await?;
        if was_created { Ok(()) } else { Err(Error::TimedOut) }
    }

    /// Takes the first item, if there is one. If this is dropped half-way and an item was taken, it
    /// is put back, behind the others of its rank.
    pub(super) async fn take_now(&self) -> Result<Option<Bytes>, Error> {
        let taken = self.take_or_revision().await?;
        Ok(taken.ok())
    }

    /// Takes the first item, as soon as there is one.
    pub(super) async fn take(&self) -> Result<Bytes, Error> {
        loop {
            let revision = match self.take_or_revision().await? {
                Ok(value) => return Ok(value),
                Err(revision) => revision,
            };
            let watch = Watch::prefix(self.prefix()).without_deletes();
            Changes::of(&self.client, watch.from_revision(revision + 1)).await?.next().await?;
        }
    }

    /// Takes the first item, or gives a revision at which there was none.
    async fn take_or_revision(&self) -> Result<Result<Bytes, i64>, Error> {
        loop {
            let item = match self.first().await? {
                First::Item(item) => item,
                First::Taken => continue,
                First::None { revision } => return Ok(Err(revision)),
            };
            let value = item.value.clone();
            let attempt = self.attempt().await?;
            if Taking::new(self.clone(), attempt, item).await? {
                return Ok(Ok(value));
            }
        }
    }

    /// Adds an item again that was taken in vain. If that fails, it is lost as it is with a taker
    /// that dies.
    async fn put_back(&self, item: KeyValue) {
        let Ok(key) = String::from_utf8(item.key.to_vec()) else { return };
        if let Ok(attempt) = self.attempt().await {
            let _lost = self.create(attempt, key, item.value).await;
        }
    }

    pub(super) async fn count(&self) -> Result<u64, Error> {
        let found = self.client.range(Range::prefix(self.prefix()).count_only()).await?;
        Ok(found.count.unsigned_abs())
    }

    /// The oldest item of the first rank.
    async fn first(&self) -> Result<First, Error> {
        // The first part of a stream does not count the rest, as a range with a limit would.
        let mut parts = self.client.range_stream(Range::prefix(self.prefix()).keys_only());
        let part = poll_fn(|context| Pin::new(&mut parts).poll_next(context)).await;
        let part = part.expect("a stream has at least one part")?;
        let revision = part.header.unwrap_or_default().revision;
        let Some(first) = part.kvs.into_iter().next() else {
            return Ok(First::None { revision });
        };
        // Whatever is older began to be added before the first one was there.
        let rank_end = (self.prefix().len() + self.rank_size).min(first.key.len());
        let start = first.key.slice(..rank_end);
        let mut end = start.to_vec();
        end.extend_from_slice(format!("{:016x}", first.create_revision).as_bytes());
        let older = Range::between(start, end)
            .sort(SortTarget::Create, SortOrder::Ascend)
            .limit(1)
            .at_least(revision);
        let found = self.client.range(older).await?.kvs.into_iter().next();
        Ok(match found {
            Some(item) if item.create_revision <= first.create_revision => First::Item(item),
            _ => First::Taken,
        })
    }

    async fn attempt(&self) -> Result<Attempt, Error> {
        Attempt::prepare(&self.client, &format!("{}/void/", self.name)).await
    }

    fn prefix(&self) -> String {
        format!("{}/item/", self.name)
    }

    /// Holds what took the last item: every attempt to take one leaves its trace there.
    fn taken_key(&self) -> String {
        format!("{}/taken", self.name)
    }

    /// Whether `attempt` has taken an item, as its transaction does.
    async fn has_taken(self, attempt: Attempt, item: KeyValue) -> Result<bool, Error> {
        let trace = Bytes::from(attempt.name().to_string());
        let txn = self.client.txn().when(attempt.may_happen());
        let untaken = mod_revision(item.key.clone()).equals(item.mod_revision);
        let txn = mutant!(M89, txn.when(untaken), txn);
        let txn = txn.then(delete(item.key)).then(put(self.taken_key(), trace.clone()));
        let error = match txn.commit().await {
            Ok(taken) => return Ok(taken.succeeded),
            Err(error) => error,
        };
        let is_trace = |event: &Event| event.kv.as_ref().is_some_and(|kv| kv.value == trace);
        attempt.has_happened(error, &self.taken_key(), is_trace).await
    }
}

enum First {
    Item(KeyValue),
    /// It was taken by somebody else meanwhile.
    Taken,
    None {
        revision: i64,
    },
}

/// Finds out whether an item was taken.
type Work = Pin<Box<dyn Future<Output = Result<bool, Error>> + Send>>;

/// An item that is being taken: whether it was.
struct Taking {
    items: Items,
    item: KeyValue,
    work: Option<Work>,
}

impl Taking {
    fn new(items: Items, attempt: Attempt, item: KeyValue) -> Self {
        let work = Box::pin(items.clone().has_taken(attempt, item.clone()));
        Self { items, item, work: Some(work) }
    }
}

impl Future for Taking {
    type Output = Result<bool, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.work.as_mut().expect("not polled after its end");
        let result = ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(result)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let (items, item) = (self.items.clone(), self.item.clone());
        in_background(&self.items.client, async move {
            if let Ok(true) = work.await {
                items.put_back(item).await;
            }
        });
    }
}
