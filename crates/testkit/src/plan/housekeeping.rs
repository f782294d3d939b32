//! What members do on their own: ending leases, compacting, sweeping.

use std::time::Duration;

use quorate::{AutoCompaction, HousekeeperConfig};
use quorate_mvcc::LessorTiming;
use quorate_types::MemberId;
use serde::{Deserialize, Serialize};

use super::json;
use crate::rng::{MILLION, Purpose, Stream};

/// What members do on their own, as in [`HousekeeperConfig`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Housekeeping {
    /// How many records a sweep looks at in one step.
    pub sweep_records_max: usize,
    /// How often a leader notes the remaining time of a lease; zero for never.
    #[serde(with = "json::span")]
    pub checkpoint_interval: Duration,
    /// How long a leader waits for the end of a lease before it proposes it once more.
    #[serde(with = "json::span")]
    pub retry_interval: Duration,
    /// How long revisions are kept before a leader compacts them; zero for ever. Not where actors
    /// play, whose own reads must not fail by it.
    #[serde(with = "json::span")]
    pub retention: Duration,
}

impl Housekeeping {
    /// That of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::Chores, PLAN, 0);
        let millis = Duration::from_millis;
        // Small steps, so that crashes and snapshots come between them.
        let sweep_records_max = match stream.below(4) {
            0 => 1,
            1 => stream.between(2, 10) as usize,
            2 => stream.between(10, 100) as usize,
            _ => 1_000,
        };
        let checkpoint_interval = match stream.below(3) {
            0 => millis(stream.between(500, 2_000)),
            _ => LessorTiming::default().checkpoint_interval,
        };
        let retry_interval = millis(stream.between(500, 3_000));
        let compacts = stream.chance(MILLION / 6);
        let retention = millis(stream.between(1_000, 6_000));
        let retention = if compacts { retention } else { Duration::ZERO };
        Self { sweep_records_max, checkpoint_interval, retry_interval, retention }
    }

    /// What a member is told whose election timeout is given.
    pub(crate) fn config(&self, member: MemberId, election_timeout: Duration) -> HousekeeperConfig {
        HousekeeperConfig {
            leases: LessorTiming {
                election_timeout,
                checkpoint_interval: self.checkpoint_interval,
                retry_interval: self.retry_interval,
            },
            auto_compaction: match self.retention {
                Duration::ZERO => AutoCompaction::Off,
                retention => AutoCompaction::Periodic(retention),
            },
            sweep_records_max: self.sweep_records_max,
            member,
            // The checkers compare more, and more often.
            hash_check_interval: None,
        }
    }
}

impl Default for Housekeeping {
    /// That of a member that was told nothing.
    fn default() -> Self {
        let leases = LessorTiming::default();
        Self {
            sweep_records_max: 1_000,
            checkpoint_interval: leases.checkpoint_interval,
            retry_interval: leases.retry_interval,
            retention: Duration::ZERO,
        }
    }
}

/// The stream of plans; those of members are by their places.
const PLAN: u64 = u64::MAX;
