//! What watchers were told, compared with everything that happened.
//!
//! The model knows every change in the order of the writes. So each answer is checked by itself: it
//! covers what happened between two positions, and must tell exactly what of that was asked for.
//! The answers of one watcher are then a chain: each begins where the one before ended.

mod batch;

use prost::Message;
use quorate_kv_api::{Command, CommandKind, KvError};
use quorate_mvcc::{Response, WatchPosition, WatchQuery};

use super::applied::AppliedLog;
use super::history::{Call, Ending, Record};
use super::model::Change;
use crate::effect::Found;
use crate::timeline::describe_record;
use crate::violation::Violation;

/// The calls of one watcher, by their numbers in the history: perhaps one that asked what "now" is,
/// then watches, of which only the last may be open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) calls: Vec<usize>,
}

/// What truly happened.
struct Truth<'a> {
    changes: &'a [Change],
    /// The newest revision.
    revision: i64,
    compactions: Vec<Compacted>,
}

/// A compaction that was carried out.
#[derive(Clone, Copy, Debug)]
struct Compacted {
    /// What was compacted.
    revision: i64,
    /// The revision of the store then.
    head: i64,
}

/// Checks all watches of a history, and that the chains of the watchers have no gaps.
pub(crate) fn check(
    history: &[Record],
    chains: &[Chain],
    applied: &AppliedLog,
) -> Result<(), Violation> {
    let truth = Truth::of(applied);
    for (place, record) in history.iter().enumerate() {
        if let Call::Watch(query) | Call::WatchNow(query) = &record.call {
            let checked = check_answer(record, query, &truth);
            checked.map_err(|violation| violation.about(place))?;
        }
    }
    chains.iter().try_for_each(|chain| check_chain(history, chain, applied))
}

impl<'a> Truth<'a> {
    fn of(applied: &'a AppliedLog) -> Self {
        let model = applied.model();
        let mut compactions = Vec::new();
        for command in applied.commands() {
            let Some(outcome) = &command.outcome else { continue };
            let Ok(Response::Compaction(compacted)) = &outcome.result else { continue };
            let decoded = Command::decode(command.payload.clone()).map(|command| command.kind);
            if let Ok(Some(CommandKind::Compaction(request))) = decoded {
                let head = compacted.header.unwrap_or_default().revision;
                compactions.push(Compacted { revision: request.revision, head });
            }
        }
        Self { changes: model.history(), revision: model.revision(), compactions }
    }

    /// What happened from one position up to another.
    fn between(&self, from: WatchPosition, next: WatchPosition) -> &'a [Change] {
        let place = |position: WatchPosition| {
            let before = |change: &Change| change.at < (position.revision, position.event);
            self.changes.partition_point(before)
        };
        let (first, end) = (place(from), place(next));
        &self.changes[first..end.max(first)]
    }

    /// Whether what a store at `head` had forgotten may contain this revision.
    fn may_be_compacted(&self, revision: i64, head: i64) -> bool {
        self.compactions.iter().any(|one| one.revision >= revision && one.head <= head)
    }
}

/// Checks one answer to a watch.
fn check_answer(record: &Record, query: &WatchQuery, truth: &Truth<'_>) -> Result<(), Violation> {
    let told = match record.ending() {
        Some(Ending::Read(told)) => told,
        Some(Ending::Failed) | None => return Ok(()),
        Some(Ending::Answered(_) | Ending::Refused(_) | Ending::Unknown) => {
            let detail = format!("no way for a watch to end: {}", describe_record(record));
            return Err(Violation::new("watch-end", detail));
        }
    };
    let empty = query.span.is_empty();
    match told {
        Ok(Found::Watch(batch)) if !empty => {
            batch::check(query, batch, truth).map_err(|mut violation| {
                violation.detail += &format!(": {batch:?} of {query:?}: ");
                violation.detail += &describe_record(record);
                violation
            })
        }
        Err(KvError::EmptyWatchRange) if empty => Ok(()),
        Err(KvError::Compacted { requested, compact_revision }) if !empty => {
            // While it waited it may have gone on with the store.
            let fits = requested >= &query.from.revision && requested < &(*compact_revision).max(0);
            let known = truth.compactions.iter().any(|one| one.revision == *compact_revision);
            Violation::unless(fits && (known || *requested < 0), "watch-compacted", || {
                format!("it is not: {}, asked with {query:?}", describe_record(record))
            })
        }
        _ => {
            let detail = format!("no answer to a watch: {}", describe_record(record));
            Err(Violation::new("watch-end", detail))
        }
    }
}

/// Checks that the calls of a watcher leave nothing out and repeat nothing, and that a watch from
/// now on begins with what nobody had called yet.
fn check_chain(history: &[Record], chain: &Chain, applied: &AppliedLog) -> Result<(), Violation> {
    let mut position: Option<WatchPosition> = None;
    for number in &chain.calls {
        let record = &history[*number];
        let query = match &record.call {
            Call::Watch(query) | Call::WatchNow(query) => query,
            _ => {
                if let Some(Ending::Read(Ok(Found::Range(range)))) = record.ending() {
                    let now = range.header.unwrap_or_default().revision;
                    let checked = check_now(history, record, now, applied);
                    checked.map_err(|violation| violation.about(*number))?;
                    position = Some(WatchPosition::at(now + 1));
                }
                continue;
            }
        };
        let expected = position.unwrap_or(query.from);
        Violation::unless(query.from == expected, "watch-resume", || {
            format!("it should go on at {expected:?}: {query:?}, {}", describe_record(record))
        })
        .map_err(|violation| violation.about(*number))?;
        position = Some(match record.ending() {
            Some(Ending::Read(Ok(Found::Watch(batch)))) => batch.next,
            Some(Ending::Read(Err(KvError::Compacted { compact_revision, .. }))) => {
                WatchPosition::at(*compact_revision).max(expected)
            }
            _ => expected,
        });
    }
    Ok(())
}

/// A write that was called after somebody was told what "now" is comes after that revision.
fn check_now(
    history: &[Record],
    asked: &Record,
    now: i64,
    applied: &AppliedLog,
) -> Result<(), Violation> {
    let Some((established, _)) = asked.ended else { return Ok(()) };
    for record in history.iter().filter(|record| record.called > established) {
        let Some(Ending::Answered(answer)) = record.ending() else { continue };
        let outcome = applied.command(answer.id).and_then(|(_, command)| command.outcome.as_ref());
        let changed = outcome.is_some_and(|outcome| outcome.changed);
        let revision = crate::effect::revision_of(&answer.result);
        let missed = changed && revision.is_some_and(|revision| revision <= now);
        Violation::unless(!missed, "watch-from-now", || {
            format!("a watch after {now} misses what came later: {}", describe_record(record))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
