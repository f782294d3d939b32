//! Whether every change was asked for, and every answer is true.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::checkers::applied::AppliedLog;
use crate::checkers::history::{Call, Ending, Record};
use crate::effect::Answer;
use crate::violation::Violation;

/// How often the same bytes were asked for and what became of them.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    calls: usize,
    failed: usize,
    applied: usize,
}

/// Checks all writes of a history.
pub(super) fn check(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    let mut asked: BTreeMap<&Bytes, Asked> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for record in history {
        let Call::Write(payload) = &record.call else { continue };
        let asked = asked.entry(payload).or_default();
        asked.calls += 1;
        match record.ending() {
            Some(Ending::Failed | Ending::Refused(_)) => asked.failed += 1,
            Some(Ending::Answered(answer)) => {
                check_answer(payload, answer, applied)?;
                Violation::unless(answered.insert(answer.id), "answer-true", || {
                    format!("two calls were answered as {:?}: {record:?}", answer.id)
                })?;
            }
            Some(Ending::Unknown | Ending::Read(_)) | None => {}
        }
    }
    check_applied(&mut asked, applied)
}

fn check_answer(payload: &Bytes, answer: &Answer, applied: &AppliedLog) -> Result<(), Violation> {
    let Some(command) = applied.command(answer.id) else {
        let detail = format!("the answer {answer:?} is to a command that was not applied");
        return Err(Violation::new("answer-true", detail));
    };
    let result = command.outcome.as_ref().map(|outcome| &outcome.result);
    let same = command.payload == *payload && result == Some(&answer.result);
    Violation::unless(same, "answer-true", || {
        format!("the answer {answer:?} is not that of {command:?}")
    })
}

/// No bytes were applied more often than they were asked for without failing. So no call becomes
/// two, nothing comes from nowhere, and what failed has no effect.
fn check_applied(
    asked: &mut BTreeMap<&Bytes, Asked>,
    applied: &AppliedLog,
) -> Result<(), Violation> {
    for command in applied.commands().iter().filter(|command| command.outcome.is_some()) {
        let Some(asked) = asked.get_mut(&command.payload) else {
            let detail = format!("nobody asked for {command:?}");
            return Err(Violation::new("nothing-invented", detail));
        };
        asked.applied += 1;
        Violation::unless(asked.applied <= asked.calls, "nothing-invented", || {
            format!("{asked:?} of these bytes, with {command:?}")
        })?;
        Violation::unless(
            asked.applied <= asked.calls - asked.failed,
            "failed-without-effect",
            || format!("{asked:?} of these bytes, with {command:?}"),
        )?;
    }
    Ok(())
}
