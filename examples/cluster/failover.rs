//! Writes from several threads, and the loss of the leader amid them.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use quorate::{Client, Error};

use crate::failure::Failure;
use crate::load::latencies;
use crate::members::{Members, Named, POLL_INTERVAL};
use crate::progress::Progress;

/// What became of the writes.
pub(crate) struct Failover {
    /// From the kill to the first acknowledgement of a write begun after it.
    pub(crate) time: Duration,
    /// Writes acknowledged, and how often other answers came before they were.
    pub(crate) tally: Tally,
}

/// Writes by outcome.
pub(crate) struct Tally {
    /// Keys and values acknowledged.
    pub(crate) acknowledged: BTreeMap<Bytes, Bytes>,
    /// Answers that said: it was not done.
    pub(crate) failed_count: u64,
    /// Answers that said: it may have been done.
    pub(crate) unknown_count: u64,
    /// Keys and values of which no more than that was learnt, although they were tried again.
    pub(crate) uncertain: BTreeMap<Bytes, Bytes>,
    /// Microseconds from sending to acknowledgement.
    pub(crate) latencies: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            acknowledged: BTreeMap::new(),
            failed_count: 0,
            unknown_count: 0,
            uncertain: BTreeMap::new(),
            latencies: latencies(),
        }
    }

    fn add(&mut self, mut other: Self) {
        self.acknowledged.append(&mut other.acknowledged);
        self.failed_count += other.failed_count;
        self.unknown_count += other.unknown_count;
        self.uncertain.append(&mut other.uncertain);
        self.latencies += &other.latencies;
    }
}

/// What the writing threads share.
struct Writing<'a> {
    members: &'a [Named],
    /// Members that said that they have stopped, in the same order.
    stopped: Vec<AtomicBool>,
    prefix: &'a str,
    progress: &'a Progress,
    /// When the leader had been killed.
    killed: OnceLock<Instant>,
    /// When the first write begun after that was acknowledged.
    recovered: Mutex<Option<Instant>>,
}

/// Writes on below `prefix`, kills member `leader` amid it, and goes on until all is acknowledged.
///
/// # Errors
///
/// [`Failure::Request`] for a write that is refused, [`Failure::NoFailover`] if none was
/// acknowledged afterwards.
pub(crate) fn write_and_kill(
    members: &mut Members,
    leader: usize,
    prefix: &str,
    progress: &Progress,
) -> Result<Failover, Failure> {
    let clients = members.running();
    let writing = Writing {
        members: &clients,
        stopped: clients.iter().map(|_| AtomicBool::new(false)).collect(),
        prefix,
        progress,
        killed: OnceLock::new(),
        recovered: Mutex::new(None),
    };
    let (results, killed) = thread::scope(|scope| {
        let writing = &writing;
        let start = |number| scope.spawn(move || writing.write(number));
        let threads: Vec<_> = (0..THREAD_COUNT).map(start).collect();
        while progress.done() < KILL_AFTER_COUNT && !threads.iter().all(|it| it.is_finished()) {
            thread::sleep(POLL_INTERVAL);
        }
        let killed = Instant::now();
        members.kill(leader);
        writing.killed.get_or_init(Instant::now);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().expect("a writer does not panic")
        };
        (threads.into_iter().map(join).collect::<Vec<Result<Tally, Error>>>(), killed)
    });
    let mut tally = Tally::new();
    for result in results {
        let action = "write on";
        tally.add(result.map_err(|source| Failure::Request { action, source })?);
    }
    let recovered = writing.recovered.into_inner().ok_or(Failure::NoFailover)?;
    Ok(Failover { time: recovered.duration_since(killed), tally })
}

impl Writing<'_> {
    /// What one thread does: its share of the writes, and more until the cluster has recovered.
    fn write(&self, thread: usize) -> Result<Tally, Error> {
        let mut tally = Tally::new();
        for number in 0..SHARE_COUNT_MAX {
            if number >= SHARE_COUNT && self.recovered.lock().is_some() {
                break;
            }
            let key = Bytes::from(format!("{}/{thread}/{number:05}", self.prefix));
            let value = Bytes::from(format!("write {number} of thread {thread}"));
            if self.write_one(thread + number, &key, &value, &mut tally)? {
                tally.acknowledged.insert(key, value);
                self.progress.add(1);
            } else {
                tally.uncertain.insert(key, value);
            }
        }
        Ok(tally)
    }

    /// Writes until it is acknowledged, on one member after the other. Writing it again is safe,
    /// even if it was done already: the key is nobody else's and the value stays the same.
    ///
    /// Returns whether it was acknowledged before the time was over.
    fn write_one(
        &self,
        first: usize,
        key: &Bytes,
        value: &Bytes,
        tally: &mut Tally,
    ) -> Result<bool, Error> {
        let begun = Instant::now();
        for turn in first.. {
            let Some((member, client)) = self.running_from(turn) else { break };
            let sent = Instant::now();
            match client.put(key.clone(), value.clone()).wait() {
                Ok(_) => {
                    self.note_recovery(sent);
                    tally.latencies.saturating_record(sent.elapsed().as_micros() as u64);
                    return Ok(true);
                }
                Err(error) if error.is_outcome_unknown() => {
                    tally.unknown_count += 1;
                    let has_stopped = matches!(error, Error::Stopped(_));
                    self.stopped[member].fetch_or(has_stopped, Ordering::Relaxed);
                }
                Err(error) if error.is_retryable() => tally.failed_count += 1,
                Err(error) => return Err(error),
            }
            if begun.elapsed() > WRITE_TIME_MAX {
                break;
            }
            thread::sleep(RETRY_PAUSE);
        }
        Ok(false)
    }

    /// The member whose turn it is, or the next one that has not stopped.
    fn running_from(&self, turn: usize) -> Option<(usize, &Client)> {
        let count = self.members.len();
        let mut members = (turn..turn + count).map(|turn| turn % count);
        let member = members.find(|member| !self.stopped[*member].load(Ordering::Relaxed))?;
        Some((member, &self.members[member].1))
    }

    fn note_recovery(&self, sent: Instant) {
        if self.killed.get().is_some_and(|killed| sent >= *killed) {
            self.recovered.lock().get_or_insert_with(Instant::now);
        }
    }
}

/// Threads that write.
pub(crate) const THREAD_COUNT: usize = 8;

/// Writes of each.
const SHARE_COUNT: usize = 400;

/// Writes of all.
pub(crate) const WRITE_COUNT: u64 = (THREAD_COUNT * SHARE_COUNT) as u64;

/// The leader is killed when this many are acknowledged.
const KILL_AFTER_COUNT: u64 = WRITE_COUNT / 3;

/// Threads that are done before the leader is gone write on, up to this.
const SHARE_COUNT_MAX: usize = 99_999;

/// How long to try one write. An election takes a second or two.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// Lets an election happen before the next try.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
