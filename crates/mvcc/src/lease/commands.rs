//! Carrying out the commands about leases.

use quorate_kv_api::{
    KvError, LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest, LeaseGrantResponse,
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    ResponseHeader,
};
use quorate_types::{CommandId, LogIndex, mutant};

use crate::execute::Execution;
use crate::lease::record::{Lease, attached_key, attachments, user_key};
use crate::{LEASE_KEYS, RequestError, StoreError};

impl Execution<'_, '_> {
    pub(crate) fn lease_grant(
        &mut self,
        request: &LeaseGrantRequest,
        command: CommandId,
    ) -> Result<LeaseGrantResponse, KvError> {
        let renewed_at = self.index();
        let leases = &mut self.pending.leases;
        let id = match request.id {
            0 => leases.free_id(renewed_at, command.sequence),
            lease if leases.contains(lease) => return Err(KvError::LeaseExists { lease }),
            id => id,
        };
        let ttl = request.ttl;
        leases.set(id, Lease { granted_ttl: ttl, renewed_at, remaining_ttl: None });
        Ok(LeaseGrantResponse { header: self.header(), id, ttl, error: String::new() })
    }

    pub(crate) fn lease_revoke(
        &mut self,
        request: &LeaseRevokeRequest,
    ) -> Result<LeaseRevokeResponse, RequestError> {
        if !self.pending.leases.contains(request.id) {
            return Err(KvError::LeaseNotFound { lease: request.id }.into());
        }
        self.end_lease(request.id)?;
        Ok(LeaseRevokeResponse { header: self.header() })
    }

    /// Renews a lease. That there is none is no error, as in etcd.
    pub(crate) fn lease_keep_alive(
        &mut self,
        request: &LeaseKeepAliveRequest,
    ) -> LeaseKeepAliveResponse {
        let renewed_at = self.index();
        let id = request.id;
        let mut ttl = 0;
        if let Some(lease) = self.pending.leases.get(id) {
            ttl = lease.granted_ttl;
            self.pending.leases.set(id, Lease { renewed_at, remaining_ttl: None, ..lease });
        }
        LeaseKeepAliveResponse { header: self.header(), id, ttl }
    }

    /// Ends a lease, unless it was renewed since its time was found to be over.
    pub(crate) fn lease_expire(
        &mut self,
        request: &LeaseExpireRequest,
    ) -> Result<ResponseHeader, StoreError> {
        let found = self.pending.leases.get(request.id);
        let is_over = |lease: Lease| {
            mutant!(M84, lease.renewed_at == LogIndex::new(request.renewed_at), true)
        };
        if found.is_some_and(is_over) {
            self.end_lease(request.id)?;
        }
        Ok(ResponseHeader::at(self.revision()))
    }

    /// Notes remaining times, but not those of leases that were renewed since.
    pub(crate) fn lease_checkpoint(&mut self, request: &LeaseCheckpointRequest) -> ResponseHeader {
        for checkpoint in &request.checkpoints {
            let remaining_ttl = checkpoint.remaining_ttl;
            if let Some(lease) = self.pending.leases.get(checkpoint.id)
                && lease.renewed_at == LogIndex::new(checkpoint.renewed_at)
                && lease.can_remain(remaining_ttl)
            {
                let lease = Lease { remaining_ttl: Some(remaining_ttl), ..lease };
                self.pending.leases.set(checkpoint.id, lease);
            }
        }
        ResponseHeader::at(self.revision())
    }

    /// Removes a lease and deletes its keys, in their order.
    fn end_lease(&mut self, id: i64) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        for row in self.pending.lease_keys_scan(&attachments(id))? {
            keys.push(user_key(&row?.0));
        }
        mutant!(M85, { keys.truncate(keys.len().saturating_sub(1)) });
        for key in keys {
            let header = self.old(&key, false)?.0;
            match header {
                Some(header) if header.attributes.lease == id => self.delete(&key, &header),
                _ => {
                    let row = attached_key(id, &key);
                    return Err(StoreError::corrupt(LEASE_KEYS, &row, "its key is not attached"));
                }
            }
        }
        self.pending.leases.remove(id);
        Ok(())
    }

    /// Where the command stands in the log.
    fn index(&self) -> LogIndex {
        self.head.applied.index
    }
}
