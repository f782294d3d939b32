//! When a leader compacts on its own.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_types::Instant;

/// Whether the cluster forgets old revisions on its own. The leader decides; settings should be
/// equal on all members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AutoCompaction {
    /// Only when somebody asks for it.
    #[default]
    Off,
    /// Keeps what happened in the last so much time, 1 s to 10 years; etcd's mode `periodic`. A
    /// tenth of that time, at most an hour, lies between two compactions.
    Periodic(Duration),
    /// Keeps this many revisions, at least 1; etcd's mode `revision`. Looks every five minutes.
    Revisions(i64),
}

/// Decides about compactions while a member leads.
#[derive(Debug)]
pub(crate) struct AutoCompactor {
    mode: AutoCompaction,
    /// When to look next.
    next: Instant,
    /// Revisions seen, oldest first; only in periodic mode.
    samples: VecDeque<(Instant, i64)>,
}

impl AutoCompactor {
    pub(crate) fn new(mode: AutoCompaction) -> Self {
        Self { mode, next: Instant::ZERO, samples: VecDeque::new() }
    }

    /// Looks at the store's revision, leading or not, so that a new leader knows the past. Returns
    /// the revision to compact to, if it is time and there is something to forget.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        revision: i64,
        compact_revision: i64,
    ) -> Option<i64> {
        if now < self.next {
            return None;
        }
        let target = match self.mode {
            AutoCompaction::Off => {
                self.next = Instant::MAX;
                return None;
            }
            AutoCompaction::Revisions(keep) => {
                self.next = now + REVISIONS_INTERVAL;
                revision - keep
            }
            AutoCompaction::Periodic(retention) => {
                self.next = now + (retention / 10).min(SAMPLE_INTERVAL_MAX);
                self.samples.push_back((now, revision));
                self.sample_before(now, retention)?
            }
        };
        (target > compact_revision.max(1)).then_some(target)
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// The newest revision known to be at least `retention` old; older samples are forgotten.
    fn sample_before(&mut self, now: Instant, retention: Duration) -> Option<i64> {
        let mut found = None;
        while let Some((at, revision)) = self.samples.front()
            && now.saturating_since(*at) >= retention
        {
            found = Some(*revision);
            self.samples.pop_front();
        }
        found
    }
}

/// As in etcd.
const REVISIONS_INTERVAL: Duration = Duration::from_secs(300);

/// As in etcd.
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn off_never_compacts() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Off);
        assert_eq!(compactor.look(seconds(1), 1_000, -1), None);
        assert_eq!(compactor.next(), Instant::MAX);
    }

    #[test]
    fn so_many_revisions_are_kept() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Revisions(100));
        assert_eq!(compactor.look(seconds(0), 50, -1), None);
        assert_eq!(compactor.look(seconds(299), 500, -1), None, "too early");
        assert_eq!(compactor.look(seconds(300), 500, -1), Some(400));
        assert_eq!(compactor.look(seconds(600), 500, 400), None, "nothing new");
        assert_eq!(compactor.look(seconds(900), 501, 400), Some(401));
    }

    #[test]
    fn so_much_time_is_kept() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Periodic(Duration::from_secs(100)));
        let mut compacted = Vec::new();
        let mut now = 0;
        while now <= 150 {
            // One revision a second.
            let revision = 1 + now as i64;
            if let Some(target) = compactor.look(seconds(now), revision, -1) {
                compacted.push((now, target));
            }
            now += 10;
        }
        let expected: Vec<(u64, i64)> =
            (11..=15).map(|i| (i * 10, (i as i64 - 10) * 10 + 1)).collect();
        assert_eq!(compacted, expected);
    }

    #[test]
    fn a_restart_waits_for_a_whole_retention() {
        let mut compactor = AutoCompactor::new(AutoCompaction::Periodic(Duration::from_secs(100)));
        assert_eq!(compactor.look(seconds(1_000), 7_000, -1), None);
        assert_eq!(compactor.look(seconds(1_099), 8_000, -1), None);
        assert_eq!(compactor.look(seconds(1_109), 8_000, -1), Some(7_000));
    }
}
