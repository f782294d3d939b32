//! The load: every entry, through transactions, many at a time.

use std::collections::btree_map;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use quorate::{Client, Error, put};

use crate::failure::Failure;
use crate::input::{Input, LINE_SIZE_MAX};
use crate::members::Named;
use crate::progress::Progress;

/// How the load went.
pub(crate) struct Load {
    /// Entries acknowledged.
    pub(crate) entry_count: u64,
    /// The bytes of their keys and values.
    pub(crate) size: u64,
    /// Transactions acknowledged.
    pub(crate) transaction_count: u64,
    /// Transactions sent again because they failed or their outcome was unknown. Each sets keys
    /// that no other one sets, so doing it twice changes nothing.
    pub(crate) retry_count: u64,
    /// From the first transaction sent to the last one acknowledged.
    pub(crate) elapsed: Duration,
    /// Microseconds from sending to acknowledgement, of each transaction.
    pub(crate) latencies: Histogram<u64>,
}

impl Load {
    fn new() -> Self {
        Self {
            entry_count: 0,
            size: 0,
            transaction_count: 0,
            retry_count: 0,
            elapsed: Duration::ZERO,
            latencies: latencies(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.entry_count += other.entry_count;
        self.size += other.size;
        self.transaction_count += other.transaction_count;
        self.retry_count += other.retry_count;
        self.latencies += &other.latencies;
    }
}

/// A histogram of microseconds, with three digits. What is over an hour counts as an hour.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(3_600_000_000, 3)
        .expect("1 to 3,600,000,000 in three digits is a range")
}

/// What is still to be loaded, in key order. Each key stands in one transaction only, so the order
/// in which transactions happen does not matter.
type Queue<'a> = Mutex<btree_map::Iter<'a, Bytes, Bytes>>;

/// Loads everything through the members given.
///
/// # Errors
///
/// The first [`Failure::Request`] that is not worth a retry.
pub(crate) fn load(members: &[Named], input: &Input, progress: &Progress) -> Result<Load, Failure> {
    let queue = Queue::new(input.entries.iter());
    let started = Instant::now();
    let results: Vec<Result<Load, Error>> = thread::scope(|scope| {
        let clients = members.iter().cycle().take(IN_FLIGHT_COUNT).map(|(_, client)| client);
        let queue = &queue;
        let start = |client| scope.spawn(move || load_some(client, queue, progress));
        let threads: Vec<_> = clients.map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a loader does not panic")).collect()
    });
    let mut load = Load::new();
    load.elapsed = started.elapsed();
    for result in results {
        let action = "load the entries";
        load.add(&result.map_err(|source| Failure::Request { action, source })?);
    }
    Ok(load)
}

/// Takes batches from the queue until it is empty. A failure empties it for all.
fn load_some(client: &Client, queue: &Queue<'_>, progress: &Progress) -> Result<Load, Error> {
    let mut load = Load::new();
    loop {
        let batch: Vec<_> = queue.lock().by_ref().take(BATCH_COUNT).collect();
        if batch.is_empty() {
            return Ok(load);
        }
        if let Err(error) = commit(client, &batch, &mut load) {
            queue.lock().by_ref().for_each(drop);
            return Err(error);
        }
        load.entry_count += batch.len() as u64;
        load.size += batch.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        progress.add(batch.len() as u64);
    }
}

fn commit(client: &Client, batch: &[(&Bytes, &Bytes)], load: &mut Load) -> Result<(), Error> {
    for attempt in 1.. {
        let mut txn = client.txn();
        for (key, value) in batch {
            txn = txn.then(put((*key).clone(), (*value).clone()));
        }
        let started = Instant::now();
        match txn.commit().wait() {
            Ok(_) => {
                load.transaction_count += 1;
                load.latencies.saturating_record(started.elapsed().as_micros() as u64);
                break;
            }
            Err(error) if error.is_retryable() && attempt < ATTEMPT_COUNT_MAX => {
                load.retry_count += 1;
                thread::sleep(RETRY_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts in one transaction.
pub(crate) const BATCH_COUNT: usize = 64;

/// Transactions under way at any time, spread evenly over the members.
pub(crate) const IN_FLIGHT_COUNT: usize = 24;

/// A transaction that fails this often, each time after its timeout, meets more than an election.
const ATTEMPT_COUNT_MAX: u32 = 10;

/// Lets a member that is overloaded get on with its work.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

// Transactions may have 128 operations.
const _: () = assert!(BATCH_COUNT <= 128);

// Requests may have 1.5 MiB; a put takes some bytes more than the line that it comes from.
const _: () = assert!(BATCH_COUNT * (LINE_SIZE_MAX + 64) <= 1_572_864);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_with_three_digits() {
        let mut all = latencies();
        for micros in [1_000, 2_000, 5_000_000] {
            let mut one = latencies();
            one.saturating_record(micros);
            all += one;
        }
        assert_eq!(all.value_at_quantile(0.5) / 10, 200);
        assert_eq!(all.max() / 100_000, 50);
    }
}
