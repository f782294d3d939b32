//! Actors that add to queues and take from them.

use bytes::Bytes;
use quorate::recipes::{PriorityQueue, Queue};
use quorate::{Client, Error, Range};

use crate::actors::actor::{Actor, Trouble};
use crate::check;
use crate::plan::Faults;
use crate::sim::{Sim, millis, secs};

/// Actors add to a queue and to one with priorities, others take from them. Every item is handed
/// out once.
pub fn queues() -> Sim {
    let sim = Sim::new("queues").nodes(1..=5).run_for(secs(12)).faults(Faults::swarm());
    let sim = sim.actors(ADDERS, add).actors(TAKERS, take).actors(1, empty);
    sim.check(check::queue())
}

/// The queues as a handle sees them.
struct Queues {
    plain: Queue,
    by_priority: PriorityQueue,
}

impl Queues {
    fn of(db: &Client) -> Self {
        let plain = Queue::new(db, "queues/plain");
        Self { plain, by_priority: PriorityQueue::new(db, "queues/by-priority") }
    }
}

/// Adds until all takers are gone, so that none waits for ever.
fn add(me: &Actor) -> Result<(), Trouble> {
    loop {
        let db = me.db();
        let gone = db.range(Range::prefix(GONE).count_only()).wait()?.count;
        if gone == TAKERS as i64 {
            db.put(format!("{DONE}{}", me.number()), "").wait()?;
            return Ok(());
        }
        let queues = Queues::of(&db);
        let item = format!("{}-{}", me.number(), me.now().as_nanos());
        let added = match me.random(0..2) {
            0 => queues.plain.add(item.clone()).wait(),
            _ => {
                let priority = u32::try_from(me.random(0..3)).unwrap_or(0);
                queues.by_priority.add(priority, item.clone()).wait()
            }
        };
        match added {
            Ok(()) => me.note("added", item),
            Err(error) => {
                if error.is_outcome_unknown() {
                    me.note("maybe added", item);
                }
                return Err(error.into());
            }
        }
        me.sleep(millis(me.random(0..500)));
    }
}

/// Takes, and waits for items, until faults are over.
fn take(me: &Actor) -> Result<(), Trouble> {
    while !me.faults_over() {
        let db = me.db();
        let queues = Queues::of(&db);
        let taken = match me.random(0..4) {
            0 => queues.plain.try_take().wait(),
            1 => queues.by_priority.try_take().wait(),
            2 => queues.plain.take().wait().map(Some),
            _ => queues.by_priority.take().wait().map(Some),
        };
        note_taken(me, taken)?;
        me.sleep(millis(me.random(0..200)));
    }
    me.db().put(format!("{GONE}{}", me.number()), "").wait()?;
    Ok(())
}

/// Whether an item was taken, and which.
fn note_taken(me: &Actor, taken: Result<Option<Bytes>, Error>) -> Result<bool, Trouble> {
    match taken {
        Ok(Some(item)) => {
            me.note("taken", String::from_utf8_lossy(&item));
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(error) => {
            if error.is_outcome_unknown() {
                me.note("maybe taken", &error);
            }
            Err(error.into())
        }
    }
}

/// Takes what is left once everybody else is done.
fn empty(me: &Actor) -> Result<(), Trouble> {
    loop {
        let db = me.db();
        if db.range(Range::prefix(DONE).count_only()).wait()?.count == ADDERS as i64 {
            let queues = Queues::of(&db);
            while note_taken(me, queues.plain.try_take().wait())? {}
            while note_taken(me, queues.by_priority.try_take().wait())? {}
            return Ok(());
        }
        me.sleep(millis(500));
    }
}

const ADDERS: usize = 2;
const TAKERS: usize = 3;

/// Under it takers tell that they take no more.
const GONE: &str = "gone/";

/// Under it adders tell that they add no more.
const DONE: &str = "done/";
