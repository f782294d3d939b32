//! A place in a line: a key of a session among others, which are served in the order in which they
//! were made.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::{Compare, KeyValue, KvError, OpResponse, SortOrder, SortTarget, TxnResponse};
use quorate_types::mutant;

use super::background::{RETRY_INTERVAL, in_background};
use super::changes::Changes;
use super::session::{Held, Session};
use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::{Range, create_revision, delete, put_with_lease, range};
use crate::watch::Watch;

/// A key attached to a session. The key's create revision is its place among the others, and its
/// fencing token. Dropping it gives the place up.
pub(super) struct Place {
    session: Session,
    key: String,
    /// 0 as long as it is not known.
    revision: i64,
    /// Whether the key is deleted when this is dropped.
    is_kept: bool,
    _held: Option<Held>,
}

impl Place {
    /// Takes the only place that the session has under `prefix`: makes a key, or finds it as a
    /// former user of the lease made it. The key holds `value` then.
    pub(super) async fn take_only(
        session: &Session,
        prefix: &str,
        value: Bytes,
    ) -> Result<Self, Error> {
        session.check()?;
        let held = session.hold(&session.key_under(prefix))?;
        let place = Self::new(session, session.free_key_under(prefix), Some(held));
        let place = place.take(value, Vec::new()).await?;
        place.ok_or_else(|| session.lost_error())
    }

    /// Takes another place under `prefix`, if the conditions hold; else `None`.
    pub(super) async fn take_another(
        session: &Session,
        prefix: &str,
        conditions: Vec<Compare>,
    ) -> Result<Option<Self>, Error> {
        session.check()?;
        let key = format!("{prefix}{}", session.client().seam().unique());
        Self::new(session, key, None).take(Bytes::new(), conditions).await
    }

    fn new(session: &Session, key: String, held: Option<Held>) -> Self {
        let session = session.clone();
        Self { session, key, revision: 0, is_kept: true, _held: held }
    }

