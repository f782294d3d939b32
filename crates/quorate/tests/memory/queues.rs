//! Queues.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate::Range;
use quorate::recipes::{PriorityQueue, Queue};

use crate::{open, open_three};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn items_come_in_the_order_in_which_they_were_added() {
    let node = open();
    let queue = Queue::new(&node, "queue");
    assert!(queue.try_take().wait().unwrap().is_none());
    assert!(queue.take_timeout(SHORT).wait().unwrap().is_none());
    for i in 0..300 {
        queue.add(format!("{i}")).wait().unwrap();
    }
    Queue::new(&node, "queue2").add("another one").wait().unwrap();
    assert_eq!(queue.count().wait().unwrap(), 300);
    for i in 0..300 {
        assert_eq!(queue.take().wait().unwrap(), format!("{i}"));
    }
    assert_eq!(queue.count().wait().unwrap(), 0);
    let mut waiting = queue.take();
    assert!(waiting.wait_timeout(SHORT).is_none());
    queue.add(Bytes::new()).wait().unwrap();
    assert_eq!(waiting.wait().unwrap(), "");
}

#[test]
fn additions_that_take_effect_later_come_later() {
    let node = open();
    let queue = Queue::new(&node, "queue");
    // Members that are behind write keys that sort in front: the order is that of the revisions.
    let revision = node.put("x", "").wait().unwrap().header.unwrap().revision;
    for (begun, item) in [(revision, "first"), (1, "second"), (revision - 1, "third")] {
        node.put(format!("queue/item/{begun:016x}-{item}"), item).wait().unwrap();
    }
    queue.add("last").wait().unwrap();
    for expected in ["first", "second", "third", "last"] {
        assert_eq!(queue.take().wait().unwrap(), expected);
    }
}

#[test]
fn small_priorities_come_first() {
    let node = open();
    let queue = PriorityQueue::new(&node, "queue");
    assert!(queue.try_take().wait().unwrap().is_none());
    let priorities = [7, 0, u32::MAX, 7, 256, 0];
    for (i, priority) in priorities.into_iter().enumerate() {
        queue.add(priority, format!("{priority}-{i}")).wait().unwrap();
    }
    assert_eq!(queue.count().wait().unwrap(), 6);
    let expected = ["0-1", "0-5", "7-0", "7-3", "256-4", "4294967295-2"];
    for expected in expected {
        assert_eq!(queue.take().wait().unwrap(), expected);
    }
    assert!(queue.take_timeout(SHORT).wait().unwrap().is_none());
    queue.add(1, "one").wait().unwrap();
    assert_eq!(queue.try_take().wait().unwrap().unwrap(), "one");
}

#[test]
fn who_stops_waiting_takes_nothing() {
    let node = open();
    let queue = Queue::new(&node, "queue");
    for _ in 0..20 {
        let mut waiting = queue.take();
        assert!(waiting.wait_timeout(Duration::from_millis(1)).is_none());
        queue.add("item").wait().unwrap();
        // It may be in the midst of taking the item when it is dropped.
        let taken = waiting.wait_timeout(Duration::ZERO);
        drop(waiting);
        if taken.is_none() {
            assert_eq!(queue.take().wait().unwrap(), "item");
        }
        assert_eq!(queue.count().wait().unwrap(), 0);
    }
}

#[test]
fn every_item_is_handed_out_once() {
    let (_hub, nodes) = open_three();
    let queues = [0, 1, 2].map(|i: usize| Queue::new(&nodes[i], "queue"));
    let (adders, takers, items) = (3, 6, 40);
    let adding: Vec<_> = (0..adders)
        .map(|adder| {
            let queue = queues[adder].clone();
            std::thread::spawn(move || {
                for i in 0..items {
                    queue.add(format!("{adder} {i:03}")).wait().unwrap();
                }
            })
        })
        .collect();
    let taking: Vec<_> = (0..takers)
        .map(|taker: usize| {
            let queue = queues[taker % 3].clone();
            std::thread::spawn(move || {
                let take = || queue.take().wait().unwrap();
                std::iter::repeat_with(take).take_while(|item| item != "end").collect::<Vec<_>>()
            })
        })
        .collect();
    adding.into_iter().for_each(|thread| thread.join().unwrap());
    (0..takers).for_each(|_| queues[0].add("end").wait().unwrap());
    let mut taken = BTreeMap::<Bytes, u32>::new();
    for thread in taking {
        let items = thread.join().unwrap();
        for adder in 0..adders {
            let start = format!("{adder} ");
            let of_adder = items.iter().filter(|item| item.starts_with(start.as_bytes()));
            assert!(of_adder.is_sorted(), "each adder's items stay in order");
        }
        items.into_iter().for_each(|item| *taken.entry(item).or_default() += 1);
    }
    assert_eq!(taken.len(), adders * items);
    assert!(taken.values().all(|count| *count == 1), "{taken:?}");
    let left = nodes[0].range(Range::prefix("queue/").keys_only()).wait().unwrap();
    assert_eq!(left.kvs.len(), 1, "only the trace of the last take is left: {left:?}");
}
