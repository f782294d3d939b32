//! Actors that read and write under a lock for both.

use bytes::Bytes;
use quorate::recipes::{RwLock, Session};
use quorate::{Client, Compare, Error, put};

use super::{faults, forgive, forgive_failure, open_session};
use crate::actors::actor::{Actor, Trouble};
use crate::ensure;
use crate::sim::{Sim, millis, secs};

/// Writers change two keys one after the other, readers read them one after the other and again:
/// nothing changes meanwhile.
pub fn read_locks() -> Sim {
    let sim = Sim::new("read-locks").nodes(1..=5).run_for(secs(12)).faults(faults());
    sim.actors(3, read).actors(2, write)
}

fn read(me: &Actor) -> Result<(), Trouble> {
    while !me.faults_over() {
        let session = open_session(me)?;
        for _ in 0..me.random(1..4) {
            let lock = RwLock::new(&session, LOCK);
            let locked = match me.random(0..3) {
                0 => lock.try_read().wait(),
                1 => lock.read_timeout(millis(me.random(0..2000))).wait(),
                _ => lock.read().wait().map(Some),
            };
            let Some(Some(guard)) = forgive(&session, locked)? else { continue };
            let before = both(session.client());
            me.sleep(millis(me.random(0..300)));
            let after = both(session.client());
            // What was read before the session was lost could still be trusted, but not after.
            if let (Ok(before), Ok(after)) = (before, after) {
                let fine = before == after || session.is_lost();
                ensure!(fine, "{before:?} became {after:?} while token {} read", guard.token());
            }
            me.note("read", guard.token());
            forgive_failure(&session, guard.unlock().wait())?;
        }
    }
    Ok(())
}

fn write(me: &Actor) -> Result<(), Trouble> {
    while !me.faults_over() {
        let session = open_session(me)?;
        for _ in 0..me.random(1..4) {
            let lock = RwLock::new(&session, LOCK);
            let locked = match me.random(0..3) {
                0 => lock.try_write().wait(),
                1 => lock.write_timeout(millis(me.random(0..2000))).wait(),
                _ => lock.write().wait().map(Some),
            };
            let Some(Some(guard)) = forgive(&session, locked)? else { continue };
            for key in KEYS {
                let written = set(&session, &guard.held(), key, guard.token());
                let Some(written) = forgive(&session, written)? else { break };
                ensure!(written || session.is_lost(), "{guard:?} was lost in secret");
                me.sleep(millis(me.random(0..200)));
            }
            forgive_failure(&session, guard.unlock().wait())?;
        }
    }
    Ok(())
}

fn both(db: &Client) -> Result<[Option<Bytes>; 2], Error> {
    let [first, second] = KEYS;
    let value = |key| db.get(key).wait().map(|found| found.map(|kv| kv.value));
    Ok([value(first)?, value(second)?])
}

fn set(session: &Session, held: &Compare, key: &'static str, to: i64) -> Result<bool, Error> {
    let txn = session.client().txn().when(held.clone()).then(put(key, to.to_string()));
    Ok(txn.commit().wait()?.succeeded)
}

const LOCK: &str = "rw";
const KEYS: [&str; 2] = ["first", "second"];
