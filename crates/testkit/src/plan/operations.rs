//! The operations of a seed.

use std::time::Duration;

use quorate_types::Instant;

use super::{Expected, Operation, Request};
use crate::rng::{MILLION, Purpose, Stream, nanos};

/// Operations in order of their time, spread evenly but for chance.
pub(super) fn operations(seed: u64, members: usize, duration: Duration) -> Vec<Operation> {
    let mut stream = Stream::new(seed, Purpose::Operations, 0, 0);
    let gap = Duration::from_millis(stream.between(10, 80));
    let mix = Mix { keys: stream.between(1, 12) as u32, writes: stream.between(2, 8) };
    let mut operations = Vec::new();
    let mut at = Instant::ZERO;
    loop {
        // Bursts: sometimes many at once.
        at += stream.long_tail(gap / 8, gap * 8);
        if nanos(at - Instant::ZERO) >= nanos(duration) || operations.len() >= OPERATIONS_MAX {
            return operations;
        }
        let timeout = match stream.below(4) {
            0 => stream.duration(Duration::from_millis(1), Duration::from_millis(500)),
            _ => stream.duration(Duration::from_millis(500), Duration::from_secs(5)),
        };
        let member = stream.place(members);
        let request = mix.request(&mut stream);
        operations.push(Operation { at, member, timeout, request });
    }
}

/// What the clients of one run do.
struct Mix {
    /// How many keys they use: few, so that they meet.
    keys: u32,
    /// How many operations in ten write.
    writes: u64,
}

impl Mix {
    fn key(&self, stream: &mut Stream) -> u32 {
        stream.below(u64::from(self.keys)) as u32
    }

    fn request(&self, stream: &mut Stream) -> Request {
        let key = self.key(stream);
        let end = self.key(stream);
        if stream.below(10) >= self.writes {
            let end = stream.chance(MILLION / 3).then_some(end);
            return Request::Range { first: key, end, local: stream.chance(MILLION / 5) };
        }
        match stream.below(10) {
            0..5 => Request::Put { key, padding: self.padding(stream) },
            5 => Request::Delete { key },
            6 => Request::DeleteRange { first: key, last: end },
            7 => Request::CompareAndSet { key, expected: Expected::Absent },
            8 => Request::CompareAndSet { key, expected: Expected::SeenRevision },
            _ => {
                let expected = Expected::VersionBelow(stream.between(1, 6) as i64);
                Request::CompareAndSet { key, expected }
            }
        }
    }

    fn padding(&self, stream: &mut Stream) -> usize {
        match stream.below(8) {
            0 => stream.below(2_000) as usize,
            _ => stream.below(32) as usize,
        }
    }
}

/// Bounds plans of very long runs.
const OPERATIONS_MAX: usize = 1_000_000;
