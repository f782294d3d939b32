//! Locks for readers and writers, and semaphores.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quorate::recipes::{RecipeError, RwLock, Semaphore, Session};
use quorate::{Error, Range, put};

use crate::{open, open_three};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn readers_share_and_writers_do_not() {
    let node = open();
    let [first, second] =
        [0; 2].map(|_| RwLock::new(&Session::open(&node, 10).wait().unwrap(), "lock"));
    let readers = [first.read().wait().unwrap(), second.read().wait().unwrap()];
    let again = first.read().wait().unwrap();
    assert!(first.try_write().wait().unwrap().is_none());
    assert!(second.write_timeout(SHORT).wait().unwrap().is_none());
    assert!(second.try_read().wait().unwrap().is_some(), "no writer is left in the way");
    for guard in readers.into_iter().chain([again]) {
        guard.unlock().wait().unwrap();
    }
    let writer = first.write().wait().unwrap();
    assert!(second.try_write().wait().unwrap().is_none());
    assert!(second.try_read().wait().unwrap().is_none());
    assert!(second.read_timeout(SHORT).wait().unwrap().is_none());
    let held = writer.held();
    drop(writer);
    let next = second.write().wait().unwrap();
    assert!(next.key().starts_with("lock/write/"));
    let late = node.txn().when(held).then(put("k", "v")).commit().wait().unwrap();
    assert!(!late.succeeded, "the first writer is fenced off");
}

#[test]
fn a_lock_is_given_in_the_order_in_which_it_was_asked_for() {
    let node = open();
    let lock = RwLock::new(&Session::open(&node, 10).wait().unwrap(), "lock");
    let reader = lock.read().wait().unwrap();
    let mut writing = lock.write();
    assert!(writing.wait_timeout(SHORT).is_none());
    let mut later = lock.read();
    assert!(later.wait_timeout(SHORT).is_none(), "a writer waits before it");
    assert!(lock.try_read().wait().unwrap().is_none());
    reader.unlock().wait().unwrap();
    let writer = writing.wait().unwrap();
    assert!(later.wait_timeout(SHORT).is_none());
    let token = writer.token();
    writer.unlock().wait().unwrap();
    assert!(later.wait().unwrap().token() > token);
}

#[test]
fn a_lost_session_lets_the_others_pass() {
    let node = open();
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let writer = RwLock::new(&first, "lock").write().wait().unwrap();
    let mut waiting = RwLock::new(&first, "lock").read();
    assert!(waiting.wait_timeout(SHORT).is_none());
    node.lease_revoke(first.lease()).wait().unwrap();
    let next = RwLock::new(&second, "lock").write().wait().unwrap();
    writer.lost().wait().unwrap();
    assert!(writer.is_lost() && !next.is_lost());
    let lost = waiting.wait();
    assert!(matches!(lost, Err(Error::Recipe(RecipeError::SessionLost { .. }))), "{lost:?}");
}

#[test]
fn who_gives_up_waiting_is_in_nobodys_way() {
    let node = open();
    let session = Session::open(&node, 10).wait().unwrap();
    let lock = RwLock::new(&session, "lock");
    let reader = lock.read().wait().unwrap();
    let mut writing = lock.write();
    assert!(writing.wait_timeout(SHORT).is_none());
    drop(writing);
    // What was given up is removed in the background.
    let next = lock.read().wait().unwrap();
    drop((reader, next));
    drop(lock.write().wait().unwrap());
    drop(lock.read());
    drop(lock.write().wait().unwrap().unlock());
    drop(lock.write().wait().unwrap());
}

