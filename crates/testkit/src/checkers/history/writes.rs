//! Whether every change was asked for, and every answer is true.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::checkers::applied::AppliedLog;
use crate::checkers::history::{Call, Ending, Record};
use crate::effect::Answer;
use crate::timeline::describe_record;
use crate::violation::Violation;

/// Calls with the same bytes that were not answered, and what was applied of them.
#[derive(Clone, Copy, Debug, Default)]
struct Unanswered {
    /// Nobody knows what became of so many.
    unknown: usize,
    /// So many were said to have no effect.
    failed: usize,
    /// So many were applied.
    applied: usize,
}

/// Checks all writes of a history: each answered call is one command that was applied, and every
/// other command is one of the calls whose outcome is unknown. So no call becomes two, nothing
/// comes from nowhere, and what failed has no effect.
pub(super) fn check(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    let mut claimed = vec![false; applied.commands().len()];
    let mut rest: BTreeMap<&Bytes, Unanswered> = BTreeMap::new();
    for (number, record) in history.iter().enumerate() {
        let Call::Write(payload) = &record.call else { continue };
        match record.ending() {
            Some(Ending::Answered(answer)) => {
                let place = check_answer(payload, answer, applied)
                    .map_err(|violation| violation.about(number))?;
                let claimed_before = std::mem::replace(&mut claimed[place], true);
                Violation::unless(!claimed_before, "answer-true", || {
                    format!(
                        "two calls were answered as {:?}: {}",
                        answer.id,
                        describe_record(record)
                    )
                })?;
            }
            Some(Ending::Failed | Ending::Refused(_)) => {
                rest.entry(payload).or_default().failed += 1;
            }
            Some(Ending::Unknown | Ending::Read(_)) | None => {
                rest.entry(payload).or_default().unknown += 1;
            }
        }
    }
    for (command, claimed) in applied.commands().iter().zip(claimed) {
        if claimed || command.outcome.is_none() {
            continue;
        }
        let calls = rest.entry(&command.payload).or_default();
        calls.applied += 1;
        let calls = *calls;
        let asked = calls.unknown + calls.failed;
        Violation::unless(calls.applied <= asked, "nothing-invented", || {
            format!("nobody asked so often: {calls:?} of these bytes, with {command:?}")
        })?;
        Violation::unless(calls.applied <= calls.unknown, "failed-without-effect", || {
            format!("calls that failed were applied: {calls:?} of these bytes, with {command:?}")
        })?;
    }
    Ok(())
}

/// Checks an answer; returns the place of its command among those of the log.
fn check_answer(
    payload: &Bytes,
    answer: &Answer,
    applied: &AppliedLog,
) -> Result<usize, Violation> {
    let Some((place, command)) = applied.command(answer.id) else {
        let detail = format!("the answer {answer:?} is to a command that was not applied");
        return Err(Violation::new("answer-true", detail));
    };
    let result = command.outcome.as_ref().map(|outcome| &outcome.result);
    let same = command.payload == *payload && result == Some(&answer.result);
    Violation::unless(same, "answer-true", || {
        format!("the answer {answer:?} is not that of {command:?}")
    })?;
    Ok(place)
}
