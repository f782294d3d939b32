//! One answer to a watch: events between two positions.

use prost::Message;
use quorate_kv_api::{Event, EventType, KeyValue};
use quorate_mvcc::{WatchBatch, WatchPosition, WatchQuery};

use super::Truth;
use crate::checkers::model::Change;
use crate::violation::Violation;

/// Checks an answer against what happened.
pub(super) fn check(
    query: &WatchQuery,
    batch: &WatchBatch,
    truth: &Truth<'_>,
) -> Result<(), Violation> {
    check_bounds(query, batch, truth)?;
    let end = WatchPosition::at(batch.revision + 1);
    if batch.events.is_empty() {
        // It says that nothing is left up to the store's revision, whatever it says of where to go
        // on.
        let left = truth.between(query.from, end).iter().find(|change| wants(query, change));
        let expected = query.from.max(end);
        if let Some(left) = left {
            return Err(progress(format!("{left:?} is left to be told")));
        }
        return Violation::unless(batch.next == expected, "watch-progress", || {
            format!("without events it goes on at {expected:?}")
        });
    }
    check_events(query, batch, truth)?;
    check_fragment(query, batch, truth)
}

/// An answer does not lead back, nor beyond what the store knew.
fn check_bounds(
    query: &WatchQuery,
    batch: &WatchBatch,
    truth: &Truth<'_>,
) -> Result<(), Violation> {
    let WatchBatch { next, revision, .. } = batch;
    let end = WatchPosition::at(revision + 1);
    if *revision < 1 || *revision > truth.revision {
        return Err(progress(format!("the newest revision is {}", truth.revision)));
    }
    if *next < query.from {
        return Err(progress("a watch never goes back".to_owned()));
    }
    if *next > query.from.max(end) {
        return Err(progress("it goes on behind what the store could know".to_owned()));
    }
    Ok(())
}

/// The events are those that happened in between and were asked for: all of them, nothing else, in
/// their order, and with their true content.
fn check_events(
    query: &WatchQuery,
    batch: &WatchBatch,
    truth: &Truth<'_>,
) -> Result<(), Violation> {
    let due = truth.between(query.from, batch.next);
    let mut expected = due.iter().filter(|change| wants(query, change)).peekable();
    for (place, event) in batch.events.iter().enumerate() {
        while expected
            .peek()
            .is_some_and(|change| !is_of(event, change) && may_be_gone(change, due, batch, truth))
        {
            expected.next();
        }
        match expected.next() {
            Some(change) if is_of(event, change) => {
                check_content(query, event, change, batch, truth)?;
            }
            other => return Err(explain(query, batch, (place, other), truth)),
        }
    }
    match expected.find(|change| !may_be_gone(change, due, batch, truth)) {
        None => Ok(()),
        Some(missing) => Err(Violation::new("watch-reliable", format!("{missing:?} is missing"))),
    }
}

/// What is wrong with the event at a place where another one, or none, was expected.
fn explain(
    query: &WatchQuery,
    batch: &WatchBatch,
    (place, expected): (usize, Option<&Change>),
    truth: &Truth<'_>,
) -> Violation {
    let event = &batch.events[place];
    let Some(change) = truth.changes.iter().find(|change| is_of(event, change)) else {
        return Violation::new("watch-event", format!("{event:?} never happened"));
    };
    let position = WatchPosition { revision: change.at.0, event: change.at.1 };
    if !wants(query, change) {
        return Violation::new("watch-filter", format!("{event:?} was not asked for"));
    }
    if position < query.from || batch.events[..place].contains(event) {
        return Violation::new("watch-unique", format!("{event:?} was told before"));
    }
    if position >= batch.next {
        return Violation::new("watch-unique", format!("{event:?} will be told again"));
    }
    let comes_later = |due: &Change| batch.events[place..].iter().any(|event| is_of(event, due));
    if expected.is_some_and(comes_later) {
        return Violation::new("watch-order", format!("{event:?} comes before {expected:?}"));
    }
    Violation::new("watch-reliable", format!("{expected:?} is missing before {event:?}"))
}

fn check_content(
    query: &WatchQuery,
    event: &Event,
    change: &Change,
    batch: &WatchBatch,
    truth: &Truth<'_>,
) -> Result<(), Violation> {
    let deletion =
        || KeyValue { key: change.key.clone(), mod_revision: change.at.0, ..KeyValue::default() };
    let expected = change.now.clone().unwrap_or_else(deletion);
    let same = event.kv.as_ref() == Some(&expected) && event.is_create() == change.is_create();
    Violation::unless(same, "watch-event", || format!("{event:?} is not {change:?}"))?;
    let before = change.before.as_ref().filter(|_| query.prev_kv && !change.is_create());
    let compacted = truth.may_be_compacted(change.at.0, batch.revision);
    let fits = event.prev_kv.as_ref() == before || (event.prev_kv.is_none() && compacted);
    Violation::unless(fits, "watch-prev-kv", || format!("{event:?}: it was {before:?} before"))
}

/// Revisions stand together, unless the query allows to cut them, and then it is said.
fn check_fragment(
    query: &WatchQuery,
    batch: &WatchBatch,
    truth: &Truth<'_>,
) -> Result<(), Violation> {
    let Some(last) = batch.events.last() else { return Ok(()) };
    let rest = truth.between(batch.next, WatchPosition::at(last.revision() + 1));
    let is_cut = rest.iter().any(|change| wants(query, change));
    let fail = |detail: String| Err(Violation::new("watch-atomic", detail));
    match query.fragment_bytes {
        _ if batch.fragment != is_cut => {
            fail(format!("whether revision {} goes on is {is_cut}", last.revision()))
        }
        None if is_cut => fail(format!("revision {} is torn", last.revision())),
        Some(limit) => {
            let size: u64 = batch.events.iter().map(|event| event.encoded_len() as u64).sum();
            let fits = size <= limit || batch.events.len() == 1;
            if fits { Ok(()) } else { fail(format!("{size} bytes of {limit} allowed")) }
        }
        None => Ok(()),
    }
}

/// Whether the event tells of this change, whatever it tells.
fn is_of(event: &Event, change: &Change) -> bool {
    let kind = if change.now.is_some() { EventType::Put } else { EventType::Delete };
    event.r#type == i32::from(kind)
        && event.revision() == change.at.0
        && event.kv.as_ref().is_some_and(|kv| kv.key == change.key)
}

fn wants(query: &WatchQuery, change: &Change) -> bool {
    let wanted = if change.now.is_some() { query.puts } else { query.deletes };
    wanted && query.span.contains(&change.key)
}

/// Whether a change need not be told: it was superseded at its own revision, which is the one
/// compacted, and a compaction keeps nothing but what is current at its revision.
fn may_be_gone(change: &Change, due: &[Change], batch: &WatchBatch, truth: &Truth<'_>) -> bool {
    let later = |other: &&Change| {
        other.key == change.key && other.at.0 == change.at.0 && other.at.1 > change.at.1
    };
    truth.may_be_compacted(change.at.0, batch.revision) && due.iter().any(|other| later(&other))
}

fn progress(detail: String) -> Violation {
    Violation::new("watch-progress", detail)
}
