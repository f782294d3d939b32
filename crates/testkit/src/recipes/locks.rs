//! Actors that contend for a lock.

use quorate::recipes::{Mutex, Session};
use quorate::{Client, Compare, Error, Range, RequestOp, TxnResponse, put};

use super::{LongPauses, faults, forgive, forgive_failure, open_session};
use crate::actors::actor::{Actor, Trouble};
use crate::actors::record::RunHistory;
use crate::sim::{Sim, millis, secs};
use crate::{check, ensure};

/// Actors contend for a lock in every way there is, and count in a key that it protects. Holders
/// end sessions of others that wait. No step of the count is lost, and nobody holds what another
/// one has.
pub fn locks() -> Sim {
    let sim = Sim::new("locks").nodes(1..=5).run_for(secs(15)).faults(faults());
    let sim = sim.nemesis(LongPauses).actors(5, |me| contend(me, Write::Fenced));
    sim.check(check::locks()).check_end(count_is_exact)
}

/// The same without the condition that the lock is still held: what no lock can make right. To show
/// that it is found.
pub fn locks_without_fencing() -> Sim {
    let sim = Sim::new("locks-without-fencing").nodes(1..=5).run_for(secs(15)).faults(faults());
    let sim = sim.nemesis(LongPauses).actors(5, |me| contend(me, Write::Plain));
    sim.check(check::locks())
}

/// How the counter is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Write {
    /// Only if the lock is still held.
    Fenced,
    Plain,
}

fn contend(me: &Actor, write: Write) -> Result<(), Trouble> {
    while !me.faults_over() {
        let session = open_session(me)?;
        for _ in 0..me.random(1..6) {
            let mutex = Mutex::new(&session, LOCK);
            let timeout = millis(me.random(0..3000));
            let locked = match me.random(0..5) {
                0 => mutex.try_lock().wait(),
                1 => mutex.lock_timeout(timeout).wait(),
                2 => me.block_on(mutex.lock()).map(Some),
                _ => mutex.lock().wait().map(Some),
            };
            let Some(locked) = forgive(&session, locked)? else { continue };
            let Some(guard) = locked else { continue };
            let holder = Holder { me, session: &session, token: guard.token() };
            let done = holder.hold(&guard.held(), write);
            forgive_trouble(done)?;
            match me.random(0..3) {
                0 => drop(guard),
                _ => forgive_failure(&session, guard.unlock().wait())?,
            }
            me.sleep(millis(me.random(0..100)));
        }
        match me.random(0..3) {
            0 => drop(session),
            _ => forgive_trouble(session.close().wait().map_err(Trouble::from))?,
        }
    }
    Ok(())
}

/// Faults end what an actor does with a lock, not the actor.
fn forgive_trouble(result: Result<(), Trouble>) -> Result<(), Trouble> {
    match result {
        Err(trouble) if trouble.is_fault() => Ok(()),
        // It was lost and revoked before.
        Err(Trouble::Request(Error::Refused(_))) => Ok(()),
        other => other,
    }
}

/// One that was given the lock.
struct Holder<'a> {
    me: &'a Actor,
    session: &'a Session,
    token: i64,
}

impl Holder<'_> {
    fn hold(&self, held: &Compare, write: Write) -> Result<(), Trouble> {
        let me = self.me;
        if !self.note("acquired") {
            return Ok(());
        }
        for _ in 0..me.random(0..3) {
            me.sleep(millis(me.random(0..400)));
            if !self.note("holds") {
                return Ok(());
            }
            self.count(held, write)?;
        }
        if me.random(0..3) == 0 {
            self.evict(held)?;
        }
        self.note("released");
        Ok(())
    }

    /// Notes something unless the session is lost; whether it did.
    fn note(&self, word: &str) -> bool {
        let holds = !self.session.is_lost();
        if holds {
            self.me.note(word, format!("{LOCK} {}", self.token));
        }
        holds
    }

    /// Adds one to the counter.
    fn count(&self, held: &Compare, write: Write) -> Result<(), Trouble> {
        let (me, db) = (self.me, self.session.client());
        let next = value(db)? + 1;
        // Long enough to look at the wrong time whether the lock is held.
        me.sleep(millis(me.random(0..100)));
        if write == Write::Fenced && self.session.is_lost() {
            return Ok(());
        }
        let written = match write {
            Write::Fenced => commit(db, held, Some(put(COUNTER, next.to_string()))),
            Write::Plain => commit_plainly(db, next),
        };
        match written {
            Ok(written) if written.succeeded => {
                let revision = written.header.unwrap_or_default().revision;
                me.note("wrote", format!("{LOCK} {} {revision}", self.token));
                me.note("counted", next);
            }
            Ok(_) => ensure!(self.session.is_lost(), "token {} is lost in secret", self.token),
            Err(error) => {
                if error.is_outcome_unknown() {
                    me.note("maybe counted", next);
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Ends the session of one that waits. As the lock is still held after that, it waited then.
    fn evict(&self, held: &Compare) -> Result<(), Trouble> {
        let db = self.session.client();
        let places = db.range(Range::prefix(format!("{LOCK}/"))).wait()?.kvs;
        let waits = |place: &&quorate::KeyValue| place.create_revision > self.token;
        let waiting: Vec<_> = places.iter().filter(waits).collect();
        let chosen = usize::try_from(self.me.random(0..waiting.len() as u64)).unwrap_or(0);
        let Some(place) = waiting.get(chosen) else { return Ok(()) };
        db.lease_revoke(place.lease).wait()?;
        if commit(db, held, None)?.succeeded {
            self.me.note("evicted", format!("{LOCK} {}", place.create_revision));
        }
        Ok(())
    }
}

fn commit(db: &Client, held: &Compare, op: Option<RequestOp>) -> Result<TxnResponse, Error> {
    let txn = db.txn().when(held.clone());
    let txn = match op {
        Some(op) => txn.then(op),
        None => txn,
    };
    txn.commit().wait()
}

fn commit_plainly(db: &Client, next: u64) -> Result<TxnResponse, Error> {
    db.txn().then(put(COUNTER, next.to_string())).commit().wait()
}

fn value(db: &Client) -> Result<u64, Trouble> {
    let Some(found) = db.get(COUNTER).wait()? else { return Ok(0) };
    let text = std::str::from_utf8(&found.value).unwrap_or_default();
    text.parse().map_err(|_| Trouble::broken(format!("{found:?} is no count")))
}

/// Nobody counted the same step as somebody else, and none is missing.
fn count_is_exact(history: &RunHistory, db: &Client) -> Result<(), Trouble> {
    let (counted, maybe) = (history.notes("counted"), history.notes("maybe counted"));
    ensure!(counted.all_unique(), "counted twice: {:?}", counted.duplicates());
    let (sure, unsure) = (counted.count() as u64, maybe.count() as u64);
    let value = value(db)?;
    ensure!(
        (sure..=sure + unsure).contains(&value),
        "the counter is {value} after {sure} steps and {unsure} more that may have been"
    );
    Ok(())
}

/// The name of the lock.
const LOCK: &str = "lock";

/// What the lock protects.
const COUNTER: &str = "counter";
