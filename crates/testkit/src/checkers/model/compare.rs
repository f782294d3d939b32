//! Whether a condition of a transaction holds.

use std::cmp::Ordering;

use quorate_kv_api::{Compare, CompareResult, CompareTarget, KeyValue, TargetUnion};

use super::versions::Versions;

/// Whether every key that the condition means satisfies it at a revision.
pub(super) fn holds(versions: &Versions, compare: &Compare, at: i64) -> bool {
    let mut span = versions.span(&compare.key, &compare.range_end, at).peekable();
    if span.peek().is_none() {
        // A missing key counts as one full of zeros, but its value compares with nothing.
        let is_value = compare.target == CompareTarget::Value as i32;
        return !is_value && holds_for(compare, &KeyValue::default());
    }
    span.all(|kv| holds_for(compare, kv))
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let ordering = ordering(compare, kv);
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Err(_) => true,
    }
}

/// How the key's side stands to the given one; what is given for another target counts for nothing.
fn ordering(compare: &Compare, kv: &KeyValue) -> Ordering {
    let given = compare.target_union.as_ref();
    let number = |own: i64, given: Option<i64>| own.cmp(&given.unwrap_or(0));
    match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => number(
            kv.version,
            given.and_then(|given| match given {
                TargetUnion::Version(version) => Some(*version),
                _ => None,
            }),
        ),
        Ok(CompareTarget::Create) => number(
            kv.create_revision,
            given.and_then(|given| match given {
                TargetUnion::CreateRevision(revision) => Some(*revision),
                _ => None,
            }),
        ),
        Ok(CompareTarget::Mod) => number(
            kv.mod_revision,
            given.and_then(|given| match given {
                TargetUnion::ModRevision(revision) => Some(*revision),
                _ => None,
            }),
        ),
        Ok(CompareTarget::Lease) => number(
            kv.lease,
            given.and_then(|given| match given {
                TargetUnion::Lease(lease) => Some(*lease),
                _ => None,
            }),
        ),
        Ok(CompareTarget::Value) => match given {
            Some(TargetUnion::Value(value)) => kv.value.cmp(value),
            _ => kv.value[..].cmp(&[]),
        },
        Err(_) => Ordering::Equal,
    }
}
