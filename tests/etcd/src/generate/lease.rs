//! Requests about leases. None that others refer to ends by itself within a run: when exactly is a
//! matter of time.

use quorate_kv_api::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, Limits,
};

use super::{Draw, Outlook};

/// Ids are given: the ones that a store draws differ.
pub(super) fn grant(draw: &mut Draw, outlook: &Outlook) -> LeaseGrantRequest {
    if draw.chance(10) {
        // Raised to the least that is allowed, which is over soon: nothing else names this lease.
        let id = draw.between(SHORT_LIVED_FIRST, i64::MAX / 2);
        return LeaseGrantRequest { ttl: draw.between(-2, 3), id };
    }
    let ttl = match draw.below(20) {
        0 => Limits::LEASE_TTL_MAX + 1,
        1 => Limits::LEASE_TTL_MAX,
        _ => draw.between(TTL_FIRST, TTL_LAST),
    };
    let taken = draw.chance(10);
    let id = if taken { draw.lease(outlook) } else { draw.between(-3, 40) };
    LeaseGrantRequest { ttl, id: if id == 0 { 1 } else { id } }
}

pub(super) fn revoke(draw: &mut Draw, outlook: &Outlook) -> LeaseRevokeRequest {
    LeaseRevokeRequest { id: draw.lease(outlook) }
}

pub(super) fn keep_alive(draw: &mut Draw, outlook: &Outlook) -> LeaseKeepAliveRequest {
    LeaseKeepAliveRequest { id: draw.lease(outlook) }
}

pub(super) fn ttl(draw: &mut Draw, outlook: &Outlook) -> LeaseTimeToLiveRequest {
    LeaseTimeToLiveRequest { id: draw.lease(outlook), keys: draw.chance(70) }
}

/// Whether a lease may end at any moment.
pub(crate) fn is_short_lived(id: i64) -> bool {
    id >= SHORT_LIVED_FIRST
}

const SHORT_LIVED_FIRST: i64 = 1_000_000;
/// Longer than a run of one pair of stores takes.
const TTL_FIRST: i64 = 3_600;
const TTL_LAST: i64 = 7_200;
