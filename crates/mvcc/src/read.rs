//! Ranges: at the current revision from `live`, at an older one from all tables.

use std::cmp::Ordering;

use bytes::Bytes;
use quorate_kv_api::{
    KeySpan, KeyValue, KvError, RangeRequest, RangeResponse, ResponseHeader, SortOrder, SortTarget,
};
use quorate_storage::KeyRange;
use quorate_types::mutant;

use crate::meta::Head;
use crate::record::{Change, HistoryRecord, LiveHeader, Revision, key_value};
use crate::source::Source;
use crate::versions::OldVersions;
use crate::{HISTORY, LIVE, RequestError, StoreError};

/// Answers a range from `source`, which stands at `head`.
pub(crate) fn range(
    source: &dyn Source,
    head: &Head,
    request: &RangeRequest,
) -> Result<RangeResponse, RequestError> {
    collect(source, head, request, Found::new(request))
}

/// The same without a look at what is beyond the limit: the count is that of the keys given.
pub(crate) fn range_part(
    source: &dyn Source,
    head: &Head,
    request: &RangeRequest,
) -> Result<RangeResponse, RequestError> {
    let found = Found { stops_when_full: true, ..Found::new(request) };
    let mut response = collect(source, head, request, found)?;
    response.count = response.kvs.len() as i64;
    Ok(response)
}

fn collect(
    source: &dyn Source,
    head: &Head,
    request: &RangeRequest,
    mut found: Found,
) -> Result<RangeResponse, RequestError> {
    let span = request.span();
    match revision_of(head, request)? {
        at if at == head.revision => collect_current(source, &span, &mut found)?,
        at => collect_at(source, &span, at, &mut found)?,
    }
    Ok(respond(request, head.revision, found))
}

/// The main revision that a request reads at.
fn revision_of(head: &Head, request: &RangeRequest) -> Result<i64, KvError> {
    let at = if request.revision <= 0 { head.revision } else { request.revision };
    if at > head.revision {
        return Err(KvError::FutureRevision { requested: at, current: head.revision });
    }
    if at < head.compact_revision {
        let compact_revision = head.compact_revision;
        return Err(KvError::Compacted { requested: at, compact_revision });
    }
    Ok(at)
}

/// The keys found so far: all that are visited are counted, not more than wanted are kept.
pub(crate) struct Found {
    kvs: Vec<KeyValue>,
    count: i64,
    kvs_max: usize,
    /// Whether no more keys need to be visited once there are enough.
    stops_when_full: bool,
}

impl Found {
    pub(crate) fn new(request: &RangeRequest) -> Self {
        Self { kvs: Vec::new(), count: 0, kvs_max: kvs_max(request), stops_when_full: false }
    }

    /// Whether further keys are to be visited.
    fn goes_on(&self) -> bool {
        !self.stops_when_full || self.kvs.len() < self.kvs_max
    }

    /// Adds a record of `live`.
    pub(crate) fn add_live(&mut self, key: Bytes, record: &Bytes) -> Result<(), StoreError> {
        self.count += 1;
        if self.kvs.len() < self.kvs_max {
            let header = decode_live(&key, record)?;
            self.kvs.push(header.key_value(key, record));
        }
        Ok(())
    }

    /// Adds a version that stands in `history`.
    fn add_old(
        &mut self,
        source: &dyn Source,
        key: Bytes,
        revision: Revision,
    ) -> Result<(), StoreError> {
        self.count += 1;
        if self.kvs.len() < self.kvs_max {
            let corrupt = |detail| StoreError::corrupt(HISTORY, &revision.to_key(), detail);
            let record = source.history(revision)?.ok_or(corrupt("it is missing"))?;
            match HistoryRecord::decode(&record).map_err(corrupt)?.change {
                Change::Put { attributes, value } => {
                    self.kvs.push(key_value(key, revision.main, attributes, value));
                }
                Change::Delete => return Err(corrupt("it is a deletion, a put was expected")),
            }
        }
        Ok(())
    }
}

/// How many keys must be fetched to answer a request; one more than its limit tells `more`.
fn kvs_max(request: &RangeRequest) -> usize {
    let is_filtered = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    let is_sorted = request.sort_order() != SortOrder::None;
    if request.count_only {
        0
    } else if request.limit <= 0 || mutant!(M38a, is_sorted || is_filtered, false) {
        usize::MAX
    } else {
        usize::try_from(request.limit).map_or(usize::MAX, |limit| limit.saturating_add(1))
    }
}

/// Decodes the part of a record of `live` before its value.
pub(crate) fn decode_live(key: &[u8], record: &[u8]) -> Result<LiveHeader, StoreError> {
    LiveHeader::decode(record).map_err(|detail| StoreError::corrupt(LIVE, key, detail))
}

