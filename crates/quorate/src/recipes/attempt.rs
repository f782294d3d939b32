//! A transaction of which can be said later whether it happened.

use std::future::Future;

use quorate_kv_api::{Compare, Event, KvError};

use super::background::RETRY_INTERVAL;
use super::changes::Changes;
use crate::client::Client;
use crate::error::Error;
use crate::request::{Range, create_revision, put_with_lease, range};
use crate::seam::Unique;
use crate::watch::Watch;

/// One attempt to carry out a transaction.
///
/// If its outcome is unknown, a key is made that keeps it from happening from then on, and the
/// history tells whether it has happened before.
pub(super) struct Attempt {
    client: Client,
    name: Unique,
    /// The key that keeps it from happening.
    void: String,
    /// A revision before it.
    since: i64,
}

impl Attempt {
    /// Prepares an attempt; its key is made under `prefix` if need be.
    pub(super) async fn prepare(client: &Client, prefix: &str) -> Result<Self, Error> {
        let name = client.seam().unique();
        let now = client.range(Range::key(&b"\0"[..]).local().count_only()).await?;
        let since = now.header.unwrap_or_default().revision;
        Ok(Self { client: client.clone(), name, void: format!("{prefix}{name}"), since })
    }

    /// A name that no other attempt has.
    pub(super) fn name(&self) -> Unique {
        self.name
    }

    /// A revision before it, usually only a few before.
    pub(super) fn since(&self) -> i64 {
        self.since
    }

    /// A condition that its transaction must have.
    pub(super) fn may_happen(&self) -> Compare {
        create_revision(self.void.clone()).equals(0)
    }

    /// Whether it happened although it was answered with `error`: that is, whether there was an
    /// event of `key` that `is_trace` accepts. If not, it will not happen any more.
    ///
    /// Fails with `error` if that says more, and with [`Error::OutcomeUnknown`] if it cannot be
    /// found out.
    pub(super) async fn has_happened(
        &self,
        error: Error,
        key: &str,
        is_trace: impl Fn(&Event) -> bool,
    ) -> Result<bool, Error> {
        if !matches!(error, Error::OutcomeUnknown) {
            return Err(error);
        }
        let end = persistently(&self.client, || self.prevent()).await?;
        let found = persistently(&self.client, || self.find(key, end, &is_trace)).await;
        found.and_then(|found| found.ok_or(Error::OutcomeUnknown))
    }

    /// Keeps it from happening after the revision returned.
    async fn prevent(&self) -> Result<i64, Error> {
        let lease = self.client.lease_grant(PREVENTION_SECONDS).await?.id;
        let txn = self.client.txn().when(self.may_happen());
        let txn = txn.then(put_with_lease(self.void.clone(), "", lease));
        let txn = txn.or_else(range(Range::key(self.void.clone()))).commit().await?;
        Ok(txn.header.unwrap_or_default().revision)
    }

    /// Whether there was such an event up to the revision `end`; `None` if that is forgotten.
    async fn find(
        &self,
        key: &str,
        end: i64,
        is_trace: &impl Fn(&Event) -> bool,
    ) -> Result<Option<bool>, Error> {
        let watch = Watch::key(key.to_owned()).from_revision(self.since + 1);
        let mut changes = Changes::of(&self.client, watch).await?;
        loop {
            match changes.progress().await {
                Ok(Some(revision)) if revision >= end => return Ok(Some(false)),
                Ok(Some(_)) => self.client.after(RETRY_INTERVAL).await?,
                Ok(None) => match changes.next().await? {
                    Some(events) if events.iter().any(is_trace) => return Ok(Some(true)),
                    Some(_) => {}
                    None => return Ok(None),
                },
                Err(Error::Refused(KvError::Compacted { .. })) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Tries something that may be repeated several times before it fails.
async fn persistently<T, F>(client: &Client, mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..TRIES_MAX {
        match work().await {
            Err(error) if error.is_retryable() => client.after(RETRY_INTERVAL).await?,
            result => return result,
        }
    }
    work().await.map_err(|_| Error::OutcomeUnknown)
}

/// How often a request is repeated to find out about another one. Each may take the request
/// timeout.
const TRIES_MAX: u32 = 5;

/// How long an attempt is kept from happening, in seconds: nothing is on its way for so long.
const PREVENTION_SECONDS: i64 = 3_600;
