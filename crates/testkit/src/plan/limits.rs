//! Limits and timing of all members, in a form of the test kit's own.

use std::time::Duration;

use quorate_raft_node::core::Tuning;
use quorate_types::ByteSize;
use serde::{Deserialize, Serialize};

use super::json;

/// Limits and timing of all members, as in [`Tuning`], and the memory for watches. Sizes are in
/// bytes.
///
/// A type of its own, so that the format of plans does not depend on that of a member's settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How often a leader tells its followers that it lives.
    #[serde(with = "json::span")]
    pub heartbeat_interval: Duration,
    /// How long a follower waits for its leader before it asks for votes.
    #[serde(with = "json::span")]
    pub election_timeout: Duration,
    /// The largest log entry made of many commands.
    pub entry_size_max: u64,
    /// The largest append message, by payload.
    pub message_size_max: u64,
    /// Append messages under way to one follower.
    pub messages_in_flight_max: usize,
    /// Commands of a member's callers that wait for their answer.
    pub commands_pending_max: usize,
    /// Payload bytes of those commands.
    pub commands_pending_size_max: u64,
    /// Log entries kept in memory after they were applied, by payload.
    pub log_cache_size: u64,
    /// Applied entries kept in the log.
    pub log_keep_entries: u64,
    /// Log bytes after which the state is flushed.
    pub flush_after_size: u64,
    /// Log entries after which the state is flushed.
    pub flush_after_entries: u64,
    /// How much memory the newest events for watches take; those before are read from the tables.
    #[serde(default = "recent_events_size")]
    pub recent_events_size: u64,
}

fn recent_events_size() -> u64 {
    RECENT_EVENTS_SIZE
}

impl Limits {
    /// What a member is told.
    pub fn tuning(&self) -> Tuning {
        Tuning {
            heartbeat_interval: self.heartbeat_interval,
            election_timeout: self.election_timeout,
            entry_size_max: ByteSize::new(self.entry_size_max),
            message_size_max: ByteSize::new(self.message_size_max),
            messages_in_flight_max: self.messages_in_flight_max,
            commands_pending_max: self.commands_pending_max,
            commands_pending_size_max: ByteSize::new(self.commands_pending_size_max),
            log_cache_size: ByteSize::new(self.log_cache_size),
            log_keep_entries: self.log_keep_entries,
            flush_after_size: ByteSize::new(self.flush_after_size),
            flush_after_entries: self.flush_after_entries,
        }
    }
}

impl From<Tuning> for Limits {
    fn from(tuning: Tuning) -> Self {
        Self {
            heartbeat_interval: tuning.heartbeat_interval,
            election_timeout: tuning.election_timeout,
            entry_size_max: tuning.entry_size_max.bytes(),
            message_size_max: tuning.message_size_max.bytes(),
            messages_in_flight_max: tuning.messages_in_flight_max,
            commands_pending_max: tuning.commands_pending_max,
            commands_pending_size_max: tuning.commands_pending_size_max.bytes(),
            log_cache_size: tuning.log_cache_size.bytes(),
            log_keep_entries: tuning.log_keep_entries,
            flush_after_size: tuning.flush_after_size.bytes(),
            flush_after_entries: tuning.flush_after_entries,
            recent_events_size: RECENT_EVENTS_SIZE,
        }
    }
}

impl Default for Limits {
    /// Those of a member that was told nothing.
    fn default() -> Self {
        Tuning::default().into()
    }
}

/// What a store takes that was told nothing.
const RECENT_EVENTS_SIZE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_say_the_same_as_the_settings_of_a_member() {
        assert_eq!(Limits::default().tuning(), Tuning::default());
    }
}
