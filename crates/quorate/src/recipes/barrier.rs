//! A gate at which everybody waits until somebody opens it.

use std::time::Duration;

use bytes::Bytes;

use super::changes::Changes;
use super::place::within;
use super::session::Session;
use crate::client::Client;
use crate::pending::Pending;
use crate::request::{Range, create_revision, put_with_lease};
use crate::watch::Watch;

/// A barrier as etcd's clients have it: closed as long as the key of its name exists.
///
/// ```
/// use quorate::recipes::Barrier;
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let migration = Barrier::new(&node, "barriers/migration");
/// migration.hold().wait()?;
/// let waiting = std::thread::spawn({
///     let migration = migration.clone();
///     move || migration.wait().wait()
/// });
/// migration.release().wait()?;
/// waiting.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Barrier {
    client: Client,
    name: String,
}

impl Barrier {
    /// A barrier of this name, which must not be empty. It is open unless it is held.
    pub fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), name: name.into() }
    }

    /// Closes the barrier until it is released, whoever does that and whatever becomes of the
    /// caller. Does nothing if it is closed already; returns whether it was open. May be repeated
    /// if its outcome is unknown.
    pub fn hold(&self) -> Pending<bool> {
        self.close(&self.client, 0)
    }

    /// Closes the barrier until it is released or the session ends; as [`Self::hold`] otherwise. A
    /// barrier that was closed already stays as it is: it does not open with this session.
    pub fn hold_with(&self, session: &Session) -> Pending<bool> {
        self.close(session.client(), session.lease())
    }

    fn close(&self, client: &Client, lease: i64) -> Pending<bool> {
        let is_open = create_revision(self.name.clone()).equals(0);
        let put = put_with_lease(self.name.clone(), Bytes::new(), lease);
        client.txn().when(is_open).then(put).commit().then(|txn| Ok(txn.succeeded))
    }

    /// Opens the barrier, also if somebody else has closed it. Does nothing if it is open; returns
    /// whether it was closed.
    pub fn release(&self) -> Pending<bool> {
        self.client.delete(self.name.clone()).then(|deleted| Ok(deleted.deleted > 0))
    }

    /// Waits until the barrier is open, as long as it takes. Returns at once if it is.
    ///
    /// A barrier that is opened and closed again lets everybody through who waited before.
    pub fn wait(&self) -> Pending<()> {
        let barrier = self.clone();
        Pending::steps(self.client.seam(), async move {
            loop {
                let key = Range::key(barrier.name.clone()).keys_only();
                let found = barrier.client.range(key).await?;
                if found.kvs.is_empty() {
                    return Ok(());
                }
                let from = found.header.unwrap_or_default().revision + 1;
                let watch = Watch::key(barrier.name.clone()).from_revision(from).without_puts();
                if Changes::of(&barrier.client, watch).await?.next().await?.is_some() {
                    return Ok(());
                }
            }
        })
    }

    /// Waits until the barrier is open, at most so long; whether it was.
    pub fn wait_timeout(&self, timeout: Duration) -> Pending<bool> {
        within(&self.client, timeout, self.wait()).then(|opened| Ok(opened.is_some()))
    }
}

impl std::fmt::Debug for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Barrier").field("name", &self.name).finish_non_exhaustive()
    }
}
