//! What happened on an in-process network.

use crate::counter::Counter;

/// Counts of one [`Hub`](super::Hub) since it was made, in messages, over all its members.
///
/// Once nothing is on its way any more,
/// `sent + duplicated = delivered + dropped_* + refused_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HubStats {
    /// Calls of `send`.
    pub sent: u64,
    /// Handed to an inbox.
    pub delivered: u64,
    /// Dropped as the oldest of a full queue.
    pub dropped_queue_full: u64,
    /// Lost by a [`LinkRules`](super::LinkRules), a cut or an isolation.
    pub dropped_by_rule: u64,
    /// Dropped because the sender or the receiver was unknown, not started yet, or stopped.
    pub dropped_away: u64,
    /// Second copies made by a rule.
    pub duplicated: u64,
    /// Refused because the receiver belongs to another cluster.
    pub refused_foreign: u64,
    /// Refused because the message is longer than allowed.
    pub refused_too_large: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: Counter,
    pub(super) delivered: Counter,
    pub(super) dropped_queue_full: Counter,
    pub(super) dropped_by_rule: Counter,
    pub(super) dropped_away: Counter,
    pub(super) duplicated: Counter,
    pub(super) refused_foreign: Counter,
    pub(super) refused_too_large: Counter,
}

impl Counters {
    pub(super) fn read(&self) -> HubStats {
        HubStats {
            sent: self.sent.read(),
            delivered: self.delivered.read(),
            dropped_queue_full: self.dropped_queue_full.read(),
            dropped_by_rule: self.dropped_by_rule.read(),
            dropped_away: self.dropped_away.read(),
            duplicated: self.duplicated.read(),
            refused_foreign: self.refused_foreign.read(),
            refused_too_large: self.refused_too_large.read(),
        }
    }
}
