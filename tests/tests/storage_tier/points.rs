//! Named moments in the life of a child at which it is killed.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_storage::raft_engine_log::{DiskHook, DiskOperation};

use super::process::{say, wait_for_the_end};

/// Where a child is to be killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Point {
    /// After some number of calls, at any moment.
    Random,
    /// While the stores are opened.
    Opening,
    /// The log is open, the engine is not.
    LogOpened,
    /// Both are open, nothing was called.
    Opened,
    /// Before the log creates a file, or opens one to use it again.
    LogCreate,
    /// Before the log writes to a file of appends.
    LogWrite,
    /// The log wrote and is about to sync.
    LogSync,
    /// A call of the log returned, the parent does not know.
    LogReturned,
    /// Before the log copies what keeps an old file alive.
    LogCopy,
    /// Before the log removes a file, or renames it to use it again.
    LogRemove,
    /// Batches were written and are about to be flushed.
    BeforeFlush,
    /// During a flush.
    Flush,
    /// A flush returned, the parent does not know.
    Flushed,
    /// Half of a restore is collected.
    RestoreHalf,
    /// During a restore's commit.
    RestoreCommit,
    /// The new content is whole but does not count yet.
    RestoreSwitch,
    /// The restore returned; the log knows nothing of it.
    Restored,
}

impl Point {
    /// All but `Random`.
    pub(crate) const NAMED: [Self; 16] = [
        Self::Opening,
        Self::LogOpened,
        Self::Opened,
        Self::LogCreate,
        Self::LogWrite,
        Self::LogSync,
        Self::LogReturned,
        Self::LogCopy,
        Self::LogRemove,
        Self::BeforeFlush,
        Self::Flush,
        Self::Flushed,
        Self::RestoreHalf,
        Self::RestoreCommit,
        Self::RestoreSwitch,
        Self::Restored,
    ];

    /// The point with this name, which `{:?}` gives.
    pub(crate) fn named(name: &str) -> Self {
        let found = Self::NAMED.into_iter().find(|point| format!("{point:?}") == name);
        found.unwrap_or(Self::Random)
    }

    /// Within how many microseconds after the child told that it is at the point it should be
    /// killed; 0 if it waits there.
    pub(crate) fn duration_us(self) -> u64 {
        match self {
            Self::Opening => 30_000,
            Self::Flush => 8_000,
            Self::RestoreCommit => 60_000,
            _ => 0,
        }
    }

    /// The n-th time that a child comes by here counts, n up to this.
    pub(crate) fn times_max(self) -> u64 {
        match self {
            Self::LogWrite | Self::LogSync | Self::LogReturned => 60,
            Self::LogCreate | Self::LogRemove | Self::LogCopy => 3,
            Self::BeforeFlush | Self::Flush | Self::Flushed => 4,
            _ => 1,
        }
    }
}

/// Counts how often the child comes by its point, and stops it there.
pub(crate) struct Watch {
    point: Point,
    /// How often it must still come by.
    left: AtomicU64,
}

impl Watch {
    pub(crate) fn new(point: Point, times: u64) -> Self {
        Self { point, left: AtomicU64::new(times) }
    }

    pub(crate) fn point(&self) -> Point {
        self.point
    }

    /// Called wherever a point is; tells the parent if it is the one, and then waits there to be
    /// killed, or goes on if the point lasts for some time.
    pub(crate) fn at(&self, point: Point) {
        if point != self.point || self.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        say("at");
        if point.duration_us() == 0 {
            wait_for_the_end();
        }
    }
}

impl DiskHook for Watch {
    fn before(&self, path: &Path, operation: DiskOperation) -> io::Result<()> {
        let ends_in = |ending: &str| path.extension().is_some_and(|found| found == ending);
        match operation {
            DiskOperation::Create => self.at(Point::LogCreate),
            DiskOperation::Write { .. } if ends_in("rewrite") => self.at(Point::LogCopy),
            DiskOperation::Write { .. } => self.at(Point::LogWrite),
            DiskOperation::Sync if ends_in("raftlog") => self.at(Point::LogSync),
            DiskOperation::Rename | DiskOperation::Remove => self.at(Point::LogRemove),
            _ => {}
        }
        Ok(())
    }
}
