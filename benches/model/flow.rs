//! A stream of requests from one thread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate::{Client, Error, Pending};
use quorate_benches::latency::{Latencies, latencies, micros};
use quorate_benches::random::{random_bytes, random_key};
use quorate_types::SplitMix64;

use crate::table::whole;

/// What came of a stream of requests.
pub(crate) struct Flow {
    /// From making a request to taking its answer.
    pub(crate) latencies: Latencies,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

impl Flow {
    /// Makes requests, numbered from 0, until `make` gives none; `under_way` of them are unanswered
    /// at a time. Waits for the last answer.
    pub(crate) fn run<T>(
        under_way: usize,
        mut make: impl FnMut(u64) -> Option<Pending<T>>,
    ) -> Result<Self, Error> {
        let mut waiting: VecDeque<(Instant, Pending<T>)> = VecDeque::new();
        let mut latencies = latencies();
        let mut take = |(made, pending): (Instant, Pending<T>)| {
            pending.wait()?;
            latencies.saturating_record(made.elapsed().as_nanos() as u64);
            Ok::<(), Error>(())
        };
        let start = Instant::now();
        for number in 0.. {
            if waiting.len() >= under_way
                && let Some(oldest) = waiting.pop_front()
            {
                take(oldest)?;
            }
            let made = Instant::now();
            let Some(pending) = make(number) else { break };
            waiting.push_back((made, pending));
        }
        waiting.into_iter().try_for_each(take)?;
        Ok(Self { latencies, elapsed: start.elapsed() })
    }

    /// A number of requests.
    pub(crate) fn count<T>(
        under_way: usize,
        count: u64,
        make: impl Fn(u64) -> Pending<T>,
    ) -> Result<Self, Error> {
        Self::run(under_way, |number| (number < count).then(|| make(number)))
    }

    /// Requests for some time.
    pub(crate) fn timed<T>(
        under_way: usize,
        time: Duration,
        make: impl Fn(u64) -> Pending<T>,
    ) -> Result<Self, Error> {
        let end = Instant::now() + time;
        Self::run(under_way, |number| (Instant::now() < end).then(|| make(number)))
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests a second, the median, the 99th percentile and the longest latency in microseconds:
    /// cells for the columns [`FLOW_COLUMNS`].
    pub(crate) fn cells(&self) -> [String; 4] {
        let [_, p50, p99, max] = micros(&self.latencies);
        [self.per_second(), p50, p99, max].map(whole)
    }
}

/// What [`Flow::cells`] are.
pub(crate) const FLOW_COLUMNS: [&str; 4] = ["per s", "p50 us", "p99 us", "max us"];

/// Puts of one of a number of keys.
pub(crate) struct Puts {
    client: Client,
    keys_count: u64,
    /// A few values in turn: making a new one for each put would be measured too.
    values: Vec<Bytes>,
}

impl Puts {
    pub(crate) fn new(client: &Client, keys_count: u64) -> Self {
        let mut random = SplitMix64::new(VALUES_SEED);
        let value = |_| Bytes::from(random_bytes(&mut random, VALUE_SIZE));
        let values = (0..VALUES_COUNT).map(value).collect();
        Self { client: client.clone(), keys_count, values }
    }

    pub(crate) fn value(&self, number: u64) -> Bytes {
        self.values[(number % VALUES_COUNT) as usize].clone()
    }

    /// Puts the key of this number, from the first one again after the last one.
    pub(crate) fn put(&self, number: u64) -> Pending<quorate::PutResponse> {
        self.client.put(self.key(number), self.value(number))
    }

    /// Puts every key once, in transactions of [`FILL_TXN_COUNT`] keys.
    pub(crate) fn fill(&self) -> Result<Flow, Error> {
        let txns_count = self.keys_count.div_ceil(FILL_TXN_COUNT);
        Flow::count(UNDER_WAY, txns_count, |txn| {
            let first = txn * FILL_TXN_COUNT;
            let numbers = first..self.keys_count.min(first + FILL_TXN_COUNT);
            let puts = numbers.map(|number| quorate::put(self.key(number), self.value(number)));
            puts.fold(self.client.txn(), quorate::Txn::then).commit()
        })
    }

    pub(crate) fn keys_count(&self) -> u64 {
        self.keys_count
    }

    pub(crate) fn key(&self, number: u64) -> String {
        random_key(number % self.keys_count)
    }
}

/// Enough to keep a member busy, few enough that latency is not mostly waiting in line.
pub(crate) const UNDER_WAY: usize = 64;

/// Enough for the most puts a second.
pub(crate) const UNDER_WAY_MANY: usize = 1_024;

/// Keys of one transaction of [`Puts::fill`].
pub(crate) const FILL_TXN_COUNT: u64 = 100;

const VALUE_SIZE: usize = 256;

/// Enough that no two neighbouring values are equal.
const VALUES_COUNT: u64 = 64;

const VALUES_SEED: u64 = 1;
