//! What a member looks like.

use std::time::Duration;

use quorate_raft_node::core::{Counters, Probe, Role};
use quorate_raft_node::driver::StopCause;
use quorate_types::{ClusterId, LogIndex, LogPosition, MemberId, Term};

use crate::member::Member;

/// A member at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// The member's name.
    pub name: String,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its id.
    pub member_id: MemberId,
    /// The newest revision that it has applied; 0 once it is closed.
    pub revision: i64,
    /// Its part in consensus, or why it has none any more.
    pub consensus: Result<Consensus, StopCause>,
}

/// A member's part in consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consensus {
    /// The latest term it has seen.
    pub term: Term,
    /// What it does in that term.
    pub role: Role,
    /// Who leads, if it knows.
    pub leader: Option<MemberId>,
    /// The last log index known to be committed.
    pub commit: LogIndex,
    /// The last log entry applied.
    pub applied: LogPosition,
    /// The position before the first entry of its log.
    pub log_start: LogPosition,
    /// The last entry of its log, durable or not.
    pub log_last: LogIndex,
    /// All members of the cluster.
    pub members: Vec<MemberId>,
    /// Requests of this member's callers that have no answer yet.
    pub requests_pending: usize,
    /// What happened since it was opened.
    pub counters: Counters,
}

impl Member {
    pub(crate) fn status(&self) -> Status {
        let probe = match self.driver.stop_cause() {
            Some(cause) => Err(cause),
            None => match self.driver.probe().wait_timeout(PROBE_TIMEOUT) {
                Some(Ok(probe)) => Ok(probe),
                _ => Err(self.driver.stop_cause().unwrap_or(StopCause::Closed)),
            },
        };
        Status {
            name: self.name.clone(),
            cluster_id: self.cluster_id,
            member_id: self.member_id,
            revision: self.reader().map_or(0, |reader| reader.revision()),
            consensus: probe.map(Consensus::from),
        }
    }
}

impl Status {
    /// Whether the member leads.
    pub fn is_leader(&self) -> bool {
        self.consensus.as_ref().is_ok_and(|consensus| consensus.role == Role::Leader)
    }

    /// Who leads, if the member runs and knows.
    pub fn leader(&self) -> Option<MemberId> {
        self.consensus.as_ref().ok()?.leader
    }
}

impl From<Probe> for Consensus {
    fn from(probe: Probe) -> Self {
        Self {
            term: probe.term,
            role: probe.role,
            leader: probe.leader,
            commit: probe.commit,
            applied: probe.applied,
            log_start: probe.log_start,
            log_last: probe.log_last,
            members: probe.members,
            requests_pending: probe.commands_pending,
            counters: probe.counters,
        }
    }
}

/// The consensus thread answers within microseconds unless the machine is stuck.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
