//! The operations of a seed: when, by whom, and how long they wait. [`super::draw`] says what.

use std::time::Duration;

use quorate_types::Instant;

use super::draw::{Mix, clears};
use super::{Operation, Request};
use crate::rng::{Purpose, Stream, nanos};

/// What the clients of a seed do.
pub(super) fn mix_of(seed: u64) -> Mix {
    begin(seed).2
}

/// The stream of the times, about how long it is from one operation to the next, and the mix.
fn begin(seed: u64) -> (Stream, Duration, Mix) {
    let mut stream = Stream::new(seed, Purpose::Operations, TIMES, 0);
    let gap = Duration::from_millis(stream.between(10, 80));
    let mix = Mix::draw(&mut stream);
    (stream, gap, mix)
}

/// Operations in order of their time, spread evenly but for chance.
pub(super) fn operations(seed: u64, members: usize, duration: Duration) -> Vec<Operation> {
    let (mut stream, gap, mix) = begin(seed);
    let mut operations: Vec<Operation> = Vec::new();
    let mut at = Instant::ZERO;
    loop {
        // Bursts: sometimes many at once.
        at += stream.long_tail(gap / 8, gap * 8);
        if nanos(at - Instant::ZERO) >= nanos(duration) || operations.len() >= OPERATIONS_MAX {
            operations.sort_by_key(|operation| operation.at);
            return operations;
        }
        let timeout = match stream.below(4) {
            0 => stream.duration(Duration::from_millis(1), Duration::from_millis(500)),
            _ => stream.duration(Duration::from_millis(500), Duration::from_secs(5)),
        };
        let member = stream.place(members);
        let number = operations.len() as u64;
        // A stream for each request: what one of them draws does not move the others.
        let mut content = Stream::new(seed, Purpose::Operations, CONTENTS, number);
        let request = mix.request(&mut content);
        let cleared = clears(&request);
        operations.push(Operation { at, member, timeout, request });
        if let Some(alarm) = cleared {
            // Soon, and by several, because one of them may be lost.
            for _ in 0..CLEARS {
                let at = at + content.duration(Duration::from_millis(100), CLEAR_WITHIN);
                let member = content.place(members);
                let request = Request::Alarm(alarm.clone());
                operations.push(Operation { at, member, timeout, request });
            }
        }
    }
}

/// The streams of operations: one for their times, one for each request.
const TIMES: u64 = 0;
const CONTENTS: u64 = 1;

/// How often, and within which time, an alarm is cleared that was raised.
const CLEARS: usize = 3;
const CLEAR_WITHIN: Duration = Duration::from_millis(1_500);

/// Bounds plans of very long runs.
const OPERATIONS_MAX: usize = 1_000_000;
