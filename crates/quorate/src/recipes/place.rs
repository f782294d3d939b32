//! A place in a line: a key of a session among others, which are served in the order in which they
//! were made.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream as _;
use quorate_kv_api::{Compare, KeyValue, OpResponse, SortOrder, SortTarget};

use super::session::{Held, Session};
use crate::error::Error;
use crate::pending::Pending;
use crate::request::{Range, create_revision, delete, put_with_lease, range};
use crate::watch::Watch;

/// A key attached to a session. The key's create revision is its place among the others, and its
/// fencing token. Dropping it gives the place up.
pub(super) struct Place {
    session: Session,
    key: String,
    revision: i64,
    /// Whether the key is deleted when this is dropped.
    is_kept: bool,
    _held: Held,
}

impl Place {
    /// Takes a place: makes a key, or finds it as an earlier attempt made it, whose outcome
    /// remained unknown. With a value, the key holds that then.
    pub(super) async fn take(session: &Session, key: String, value: Bytes) -> Result<Self, Error> {
        session.check()?;
        let held = session.hold(&key)?;
        // From here on whatever may have been written is taken back when this is dropped.
        let mut place =
            Self { session: session.clone(), key, revision: 0, is_kept: true, _held: held };
        let key = &place.key;
        let txn = session
            .client()
            .txn()
            .when(create_revision(key.clone()).equals(0))
            .then(put_with_lease(key.clone(), value.clone(), session.lease()))
            .or_else(range(Range::key(key.clone())))
            .commit()
            .await?;
        place.revision = match txn.responses.into_iter().next().and_then(|op| op.response) {
            Some(OpResponse::Range(found)) => {
                let found = found.kvs.into_iter().next();
                let found = found.ok_or_else(|| session.lost_error())?;
                place.revision = found.create_revision;
                if found.value != value {
                    place.set(value).await?;
                }
                found.create_revision
            }
            _ => txn.header.unwrap_or_default().revision,
        };
        Ok(place)
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The create revision of the key: greater than that of everybody before.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Holds as long as the place is taken.
    pub(super) fn held(&self) -> Compare {
        create_revision(self.key.clone()).equals(self.revision)
    }

    /// Sets the value of the key; whether the place was still taken.
    pub(super) fn set(&self, value: Bytes) -> Pending<bool> {
        let put = put_with_lease(self.key.clone(), value, self.session.lease());
        let txn = self.session.client().txn().when(self.held()).then(put);
        txn.commit().then(|txn| Ok(txn.succeeded))
    }

    /// Waits until fewer than `allowed` of the keys under `prefix` that `counts` accepts were made
    /// before this one.
    ///
    /// Fails with [`RecipeError::SessionLost`](super::RecipeError::SessionLost) if the place was
    /// lost meanwhile.
    pub(super) async fn wait_turn(
        &self,
        prefix: &str,
        allowed: usize,
        counts: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Error> {
        loop {
            let (before, revision) = self.before(prefix).await?;
            let before: Vec<KeyValue> = before.into_iter().filter(|kv| counts(&kv.key)).collect();
            if before.len() < allowed {
                return self.confirm().await;
            }
            let from = revision + 1;
            let watch = match &before[..] {
                // All of them must go: the newest is looked at, so that one departure wakes one.
                [newest, ..] if allowed == 1 => Watch::key(newest.key.clone()),
                _ => Watch::prefix(prefix.to_owned()),
            };
            self.wait_departure(watch.from_revision(from).without_puts()).await?;
        }
    }

    /// Whether nobody under `prefix` was before this place.
    pub(super) async fn is_first(&self, prefix: &str) -> Result<bool, Error> {
        let (before, _) = self.before(prefix).await?;
        if before.is_empty() {
            self.confirm().await?;
        }
        Ok(before.is_empty())
    }

    /// The keys under `prefix` made before this one, newest first, and the revision they were read
    /// at.
    async fn before(&self, prefix: &str) -> Result<(Vec<KeyValue>, i64), Error> {
        let range = Range::prefix(prefix.to_owned())
            .max_create_revision(self.revision - 1)
            .sort(SortTarget::Create, SortOrder::Descend)
            .keys_only();
        let found = self.session.client().range(range).await?;
        Ok((found.kvs, found.header.unwrap_or_default().revision))
    }

    /// Waits until a watched key is deleted, or the session is lost.
    async fn wait_departure(&self, watch: Watch) -> Result<(), Error> {
        let mut watcher = self.session.client().watch(watch).await?;
        let mut lost = self.session.lost();
        poll_fn(|context| {
            if lost.poll_result(context).is_ready() {
                return Poll::Ready(Err(self.session.lost_error()));
            }
            let next = Pin::new(&mut watcher).poll_next(context);
            next.map(|response| response.map_or(Ok(()), |response| response.map(|_| ())))
        })
        .await
    }

    /// Makes sure that the place is still taken: the lease may have ended during the wait.
    async fn confirm(&self) -> Result<(), Error> {
        let found = self.session.client().get(self.key.clone()).await?;
        match found {
            Some(kv) if kv.create_revision == self.revision => self.session.check(),
            _ => Err(self.session.lost_error()),
        }
    }

    /// Gives the place up and waits until that is done.
    pub(super) fn give_up(mut self) -> Pending<()> {
        self.is_kept = false;
        self.remove()
    }

    fn remove(&self) -> Pending<()> {
        let txn = self.session.client().txn();
        // Only an attempt whose outcome is unknown has no revision; its key is nobody else's.
        let txn = if self.revision == 0 { txn } else { txn.when(self.held()) };
        txn.then(delete(self.key.clone())).commit().then(|_| Ok(()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_kept && !self.session.is_lost() {
            // Nobody can wait here; if it fails, the key goes with the lease.
            let _abandoned = self.remove();
        }
    }
}

/// Does something within a time; `None` if it was not done. What it had written is taken back.
pub(super) fn within<T: Send + 'static>(
    session: &Session,
    limit: Duration,
    pending: Pending<T>,
) -> Pending<Option<T>> {
    let client = session.client().clone();
    Pending::steps(client.seam(), async move {
        let mut over = client.after(limit);
        let mut pending = pending;
        poll_fn(|context| {
            if let Poll::Ready(result) = pending.poll_result(context) {
                return Poll::Ready(result.map(Some));
            }
            over.poll_result(context).map(|over| over.map(|()| None))
        })
        .await
    })
}
