//! Leases in the model: which there are, since which log entry, and what ends with them.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_kv_api::{
    KeyValue, KvError, LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseRevokeResponse, PutRequest, ResponseHeader,
};
use quorate_types::CommandId;

use super::standing::Standing;
use super::{Model, header};
use crate::rng::split_mix;

/// All leases, now and before.
#[derive(Debug)]
pub(super) struct Leases {
    /// By id: the granted time to live, and the log entry that granted or renewed it last.
    now: BTreeMap<i64, (i64, u64)>,
    /// The ids with their granted times.
    standing: Standing<Vec<(i64, i64)>>,
    renewals: BTreeMap<(i64, u64), Renewal>,
}

/// What a lease got when it was granted or renewed. Times are in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Renewal {
    /// The time to live.
    pub(crate) granted: i64,
    /// The least that a checkpoint left it since.
    pub(crate) left: i64,
}

impl Leases {
    pub(super) fn new() -> Self {
        let standing = Standing::new(Vec::new());
        Self { now: BTreeMap::new(), standing, renewals: BTreeMap::new() }
    }

    fn set(&mut self, id: i64, granted: i64, index: u64) {
        self.now.insert(id, (granted, index));
        self.renewals.insert((id, index), Renewal { granted, left: granted });
    }

    /// Remembers what leases there are after a command.
    pub(super) fn note(&mut self, head: i64, moved: bool) {
        let last = self.standing.last();
        let present = || self.now.iter().map(|(id, (granted, _))| (*id, *granted));
        if !present().eq(last.iter().copied()) {
            let present = present().collect();
            self.standing.set(head, moved, present);
        }
    }

    /// The id that a request gets that names none. All versions must choose alike: a mix of where
    /// the request stands in the log and of its command's number, or the next one that is free.
    fn free_id(&self, command: CommandId, index: u64) -> i64 {
        let mixed = split_mix(split_mix(index) ^ command.sequence) >> 1;
        let mut id = mixed as i64;
        while id == 0 || self.now.contains_key(&id) {
            id = if id == i64::MAX { 1 } else { id + 1 };
        }
        id
    }
}

impl Model {
    pub(super) fn lease_grant(
        &mut self,
        request: &LeaseGrantRequest,
        command: CommandId,
    ) -> Result<LeaseGrantResponse, KvError> {
        let id = match request.id {
            0 => self.leases.free_id(command, self.index),
            lease if self.leases.now.contains_key(&lease) => {
                return Err(KvError::LeaseExists { lease });
            }
            id => id,
        };
        self.leases.set(id, request.ttl, self.index);
        let header = header(self.revision);
        Ok(LeaseGrantResponse { header, id, ttl: request.ttl, error: String::new() })
    }

    pub(super) fn lease_revoke(&mut self, lease: i64) -> Result<LeaseRevokeResponse, KvError> {
        if !self.leases.now.contains_key(&lease) {
            return Err(KvError::LeaseNotFound { lease });
        }
        self.end_lease(lease);
        Ok(LeaseRevokeResponse { header: header(self.present()) })
    }

    pub(super) fn lease_keep_alive(&mut self, id: i64) -> LeaseKeepAliveResponse {
        let granted = self.leases.now.get(&id).map(|(granted, _)| *granted);
        if let Some(granted) = granted {
            self.leases.set(id, granted, self.index);
        }
        LeaseKeepAliveResponse { header: header(self.revision), id, ttl: granted.unwrap_or(0) }
    }

    /// Ends a lease, but not if it was renewed since.
    pub(super) fn lease_expire(&mut self, request: &LeaseExpireRequest) -> ResponseHeader {
        let renewed_at = self.leases.now.get(&request.id).map(|(_, renewed_at)| *renewed_at);
        if renewed_at == Some(request.renewed_at) {
            self.end_lease(request.id);
        }
        ResponseHeader::at(self.present())
    }

    pub(super) fn lease_checkpoint(&mut self, request: &LeaseCheckpointRequest) -> ResponseHeader {
        for checkpoint in &request.checkpoints {
            let (id, renewed_at) = (checkpoint.id, checkpoint.renewed_at);
            let is_present =
                self.leases.now.get(&id).is_some_and(|(_, present)| *present == renewed_at);
            if let Some(renewal) = self.leases.renewals.get_mut(&(id, renewed_at))
                && is_present
                && (1..=renewal.granted).contains(&checkpoint.remaining_ttl)
            {
                renewal.left = renewal.left.min(checkpoint.remaining_ttl);
            }
        }
        ResponseHeader::at(self.revision)
    }

    /// A lease ends with all its keys, at one revision.
    fn end_lease(&mut self, id: i64) {
        self.leases.now.remove(&id);
        for key in self.attached(id, self.revision) {
            self.record(&key, None);
        }
    }

    /// Refuses a put with a lease that there is not.
    pub(super) fn check_lease(&self, put: &PutRequest) -> Result<(), KvError> {
        match put.lease {
            0 => Ok(()),
            lease if self.leases.now.contains_key(&lease) => Ok(()),
            lease => Err(KvError::LeaseNotFound { lease }),
        }
    }

    // For those who look.

    /// The keys of a lease while the store stood at `head`.
    pub(crate) fn attached(&self, lease: i64, head: i64) -> Vec<Bytes> {
        let all = self.versions.all(head).filter(|kv: &&KeyValue| kv.lease == lease);
        all.map(|kv| kv.key.clone()).collect()
    }

    /// All leases, with their granted times, that there may have been at `head`.
    pub(crate) fn leases_at(&self, head: i64) -> impl Iterator<Item = &Vec<(i64, i64)>> {
        self.leases.standing.at(head)
    }

    /// The granted times of the present leases.
    pub(crate) fn lease_times(&self) -> impl Iterator<Item = i64> {
        self.leases.now.values().map(|(granted, _)| *granted)
    }

    /// What a lease got by a log entry.
    pub(crate) fn renewal(&self, lease: i64, index: u64) -> Option<Renewal> {
        self.leases.renewals.get(&(lease, index)).copied()
    }
}
