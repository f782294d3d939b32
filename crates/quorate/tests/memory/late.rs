//! Recipes whose requests come late, or whose answers are lost.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex as Shared;
use quorate::recipes::{Mutex, PriorityQueue, Queue, RwLock, Session};
use quorate::seam::{Promise, Request, Response, Seam, Task, Unique};
use quorate::{Client, put};
use quorate::{
    CompactionRequest, Error, Instant, Limits, Node, Pending, Range, Status, TxnRequest,
};
use quorate_kv_api::CommandKind;

use crate::open;

const SHORT: Duration = Duration::from_millis(30);

/// What becomes of a transaction.
enum Fate {
    Pass,
    /// It is carried out, but nobody learns of it.
    LoseAnswer,
    /// The caller is told that its outcome is unknown; it is carried out later, if at all.
    Postpone,
    /// It is carried out later, and answered then.
    Hold,
}

/// Says what becomes of each transaction.
type Chooser = Box<dyn FnMut(&TxnRequest) -> Fate + Send>;

/// A member whose transactions meet with a fate.
struct Unreliable {
    member: Arc<dyn Seam>,
    fate: Shared<Chooser>,
    kept: Shared<Vec<(Request, Option<Promise>)>>,
    before_watch: Shared<Option<Box<dyn FnOnce() + Send>>>,
}

impl Unreliable {
    fn of(node: &Node) -> (Arc<Self>, Client) {
        let unreliable = Arc::new(Self {
            member: node.client().seam(),
            fate: Shared::new(Box::new(|_| Fate::Pass)),
            kept: Shared::default(),
            before_watch: Shared::default(),
        });
        let client = Client::new(unreliable.clone(), Duration::from_secs(5));
        (unreliable, client)
    }

    /// The fate of the next transactions; of all others it is to pass.
    fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        let mut fates = fates.into_iter().collect::<Vec<_>>().into_iter();
        *self.fate.lock() = Box::new(move |_| fates.next().unwrap_or(Fate::Pass));
    }

    /// Carries out what was kept.
    fn deliver(&self) {
        for (request, promise) in std::mem::take(&mut *self.kept.lock()) {
            let result = self.member.submit(request, Duration::from_secs(5)).wait();
            if let Some(promise) = promise {
                promise.keep(result);
            }
        }
    }

    fn kept(&self) -> usize {
        self.kept.lock().len()
    }
}

impl Seam for Unreliable {
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response> {
        if matches!(request, Request::Watch(_))
            && let Some(hook) = self.before_watch.lock().take()
        {
            hook();
        }
        let fate = match &request {
            Request::Write(command) => match &command.kind {
                Some(CommandKind::Txn(txn)) => (self.fate.lock())(txn),
                _ => Fate::Pass,
            },
            _ => Fate::Pass,
        };
        match fate {
            Fate::Pass => self.member.submit(request, timeout),
            Fate::LoseAnswer => {
                self.member.submit(request, timeout).wait().expect("it is carried out");
                Pending::ready(Err(Error::OutcomeUnknown))
            }
            Fate::Postpone => {
                self.kept.lock().push((request, None));
                Pending::ready(Err(Error::OutcomeUnknown))
            }
            Fate::Hold => {
                let (promise, pending) = self.member.promise();
                self.kept.lock().push((request, Some(promise)));
                pending
            }
        }
    }

    fn limits(&self) -> &Limits {
        self.member.limits()
    }

    fn status(&self) -> Status {
        self.member.status()
    }

    fn now(&self) -> Instant {
        self.member.now()
    }

    fn sleep(&self, duration: Duration) {
        self.member.sleep(duration);
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.member.spawn(task);
    }

    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool {
        self.member.block_on(until, poll)
    }

    fn unique(&self) -> Unique {
        self.member.unique()
    }

    fn promise(&self) -> (Promise, Pending<Response>) {
        self.member.promise()
    }
}

#[test]
fn a_deletion_that_comes_late_takes_no_lock() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let lock = Mutex::new(&Session::open(&client, 10).wait().unwrap(), "lock");
    let first = lock.lock().wait().unwrap();
    unreliable.next([Fate::Hold]);
    drop(first);
    assert_eq!(unreliable.kept(), 1, "the deletion is on its way");
    let mut waiting = lock.lock();
    assert!(waiting.wait_timeout(SHORT).is_none(), "the key is still there");
    unreliable.deliver();
    let second = waiting.wait().unwrap();
    // The same, with a deletion of which nobody knows whether it happened.
    unreliable.next([Fate::Postpone]);
    assert!(second.unlock().wait().unwrap_err().is_outcome_unknown());
    let third = lock.lock().wait().unwrap();
    unreliable.deliver();
    let held = node.txn().when(third.held()).then(put("k", "v")).commit().wait().unwrap();
    assert!(held.succeeded, "the lock is still held");
    let other = Mutex::new(&Session::open(&node, 10).wait().unwrap(), "lock");
    assert!(other.try_lock().wait().unwrap().is_none());
    third.unlock().wait().unwrap();
    drop(other.lock().wait().unwrap());
}

