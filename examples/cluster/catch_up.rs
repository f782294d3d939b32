//! The lost member comes back.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::folder::NAMES;
use crate::members::{Members, POLL_INTERVAL};

/// How a member caught up.
pub(crate) struct CatchUp {
    /// Until it was open again: its stores and its log read.
    pub(crate) open_time: Duration,
    /// From there until it had applied as much as the leader.
    pub(crate) time: Duration,
    /// Log entries that the leader had applied and that were not in its log when it was open.
    pub(crate) missed_count: u64,
    /// Whether it was sent a snapshot, because the leader had no log that far back.
    pub(crate) by_snapshot: bool,
}

impl CatchUp {
    /// From the start of the member until it had caught up.
    pub(crate) fn total_time(&self) -> Duration {
        self.open_time + self.time
    }
}

/// Opens the member that is down and waits until it has applied as much as the leader.
///
/// # Errors
///
/// [`Failure::Open`], [`Failure::NoLeader`], [`Failure::NoCatchUp`].
pub(crate) fn bring_back(members: &mut Members, lost: usize) -> Result<CatchUp, Failure> {
    let leader = members.wait_for_leader()?;
    let begun = Instant::now();
    members.open_all()?;
    let opened = Instant::now();
    let mut missed_count = None;
    while opened.elapsed() < CATCH_UP_TIME_MAX {
        if let (Some(own), Some(leader)) = (members.consensus(lost), members.consensus(leader)) {
            let (target, log_last) = (leader.applied.index.get(), own.log_last.get());
            let missed_count = *missed_count.get_or_insert(target.saturating_sub(log_last));
            if own.applied.index.get() >= target {
                return Ok(CatchUp {
                    open_time: opened - begun,
                    time: opened.elapsed(),
                    missed_count,
                    by_snapshot: own.counters.snapshots_installed > 0,
                });
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
    Err(Failure::NoCatchUp { name: NAMES[lost], limit: CATCH_UP_TIME_MAX })
}

/// Far more than the writes of this example take.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(60);
