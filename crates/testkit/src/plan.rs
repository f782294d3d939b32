//! What a run does, in full: the cluster, its limits, the noise, every fault and every operation.
//!
//! A plan is made from a seed by [`Plan::from_seed`], and the simulator takes nothing but a plan.
//! So a plan can be printed, changed and run again.

mod concrete;
pub(crate) mod draw;
mod faults;
mod generate;
mod operations;
mod request;

use std::time::Duration;

use quorate_raft_node::core::Tuning;
use quorate_types::Instant;

pub use request::{Compare, Delete, Given, Op, Put, Range, Request, Revision, Span, Txn, Value};

/// Everything that a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the plan came from; also the seed of all noise while it runs.
    pub seed: u64,
    /// How many members the cluster has.
    pub members: usize,
    /// When faults end and everything is healed.
    pub duration: Duration,
    /// Limits and timing of all members.
    pub tuning: Tuning,
    /// What the network does to messages.
    pub network: Network,
    /// How long the members' threads take.
    pub work: Work,
    /// The members' clocks, one for each.
    pub clocks: Vec<ClockRate>,
    /// Faults in order of their time.
    pub faults: Vec<TimedFault>,
    /// Operations in order of their time.
    pub operations: Vec<Operation>,
}

/// What the network does to messages. Chances are parts of a million for each message.
#[derive(Clone, Debug)]
pub struct Network {
    /// The shortest way of a message.
    pub delay_min: Duration,
    /// The longest way of most messages.
    pub delay_max: Duration,
    /// How many take longer, up to six seconds.
    pub slow_ppm: u64,
    /// How many are lost.
    pub lost_ppm: u64,
    /// How many arrive twice.
    pub doubled_ppm: u64,
    /// How many of the second copies come late, up to six seconds.
    pub late_copy_ppm: u64,
    /// Whether messages of one link stay in order, copies and slow ones aside.
    pub in_order: bool,
    /// How many losses on a cut link or to a stopped member the sender is told of.
    pub noticed_ppm: u64,
    /// How many snapshot streams break at each of their blocks.
    pub bulk_broken_ppm: u64,
}

/// How long the members' threads take for each piece of work.
#[derive(Clone, Debug)]
pub struct Work {
    /// The longest time that the consensus thread takes to wake up.
    pub wake_max: Duration,
    /// The usual time of a log sync; long ones are rare.
    pub sync: Duration,
    /// The longest time of a log sync.
    pub sync_max: Duration,
    /// The usual time of applying a run of entries.
    pub apply: Duration,
    /// The longest time of applying.
    pub apply_max: Duration,
    /// The usual time of a flush of the state.
    pub flush: Duration,
    /// The usual time of a read of old log entries.
    pub fetch: Duration,
    /// The usual time of one block of a snapshot stream.
    pub block: Duration,
}

/// How a member's clock runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockRate {
    /// What it shows when the run begins.
    pub origin: Instant,
    /// How fast it runs: nanoseconds it counts in a millisecond of true time.
    pub nanos_per_milli: u64,
}

/// A fault and when it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimedFault {
    /// When.
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

/// Who is hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The member at this place.
    Member(usize),
    /// Whoever leads then; nobody if nobody does.
    Leader,
}

/// Something that goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A member loses its power: unsynced bytes may be lost.
    Crash {
        /// Who.
        target: Target,
        /// How long it stays down.
        down: Duration,
    },
    /// A member loses its power at a certain step, as soon as it comes to it.
    CrashAt {
        /// Who.
        target: Target,
        /// Where.
        step: Step,
        /// How long it stays down.
        down: Duration,
    },
    /// All members lose their power.
    CrashAll {
        /// How long they stay down, one for each.
        down: Vec<Duration>,
    },
    /// A member stops and goes on later, as by SIGSTOP; its clock runs on.
    Pause {
        /// Who.
        target: Target,
        /// For how long.
        lasting: Duration,
    },
    /// One direction of a link carries nothing.
    Cut {
        /// The sender cut off.
        from: usize,
        /// The receiver cut off.
        to: usize,
        /// For how long.
        lasting: Duration,
        /// Whether messages wait until the cut is over, instead of being lost.
        hold: bool,
    },
    /// A member is cut off from all others.
    Isolate {
        /// Who.
        target: Target,
        /// For how long.
        lasting: Duration,
        /// As for a cut.
        hold: bool,
    },
    /// Members are split into two groups.
    Split {
        /// One group, as a set of bits by place.
        group: u64,
        /// For how long.
        lasting: Duration,
        /// As for a cut.
        hold: bool,
    },
    /// A write to a member's disk fails; the member must stop itself.
    DiskFailure {
        /// Who.
        target: Target,
        /// Which write.
        write: DiskWrite,
        /// How long the member stays down after it stopped.
        down: Duration,
    },
    /// A member's threads take longer.
    Slow {
        /// Who.
        target: Target,
        /// How many times longer.
        factor: u32,
        /// For how long.
        lasting: Duration,
    },
    /// Somebody asks a member to move leadership.
    TransferLeader {
        /// Whom.
        asked: usize,
        /// To whom it should move.
        to: usize,
    },
}

/// Steps of a member's work around which a crash is most telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Messages were sent, nothing was handed to the threads.
    Sent,
    /// The log was written and not synced.
    LogWritten,
    /// The log was synced and nobody was told.
    LogSynced,
    /// Entries were applied and nobody was told.
    Applied,
    /// The state was flushed and nobody was told.
    Flushed,
    /// The log was purged.
    Purged,
    /// A snapshot was collected.
    Staged,
    /// A snapshot is to be installed.
    Installing,
    /// A snapshot was installed and the log is still the old one.
    Installed,
    /// The member was just opened again.
    Opened,
}

/// Writes that can be told to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskWrite {
    /// A write to the log.
    LogWrite,
    /// A sync of the log.
    LogSync,
    /// A write to the state.
    StateWrite,
    /// A flush of the state.
    StateFlush,
}

/// An operation of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// When it is called.
    pub at: Instant,
    /// The member asked.
    pub member: usize,
    /// How long the client waits.
    pub timeout: Duration,
    /// What it asks for.
    pub request: Request,
}

impl Work {
    /// Threads of a machine without trouble.
    pub fn quick() -> Self {
        let micros = Duration::from_micros;
        Self {
            wake_max: micros(20),
            sync: micros(100),
            sync_max: micros(1_000),
            apply: micros(20),
            apply_max: micros(1_000),
            flush: micros(1_000),
            fetch: micros(50),
            block: micros(500),
        }
    }
}

impl Target {
    /// The member meant, given who leads.
    pub(crate) fn place(self, leader: Option<usize>) -> Option<usize> {
        match self {
            Self::Member(place) => Some(place),
            Self::Leader => leader,
        }
    }
}
