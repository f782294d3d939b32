//! Queues shared by all members.

use std::time::Duration;

use bytes::Bytes;

use super::items::Items;
use super::place::within;
use crate::client::Client;
use crate::pending::Pending;

/// A queue by name: whatever is added is handed out once, the oldest first. Its order is that in
/// which the additions took effect.
///
/// Taking an item removes it. If the taker dies before it has dealt with it, the item is gone: a
/// queue whose items are acknowledged later is not offered here. Who needs that keeps a job under a
/// key of its own, attached to nothing, and takes a [`Mutex`](super::Mutex) for it.
///
/// Everybody who waits for an item looks when one is added, and one gets it; nobody else sends a
/// write, unless it looks at the same moment.
///
/// ```
/// use quorate::recipes::Queue;
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let jobs = Queue::new(&node, "queues/jobs");
/// jobs.add("first").wait()?;
/// jobs.add("second").wait()?;
/// assert_eq!(&jobs.take().wait()?[..], b"first");
/// assert_eq!(jobs.try_take().wait()?.as_deref(), Some(&b"second"[..]));
/// assert!(jobs.try_take().wait()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Queue {
    items: Items,
}

impl Queue {
    /// A queue of this name.
    pub fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { items: Items::new(client, name.into(), 0) }
    }

    /// Adds an item at the end.
    ///
    /// It is added once, also if an answer was lost: then it is found out whether it was added,
    /// which may take a few times the request timeout. Fails with
    /// [`Error::TimedOut`](crate::Error::TimedOut) if it was not added and will not be, so that the
    /// caller can try again, and with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) only
    /// if no majority could be reached all the time. Dropped half-way, it may add the item or not.
    pub fn add(&self, item: impl Into<Bytes>) -> Pending<()> {
        let (items, item) = (self.items.clone(), item.into());
        let seam = items.client().seam();
        Pending::steps(seam, async move { items.add(String::new(), item).await })
    }

    /// Takes the oldest item, and waits for one as long as it takes.
    ///
    /// Dropped half-way, it takes nothing: an item that was taken already is put back, at the end.
    /// Fails with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) or
    /// [`Error::Stopped`](crate::Error::Stopped) if an item may be lost that was being taken.
    pub fn take(&self) -> Pending<Bytes> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.take().await })
    }

    /// Takes the oldest item, and waits for one at most so long; then `None`.
    pub fn take_timeout(&self, timeout: Duration) -> Pending<Option<Bytes>> {
        within(self.items.client(), timeout, self.take())
    }

    /// Takes the oldest item, if there is one.
    pub fn try_take(&self) -> Pending<Option<Bytes>> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.take_now().await })
    }

    /// How many items wait.
    pub fn count(&self) -> Pending<u64> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.count().await })
    }
}

/// A queue by name with priorities: the item with the smallest one is handed out first, and the
/// oldest of those first. In everything else it is as [`Queue`].
///
/// ```
/// use quorate::recipes::PriorityQueue;
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let jobs = PriorityQueue::new(&node, "queues/jobs");
/// jobs.add(7, "later").wait()?;
/// jobs.add(1, "soon").wait()?;
/// assert_eq!(&jobs.take().wait()?[..], b"soon");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PriorityQueue {
    items: Items,
}

impl PriorityQueue {
    /// A queue of this name.
    pub fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { items: Items::new(client, name.into(), rank(0).len()) }
    }

    /// Adds an item behind those of the same priority; as [`Queue::add`].
    pub fn add(&self, priority: u32, item: impl Into<Bytes>) -> Pending<()> {
        let (items, item) = (self.items.clone(), item.into());
        let seam = items.client().seam();
        Pending::steps(seam, async move { items.add(rank(priority), item).await })
    }

    /// Takes the first item, and waits for one as long as it takes; as [`Queue::take`].
    pub fn take(&self) -> Pending<Bytes> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.take().await })
    }

    /// Takes the first item, and waits for one at most so long; then `None`.
    pub fn take_timeout(&self, timeout: Duration) -> Pending<Option<Bytes>> {
        within(self.items.client(), timeout, self.take())
    }

    /// Takes the first item, if there is one.
    pub fn try_take(&self) -> Pending<Option<Bytes>> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.take_now().await })
    }

    /// How many items wait.
    pub fn count(&self) -> Pending<u64> {
        let items = self.items.clone();
        Pending::steps(items.client().seam(), async move { items.count().await })
    }
}

/// A priority as it stands in a key.
fn rank(priority: u32) -> String {
    format!("{priority:08x}/")
}
