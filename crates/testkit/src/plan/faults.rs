//! The fault timeline of a seed.

use std::time::Duration;

use quorate_types::Instant;

use super::generate::Level;
use super::{DiskWrite, Fault, Step, Target, TimedFault};
use crate::rng::{MILLION, Purpose, Stream, nanos};

/// Faults of all classes in order of their time. Each class has its own stream.
pub(super) fn fault_timeline(seed: u64, members: usize, duration: Duration) -> Vec<TimedFault> {
    let mut faults = Vec::new();
    for (class, draw) in (0_u64..).zip(CLASSES) {
        let mut stream = Stream::new(seed, Purpose::Faults, class, 0);
        let level = Level::draw(&mut stream);
        let Some(gap) = level.pick(None, Some(GAP_LOW), Some(GAP_HIGH)) else { continue };
        let mut at = Instant::ZERO;
        loop {
            at += stream.duration(gap / 4, gap * 2);
            if nanos(at - Instant::ZERO) >= nanos(duration) || faults.len() >= FAULTS_MAX {
                break;
            }
            if let Some(fault) = draw(&mut stream, members) {
                faults.push(TimedFault { at, fault });
            }
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

type Draw = fn(&mut Stream, usize) -> Option<Fault>;

/// Each is off, low or high in a run of its own accord.
const CLASSES: [Draw; 9] =
    [crash, crash_at, crash_all, pause, cut, partition, disk_failure, slow, transfer];

fn target(stream: &mut Stream, members: usize) -> Target {
    if stream.chance(MILLION / 3) { Target::Leader } else { Target::Member(stream.place(members)) }
}

/// Often back within the same term, sometimes away long enough to need a snapshot.
fn down(stream: &mut Stream) -> Duration {
    match stream.below(10) {
        0..5 => stream.duration(Duration::ZERO, Duration::from_millis(100)),
        5..9 => stream.duration(Duration::ZERO, Duration::from_secs(3)),
        _ => stream.duration(Duration::from_secs(3), Duration::from_secs(10)),
    }
}

/// Around the election timeout, mostly.
fn lasting(stream: &mut Stream) -> Duration {
    stream.long_tail(Duration::from_millis(100), Duration::from_secs(6))
}

fn crash(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::Crash { target: target(stream, members), down: down(stream) })
}

fn crash_at(stream: &mut Stream, members: usize) -> Option<Fault> {
    let step = STEPS[stream.place(STEPS.len())];
    Some(Fault::CrashAt { target: target(stream, members), step, down: down(stream) })
}

fn crash_all(stream: &mut Stream, members: usize) -> Option<Fault> {
    // Rarer than other faults: it stops everything.
    stream.chance(MILLION / 3).then(|| Fault::CrashAll {
        down: (0..members).map(|_| down(stream).min(Duration::from_secs(2))).collect(),
    })
}

fn pause(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::Pause { target: target(stream, members), lasting: lasting(stream) })
}

fn cut(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (from, to) = (stream.place(members), stream.place(members));
    let (lasting, hold) = (lasting(stream), stream.chance(MILLION / 3));
    (from != to).then_some(Fault::Cut { from, to, lasting, hold })
}

fn partition(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (lasting, hold) = (lasting(stream), stream.chance(MILLION / 3));
    if stream.chance(MILLION / 2) {
        return Some(Fault::Isolate { target: target(stream, members), lasting, hold });
    }
    let all = (1 << members) - 1;
    let group = stream.below(all + 1);
    (group != 0 && group != all).then_some(Fault::Split { group, lasting, hold })
}

fn disk_failure(stream: &mut Stream, members: usize) -> Option<Fault> {
    let write = DISK_WRITES[stream.place(DISK_WRITES.len())];
    Some(Fault::DiskFailure { target: target(stream, members), write, down: down(stream) })
}

fn slow(stream: &mut Stream, members: usize) -> Option<Fault> {
    let factor = stream.between(2, 50) as u32;
    Some(Fault::Slow { target: target(stream, members), factor, lasting: lasting(stream) })
}

fn transfer(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::TransferLeader { asked: stream.place(members), to: stream.place(members) })
}

const STEPS: [Step; 10] = [
    Step::Sent,
    Step::LogWritten,
    Step::LogSynced,
    Step::Applied,
    Step::Flushed,
    Step::Purged,
    Step::Staged,
    Step::Installing,
    Step::Installed,
    Step::Opened,
];

const DISK_WRITES: [DiskWrite; 4] =
    [DiskWrite::LogWrite, DiskWrite::LogSync, DiskWrite::StateWrite, DiskWrite::StateFlush];

/// About how long a class waits between two faults when it is low.
const GAP_LOW: Duration = Duration::from_secs(5);

/// About how long a class waits between two faults when it is high.
const GAP_HIGH: Duration = Duration::from_millis(1_200);

/// Bounds plans of very long runs.
const FAULTS_MAX: usize = 100_000;
