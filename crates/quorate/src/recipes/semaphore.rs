//! So many permits, and no more.

use std::time::Duration;

use super::RecipeError;
use super::agreement::Agreement;
use super::guard::Guard;
use super::place::{Place, within};
use super::session::Session;
use crate::error::Error;
use crate::pending::Pending;

/// A number of permits, given in the order in which they were asked for. Each is held until its
/// guard is dropped or its session ends. A session may hold several.
///
/// All users of a semaphore must give the same number: who gives another one while somebody holds a
/// permit or waits for one is refused with [`RecipeError::CountsDiffer`]. Once it is unused, the
/// number can be changed.
///
/// When a permit is given back, every member that has waiters looks at that by itself; only the
/// waiter whose turn has come sends requests.
///
/// ```
/// use quorate::recipes::{Semaphore, Session};
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let uploads = Semaphore::new(&Session::open(&node, 5).wait()?, "uploads", 2);
/// let (_one, _other) = (uploads.acquire().wait()?, uploads.acquire().wait()?);
/// assert!(uploads.try_acquire().wait()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    session: Session,
    name: String,
    permits: u32,
}

impl Semaphore {
    /// A semaphore of this name. Nothing is asked for yet.
    pub fn new(session: &Session, name: impl Into<String>, permits: u32) -> Self {
        Self { session: session.clone(), name: name.into(), permits }
    }

    /// Waits for a permit as long as it takes.
    ///
    /// Fails with [`RecipeError::SessionLost`], [`RecipeError::CountsDiffer`], if there are 0
    /// permits with [`RecipeError::ZeroCount`], or as its requests do; no permit is held then. So
    /// do the other calls.
    pub fn acquire(&self) -> Pending<Guard> {
        let semaphore = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let (place, prefix) = semaphore.take_place().await?;
            place.wait_turn(&prefix, semaphore.permits as usize).await?;
            Ok(Guard::new(place))
        })
    }

    /// Waits for a permit, at most so long; then `None`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Pending<Option<Guard>> {
        within(self.session.client(), timeout, self.acquire())
    }

    /// Takes a permit if there is one for which nobody waits; else `None`.
    pub fn try_acquire(&self) -> Pending<Option<Guard>> {
        let semaphore = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let (place, prefix) = semaphore.take_place().await?;
            if place.is_served(&prefix, semaphore.permits as usize).await? {
                return Ok(Some(Guard::new(place)));
            }
            place.give_up().await?;
            Ok(None)
        })
    }

    /// A place in the line, and where the line is.
    async fn take_place(&self) -> Result<(Place, String), Error> {
        if self.permits == 0 {
            return Err(RecipeError::ZeroCount { name: self.name.clone() }.into());
        }
        let agreement = Agreement::new(&format!("{}/", self.name), self.permits);
        let (prefix, conditions) = (agreement.prefix(), agreement.conditions());
        let place = Place::take_another(&self.session, &prefix, conditions).await?;
        let place = place.ok_or_else(|| RecipeError::CountsDiffer {
            name: self.name.clone(),
            count: self.permits,
        })?;
        Ok((place, prefix))
    }
}
