//! Locks and elections on one member.

use std::time::Duration;

use quorate::recipes::{Election, Mutex, RecipeError, Session};
use quorate::{Error, put};

use crate::open;

#[test]
fn a_lock_is_held_by_one_session_at_a_time() {
    let node = open();
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let guard = Mutex::new(&first, "lock").lock().wait().unwrap();
    let token = guard.token();
    assert!(Mutex::new(&second, "lock").try_lock().wait().unwrap().is_none());
    let short = Duration::from_millis(20);
    assert!(Mutex::new(&second, "lock").lock_timeout(short).wait().unwrap().is_none());
    assert!(Mutex::new(&second, "other").try_lock().wait().unwrap().is_some());
    let again = Mutex::new(&first, "lock").lock().wait();
    assert!(matches!(again, Err(Error::Recipe(RecipeError::AlreadyHeld { .. }))));
    let waiting = std::thread::spawn(move || Mutex::new(&second, "lock").lock().wait());
    let held = guard.held();
    guard.unlock().wait().unwrap();
    let next = waiting.join().unwrap().unwrap();
    assert!(next.token() > token);
    let late = node.txn().when(held).then(put("k", "v")).commit().wait().unwrap();
    assert!(!late.succeeded, "the first holder is fenced off");
}

#[test]
fn a_lock_goes_with_its_session() {
    let node = open();
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let guard = Mutex::new(&first, "lock").lock().wait().unwrap();
    let lost = guard.lost();
    node.lease_revoke(first.lease()).wait().unwrap();
    let next = Mutex::new(&second, "lock").lock().wait().unwrap();
    lost.wait().unwrap();
    assert!(guard.is_lost() && !next.is_lost());
}

#[test]
fn dropping_gives_up() {
    let node = open();
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let guard = Mutex::new(&first, "lock").lock().wait().unwrap();
    let mut waiting = Mutex::new(&second, "lock").lock();
    assert!(waiting.wait_timeout(Duration::from_millis(20)).is_none());
    drop(waiting);
    drop(guard);
    let third = Session::open(&node, 10).wait().unwrap();
    let guard = Mutex::new(&third, "lock").lock().wait().unwrap();
    assert_eq!(guard.key(), format!("lock/{:x}", third.lease()));
    drop((first, second));
    drop(guard);
}

#[test]
fn candidates_lead_one_after_the_other() {
    let node = open();
    let election = Election::new("boss");
    assert!(election.leader(&node).wait().unwrap().is_none());
    let mut observer = election.observe(&node);
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let leads = election.campaign(&first, "a").wait().unwrap();
    let short = Duration::from_millis(20);
    assert!(election.campaign_timeout(&second, "b", short).wait().unwrap().is_none());
    let mut told = || String::from_utf8(observer.next().unwrap().unwrap().value.to_vec()).unwrap();
    assert_eq!(told(), "a");
    leads.proclaim("a2").wait().unwrap();
    assert_eq!(told(), "a2");
    let token = leads.token();
    leads.resign().wait().unwrap();
    let leads = election.campaign(&second, "b").wait().unwrap();
    assert_eq!(told(), "b");
    assert!(leads.token() > token);
    node.delete(leads.key().to_owned()).wait().unwrap();
    let error = leads.proclaim("b2").wait();
    assert!(matches!(error, Err(Error::Recipe(RecipeError::NotLeader { .. }))));
}