#[test]
fn a_lock_whose_answer_was_lost_is_released() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let session = Session::open(&client, 10).wait().unwrap();
    let other = Session::open(&node, 10).wait().unwrap();
    unreliable.next([Fate::LoseAnswer]);
    assert!(Mutex::new(&session, "lock").lock().wait().unwrap_err().is_outcome_unknown());
    drop(Mutex::new(&other, "lock").lock().wait().unwrap());
    unreliable.next([Fate::LoseAnswer, Fate::LoseAnswer]);
    assert!(RwLock::new(&session, "both").write().wait().unwrap_err().is_outcome_unknown());
    drop(RwLock::new(&other, "both").write().wait().unwrap());
    // One that is given up before its key is there.
    unreliable.next([Fate::Hold]);
    assert!(Mutex::new(&session, "lock").lock_timeout(SHORT).wait().unwrap().is_none());
    unreliable.deliver();
    drop(Mutex::new(&other, "lock").lock().wait().unwrap());
}

#[test]
fn a_compaction_disturbs_nobody_who_waits() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let other = Session::open(&node, 10).wait().unwrap();
    let held = Mutex::new(&other, "lock").lock().wait().unwrap();
    let writer = node.client();
    // Just after the keys in front were read, and before they are watched.
    *unreliable.before_watch.lock() = Some(Box::new(move || {
        let revision = (0..5).map(|_| writer.put("x", "").wait().unwrap().header.unwrap().revision);
        let revision = revision.max().unwrap();
        writer.compact_with(CompactionRequest { revision, physical: true }).wait().unwrap();
    }));
    let mut waiting = Mutex::new(&Session::open(&client, 10).wait().unwrap(), "lock").lock();
    assert!(waiting.wait_timeout(SHORT).is_none());
    assert!(unreliable.before_watch.lock().is_none());
    held.unlock().wait().unwrap();
    waiting.wait().unwrap().unlock().wait().unwrap();
}

#[test]
fn an_item_is_added_once_although_the_answer_was_lost() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let queue = Queue::new(&client, "queue");
    unreliable.next([Fate::LoseAnswer]);
    queue.add("one").wait().unwrap();
    assert_eq!(queue.count().wait().unwrap(), 1);
    assert_eq!(queue.take().wait().unwrap(), "one");
    // It was taken already when it is found out that it was added.
    let taker = Queue::new(&node, "queue");
    let mut count = 0;
    *unreliable.fate.lock() = Box::new(move |_| {
        count += 1;
        match count {
            1 => Fate::LoseAnswer,
            2 => {
                assert_eq!(taker.take().wait().unwrap(), "two");
                Fate::Pass
            }
            _ => Fate::Pass,
        }
    });
    queue.add("two").wait().unwrap();
    assert_eq!(queue.count().wait().unwrap(), 0);
    // It was not added, and the caller learns that it never will be.
    unreliable.next([Fate::Postpone, Fate::LoseAnswer]);
    assert!(matches!(queue.add("three").wait(), Err(Error::TimedOut)));
    assert_eq!(unreliable.kept(), 1);
    unreliable.deliver();
    assert_eq!(queue.count().wait().unwrap(), 0);
}

#[test]
fn what_is_forgotten_is_not_guessed() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let queue = Queue::new(&client, "queue");
    let writer = node.client();
    let mut count = 0;
    *unreliable.fate.lock() = Box::new(move |_| {
        count += 1;
        match count {
            1 => Fate::LoseAnswer,
            2 => {
                let revision = writer.put("x", "").wait().unwrap().header.unwrap().revision;
                let compaction = CompactionRequest { revision, physical: true };
                writer.compact_with(compaction).wait().unwrap();
                Fate::Pass
            }
            _ => Fate::Pass,
        }
    });
    assert!(matches!(queue.add("one").wait(), Err(Error::OutcomeUnknown)));
    assert_eq!(queue.count().wait().unwrap(), 1);
}

#[test]
fn an_item_is_taken_once_although_the_answer_was_lost() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let queue = Queue::new(&client, "queue");
    for item in ["one", "two", "three"] {
        queue.add(item).wait().unwrap();
    }
    unreliable.next([Fate::LoseAnswer]);
    assert_eq!(queue.take().wait().unwrap(), "one");
    unreliable.next([Fate::Postpone]);
    assert_eq!(queue.take().wait().unwrap(), "two");
    unreliable.deliver();
    assert_eq!(queue.count().wait().unwrap(), 1, "the late attempt takes nothing");
    // It is given up while the item is being taken.
    unreliable.next([Fate::Hold]);
    assert!(queue.take_timeout(SHORT).wait().unwrap().is_none());
    unreliable.deliver();
    assert_eq!(Queue::new(&node, "queue").take().wait().unwrap(), "three");
    assert_eq!(queue.count().wait().unwrap(), 0);
    let left = node.range(Range::prefix("queue/item/").count_only()).wait().unwrap();
    assert_eq!(left.count, 0);
}

#[test]
fn an_attempt_that_was_given_up_takes_nothing_later() {
    let node = open();
    let (unreliable, client) = Unreliable::of(&node);
    let queue = PriorityQueue::new(&client, "queue");
    queue.add(5, "five").wait().unwrap();
    let other = PriorityQueue::new(&node, "queue");
    let mut count = 0;
    *unreliable.fate.lock() = Box::new(move |_| {
        count += 1;
        match count {
            1 => Fate::Postpone,
            2 => {
                other.add(1, "one").wait().unwrap();
                Fate::Pass
            }
            _ => Fate::Pass,
        }
    });
    assert_eq!(queue.take().wait().unwrap(), "one");
    unreliable.deliver();
    assert_eq!(queue.count().wait().unwrap(), 1);
    assert_eq!(queue.take().wait().unwrap(), "five");
}