    /// Whatever may have been written is taken back when this is dropped half-way.
    async fn take(self, value: Bytes, also: Vec<Compare>) -> Result<Option<Self>, Error> {
        let key = &self.key;
        let txn = self.session.client().txn().when(create_revision(key.clone()).equals(0));
        let txn = also.into_iter().fold(txn, |txn, condition| txn.when(condition));
        let txn = txn
            .then(put_with_lease(key.clone(), value.clone(), self.session.lease()))
            .or_else(range(Range::key(key.clone())));
        let pending = Some(txn.commit());
        let session = self.session.clone();
        let taking = Taking { place: Some(self), pending }.await;
        let (mut place, answer) = taking.map_err(|error| match error {
            // Somebody else ended the session, which does not know it yet.
            Error::Refused(KvError::LeaseNotFound { .. }) => session.lost_error(),
            other => other,
        })?;
        let (revision, found) = taken(answer);
        place.revision = revision;
        if revision == 0 {
            place.leave();
            return Ok(None);
        }
        if found.is_some_and(|found| found != value) {
            place.set(value).await?;
        }
        Ok(Some(place))
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

    /// Waits until fewer than `allowed` of the keys under `prefix` were made before this one.
    ///
    /// Fails with [`RecipeError::SessionLost`](super::RecipeError::SessionLost) if the place was
    /// lost meanwhile.
    pub(super) async fn wait_turn(&self, prefix: &str, allowed: usize) -> Result<(), Error> {
        loop {
            let (before, revision) = self.before(prefix, allowed).await?;
            if before.len() < allowed {
                return mutant!(M35, self.confirm().await, Ok(()));
            }
            // Where all of them must go, the newest is looked at, so that one departure wakes one.
            let watch = match &before[..] {
                [newest] if allowed == 1 => Watch::key(newest.key.clone()),
                _ => Watch::prefix(prefix.to_owned()),
            };
            let departures = before.len() + 1 - allowed;
            let before = before.into_iter().map(|kv| kv.key).collect();
            self.wait_departures(watch.from_revision(revision + 1), before, departures).await?;
            if mutant!(M88, false, true) {
                return self.confirm().await;
            }
        }
    }

    /// Whether fewer than `allowed` of the keys under `prefix` were made before this one.
    pub(super) async fn is_served(&self, prefix: &str, allowed: usize) -> Result<bool, Error> {
        let (before, _) = self.before(prefix, allowed).await?;
        if before.len() >= allowed {
            return Ok(false);
        }
        self.confirm().await?;
        Ok(true)
    }

    /// The keys under `prefix` made before this one, and the revision they were read at. Only the
    /// newest of them if none is allowed.
    async fn before(&self, prefix: &str, allowed: usize) -> Result<(Vec<KeyValue>, i64), Error> {
        let range = Range::prefix(prefix.to_owned())
            .max_create_revision(self.revision - 1)
            .sort(SortTarget::Create, SortOrder::Descend)
            .keys_only();
        let range = if allowed == 1 { range.limit(1) } else { range };
        let found = self.session.client().range(range).await?;
        Ok((found.kvs, found.header.unwrap_or_default().revision))
    }

    /// Waits until so many of the keys were deleted, or the session is lost. May return early.
    async fn wait_departures(
        &self,
        watch: Watch,
        mut keys: BTreeSet<Bytes>,
        departures: usize,
    ) -> Result<(), Error> {
        let last = keys.len() - departures;
        let mut changes = Changes::during(&self.session, watch.without_puts()).await?;
        while keys.len() > last {
            let Some(events) = changes.next().await? else { return Ok(()) };
            for kv in events.into_iter().filter_map(|event| event.kv) {
                keys.remove(&kv.key);
            }
        }
        Ok(())
    }

    /// Makes sure that the place is still taken: the lease may have ended during the wait.
    async fn confirm(&self) -> Result<(), Error> {
        let found = self.session.client().get(self.key.clone()).await?;
        match found {
            Some(kv) if kv.create_revision == self.revision => self.session.check(),
            _ => Err(self.session.lost_error()),
        }
    }

    /// Gives the place up and waits until that is done. If it fails, it is tried again in the
    /// background.
    pub(super) fn give_up(mut self) -> Pending<()> {
        Pending::steps(self.session.client().seam(), async move {
            remove(self.session.client(), &self.key, self.revision).await?;
            self.leave();
            Ok(())
        })
    }

    /// Ends this without a deletion.
    fn leave(&mut self) {
        self.is_kept = false;
    }

    /// Has the key deleted in the background, after the transaction that makes it.
    fn abandon(&mut self, taking: Option<Pending<TxnResponse>>) {
        self.is_kept = false;
        let (client, key) = (self.session.client().clone(), self.key.clone());
        let (revision, doubt) = (self.revision, self.session.doubt(&key));
        in_background(self.session.client(), async move {
            // A deletion that came before the key is made would delete nothing.
            let revision = match taking {
                Some(taking) => taking.await.map_or(0, |answer| taken(answer).0),
                None => revision,
            };
            while remove(&client, &key, revision).await.is_err_and(|error| error.is_retryable()) {
                let _stopped = client.after(RETRY_INTERVAL).await;
            }
            drop(doubt);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The key of a lost session goes with the lease.
        if self.is_kept && !self.session.is_lost() {
            self.abandon(None);
        }
    }
}

/// A place whose key is being made.
struct Taking {
    place: Option<Place>,
    pending: Option<Pending<TxnResponse>>,
}

impl Future for Taking {
    type Output = Result<(Place, TxnResponse), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let pending = self.pending.as_mut().expect("not polled after its end");
        let answer = ready!(pending.poll_result(context));
        self.pending = None;
        let place = self.place.take().expect("not polled after its end");
        // If it failed, the place is dropped: the key may have been made nevertheless.
        Poll::Ready(answer.map(|answer| (place, answer)))
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(mut place) = self.place.take() {
            place.abandon(self.pending.take());
        }
    }
}

/// The create revision of the key of a place, 0 if it was not made; and its value, if it was there
/// before.
fn taken(txn: TxnResponse) -> (i64, Option<Bytes>) {
    match txn.responses.into_iter().next().and_then(|op| op.response) {
        Some(OpResponse::Range(found)) => found
            .kvs
            .into_iter()
            .next()
            .map_or((0, None), |kv| (kv.create_revision, Some(kv.value))),
        _ => (txn.header.unwrap_or_default().revision, None),
    }
}

/// Deletes the key of a place, unless it was made at another revision. With revision 0, whatever
/// it was made at.
fn remove(client: &Client, key: &str, revision: i64) -> Pending<TxnResponse> {
    let txn = client.txn();
    let txn = match revision {
        0 => txn,
        _ => txn.when(create_revision(key.to_owned()).equals(revision)),
    };
    txn.then(delete(key.to_owned())).commit()
}

/// Does something within a time; `None` if it was not done. What it had written is taken back.
pub(super) fn within<T: Send + 'static>(
    client: &Client,
    limit: Duration,
    pending: Pending<T>,
) -> Pending<Option<T>> {
    let client = client.clone();
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
