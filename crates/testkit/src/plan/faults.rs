//! The fault timeline of a seed.

use std::time::Duration;

use quorate_types::Instant;

use super::classes::{FaultClass, Faults};
use super::{CutMode, DiskOperation, Fault, Step, Target, TimedFault};
use crate::rng::{MILLION, Stream, nanos};

/// Faults of all classes in order of their time. Each class has its own stream, so none moves when
/// another is turned off.
pub(super) fn fault_timeline(
    seed: u64,
    members: usize,
    duration: Duration,
    levels: &Faults,
) -> Vec<TimedFault> {
    let mut faults = Vec::new();
    for (class, draw) in CLASSES {
        let level = levels.level(seed, class);
        let Some(gap) = level.pick(None, Some(GAP_LOW), Some(GAP_HIGH)) else { continue };
        let mut stream = class.stream(seed);
        let mut at = Instant::ZERO;
        let mut count = 0;
        loop {
            at += stream.duration(gap / 4, gap * 2);
            count += 1;
            if nanos(at - Instant::ZERO) >= nanos(duration) || count > FAULTS_MAX {
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

/// Classes that are made of faults at certain times; the others are noise.
const CLASSES: [(FaultClass, Draw); 17] = [
    (FaultClass::Cuts, cut),
    (FaultClass::Partitions, partition),
    (FaultClass::PartialPartitions, partial_partition),
    (FaultClass::Swizzles, swizzle),
    (FaultClass::SlowReceivers, slow_receiver),
    (FaultClass::Crashes, crash),
    (FaultClass::CrashesAtSteps, crash_at),
    (FaultClass::CrashesOfAll, crash_all),
    (FaultClass::CrashLoops, crash_loop),
    (FaultClass::Reopens, reopen),
    (FaultClass::Pauses, pause),
    (FaultClass::SlowMembers, slow),
    (FaultClass::DiskFailures, disk_failure),
    (FaultClass::ReadFailures, read_failure),
    (FaultClass::Stalls, stall),
    (FaultClass::Transfers, transfer),
    (FaultClass::Replays, replay),
];

fn target(stream: &mut Stream, members: usize) -> Target {
    if stream.chance(MILLION / 2) { Target::Leader } else { Target::Member(stream.place(members)) }
}

/// Often back within the same term, sometimes away long enough to need a snapshot.
fn down(stream: &mut Stream) -> Duration {
    match stream.below(10) {
        0..5 => stream.duration(Duration::ZERO, Duration::from_millis(100)),
        5..9 => stream.duration(Duration::ZERO, Duration::from_secs(3)),
        _ => stream.duration(Duration::from_secs(3), Duration::from_secs(10)),
    }
}

/// Often shorter than an election takes, as often long enough for one.
fn lasting(stream: &mut Stream) -> Duration {
    if stream.chance(MILLION / 2) {
        return stream.duration(Duration::from_millis(500), Duration::from_secs(4));
    }
    stream.long_tail(Duration::from_millis(100), Duration::from_secs(6))
}

fn mode(stream: &mut Stream) -> CutMode {
    match stream.below(6) {
        0 => CutMode::Hold,
        1 => CutMode::Shuffle,
        _ => CutMode::Drop,
    }
}

/// Some members, but neither none nor all of them.
fn group(stream: &mut Stream, members: usize) -> Option<u64> {
    let all = (1 << members) - 1;
    let group = stream.below(all + 1);
    (group != 0 && group != all).then_some(group)
}

/// The numbers below `count` in any order.
fn shuffled(stream: &mut Stream, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for place in (1..count).rev() {
        order.swap(place, stream.place(place + 1));
    }
    order
}

fn crash(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::Crash { target: target(stream, members), down: down(stream) })
}

fn replay(stream: &mut Stream, members: usize) -> Option<Fault> {
    let within = stream.duration(Duration::from_millis(50), Duration::from_secs(2));
    Some(Fault::Replay { target: target(stream, members), within })
}

fn crash_at(stream: &mut Stream, members: usize) -> Option<Fault> {
    // Few members ever receive a snapshot, and none that leads.
    let (step, target) = if stream.chance(MILLION / 3) {
        let step = STEPS_OF_SNAPSHOTS[stream.place(STEPS_OF_SNAPSHOTS.len())];
        (step, Target::Member(stream.place(members)))
    } else {
        (Step::ALL[stream.place(Step::ALL.len())], target(stream, members))
    };
    Some(Fault::CrashAt { target, step, down: down(stream) })
}

fn crash_all(stream: &mut Stream, members: usize) -> Option<Fault> {
    // Rarer than other faults: it stops everything.
    stream.chance(MILLION / 3).then(|| Fault::CrashAll {
        down: (0..members).map(|_| down(stream).min(Duration::from_secs(2))).collect(),
    })
}

fn crash_loop(stream: &mut Stream, members: usize) -> Option<Fault> {
    let target = target(stream, members);
    let up = (0..stream.between(2, 6))
        .map(|_| stream.long_tail(Duration::from_millis(1), Duration::from_secs(1)))
        .collect();
    let down = stream.duration(Duration::ZERO, Duration::from_millis(200));
    stream.chance(MILLION / 3).then_some(Fault::CrashLoop { target, up, down })
}

fn reopen(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::Reopen { target: target(stream, members), down: down(stream) })
}

fn pause(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (target, lasting) = (target(stream, members), lasting(stream));
    Some(Fault::Pause { target, lasting, frozen: stream.chance(MILLION / 3) })
}

fn cut(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (from, to) = (stream.place(members), stream.place(members));
    let (lasting, mode) = (lasting(stream), mode(stream));
    (from != to).then_some(Fault::Cut { from, to, lasting, mode })
}

fn partition(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (lasting, mode) = (lasting(stream), mode(stream));
    match stream.below(4) {
        // A leader that does not know that it was deposed is the most telling of all.
        0 | 1 => return Some(Fault::Isolate { target: Target::Leader, lasting, mode }),
        2 => {
            let target = Target::Member(stream.place(members));
            return Some(Fault::Isolate { target, lasting, mode });
        }
        _ => {}
    }
    Some(Fault::Split { group: group(stream, members)?, lasting, mode })
}

/// Only in clusters that are large enough to be cut in such a way.
fn partial_partition(stream: &mut Stream, members: usize) -> Option<Fault> {
    let (lasting, mode) = (lasting(stream), mode(stream));
    match stream.below(3) {
        0 if members > 3 => Some(Fault::Ring { order: shuffled(stream, members), lasting, mode }),
        1 => {
            let (middle, group) = (stream.place(members), group(stream, members)?);
            (members > 2).then_some(Fault::Bridge { middle, group, lasting, mode })
        }
        _ => {
            let follower = stream.place(members);
            (members > 2).then_some(Fault::OneFollower { follower, lasting, mode })
        }
    }
}

fn swizzle(stream: &mut Stream, members: usize) -> Option<Fault> {
    let mut cuts = Vec::new();
    for place in shuffled(stream, members * members) {
        let (from, to) = (place / members, place % members);
        if from != to && cuts.len() < SWIZZLE_LINKS_MAX {
            cuts.push((from, to));
        }
    }
    let mends = shuffled(stream, cuts.len());
    let gap = stream.long_tail(Duration::from_millis(10), Duration::from_millis(500));
    let mode = mode(stream);
    let rare = stream.chance(MILLION / 2);
    (rare && !cuts.is_empty()).then_some(Fault::Swizzle { cuts, mends, gap, mode })
}

fn slow_receiver(stream: &mut Stream, members: usize) -> Option<Fault> {
    let delay = stream.long_tail(Duration::from_millis(20), Duration::from_secs(2));
    let (target, lasting) = (target(stream, members), lasting(stream));
    Some(Fault::SlowReceiver { target, delay, lasting })
}

fn disk_failure(stream: &mut Stream, members: usize) -> Option<Fault> {
    let operations = [
        DiskOperation::LogWrite,
        DiskOperation::LogSync,
        DiskOperation::StateWrite,
        DiskOperation::StateFlush,
    ];
    let operation = operations[stream.place(operations.len())];
    Some(Fault::DiskFailure { target: target(stream, members), operation, down: down(stream) })
}

fn read_failure(stream: &mut Stream, members: usize) -> Option<Fault> {
    let operations = [DiskOperation::LogRead, DiskOperation::LogDamage, DiskOperation::StateDamage];
    let operation = operations[stream.place(operations.len())];
    Some(Fault::DiskFailure { target: target(stream, members), operation, down: down(stream) })
}

fn stall(stream: &mut Stream, members: usize) -> Option<Fault> {
    let lasting = stream.long_tail(Duration::from_millis(100), Duration::from_secs(3));
    Some(Fault::Stall { target: target(stream, members), lasting })
}

fn slow(stream: &mut Stream, members: usize) -> Option<Fault> {
    let factor = stream.between(2, 50) as u32;
    Some(Fault::Slow { target: target(stream, members), factor, lasting: lasting(stream) })
}

fn transfer(stream: &mut Stream, members: usize) -> Option<Fault> {
    Some(Fault::TransferLeader { asked: stream.place(members), to: stream.place(members) })
}

const STEPS_OF_SNAPSHOTS: [Step; 4] =
    [Step::Staging, Step::Staged, Step::Installing, Step::Installed];

/// About how long a class waits between two faults when it is low.
const GAP_LOW: Duration = Duration::from_secs(5);

/// About how long a class waits between two faults when it is high.
const GAP_HIGH: Duration = Duration::from_millis(1_500);

/// Bounds plans of very long runs.
const FAULTS_MAX: usize = 10_000;

/// How many links a swizzle cuts at most, so that it ends some time.
const SWIZZLE_LINKS_MAX: usize = 8;
