//! Asking about leases.

use bytes::Bytes;
use quorate_kv_api::{
    LeaseLeasesResponse, LeaseStatus, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    ResponseHeader,
};
use quorate_storage::{Direction, KeyRange, View};
use quorate_types::Instant;

use crate::lease::record::{attachments, decode_lease, lease_key, user_key};
use crate::{LEASE_KEYS, LEASES, Reader, StoreError};

impl Reader {
    /// Tells how long a lease still lives by this member's clock, which shows `now`, and its keys
    /// if they are asked for. The time is cut to whole seconds; it is the leader's that counts. For
    /// a lease that does not exist it is -1, the time granted 0, and there are no keys.
    ///
    /// Which keys are attached is read from the engine, so it costs as much as there are keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`], [`StoreError::Corrupt`].
    pub fn time_to_live(
        &self,
        request: &LeaseTimeToLiveRequest,
        now: Instant,
    ) -> Result<LeaseTimeToLiveResponse, StoreError> {
        let id = request.id;
        let (source, head) = self.picture()?;
        let view = &*source.0;
        let header = Some(ResponseHeader::at(head.revision));
        let key = lease_key(id);
        let Some(record) = view.get(LEASES, &key)? else {
            return Ok(LeaseTimeToLiveResponse { header, id, ttl: -1, ..Default::default() });
        };
        let (_, lease) = decode_lease(&key, &record)?;
        let remaining = self.shared.lessor().remaining(id, &lease, now);
        let ttl = i64::try_from(remaining.as_secs()).unwrap_or(i64::MAX);
        let keys = if request.keys { attached_keys(view, &attachments(id))? } else { Vec::new() };
        Ok(LeaseTimeToLiveResponse { header, id, ttl, granted_ttl: lease.granted_ttl, keys })
    }

    /// All leases, the one that ends first by this member's clock in front; `now` is what it shows.
    pub fn leases(&self, now: Instant) -> LeaseLeasesResponse {
        let header = Some(ResponseHeader::at(self.revision()));
        let ids = self.shared.lessor().by_expiry(now);
        let leases = ids.into_iter().map(|id| LeaseStatus { id }).collect();
        LeaseLeasesResponse { header, leases }
    }
}

/// The user keys in rows of `lease_keys`.
fn attached_keys(view: &dyn View, rows: &KeyRange) -> Result<Vec<Bytes>, StoreError> {
    let mut keys = Vec::new();
    for row in view.scan(LEASE_KEYS, rows, Direction::Forward) {
        keys.push(user_key(&row?.0));
    }
    Ok(keys)
}
