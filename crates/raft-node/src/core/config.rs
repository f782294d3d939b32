//! What a core is told when it is opened.

use std::time::Duration;

use quorate_types::{ByteSize, MemberId};

use crate::membership::Membership;

/// Identity and settings of one consensus core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// This member.
    pub member: MemberId,
    /// This life of the member: grows each time it is opened, see `LogStore::begin`.
    pub incarnation: u64,
    /// Who votes, as long as the state machine holds no membership.
    pub initial_membership: Membership,
    /// Seed of the election timeouts.
    pub seed: u64,
    /// Timing and limits.
    pub tuning: Tuning,
}

/// Timing and limits of consensus. Times of all members should be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How often a leader tells its followers that it lives. Default 100 ms.
    pub heartbeat_interval: Duration,
    /// How long a follower waits for its leader before it asks for votes; each wait is drawn
    /// between this and twice this. Default 1 s; at least five heartbeat intervals.
    pub election_timeout: Duration,
    /// The largest log entry made of many commands. A single larger command still gets an entry of
    /// its own. Default 1 MiB.
    pub entry_size_max: ByteSize,
    /// The largest append message, by payload. Default 1 MiB.
    pub message_size_max: ByteSize,
    /// Append messages under way to one follower. Default 256.
    pub messages_in_flight_max: usize,
    /// Commands of this member's callers that wait for their answer. Default 65,536.
    pub commands_pending_max: usize,
    /// Payload bytes of those commands. Default 64 MiB.
    pub commands_pending_size_max: ByteSize,
    /// Log entries kept in memory after they were applied, for followers a little behind. Default
    /// 32 MiB.
    pub log_cache_size: ByteSize,
    /// Applied entries kept in the log store for followers further behind. Default 10,000.
    pub log_keep_entries: u64,
    /// Log bytes after which the state is flushed, so that the log can be purged. Default 64 MiB.
    pub flush_after_size: ByteSize,
    /// Log entries after which the state is flushed. Default 100,000.
    pub flush_after_entries: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(100),
            election_timeout: Duration::from_secs(1),
            entry_size_max: ByteSize::mib(1),
            message_size_max: ByteSize::mib(1),
            messages_in_flight_max: 256,
            commands_pending_max: 65_536,
            commands_pending_size_max: ByteSize::mib(64),
            log_cache_size: ByteSize::mib(32),
            log_keep_entries: 10_000,
            flush_after_size: ByteSize::mib(64),
            flush_after_entries: 100_000,
        }
    }
}

impl Tuning {
    /// One step of Raft's logical clock.
    pub(super) fn tick(&self) -> Duration {
        self.heartbeat_interval / TICKS_PER_HEARTBEAT
    }

    /// The election timeout in ticks.
    pub(super) fn election_ticks(&self) -> usize {
        let ticks = self.election_timeout.as_nanos() / self.tick().as_nanos().max(1);
        usize::try_from(ticks).unwrap_or(usize::MAX).clamp(ELECTION_TICKS_MIN, ELECTION_TICKS_MAX)
    }
}

/// Finer than one tick a heartbeat, so that election timeouts of members differ more often.
pub(super) const TICKS_PER_HEARTBEAT: u32 = 5;

/// More than one heartbeat, or `raft` refuses the configuration.
const ELECTION_TICKS_MIN: usize = 2 * TICKS_PER_HEARTBEAT as usize;

/// Far below the bound under which `raft` would draw timeouts itself.
const ELECTION_TICKS_MAX: usize = 1 << 30;
