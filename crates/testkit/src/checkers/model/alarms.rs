//! Alarms in the model, and what they refuse.

use std::collections::BTreeSet;

use quorate_kv_api::{
    AlarmMember, AlarmRequest, AlarmResponse, CommandKind, KvError, OpRequest, TxnRequest,
};

use super::{Model, header};

// etcd's numbers.
const GET: i32 = 0;
const ACTIVATE: i32 = 1;
const NO_SPACE: i32 = 1;
const CORRUPT: i32 = 2;

impl Model {
    pub(super) fn alarm(&mut self, request: &AlarmRequest) -> Result<AlarmResponse, KvError> {
        let AlarmRequest { action, member_id, alarm } = *request;
        if !(0..=2).contains(&action) || !(0..=2).contains(&alarm) {
            return Err(KvError::InvalidAlarm);
        }
        let mut raised: BTreeSet<AlarmMember> = self.alarms.last().iter().copied().collect();
        let one = AlarmMember { member_id, alarm };
        let alarms: Vec<AlarmMember> = match (action, alarm) {
            (GET, 0) => raised.iter().copied().collect(),
            (GET, _) => raised.iter().copied().filter(|raised| raised.alarm == alarm).collect(),
            (ACTIVATE, 0) => Vec::new(),
            (ACTIVATE, _) => {
                raised.insert(one);
                vec![one]
            }
            _ if raised.remove(&one) => vec![one],
            _ => Vec::new(),
        };
        self.alarms.set(self.revision, false, raised.into_iter().collect());
        Ok(AlarmResponse { header: header(self.revision), alarms })
    }

    /// Refuses what an alarm forbids: everything that changes content while members may differ,
    /// everything that takes space while there is none.
    pub(super) fn check_alarms(&self, command: &CommandKind) -> Result<(), KvError> {
        let is_raised = |kind| self.alarms.last().iter().any(|alarm| alarm.alarm == kind);
        let (changes, takes_space) = match command {
            CommandKind::Txn(txn) => (
                txn.success.iter().chain(&txn.failure).any(|op| !is_range(op.request.as_ref())),
                puts(txn),
            ),
            CommandKind::Put(_) | CommandKind::LeaseGrant(_) => (true, true),
            CommandKind::Alarm(_)
            | CommandKind::LeaseKeepAlive(_)
            | CommandKind::LeaseCheckpoint(_) => (false, false),
            _ => (true, false),
        };
        if changes && is_raised(CORRUPT) {
            return Err(KvError::Corrupt);
        }
        if takes_space && is_raised(NO_SPACE) {
            return Err(KvError::NoSpace);
        }
        Ok(())
    }

    /// The alarms that may have been raised while the store stood at `head`.
    pub(crate) fn alarms_at(&self, head: i64) -> impl Iterator<Item = &Vec<AlarmMember>> {
        self.alarms.at(head)
    }

    /// The alarms that are raised, by member and kind.
    pub(crate) fn alarms(&self) -> &[AlarmMember] {
        self.alarms.last()
    }
}

fn is_range(op: Option<&OpRequest>) -> bool {
    matches!(op, Some(OpRequest::Range(_)))
}

/// Whether a transaction holds a put in whatever branch, however deep.
fn puts(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(OpRequest::Put(_)) => true,
        Some(OpRequest::Txn(nested)) => puts(nested),
        Some(OpRequest::Range(_) | OpRequest::DeleteRange(_)) | None => false,
    })
}
