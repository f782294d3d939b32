//! A lock that many may hold to read, or one to write.

use std::time::Duration;

use super::guard::Guard;
use super::place::{Place, within};
use super::session::Session;
use crate::error::Error;
use crate::pending::Pending;

/// A lock held by many readers or by one writer, given in the order in which it was asked for: a
/// reader waits for the writers that came before, a writer for everybody that came before. So
/// neither can keep the other waiting for ever.
///
/// Every call stands for itself, also within one session: a session may hold the lock several
/// times to read, and one that asks to write waits for its own readers too.
///
/// ```
/// use quorate::recipes::{RwLock, Session};
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let lock = RwLock::new(&Session::open(&node, 5).wait()?, "locks/catalog");
/// let (one, other) = (lock.read().wait()?, lock.read().wait()?);
/// assert!(lock.try_write().wait()?.is_none());
/// one.unlock().wait()?;
/// other.unlock().wait()?;
/// assert!(lock.try_write().wait()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RwLock {
    session: Session,
    name: String,
}

impl RwLock {
    /// A lock of this name. Nothing is asked for yet.
    pub fn new(session: &Session, name: impl Into<String>) -> Self {
        Self { session: session.clone(), name: name.into() }
    }

    /// Waits for the lock to read, as long as it takes.
    ///
    /// Fails with [`RecipeError::SessionLost`](super::RecipeError::SessionLost), or as its requests
    /// do; it is not held then. So do the other calls.
    pub fn read(&self) -> Pending<Guard> {
        self.wait_for(Access::Read)
    }

    /// Waits for the lock to write, as long as it takes.
    pub fn write(&self) -> Pending<Guard> {
        self.wait_for(Access::Write)
    }

    /// Waits for the lock to read, at most so long; then `None`.
    pub fn read_timeout(&self, timeout: Duration) -> Pending<Option<Guard>> {
        within(self.session.client(), timeout, self.read())
    }

    /// Waits for the lock to write, at most so long; then `None`.
    pub fn write_timeout(&self, timeout: Duration) -> Pending<Option<Guard>> {
        within(self.session.client(), timeout, self.write())
    }

    /// Takes the lock to read if no writer holds it or waits for it; else `None`.
    pub fn try_read(&self) -> Pending<Option<Guard>> {
        self.try_for(Access::Read)
    }

    /// Takes the lock to write if nobody holds it or waits for it; else `None`.
    pub fn try_write(&self) -> Pending<Option<Guard>> {
        self.try_for(Access::Write)
    }

    fn wait_for(&self, access: Access) -> Pending<Guard> {
        let lock = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = lock.take_place(access).await?;
            place.wait_turn(&lock.in_the_way(access), 1).await?;
            Ok(Guard::new(place))
        })
    }

    fn try_for(&self, access: Access) -> Pending<Option<Guard>> {
        let lock = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = lock.take_place(access).await?;
            if place.is_served(&lock.in_the_way(access), 1).await? {
                return Ok(Some(Guard::new(place)));
            }
            place.give_up().await?;
            Ok(None)
        })
    }

    async fn take_place(&self, access: Access) -> Result<Place, Error> {
        let prefix = match access {
            Access::Read => format!("{}/read/", self.name),
            Access::Write => format!("{}/write/", self.name),
        };
        let place = Place::take_another(&self.session, &prefix, Vec::new()).await?;
        Ok(place.expect("there is no condition"))
    }

    /// Where those are that have to go first.
    fn in_the_way(&self, access: Access) -> String {
        match access {
            Access::Read => format!("{}/write/", self.name),
            Access::Write => format!("{}/", self.name),
        }
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}
