//! A lock held by one session at a time.

use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::Compare;

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
    pub fn lock(&self) -> Pending<MutexGuard> {
        let mutex = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = mutex.take_place().await?;
            place.wait_turn(&mutex.prefix(), 1, |_| true).await?;
            Ok(MutexGuard { place })
        })
    }

    /// Waits for the lock, at most so long; then `None`.
    pub fn lock_timeout(&self, timeout: Duration) -> Pending<Option<MutexGuard>> {
        within(&self.session, timeout, self.lock())
    }

    /// Takes the lock if nobody holds it and nobody waits for it; else `None`.
    pub fn try_lock(&self) -> Pending<Option<MutexGuard>> {
        let mutex = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = mutex.take_place().await?;
            if place.is_first(&mutex.prefix()).await? {
                return Ok(Some(MutexGuard { place }));
            }
            place.give_up().await?;
            Ok(None)
        })
    }

    async fn take_place(&self) -> Result<Place, Error> {
        let key = self.session.key_under(&self.prefix());
        Place::take(&self.session, key, Bytes::new()).await
    }

    fn prefix(&self) -> String {
        format!("{}/", self.name)
    }
}

/// A lock that is held. Dropping it releases the lock, without waiting for that.
#[must_use = "the lock is released when this is dropped"]
pub struct MutexGuard {
    place: Place,
}

impl MutexGuard {
    /// The fencing token: every later holder of the lock has a greater one. Who keeps the greatest
    /// token seen can refuse a holder that has lost the lock and does not know it.
    pub fn token(&self) -> i64 {
        self.place.revision()
    }

    /// The key that stands for the lock.
    pub fn key(&self) -> &str {
        self.place.key()
    }

    /// A condition for a transaction: that the lock is still held.
    pub fn held(&self) -> Compare {
        self.place.held()
    }

    /// Whether the lock may be lost with its session; see [`Session::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.place.session().is_lost()
    }

    /// Something to wait for that comes when the lock is lost with its session.
    pub fn lost(&self) -> Pending<()> {
        self.place.session().lost()
    }

    /// Releases the lock and waits until that is done.
    pub fn unlock(self) -> Pending<()> {
        self.place.give_up()
    }
}

impl std::fmt::Debug for MutexGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MutexGuard({}, {})", self.key(), self.token())
    }
}
