//! What clients saw, compared with the log that was applied.
//!
//! Answers carry revisions, so no search is needed: a sweep over time checks the order, a replay of
//! the changes checks what reads found.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_kv_api::{KeySpan, KeyValue};
use quorate_types::{CommandId, Instant};

use super::applied::AppliedLog;
use super::model::select;
use crate::effect::{Answer, Effect, Found};
use crate::violation::Violation;

/// One call of a client and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The place of the member asked.
    pub(crate) member: usize,
    /// Which life of that member.
    pub(crate) life: u64,
    pub(crate) call: Call,
    pub(crate) called: Instant,
    /// Nothing while the client waits.
    pub(crate) ended: Option<(Instant, Ending)>,
}

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// A change; no two calls have the same payload.
    Write(Bytes),
    /// A read of these keys, linearizable unless local.
    Read { span: KeySpan, local: bool },
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Answered(Answer),
    Found(Found),
    /// It had no effect, and never will.
    Failed,
    /// It may have had an effect, or may still have.
    Unknown,
}

/// Checks a whole history against the log that was applied.
pub(crate) fn check(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    let ids = ids_of_payloads(history, applied)?;
    for (place, record) in history.iter().enumerate() {
        match (&record.call, record.ended.as_ref().map(|(_, ending)| ending)) {
            (Call::Write(payload), Some(Ending::Answered(answer))) => {
                check_answer(payload, answer, applied)
                    .map_err(|violation| violation.about(place))?;
            }
            (Call::Write(payload), Some(Ending::Failed)) => {
                let applied = ids.get(payload).copied().flatten();
                Violation::unless(applied.is_none(), "failed-without-effect", || {
                    format!("a call that failed was applied as {applied:?}: {record:?}")
                })
                .map_err(|violation| violation.about(place))?;
            }
            _ => {}
        }
    }
    check_order(history)?;
    check_local_order(history)?;
    check_reads(history, applied)
}

/// The command that each call became, if it took effect. No call becomes two, and nothing comes
/// from nowhere.
fn ids_of_payloads<'a>(
    history: &'a [Record],
    applied: &AppliedLog,
) -> Result<BTreeMap<&'a Bytes, Option<CommandId>>, Violation> {
    let mut ids = BTreeMap::new();
    for record in history {
        if let Call::Write(payload) = &record.call {
            ids.insert(payload, None);
        }
    }
    for command in applied.commands().iter().filter(|command| command.effect.is_some()) {
        let Some(known) = ids.get_mut(&command.payload) else {
            let detail = format!("nobody asked for {:?}", command.id);
            return Err(Violation::new("nothing-invented", detail));
        };
        let earlier = known.replace(command.id);
        Violation::unless(earlier.is_none(), "applied-once", || {
            format!("one call was applied as {earlier:?} and as {:?}", command.id)
        })?;
    }
    Ok(ids)
}

fn check_answer(payload: &Bytes, answer: &Answer, applied: &AppliedLog) -> Result<(), Violation> {
    let Some(command) = applied.command(answer.id) else {
        let detail = format!("the answer {answer:?} is to a command that was not applied");
        return Err(Violation::new("answer-true", detail));
    };
    let same = command.payload == *payload && command.effect.as_ref() == Some(&answer.effect);
    Violation::unless(same, "answer-true", || {
        format!("the answer {answer:?} is not that of {command:?}")
    })
}

/// The revision that an ending told, and whether it must lie after everything seen before the call.
fn told(record: &Record) -> Option<(i64, Demand)> {
    match &record.ended.as_ref()?.1 {
        Ending::Answered(answer) => {
            let changed = match &answer.effect {
                Effect::Put { .. } => true,
                Effect::Delete { deleted, .. } => *deleted > 0,
                // With our requests, those that succeed write something.
                Effect::Txn { succeeded, .. } => *succeeded,
                Effect::Refused { .. } => return None,
            };
            let demand = if changed { Demand::After } else { Demand::NotBefore };
            Some((answer.effect.revision(), demand))
        }
        Ending::Found(found) => {
            let local = matches!(record.call, Call::Read { local: true, .. });
            Some((found.revision, if local { Demand::Nothing } else { Demand::NotBefore }))
        }
        Ending::Failed | Ending::Unknown => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Demand {
    After,
    NotBefore,
    Nothing,
}

/// Whoever calls after somebody was told a revision is told one that is not older.
fn check_order(history: &[Record]) -> Result<(), Violation> {
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
        let Some((revision, demand)) = told(record) else { continue };
        let (before, teller) = seen_at_call[place];
        let fine = match demand {
            Demand::After => revision > before,
            Demand::NotBefore => revision >= before,
            Demand::Nothing => true,
        };
        if !fine {
            let detail =
                format!("revision {before} had been told to somebody before this call: {record:?}");
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
fn check_local_order(history: &[Record]) -> Result<(), Violation> {
    let mut reads: Vec<(Instant, usize, i64, u64, usize)> = Vec::new();
    for (place, record) in history.iter().enumerate() {
        if let Some((at, Ending::Found(found))) = &record.ended {
            reads.push((*at, place, found.revision, record.life, record.member));
        }
    }
    reads.sort_unstable();
    let mut last: BTreeMap<(usize, u64), i64> = BTreeMap::new();
    for (_, place, revision, life, member) in reads {
        let last = last.entry((member, life)).or_insert(revision);
        Violation::unless(revision >= *last, "member-order", || {
            format!("the member had told revision {last} before: {:?}", history[place])
        })
        .map_err(|violation| violation.about(place))?;
        *last = revision;
    }
    Ok(())
}

/// Reads find exactly what the changes up to their revision lead to.
fn check_reads(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    let mut reads: Vec<(i64, usize, &KeySpan, &Found)> = Vec::new();
    for (place, record) in history.iter().enumerate() {
        if let (Call::Read { span, .. }, Some((_, Ending::Found(found)))) =
            (&record.call, &record.ended)
        {
            reads.push((found.revision, place, span, found));
        }
    }
    reads.sort_unstable_by_key(|(revision, place, ..)| (*revision, *place));
    let mut changes = applied.model().changes().iter().peekable();
    let mut keys: BTreeMap<Bytes, KeyValue> = BTreeMap::new();
    for (revision, place, span, found) in reads {
        while let Some(change) = changes.next_if(|change| change.revision <= revision) {
            match &change.now {
                Some(now) => keys.insert(change.key.clone(), now.clone()),
                None => keys.remove(&change.key),
            };
        }
        let exists = revision >= 1 && revision <= applied.model().revision();
        Violation::unless(exists, "read-revision", || {
            format!("revision {revision} does not exist: {:?}", history[place])
        })
        .map_err(|violation| violation.about(place))?;
        let expected = select(&keys, span);
        Violation::unless(expected == found.kvs, "read-replay", || {
            format!("the read {:?} should have found {expected:?}", history[place])
        })
        .map_err(|violation| violation.about(place))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
