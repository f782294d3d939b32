//! Keys and every change of them, without a gap between reading and watching.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream as _;
use quorate_kv_api::{Event, KeyValue, KvError, RangeResponse};

use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::Range;
use crate::watch::{Watch, Watcher};

/// Reads keys, then gives what changes from the next revision on. If a compaction overtakes it, it
/// reads them again.
pub(super) struct Follower {
    client: Client,
    keys: Keys,
    state: State,
}

/// Which keys to follow.
#[derive(Clone)]
pub(super) enum Keys {
    /// One.
    One(Bytes),
    /// All that start with this.
    Prefix(Bytes),
}

/// What a [`Follower`] gives.
pub(super) enum Followed {
    /// All keys as they are at a revision. Comes first, and again after a gap.
    All { kvs: Vec<KeyValue>, revision: i64 },
    /// What changed since.
    Changes(Vec<Event>),
}

enum State {
    Reading(Pending<RangeResponse>),
    Watching(Watcher),
}

impl Follower {
    pub(super) fn new(client: &Client, keys: Keys) -> Self {
        let state = State::Reading(client.range(keys.range()));
        Self { client: client.clone(), keys, state }
    }

    /// Goes on until there is something to be given. After an error it starts anew, by reading.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Followed, Error>> {
        loop {
            let error = match &mut self.state {
                State::Reading(pending) => match ready!(pending.poll_result(context)) {
                    Ok(found) => match self.watch(found) {
                        Ok(followed) => return Poll::Ready(Ok(followed)),
                        Err(error) => error,
                    },
                    Err(error) => error,
                },
                State::Watching(watcher) => {
                    let next = ready!(Pin::new(watcher).poll_next(context));
                    // It ends with an error, after which it is not asked again.
                    match next.expect("a watch goes on until an error") {
                        Ok(response) => return Poll::Ready(Ok(Followed::Changes(response.events))),
                        Err(error) => error,
                    }
                }
            };
            self.state = State::Reading(self.client.range(self.keys.range()));
            if !matches!(error, Error::Refused(KvError::Compacted { .. })) {
                return Poll::Ready(Err(error));
            }
        }
    }

    fn watch(&mut self, found: RangeResponse) -> Result<Followed, Error> {
        let revision = found.header.unwrap_or_default().revision;
        // A watch from a known revision is there at once.
        let watcher = self.client.watch(self.keys.watch().from_revision(revision + 1)).wait()?;
        self.state = State::Watching(watcher);
        Ok(Followed::All { kvs: found.kvs, revision })
    }
}

impl Keys {
    fn range(&self) -> Range {
        match self {
            Self::One(key) => Range::key(key.clone()),
            Self::Prefix(prefix) => Range::prefix(prefix.clone()),
        }
    }

    fn watch(&self) -> Watch {
        match self {
            Self::One(key) => Watch::key(key.clone()),
            Self::Prefix(prefix) => Watch::prefix(prefix.clone()),
        }
    }
}