#[test]
fn only_so_many_permits_are_given() {
    let node = open();
    let semaphore = Semaphore::new(&Session::open(&node, 10).wait().unwrap(), "slots", 3);
    let mut guards: Vec<_> = (0..3).map(|_| semaphore.acquire().wait().unwrap()).collect();
    assert!(semaphore.try_acquire().wait().unwrap().is_none());
    assert!(semaphore.acquire_timeout(SHORT).wait().unwrap().is_none());
    let mut waiting: Vec<_> = (0..3).map(|_| semaphore.acquire()).collect();
    for pending in &mut waiting {
        assert!(pending.wait_timeout(SHORT).is_none());
    }
    // Whoever leaves, the first in the line is served.
    guards.remove(1).unlock().wait().unwrap();
    assert!(waiting[2].wait_timeout(SHORT).is_none());
    assert!(waiting[1].wait_timeout(SHORT).is_none());
    guards.push(waiting.remove(0).wait().unwrap());
    drop(waiting.remove(0));
    guards.remove(0).unlock().wait().unwrap();
    guards.push(waiting.remove(0).wait().unwrap());
    assert!(semaphore.try_acquire().wait().unwrap().is_none());
    assert!(guards.windows(2).all(|pair| pair[0].token() < pair[1].token()));
}

#[test]
fn users_of_a_semaphore_must_agree() {
    let node = open();
    let session = Session::open(&node, 10).wait().unwrap();
    let of = |permits| Semaphore::new(&session, "slots", permits);
    let none = of(0).acquire().wait();
    assert!(matches!(none, Err(Error::Recipe(RecipeError::ZeroCount { .. }))), "{none:?}");
    let guard = of(12).acquire().wait().unwrap();
    for other in [1, 2, 11, 13, 120, 3] {
        match of(other).try_acquire().wait() {
            Err(Error::Recipe(RecipeError::CountsDiffer { name, count })) => {
                assert_eq!((name.as_str(), count), ("slots", other));
            }
            found => panic!("{found:?}"),
        }
    }
    assert!(of(12).try_acquire().wait().unwrap().is_some());
    assert!(Semaphore::new(&session, "slots2", 1).try_acquire().wait().unwrap().is_some());
    guard.unlock().wait().unwrap();
    // Dropped guards are released in the background.
    while node.range(Range::prefix("slots/").count_only()).wait().unwrap().count > 0 {}
    assert!(of(2).try_acquire().wait().unwrap().is_some());
}

#[test]
fn permits_go_with_their_session() {
    let node = open();
    let [first, second] = [0; 2].map(|_| Session::open(&node, 10).wait().unwrap());
    let semaphore = Semaphore::new(&first, "slots", 2);
    let guards = [semaphore.acquire().wait().unwrap(), semaphore.acquire().wait().unwrap()];
    let mut waiting = Semaphore::new(&second, "slots", 2).acquire();
    assert!(waiting.wait_timeout(SHORT).is_none());
    first.close().wait().unwrap();
    let next = waiting.wait().unwrap();
    guards[0].lost().wait().unwrap();
    assert!(guards[1].is_lost() && !next.is_lost());
}

/// Counts how many are somewhere at once.
#[derive(Default)]
struct Crowd {
    inside: AtomicI64,
    most: AtomicI64,
}

impl Crowd {
    fn enter(&self) -> i64 {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        inside
    }

    fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn members_share_locks() {
    let (_hub, nodes) = open_three();
    let (readers, writers, permits) =
        (Arc::new(Crowd::default()), Arc::new(Crowd::default()), Arc::new(Crowd::default()));
    let threads: Vec<_> = (0..6)
        .map(|i| {
            let session = Session::open(&nodes[i % 3], 10).wait().unwrap();
            let (readers, writers) = (readers.clone(), writers.clone());
            let permits = permits.clone();
            std::thread::spawn(move || {
                let lock = RwLock::new(&session, "lock");
                let semaphore = Semaphore::new(&session, "slots", 2);
                for round in 0..10 {
                    let permit = semaphore.acquire().wait().unwrap();
                    assert!(permits.enter() <= 2);
                    permits.leave();
                    drop(permit);
                    if (i + round) % 3 == 0 {
                        let guard = lock.write().wait().unwrap();
                        assert_eq!(writers.enter(), 1);
                        assert_eq!(readers.inside.load(Ordering::SeqCst), 0);
                        writers.leave();
                        guard.unlock().wait().unwrap();
                    } else {
                        let guard = lock.read().wait().unwrap();
                        readers.enter();
                        assert_eq!(writers.inside.load(Ordering::SeqCst), 0);
                        readers.leave();
                        guard.unlock().wait().unwrap();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(writers.most.load(Ordering::SeqCst), 1);
}
