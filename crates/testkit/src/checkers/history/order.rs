//! Whether what clients were told moves forward in time.

use std::collections::BTreeMap;

use quorate_types::Instant;

use crate::checkers::applied::AppliedLog;
use crate::checkers::history::{Call, Ending, Record};
use crate::effect::{Found, revision_of, revision_of_refusal};
use crate::timeline::describe_record;
use crate::violation::Violation;

/// How a revision that was told must stand to those told before the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Demand {
    After,
    NotBefore,
    Nothing,
}

/// The revision that an ending told, and what is demanded of it.
fn told(record: &Record, applied: &AppliedLog) -> Option<(i64, Demand)> {
    match record.ending()? {
        Ending::Answered(answer) => {
            let command = applied.command(answer.id);
            let outcome = command.and_then(|(_, command)| command.outcome.as_ref());
            let changed = outcome.is_some_and(|outcome| outcome.changed);
            let demand = if changed { Demand::After } else { Demand::NotBefore };
            Some((revision_of(&answer.result)?, demand))
        }
        Ending::Read(Ok(Found::Hash(hash))) if matches!(record.call, Call::Hash(1..)) => {
            // The store was at least there.
            Some((hash.revision, Demand::Nothing))
        }
        Ending::Read(_) => {
            let demand = if record.call.is_local() { Demand::Nothing } else { Demand::NotBefore };
            Some((head(record)?, demand))
        }
        Ending::Refused(_) | Ending::Failed | Ending::Unknown => None,
    }
}

/// The revision at which a read's store stood, if the client was told. A read at an older revision
/// tells it too, so its place in time is known.
pub(super) fn head(record: &Record) -> Option<i64> {
    match (&record.call, record.ending()?) {
        (Call::Hash(0), Ending::Read(Ok(Found::Hash(hash)))) => Some(hash.revision),
        (_, Ending::Read(Ok(found))) => found.head(),
        (_, Ending::Read(Err(cause))) => revision_of_refusal(cause),
        _ => None,
    }
}

/// Whoever calls after somebody was told a revision is told one that is not older; a change makes
/// one that is newer.
pub(super) fn check(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    let mut moments: Vec<(Instant, bool, usize)> = Vec::with_capacity(history.len() * 2);
    for (place, record) in history.iter().enumerate() {
        moments.push((record.called, false, place));
        if let Some((at, _)) = &record.ended {
            moments.push((*at, true, place));
        }
    }
    // At one moment calls come first: they may have overlapped.
    moments.sort_unstable();
    // The newest revision told, and the call that it was told to.
    let mut seen = (0, None);
    let mut seen_at_call = vec![seen; history.len()];
    for (_, is_end, place) in moments {
        if !is_end {
            seen_at_call[place] = seen;
            continue;
        }
        let record = &history[place];
        let Some((revision, demand)) = told(record, applied) else { continue };
        let (before, teller) = seen_at_call[place];
        let fine = match demand {
            Demand::After => revision > before,
            Demand::NotBefore => revision >= before,
            Demand::Nothing => true,
        };
        if !fine {
            let detail = format!(
                "revision {before} had been told to somebody before this call: {}",
                describe_record(record)
            );
            let violation = Violation::new("real-time-order", detail).about(place);
            return Err(teller.into_iter().fold(violation, Violation::about));
        }
        if revision > seen.0 {
            seen = (revision, Some(place));
        }
    }
    Ok(())
}

/// Reads of one life of a member never go back.
pub(super) fn check_members(history: &[Record]) -> Result<(), Violation> {
    // Those that ended at one moment did so in an order that nobody knows: any may have been first.
    let mut reads: Vec<(Instant, i64, usize)> = Vec::new();
    for (place, record) in history.iter().enumerate() {
        if let (Some((at, _)), Some(revision)) = (&record.ended, head(record)) {
            reads.push((*at, revision, place));
        }
    }
    reads.sort_unstable();
    let mut last: BTreeMap<(usize, u64), i64> = BTreeMap::new();
    for (_, revision, place) in reads {
        let Record { member, life, .. } = history[place];
        let last = last.entry((member, life)).or_insert(revision);
        Violation::unless(revision >= *last, "member-order", || {
            format!(
                "the member had told revision {last} before: {}",
                describe_record(&history[place])
            )
        })
        .map_err(|violation| violation.about(place))?;
        *last = revision;
    }
    Ok(())
}
