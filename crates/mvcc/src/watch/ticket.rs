//! The right to be woken.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::watch::WatchPosition;
use crate::watch::hub::{Hub, Waiting};
use crate::watch::waiters::{ASLEEP, Woken};

/// Stands for something that waits. Dropping it ends the waiting; a call that was already on its
/// way may still come.
pub struct Ticket {
    hub: Arc<Hub>,
    waiting: Waiting,
    from: WatchPosition,
    woken: Woken,
}

impl Ticket {
    pub(crate) fn new(hub: Arc<Hub>, waiting: Waiting, from: WatchPosition, woken: Woken) -> Self {
        Self { hub, waiting, from, woken }
    }

    /// Where the watch stands: all before this was told or is not wanted. While it waits this moves
    /// on with the store, so that a compaction does not harm it; from the moment on in which it is
    /// woken it stays. To be asked for next.
    ///
    /// That of a [`Milestone`](crate::Milestone) is what comes after the store's revision.
    pub fn position(&self) -> WatchPosition {
        let position = |revision: i64| {
            let same = revision == self.from.revision;
            if same { self.from } else { WatchPosition::at(revision) }
        };
        self.hub.with_revision(|revision| match self.woken.load(Ordering::Relaxed) {
            ASLEEP => position(self.from.revision.max(revision + 1)),
            woken => position(woken),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.hub.withdraw(&self.waiting);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
