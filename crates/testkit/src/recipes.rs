//! Simulations of the recipes of `quorate`: applications that use them in every way, under faults,
//! with a check of what each promises.
//!
//! ```
//! quorate_testkit::recipes::locks().seeds(0..2).run();
//! ```

mod accounts;
mod elections;
mod locks;
mod queues;
mod reading;
mod semaphores;

use std::time::Duration;

use quorate::Error;
use quorate::recipes::{RecipeError, Session};
use quorate_types::Instant;

use crate::actors::actor::{Actor, Trouble};
use crate::plan::{Fault, FaultClass, Faults, Target, TimedFault};
use crate::rng::Stream;
use crate::sim::{Nemesis, Shape, secs};

pub use accounts::transactions;
pub use elections::elections;
pub use locks::{locks, locks_without_fencing};
pub use queues::queues;
pub use reading::read_locks;
pub use semaphores::semaphores;

/// Opens a session that lives for two to four seconds without a renewal.
fn open_session(me: &Actor) -> Result<Session, Trouble> {
    let db = me.db();
    let seconds = i64::try_from(me.random(2..5)).unwrap_or(2);
    Ok(Session::open(&db, seconds).wait()?)
}

/// What a recipe gave; `None` if it failed as it may under faults. A session that is said to be
/// lost must be.
fn forgive<T>(session: &Session, result: Result<T, Error>) -> Result<Option<T>, Trouble> {
    match result {
        Ok(given) => Ok(Some(given)),
        Err(Error::Recipe(RecipeError::SessionLost { .. })) => {
            let known = session.lost().wait_timeout(KNOWN_MAX);
            crate::ensure!(known.is_some(), "a lost session lives on: {session:?}");
            Ok(None)
        }
        Err(error) if error.is_retryable() || error.is_outcome_unknown() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same where nothing is given.
fn forgive_failure(session: &Session, result: Result<(), Error>) -> Result<(), Trouble> {
    forgive(session, result).map(|_| ())
}

/// A lease ends when its time is over by the clock of the leader, and holders count by their own:
/// without clocks of different rates they agree.
fn faults() -> Faults {
    Faults::swarm().without(FaultClass::ClockRates)
}

/// Processes that stand still for longer than their sessions live, with whatever is on its way.
struct LongPauses;

impl Nemesis for LongPauses {
    fn faults(&self, shape: &Shape, stream: &mut Stream) -> Vec<TimedFault> {
        let count = stream.below(4);
        let pause = |_| {
            let at = Instant::ZERO + stream.duration(Duration::ZERO, shape.duration);
            let target = Target::Member(stream.place(shape.nodes));
            let lasting = stream.duration(secs(3), secs(7));
            TimedFault { at, fault: Fault::Pause { target, lasting, frozen: false } }
        };
        (0..count).map(pause).collect()
    }
}

/// A session learns at its next renewal, or without an answer when its time is over.
const KNOWN_MAX: Duration = Duration::from_secs(6);
