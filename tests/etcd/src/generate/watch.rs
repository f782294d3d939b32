//! Watches: where they begin, and how they end at a known event.

use bytes::Bytes;
use quorate_kv_api::KeySpan;

use super::{Draw, OpenWatch, Outlook, Planned};
use crate::operation::Answer;
use crate::watch::{WITHOUT_DELETES, WITHOUT_PUTS, WatchCreateRequest, Watched};

pub(super) fn create(draw: &mut Draw, outlook: &Outlook) -> WatchCreateRequest {
    let key = draw.key();
    let range_end = draw.range_end(&key);
    let filters = match draw.below(10) {
        0 => vec![WITHOUT_PUTS],
        1 => vec![WITHOUT_DELETES, WITHOUT_DELETES],
        _ => vec![],
    };
    WatchCreateRequest {
        key,
        range_end,
        // What was there when it was compacted is an edge of its own.
        start_revision: match outlook.compact_revision {
            compacted @ 1.. if draw.chance(15) => compacted,
            _ if outlook.negative_watches => draw.revision(outlook),
            _ => draw.revision(outlook).max(0),
        },
        filters,
        prev_kv: draw.chance(50),
        fragment: draw.chance(20),
        ..WatchCreateRequest::default()
    }
}

pub(super) fn is_refused(answer: &Answer) -> bool {
    !matches!(answer, Answer::Watched(Watched::Began))
}

/// A watch that began when the store was at `revision`.
pub(super) fn open(number: u64, request: &WatchCreateRequest, revision: i64) -> OpenWatch {
    let key = if request.key.is_empty() { Bytes::from_static(b"\0") } else { request.key.clone() };
    let watches_it = KeySpan::new(&key, &request.range_end).contains(&key);
    assert!(watches_it, "a store must refuse to watch nothing: {request:?}");
    let start_revision =
        if request.start_revision == 0 { revision + 1 } else { request.start_revision };
    OpenWatch { number, key, start_revision, puts: !request.filters.contains(&WITHOUT_PUTS) }
}

/// A last event for the watch, then its end.
pub(super) fn end(watch: &OpenWatch) -> impl Iterator<Item = Planned> + use<> {
    [Planned::Fence(watch.clone()), Planned::WatchEnd(watch.number)].into_iter()
}
