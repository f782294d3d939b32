//! All versions of all keys, and what a range finds among them.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use quorate_kv_api::{KeyValue, RangeRequest, RangeResponse, SortOrder, SortTarget};

use super::header;

/// Every key that ever was, with its versions by ascending revision.
#[derive(Debug, Default)]
pub(super) struct Versions(BTreeMap<Bytes, Vec<Version>>);

#[derive(Debug)]
struct Version {
    revision: i64,
    /// Nothing if the key was deleted.
    now: Option<KeyValue>,
}

impl Versions {
    /// A key changes at a revision, which must not be lower than those before.
    pub(super) fn add(&mut self, key: &Bytes, revision: i64, now: Option<KeyValue>) {
        self.0.entry(key.clone()).or_default().push(Version { revision, now });
    }

    /// A key as it was at a revision.
    pub(super) fn get(&self, key: &[u8], at: i64) -> Option<&KeyValue> {
        version_at(self.0.get(key)?, at)
    }

    /// All keys as they were at a revision, in order.
    pub(super) fn all(&self, at: i64) -> impl Iterator<Item = &KeyValue> {
        self.0.values().filter_map(move |versions| version_at(versions, at))
    }

    /// The keys that `key` and `end` of a request mean, as they were at a revision, in order.
    pub(super) fn span<'a>(
        &'a self,
        key: &'a [u8],
        end: &'a [u8],
        at: i64,
    ) -> impl Iterator<Item = &'a KeyValue> {
        let last = match end {
            [] => Bound::Included(key),
            [0] => Bound::Unbounded,
            // An end before the key means nothing.
            _ => Bound::Excluded(end.max(key)),
        };
        let found = self.0.range::<[u8], _>((Bound::Included(key), last));
        found.filter_map(move |(_, versions)| version_at(versions, at))
    }

    /// What a range finds in a store that stands at `head`; the revision asked for must exist.
    pub(super) fn select(&self, request: &RangeRequest, head: i64) -> RangeResponse {
        let at = if request.revision > 0 { request.revision } else { head };
        let mut kvs: Vec<&KeyValue> = self.span(&request.key, &request.range_end, at).collect();
        let count = kvs.len() as i64;
        if request.count_only {
            return RangeResponse { header: header(head), kvs: vec![], more: false, count };
        }
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
        let limit = limit.unwrap_or(usize::MAX);
        if request.sort_order() == SortOrder::None && !is_filtered(request) {
            // What lies further back is not even looked at, whatever the target.
            kvs.truncate(limit.saturating_add(1));
        }
        kvs.retain(|kv| passes(request, kv));
        sort(request, &mut kvs);
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        let shown = |kv: &KeyValue| match request.keys_only {
            true => KeyValue { value: Bytes::new(), ..kv.clone() },
            false => kv.clone(),
        };
        let kvs = kvs.into_iter().map(shown).collect();
        RangeResponse { header: header(head), kvs, more, count }
    }
}

/// The last of ascending versions that is not after `at`.
fn version_at(versions: &[Version], at: i64) -> Option<&KeyValue> {
    // Most questions are about the present.
    let last = versions.last()?;
    if last.revision <= at {
        return last.now.as_ref();
    }
    let end = versions.partition_point(|version| version.revision <= at);
    versions[..end].last()?.now.as_ref()
}

fn is_filtered(request: &RangeRequest) -> bool {
    let bounds = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    bounds.iter().any(|bound| *bound != 0)
}

fn passes(request: &RangeRequest, kv: &KeyValue) -> bool {
    let at_least = |bound: i64, revision: i64| bound == 0 || revision >= bound;
    let at_most = |bound: i64, revision: i64| bound == 0 || revision <= bound;
    at_least(request.min_mod_revision, kv.mod_revision)
        && at_most(request.max_mod_revision, kv.mod_revision)
        && at_least(request.min_create_revision, kv.create_revision)
        && at_most(request.max_create_revision, kv.create_revision)
}

/// Sorts what stands in the order of the keys; that order also decides between equals.
fn sort(request: &RangeRequest, kvs: &mut [&KeyValue]) {
    let sign = if request.sort_order() == SortOrder::Descend { -1 } else { 1 };
    match request.sort_target() {
        SortTarget::Key if sign < 0 => kvs.reverse(),
        SortTarget::Key => {}
        SortTarget::Version => kvs.sort_by_key(|kv| sign * kv.version),
        SortTarget::Create => kvs.sort_by_key(|kv| sign * kv.create_revision),
        SortTarget::Mod => kvs.sort_by_key(|kv| sign * kv.mod_revision),
        SortTarget::Value if sign < 0 => kvs.sort_by(|a, b| b.value.cmp(&a.value)),
        SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
    }
}
