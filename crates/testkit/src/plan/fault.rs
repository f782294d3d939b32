//! The faults that a plan can order.

use std::time::Duration;

use quorate_types::Instant;
use serde::{Deserialize, Serialize};

use super::json;

/// A fault and when it begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedFault {
    /// When.
    #[serde(with = "json::moment")]
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

/// Who is hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// The member at this place.
    Member(usize),
    /// Whoever leads then; nobody if nobody does.
    Leader,
}

/// What becomes of messages on a link that is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CutMode {
    /// They are lost.
    Drop,
    /// They wait until the cut is over.
    Hold,
    /// They wait until the cut is over and then leave in another order, as over new connections.
    Shuffle,
}

/// Something that goes wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A member loses its power: unsynced bytes may be lost.
    Crash {
        /// Who.
        target: Target,
        /// How long it stays down.
        #[serde(with = "json::span")]
        down: Duration,
    },
    /// A member loses its power at a certain step, as soon as it comes to it.
    CrashAt {
        /// Who.
        target: Target,
        /// Where.
        step: Step,
        /// How long it stays down.
        #[serde(with = "json::span")]
        down: Duration,
    },
    /// All members lose their power.
    CrashAll {
        /// How long they stay down, one for each.
        #[serde(with = "json::spans")]
        down: Vec<Duration>,
    },
    /// A member loses its power again and again, each time soon after it was opened.
    CrashLoop {
        /// Who.
        target: Target,
        /// How long it runs before each crash; the first comes at once.
        #[serde(with = "json::spans")]
        up: Vec<Duration>,
        /// How long it stays down each time.
        #[serde(with = "json::span")]
        down: Duration,
    },
    /// A member is closed in an orderly way and opened again: its writes are finished and flushed,
    /// its callers get no answer.
    Reopen {
        /// Who.
        target: Target,
        /// How long it stays closed.
        #[serde(with = "json::span")]
        down: Duration,
    },
    /// A member stops and goes on later, as by SIGSTOP.
    Pause {
        /// Who.
        target: Target,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// Whether its clock stands still meanwhile, as that of a machine put to sleep may.
        #[serde(default)]
        frozen: bool,
    },
    /// One direction of a link carries nothing.
    Cut {
        /// The sender cut off.
        from: usize,
        /// The receiver cut off.
        to: usize,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// A member is cut off from all others.
    Isolate {
        /// Who.
        target: Target,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// Members are split into two groups.
    Split {
        /// One group, as a set of bits by place.
        group: u64,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// Each member reaches two neighbours only.
    Ring {
        /// The members around the ring: each place once.
        order: Vec<usize>,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// Members are split into two groups, and one member reaches both.
    Bridge {
        /// Who reaches both.
        middle: usize,
        /// One group, as a set of bits by place.
        group: u64,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// The leader reaches one follower only; the followers reach each other.
    OneFollower {
        /// The follower; nothing happens if it leads itself.
        follower: usize,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// Links are cut one by one, and mended one by one in another order.
    Swizzle {
        /// The links, each as sender and receiver, in the order of their cuts.
        cuts: Vec<(usize, usize)>,
        /// Places in `cuts` in the order in which they are mended: each once.
        mends: Vec<usize>,
        /// The time from each step to the next.
        #[serde(with = "json::span")]
        gap: Duration,
        /// What becomes of messages.
        mode: CutMode,
    },
    /// Whatever is sent to a member reaches it late.
    SlowReceiver {
        /// Who.
        target: Target,
        /// How much later.
        #[serde(with = "json::span")]
        delay: Duration,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
    },
    /// The network delivers to a member once more what others sent to it lately, in order.
    Replay {
        /// Who.
        target: Target,
        /// How far back.
        #[serde(with = "json::span")]
        within: Duration,
    },
    /// An operation of a member's disk fails; the member must stop itself. What it wrote and did
    /// not sync may be there afterwards or not.
    DiskFailure {
        /// Who.
        target: Target,
        /// Which operation.
        operation: DiskOperation,
        /// How long the member stays down after it stopped.
        #[serde(with = "json::span")]
        down: Duration,
    },
    /// A member's disk finishes nothing for a time.
    Stall {
        /// Who.
        target: Target,
        /// For how long.
        #[serde(with = "json::span")]
        lasting: Duration,
    },
    /// A member's threads take longer.
    Slow {
        /// Who.
        target: Target,
        /// How many times longer.
        factor: u32,
        /// For how long.
        #[serde(with = "json::span")]
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Messages were sent, nothing was handed to the threads.
    Sent,
    /// A write of several to the log was made, and the next was not.
    LogWriting,
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
    /// A part of a snapshot was received.
    Staging,
    /// A snapshot was collected.
    Staged,
    /// A snapshot is to be installed.
    Installing,
    /// A snapshot was installed and the log is still the old one.
    Installed,
    /// The member was just opened again.
    Opened,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Sent,
        Self::LogWriting,
        Self::LogWritten,
        Self::LogSynced,
        Self::Applied,
        Self::Flushed,
        Self::Purged,
        Self::Staging,
        Self::Staged,
        Self::Installing,
        Self::Installed,
        Self::Opened,
    ];
}

/// Operations of a disk that can be told to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DiskOperation {
    /// A write to the log finds no space.
    LogWrite,
    /// A sync of the log fails.
    LogSync,
    /// A read of log entries fails.
    LogRead,
    /// A read of log entries finds damaged bytes.
    LogDamage,
    /// A write to the state finds no space.
    StateWrite,
    /// A flush of the state fails.
    StateFlush,
    /// A read of the state finds damaged bytes.
    StateDamage,
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

/// Links that a fault cuts all at once.
pub(crate) struct CutLinks {
    /// Each as sender and receiver.
    pub(crate) links: Vec<(usize, usize)>,
    pub(crate) lasting: Duration,
    pub(crate) mode: CutMode,
}

impl Fault {
    /// The links that this fault cuts, given who leads; nothing if it cuts none.
    pub(crate) fn cut_links(&self, leader: Option<usize>, members: usize) -> Option<CutLinks> {
        let (lasting, mode) = match self {
            Self::Cut { lasting, mode, .. }
            | Self::Isolate { lasting, mode, .. }
            | Self::Split { lasting, mode, .. }
            | Self::Ring { lasting, mode, .. }
            | Self::Bridge { lasting, mode, .. }
            | Self::OneFollower { lasting, mode, .. } => (*lasting, *mode),
            _ => return None,
        };
        let pairs = (0..members * members).map(|pair| (pair / members, pair % members));
        let links: Vec<_> =
            pairs.filter(|(from, to)| from != to && self.parts(leader, *from, *to)).collect();
        (!links.is_empty()).then_some(CutLinks { links, lasting, mode })
    }

    /// Whether this fault cuts the link from `a` to `b`.
    fn parts(&self, leader: Option<usize>, a: usize, b: usize) -> bool {
        let bit = |group: u64, place: usize| group >> place & 1;
        match self {
            Self::Cut { from, to, .. } => (a, b) == (*from, *to),
            Self::Isolate { target, .. } => {
                target.place(leader).is_some_and(|alone| (alone == a) != (alone == b))
            }
            Self::Split { group, .. } => bit(*group, a) != bit(*group, b),
            Self::Ring { order, .. } => !neighbours(order, a, b),
            Self::Bridge { middle, group, .. } => {
                a != *middle && b != *middle && bit(*group, a) != bit(*group, b)
            }
            Self::OneFollower { follower, .. } => leader.is_some_and(|leader| {
                let far = |place: usize| place != leader && place != *follower;
                leader != *follower && ((a == leader && far(b)) || (b == leader && far(a)))
            }),
            _ => false,
        }
    }
}

/// Whether two members stand side by side in a ring.
fn neighbours(order: &[usize], a: usize, b: usize) -> bool {
    let place = |member: usize| order.iter().position(|place| *place == member);
    let (Some(a), Some(b)) = (place(a), place(b)) else { return false };
    (a + 1) % order.len() == b || (b + 1) % order.len() == a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stand_side_by_side_and_around_the_end() {
        let order = [3, 1, 0, 2];
        for (a, b) in [(3, 1), (1, 0), (0, 2), (2, 3)] {
            assert!(neighbours(&order, a, b) && neighbours(&order, b, a));
        }
        assert!(!neighbours(&order, 3, 0) && !neighbours(&order, 1, 2));
    }
}
