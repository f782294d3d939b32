//! Transactions.

use quorate_kv_api::{
    Compare, CompareResult, CompareTarget, PutRequest, RangeRequest, RequestOp, TargetUnion,
    TxnRequest,
};

use super::{Draw, Outlook, range, write};

pub(super) fn txn(draw: &mut Draw, outlook: &Outlook) -> TxnRequest {
    if draw.chance(2) {
        return too_large(draw);
    }
    if draw.chance(10) {
        return read_only(draw, outlook);
    }
    nested(draw, outlook, DEPTH_MAX)
}

fn nested(draw: &mut Draw, outlook: &Outlook, depth_left: u32) -> TxnRequest {
    TxnRequest {
        compare: compares(draw, outlook),
        success: branch(draw, outlook, depth_left),
        failure: branch(draw, outlook, depth_left),
    }
}

fn compares(draw: &mut Draw, outlook: &Outlook) -> Vec<Compare> {
    let count = draw.below(3);
    (0..count).map(|_| compare(draw, outlook)).collect()
}

fn compare(draw: &mut Draw, outlook: &Outlook) -> Compare {
    let union = match draw.below(5) {
        0 => TargetUnion::Version(draw.between(-1, 4)),
        1 => TargetUnion::CreateRevision(draw.recent_revision(outlook)),
        2 => TargetUnion::ModRevision(draw.recent_revision(outlook)),
        3 => TargetUnion::Value(draw.value()),
        _ => TargetUnion::Lease(if draw.chance(40) { 0 } else { draw.lease(outlook) }),
    };
    let key = draw.key();
    let mut compare = Compare::key(key.clone(), RESULTS[draw.below(RESULTS.len())], union);
    if draw.chance(20) {
        compare.range_end = draw.range_end(&key);
    }
    match draw.below(100) {
        0 => compare.result = UNKNOWN_NUMBER,
        1 => compare.target = UNKNOWN_NUMBER,
        2 => compare.target_union = None,
        // The union may now be that of another target.
        3 | 4 => compare.set_target(TARGETS[draw.below(TARGETS.len())]),
        _ => {}
    }
    compare
}

fn branch(draw: &mut Draw, outlook: &Outlook, depth_left: u32) -> Vec<RequestOp> {
    let count = draw.below(4);
    (0..count).map(|_| op(draw, outlook, depth_left)).collect()
}

fn op(draw: &mut Draw, outlook: &Outlook, depth_left: u32) -> RequestOp {
    match draw.below(100) {
        0..40 => write::put(draw, outlook).into(),
        40..50 => write::delete_range(draw).into(),
        50..51 => RequestOp { request: None },
        51..70 if depth_left > 0 => nested(draw, outlook, depth_left - 1).into(),
        _ => {
            let mut range = range::range_with_known_order(draw, outlook);
            if draw.chance(70) {
                // Most transactions should not fail because of one of their reads.
                range.revision = 0;
            }
            range.into()
        }
    }
}

fn read_only(draw: &mut Draw, outlook: &Outlook) -> TxnRequest {
    let ranges = |draw: &mut Draw| {
        let count = draw.below(4);
        (0..count).map(|_| range::range(draw, outlook).into()).collect()
    };
    let (success, failure) = (ranges(draw), ranges(draw));
    TxnRequest { compare: compares(draw, outlook), success, failure }
}

/// As many operations as are allowed, or one more; all at one place or in two levels.
fn too_large(draw: &mut Draw) -> TxnRequest {
    let puts = |prefix: &str, count: usize| -> Vec<RequestOp> {
        (0..count).map(|number| PutRequest::new(format!("{prefix}{number}"), "").into()).collect()
    };
    let excess = draw.below(2);
    let failure = match draw.below(3) {
        // The branch is not taken: the keys of the others should not multiply.
        0 => puts("x", OPS_MAX + excess),
        1 => {
            let inner = TxnRequest { success: puts("y", 28 + excess), ..TxnRequest::default() };
            let mut outer = puts("x", OPS_MAX - 29);
            outer.push(inner.into());
            outer
        }
        _ => vec![RangeRequest::key("a").into(); OPS_MAX + excess],
    };
    TxnRequest { failure, ..TxnRequest::default() }
}

const DEPTH_MAX: u32 = 2;
const OPS_MAX: usize = 128;
const UNKNOWN_NUMBER: i32 = 9;
const RESULTS: [CompareResult; 4] =
    [CompareResult::Equal, CompareResult::Greater, CompareResult::Less, CompareResult::NotEqual];
const TARGETS: [CompareTarget; 5] = [
    CompareTarget::Version,
    CompareTarget::Create,
    CompareTarget::Mod,
    CompareTarget::Value,
    CompareTarget::Lease,
];
