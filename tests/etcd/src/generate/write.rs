//! Puts and deletions.

use bytes::Bytes;
use quorate_kv_api::{DeleteRangeRequest, PutRequest};

use super::{Draw, Outlook};

pub(super) fn put(draw: &mut Draw, outlook: &Outlook) -> PutRequest {
    let ignore_value = draw.chance(8);
    let ignore_lease = draw.chance(8);
    let wrong = draw.chance(5);
    let lease_percent = if outlook.leases.is_empty() { 2 } else { 35 };
    let has_lease = draw.chance(lease_percent);
    PutRequest {
        key: draw.key(),
        value: if ignore_value && !wrong { Bytes::new() } else { draw.value() },
        lease: if has_lease && (!ignore_lease || wrong) { draw.lease(outlook) } else { 0 },
        prev_kv: draw.chance(30),
        ignore_value,
        ignore_lease,
    }
}

pub(super) fn delete_range(draw: &mut Draw) -> DeleteRangeRequest {
    let key = draw.key();
    // Mostly single keys, or nothing would live long.
    let range_end = if draw.chance(80) { Bytes::new() } else { draw.range_end(&key) };
    DeleteRangeRequest { key, range_end, prev_kv: draw.chance(40) }
}
