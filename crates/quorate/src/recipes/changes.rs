//! Waiting for something to happen to keys.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream as _;
use quorate_kv_api::{Event, KvError};

use super::session::Session;
use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::watch::{Watch, Watcher};

/// What happens to watched keys.
pub(super) struct Changes {
    watcher: Watcher,
    /// A session without which there is nothing to wait for.
    session: Option<(Session, Pending<()>)>,
}

impl Changes {
    pub(super) async fn of(client: &Client, watch: Watch) -> Result<Self, Error> {
        Ok(Self { watcher: client.watch(watch).await?, session: None })
    }

    /// The same as long as a session is not lost.
    pub(super) async fn during(session: &Session, watch: Watch) -> Result<Self, Error> {
        let watcher = session.client().watch(watch).await?;
        Ok(Self { watcher, session: Some((session.clone(), session.lost())) })
    }

    /// The next changes. `None` if they were compacted before they could be read: the caller reads
    /// what is instead.
    ///
    /// Fails with [`RecipeError::SessionLost`](super::RecipeError::SessionLost).
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Event>>, Error> {
        let response = poll_fn(|context| {
            if let Some((session, lost)) = &mut self.session
                && lost.poll_result(context).is_ready()
            {
                return Poll::Ready(Some(Err(session.lost_error())));
            }
            Pin::new(&mut self.watcher).poll_next(context)
        });
        match response.await {
            Some(Ok(response)) => Ok(Some(response.events)),
            Some(Err(Error::Refused(KvError::Compacted { .. }))) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    /// The revision up to which nothing is left to come; `None` if there are changes to be read.
    pub(super) fn progress(&self) -> Pending<Option<i64>> {
        self.watcher.progress()
    }
}
