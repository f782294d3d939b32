//! Limits how often an inbox hears that messages to a peer are being lost.

use std::collections::BTreeMap;
use std::time::Instant;

use parking_lot::Mutex;
use quorate_types::MemberId;

use crate::UNREACHABLE_INTERVAL;

/// When each peer was last told of.
#[derive(Default)]
pub(crate) struct NoticeLimit {
    told: Mutex<BTreeMap<MemberId, Instant>>,
}

impl NoticeLimit {
    /// Whether the loss of a message to `peer` should be told now. Notes it as told.
    pub(crate) fn admits(&self, peer: MemberId, now: Instant) -> bool {
        let mut told = self.told.lock();
        let recent = told.get(&peer).is_some_and(|last| now - *last < UNREACHABLE_INTERVAL);
        if !recent {
            told.insert(peer, now);
        }
        !recent
    }

    /// Forgets `peer`, so that this map does not grow with every member that ever was.
    pub(crate) fn forget(&self, peer: MemberId) {
        self.told.lock().remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_each_peer_once_in_an_interval() {
        let (limit, now) = (NoticeLimit::default(), Instant::now());
        let (a, b) = (MemberId::new(1), MemberId::new(2));
        assert!(limit.admits(a, now) && limit.admits(b, now));
        assert!(!limit.admits(a, now + UNREACHABLE_INTERVAL / 2));
        assert!(limit.admits(a, now + UNREACHABLE_INTERVAL));
        limit.forget(b);
        assert!(limit.admits(b, now));
    }
}
