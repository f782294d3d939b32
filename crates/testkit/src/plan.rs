//! What a run does, in full: the cluster, its limits, the noise, every fault and every operation.
//!
//! A plan is made from a seed by [`Plan::from_seed`], and the simulator takes nothing but a plan.
//! So a plan can be written to a file with [`Plan::to_json`], changed, read back with
//! [`Plan::from_json`] and run again. Times stand in files as whole nanoseconds.

mod classes;
mod concrete;
pub(crate) mod draw;
mod fault;
mod faults;
mod generate;
mod housekeeping;
mod json;
mod limits;
mod operations;
mod request;
mod validate;
mod watches;

use std::time::Duration;

use quorate_types::Instant;
use serde::{Deserialize, Serialize};

pub use self::classes::{FaultClass, Faults, Level};
pub(crate) use self::fault::CutLinks;
pub use self::fault::{CutMode, DiskOperation, Fault, Step, Target, TimedFault};
pub use self::housekeeping::Housekeeping;
pub use self::json::PlanError;
pub use self::limits::Limits;
pub use self::watches::{PlannedWatch, WatchStart};

pub use request::{
    Alarm, Compact, Compare, Delete, Given, Lease, LeaseGrant, LeaseTimeToLive, Op, Put, Range,
    Request, Revision, Span, Txn, Value,
};

/// Everything that a run does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where the plan came from; also the seed of all noise while it runs.
    pub seed: u64,
    /// How many members the cluster has.
    pub members: usize,
    /// When faults end and everything is healed.
    #[serde(with = "json::span")]
    pub duration: Duration,
    /// Limits and timing of all members.
    pub limits: Limits,
    /// What the members do on their own.
    #[serde(default)]
    pub housekeeping: Housekeeping,
    /// What the network does to messages.
    pub network: Network,
    /// What crashes do to the members' disks.
    #[serde(default)]
    pub disk: Disk,
    /// How long the members' threads take.
    pub work: Work,
    /// The members' clocks, one for each.
    pub clocks: Vec<ClockRate>,
    /// Faults in order of their time.
    pub faults: Vec<TimedFault>,
    /// Operations in order of their time.
    pub operations: Vec<Operation>,
    /// Watchers in order of their time.
    #[serde(default)]
    pub watches: Vec<PlannedWatch>,
}

/// What the network does to messages. Chances are parts of a million for each message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The shortest way of a message.
    #[serde(with = "json::span")]
    pub delay_min: Duration,
    /// The longest way of most messages.
    #[serde(with = "json::span")]
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
    /// How the times between the shortest and the longest way are spread.
    #[serde(default)]
    pub delay_shape: DelayShape,
    /// How many bytes a link carries in a second; 0 for as many as there are.
    #[serde(default)]
    pub bandwidth: u64,
    /// How many bytes wait before a link that has a bandwidth; more are lost.
    #[serde(default)]
    pub queue_size: u64,
    /// How many are damaged on the way. The checksum of their frame does not hold, so the receiver
    /// closes the connection, and what was under way is lost.
    #[serde(default)]
    pub damaged_ppm: u64,
    /// How many arrive though the sender is told that they did not.
    #[serde(default)]
    pub misreported_ppm: u64,
    /// How many arrive once more after their sender or receiver was restarted.
    #[serde(default)]
    pub stale_ppm: u64,
}

/// How the delays of messages are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DelayShape {
    /// Evenly from the shortest to the longest.
    #[default]
    Uniform,
    /// Mostly short: about an eighth of the longest on average, twice as rare with each eighth.
    Exponential,
}

/// What crashes do to the members' disks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// How many crashes, in a million, leave a part of the log's first write that was lost: some of
    /// its entries, and not its hard state.
    pub torn_ppm: u64,
}

/// How long the members' threads take for each piece of work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The longest time that the consensus thread takes to wake up.
    #[serde(with = "json::span")]
    pub wake_max: Duration,
    /// The usual time of a log sync; long ones are rare.
    #[serde(with = "json::span")]
    pub sync: Duration,
    /// The longest time of a log sync.
    #[serde(with = "json::span")]
    pub sync_max: Duration,
    /// The usual time of applying a run of entries.
    #[serde(with = "json::span")]
    pub apply: Duration,
    /// The longest time of applying.
    #[serde(with = "json::span")]
    pub apply_max: Duration,
    /// The usual time of a flush of the state.
    #[serde(with = "json::span")]
    pub flush: Duration,
    /// The usual time of a read of old log entries.
    #[serde(with = "json::span")]
    pub fetch: Duration,
    /// The usual time of one block of a snapshot stream.
    #[serde(with = "json::span")]
    pub block: Duration,
}

/// How a member's clock runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockRate {
    /// What it shows when the run begins.
    #[serde(with = "json::moment")]
    pub origin: Instant,
    /// How fast it runs: nanoseconds it counts in a millisecond of true time.
    pub nanos_per_milli: u64,
}

/// An operation of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// When it is called.
    #[serde(with = "json::moment")]
    pub at: Instant,
    /// The member asked.
    pub member: usize,
    /// How long the client waits.
    #[serde(with = "json::span")]
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
