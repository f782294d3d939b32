//! A lock held by one session at a time.

use std::time::Duration;

use bytes::Bytes;

use super::guard::Guard;
use super::place::{Place, within};
use super::session::Session;
use crate::error::Error;
use crate::pending::Pending;

/// A lock that one session holds at a time, given in the order in which it was asked for. Its keys
/// are those of etcd's clients: the name, a slash, and the lease in hexadecimal digits.
///
/// ```
/// use quorate::recipes::{Mutex, Session};
/// use quorate::{Config, MemoryData, Node, put};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let session = Session::open(&node, 5).wait()?;
/// let guard = Mutex::new(&session, "locks/report").lock().wait()?;
/// // Written only if the lock is still held:
/// let written = node.txn().when(guard.held()).then(put("report", "done")).commit().wait()?;
/// assert!(written.succeeded);
/// guard.unlock().wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mutex {
    session: Session,
    name: String,
}

impl Mutex {
    /// A lock of this name. Nothing is asked for yet.
    pub fn new(session: &Session, name: impl Into<String>) -> Self {
        Self { session: session.clone(), name: name.into() }
    }

    /// Waits for the lock as long as it takes.
    ///
    /// Fails with [`RecipeError::SessionLost`](super::RecipeError::SessionLost), with
    /// [`RecipeError::AlreadyHeld`](super::RecipeError::AlreadyHeld) if the same session holds it
    /// or waits for it, or as its requests do; it is not held then.
    pub fn lock(&self) -> Pending<Guard> {
        let mutex = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = mutex.take_place().await?;
            place.wait_turn(&mutex.prefix(), 1).await?;
            Ok(Guard::new(place))
        })
    }

    /// Waits for the lock, at most so long; then `None`.
    pub fn lock_timeout(&self, timeout: Duration) -> Pending<Option<Guard>> {
        within(self.session.client(), timeout, self.lock())
    }

    /// Takes the lock if nobody holds it and nobody waits for it; else `None`.
    pub fn try_lock(&self) -> Pending<Option<Guard>> {
        let mutex = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = mutex.take_place().await?;
            if place.is_served(&mutex.prefix(), 1).await? {
                return Ok(Some(Guard::new(place)));
            }
            place.give_up().await?;
            Ok(None)
        })
    }

    async fn take_place(&self) -> Result<Place, Error> {
        Place::take_only(&self.session, &self.prefix(), Bytes::new()).await
    }

    fn prefix(&self) -> String {
        format!("{}/", self.name)
    }
}
