//! Actors that share permits.

use quorate::recipes::{Semaphore, Session};
use quorate::{Error, Range, Txn, delete, put_with_lease};

use super::{faults, forgive, forgive_failure, open_session};
use crate::actors::actor::{Actor, Trouble};
use crate::ensure;
use crate::sim::{Sim, millis, secs};

/// Actors acquire permits. Each holder makes a key that goes with its permit, and never are there
/// more of them than permits: that is exact, however late anybody learns of anything.
pub fn semaphores() -> Sim {
    let sim = Sim::new("semaphores").nodes(1..=5).run_for(secs(12)).faults(faults());
    sim.actors(5, |me| {
        while !me.faults_over() {
            let session = open_session(me)?;
            while !me.faults_over() && pass(me, &session)? {}
        }
        Ok(())
    })
}

/// Holds a permit once, if it is given one; whether the session can go on.
fn pass(me: &Actor, session: &Session) -> Result<bool, Trouble> {
    let semaphore = Semaphore::new(session, "semaphore", PERMITS);
    let acquired = match me.random(0..3) {
        0 => semaphore.try_acquire().wait(),
        1 => semaphore.acquire_timeout(millis(me.random(0..2000))).wait(),
        _ => semaphore.acquire().wait().map(Some),
    };
    let Some(Some(guard)) = forgive(session, acquired)? else {
        me.sleep(millis(50));
        return Ok(!session.is_lost());
    };
    let db = session.client();
    let key = format!("{HOLDING}{}", guard.token());
    let enter = db.txn().when(guard.held()).then(put_with_lease(key.clone(), "", session.lease()));
    if !commit(me, session, enter)? {
        return Ok(false);
    }
    me.sleep(millis(me.random(0..300)));
    if let Some(holding) = forgive(session, db.range(Range::prefix(HOLDING).count_only()).wait())? {
        ensure!(holding.count <= i64::from(PERMITS), "{} hold {PERMITS} permits", holding.count);
        me.note("held", holding.count);
    }
    if !commit(me, session, db.txn().then(delete(key)))? {
        return Ok(false);
    }
    forgive_failure(session, guard.unlock().wait())?;
    Ok(!session.is_lost())
}

/// Whether it was carried out. If that is unknown the session is ended first of all, so that key
/// and permit go at once.
fn commit(me: &Actor, session: &Session, txn: Txn) -> Result<bool, Trouble> {
    let error = match txn.commit().wait() {
        Ok(done) if done.succeeded => return Ok(true),
        Ok(_) => {
            ensure!(session.is_lost(), "a permit was lost in secret");
            return Ok(false);
        }
        Err(error) => error,
    };
    while !session.is_lost() {
        match session.client().lease_revoke(session.lease()).wait() {
            Ok(_) | Err(Error::Refused(_) | Error::Stopped(_)) => break,
            Err(_) => me.sleep(millis(100)),
        }
    }
    forgive_failure(session, Err(error)).map(|()| false)
}

const PERMITS: u32 = 2;

/// Under it are the keys of those who hold a permit.
const HOLDING: &str = "holding/";
