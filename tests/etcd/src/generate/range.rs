//! Reads.

use quorate_kv_api::{RangeRequest, SortOrder, SortTarget};

use super::{Draw, Outlook};

/// Any range.
pub(super) fn range(draw: &mut Draw, outlook: &Outlook) -> RangeRequest {
    let unknown_order = draw.chance(1);
    let range = range_with_known_order(draw, outlook);
    if unknown_order { RangeRequest { sort_order: UNKNOWN_ORDER, ..range } } else { range }
}

/// A range that says how to sort in numbers that every version knows.
pub(super) fn range_with_known_order(draw: &mut Draw, outlook: &Outlook) -> RangeRequest {
    let key = draw.key();
    let range_end = if draw.chance(15) { "\0".into() } else { draw.range_end(&key) };
    let mut range = RangeRequest {
        key,
        range_end,
        limit: if draw.chance(40) { draw.between(-1, 13) } else { 0 },
        revision: draw.revision(outlook),
        serializable: draw.chance(30),
        keys_only: draw.chance(15),
        count_only: draw.chance(8),
        min_mod_revision: draw.revision_bound(outlook),
        max_mod_revision: draw.revision_bound(outlook),
        min_create_revision: draw.revision_bound(outlook),
        max_create_revision: draw.revision_bound(outlook),
        ..RangeRequest::default()
    };
    if draw.chance(60) {
        range.set_sort_order(ORDERS[draw.below(ORDERS.len())]);
        range.set_sort_target(TARGETS[draw.below(TARGETS.len())]);
    }
    range
}

const UNKNOWN_ORDER: i32 = 7;
const ORDERS: [SortOrder; 3] = [SortOrder::None, SortOrder::Ascend, SortOrder::Descend];
// No unknown target: etcd before 3.6 ends with a panic.
const TARGETS: [SortTarget; 5] =
    [SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value];