/// The keys of a span as a range of the table `live`; one key is a range of one.
fn live_range(span: &KeySpan) -> KeyRange {
    match span {
        KeySpan::Key(key) => {
            let mut end = Vec::with_capacity(key.len() + 1);
            end.extend_from_slice(key);
            end.push(0);
            KeyRange::new(key.clone(), end)
        }
        KeySpan::From(start) => KeyRange { start: start.clone(), end: None },
        KeySpan::Range { start, end } => KeyRange::new(start.clone(), end.clone()),
    }
}

/// Hands the current records of a span to `visit`, in key order, until it returns false.
pub(crate) fn visit_current(
    source: &dyn Source,
    span: &KeySpan,
    mut visit: impl FnMut(Bytes, Bytes) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    match span {
        KeySpan::Key(key) => {
            if let Some(record) = source.live(key)? {
                visit(key.clone(), record)?;
            }
        }
        _ if span.is_empty() => {}
        _ => {
            for row in source.live_scan(&live_range(span))? {
                let (key, record) = row?;
                if !visit(key, record)? {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn collect_current(
    source: &dyn Source,
    span: &KeySpan,
    found: &mut Found,
) -> Result<(), StoreError> {
    visit_current(source, span, |key, record| {
        found.add_live(key, &record)?;
        Ok(found.goes_on())
    })
}

/// Merges what is still current since `at` or before with what was current then and is not now. The
/// two have no key in common, because a key has one version at a revision.
fn collect_at(
    source: &dyn Source,
    span: &KeySpan,
    at: i64,
    found: &mut Found,
) -> Result<(), StoreError> {
    if span.is_empty() {
        return Ok(());
    }
    let mut old_versions = OldVersions::new(source, span, at)?;
    let mut old = old_versions.next()?;
    visit_current(source, span, |key, record| {
        let since = decode_live(&key, &record)?.revision.main;
        if mutant!(M38f, since > at, since >= at) {
            return Ok(true);
        }
        while let Some((old_key, revision)) = old.take_if(|(old_key, _)| *old_key < key) {
            found.add_old(source, old_key, revision)?;
            old = old_versions.next()?;
        }
        if found.goes_on() {
            found.add_live(key, &record)?;
        }
        Ok(found.goes_on())
    })?;
    while let Some((old_key, revision)) = old
        && found.goes_on()
    {
        found.add_old(source, old_key, revision)?;
        old = old_versions.next()?;
    }
    Ok(())
}

/// Filters, sorts and cuts what was found, in etcd's order.
pub(crate) fn respond(request: &RangeRequest, revision: i64, found: Found) -> RangeResponse {
    let mut kvs = found.kvs;
    let is_within = |min: i64, max: i64, revision: i64| {
        (min == 0 || mutant!(M38c, revision >= min, revision > min))
            && (max == 0 || revision <= max)
    };
    kvs.retain(|kv| {
        is_within(request.min_mod_revision, request.max_mod_revision, kv.mod_revision)
            && is_within(
                request.min_create_revision,
                request.max_create_revision,
                kv.create_revision,
            )
    });
    sort(request, &mut kvs);
    let mut more = false;
    if let Ok(limit @ 1..) = usize::try_from(request.limit)
        && kvs.len() > limit
    {
        kvs.truncate(mutant!(M38e, limit, limit - 1));
        more = true;
    }
    if request.keys_only {
        for kv in &mut kvs {
            mutant!(M38g, kv.value = Bytes::new(), ());
        }
    }
    let count = mutant!(M38b, found.count, kvs.len() as i64);
    RangeResponse { header: Some(ResponseHeader::at(revision)), kvs, more, count }
}

/// Sorts as asked. Without an order a target other than the key sorts ascending.
fn sort(request: &RangeRequest, kvs: &mut [KeyValue]) {
    let compare: fn(&KeyValue, &KeyValue) -> Ordering = match request.sort_target() {
        SortTarget::Key => |a, b| a.key.cmp(&b.key),
        SortTarget::Version => |a, b| a.version.cmp(&b.version),
        SortTarget::Create => |a, b| a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => |a, b| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a, b| a.value.cmp(&b.value),
    };
    match (request.sort_order(), request.sort_target()) {
        (SortOrder::None | SortOrder::Ascend, SortTarget::Key) => {}
        (SortOrder::None | SortOrder::Ascend, _) => kvs.sort_by(compare),
        (SortOrder::Descend, _) => {
            kvs.sort_by(|a, b| mutant!(M38d, compare(b, a), compare(a, b)));
        }
    }
}
