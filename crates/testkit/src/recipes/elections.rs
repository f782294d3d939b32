//! Actors that lead one after the other, and others that look on.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream as _;
use quorate::recipes::{Candidacy, Election, Observer, Session};
use quorate::{Client, Error, KeyValue, put};

use super::{LongPauses, faults, forgive, forgive_failure, open_session};
use crate::actors::actor::{Actor, Trouble};
use crate::sim::{Sim, millis, secs};
use crate::{check, ensure};

/// Candidates lead, proclaim and resign or lose their sessions, while others observe them.
pub fn elections() -> Sim {
    let sim = Sim::new("elections").nodes(1..=5).run_for(secs(15)).faults(faults());
    sim.nemesis(LongPauses).actors(4, stand).actors(2, observe).check(check::elections())
}

fn stand(me: &Actor) -> Result<(), Trouble> {
    let election = Election::new(NAME);
    while !me.faults_over() {
        let session = open_session(me)?;
        for _ in 0..me.random(1..4) {
            let value = format!("{} elected", me.number());
            let timeout = millis(me.random(0..4000));
            let elected = match me.random(0..3) {
                0 => election.campaign_timeout(&session, value, timeout).wait(),
                _ => election.campaign(&session, value).wait().map(Some),
            };
            let Some(Some(leads)) = forgive(&session, elected)? else { continue };
            lead(me, &session, &leads)?;
            match me.random(0..3) {
                0 => drop(leads),
                _ => forgive_failure(&session, leads.resign().wait())?,
            }
        }
    }
    Ok(())
}

fn lead(me: &Actor, session: &Session, leads: &Candidacy) -> Result<(), Trouble> {
    let note = |word: &str| {
        let still = !leads.is_lost();
        if still {
            me.note(word, format!("{NAME} {}", leads.token()));
        }
        still
    };
    if !note("elected") {
        return Ok(());
    }
    for number in 0..me.random(0..4) {
        me.sleep(millis(me.random(0..300)));
        if !note("leads") {
            return Ok(());
        }
        match leads.proclaim(format!("{} says {number}", me.number())).wait() {
            Err(Error::Recipe(_)) => {
                ensure!(leads.is_lost(), "{leads:?} was lost in secret");
                return Ok(());
            }
            other => forgive_failure(session, other)?,
        }
        let txn =
            session.client().txn().when(leads.held()).then(put(WORK, me.number().to_string()));
        let Some(done) = forgive(session, txn.commit().wait())? else { continue };
        let revision = done.header.unwrap_or_default().revision;
        if done.succeeded {
            me.note("proclaimed", format!("{NAME} {} {revision}", leads.token()));
        } else {
            ensure!(leads.is_lost(), "{leads:?} was lost in secret");
        }
    }
    note("resigned");
    Ok(())
}

/// Looks on until faults are over.
fn observe(me: &Actor) -> Result<(), Trouble> {
    let election = Election::new(NAME);
    let db = me.db();
    me.note("observes", NAME);
    let mut observer = election.observe(&db);
    while !me.faults_over() {
        let waited = me.block_on(next_or_later(&db, &mut observer))?;
        if let Some(leader) = waited {
            let (token, revision) = (leader.create_revision, leader.mod_revision);
            me.note("observed", format!("{NAME} {token} {revision}"));
        }
    }
    Ok(())
}

/// What an observer is told next, unless that takes long.
async fn next_or_later(db: &Client, observer: &mut Observer) -> Result<Option<KeyValue>, Error> {
    let mut later = db.after(secs(2));
    poll_fn(|context| {
        if let Poll::Ready(told) = Pin::new(&mut *observer).poll_next(context) {
            return Poll::Ready(told.transpose());
        }
        Pin::new(&mut later).poll(context).map(|waited| waited.map(|()| None))
    })
    .await
}

/// The name of the election.
const NAME: &str = "election";

/// What leaders write.
const WORK: &str = "work";
