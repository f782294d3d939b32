//! Puts and deletions.

use bytes::Bytes;
use quorate_kv_api::{DeleteRangeRequest, Limits, PutRequest};

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

/// A put just below or above the largest size, and its deletion. Not closer: etcd counts a header
/// of its own, whose size differs from request to request.
pub(super) fn large(draw: &mut Draw) -> (PutRequest, DeleteRangeRequest) {
    let limit = i64::from(Limits::default().request_bytes_max);
    let side = if draw.chance(50) { -SIZE_MARGIN } else { SIZE_MARGIN };
    let size = usize::try_from(limit + side).expect("the margin is below the limit");
    let put = PutRequest::new(LARGE_KEY, vec![b'x'; size]);
    (put, DeleteRangeRequest::key(LARGE_KEY))
}

pub(super) fn delete_range(draw: &mut Draw) -> DeleteRangeRequest {
    let key = draw.key();
    // Mostly single keys, or nothing would live long.
    let range_end = if draw.chance(80) { Bytes::new() } else { draw.range_end(&key) };
    DeleteRangeRequest { key, range_end, prev_kv: draw.chance(40) }
}

const LARGE_KEY: &str = "large";
const SIZE_MARGIN: i64 = 200;
