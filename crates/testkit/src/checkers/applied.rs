//! Agreement of what members apply, and of what they become by it.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_raft_node::CommittedEntry;
use quorate_types::CommandId;

use super::model::{Model, Outcome};
use crate::effect::Answer;
use crate::violation::Violation;

/// The log that was applied, as the first member to apply each entry saw it.
#[derive(Debug)]
pub(crate) struct AppliedLog {
    /// Entries from index 1.
    entries: Vec<AppliedEntry>,
    commands: Vec<AppliedCommand>,
    by_id: BTreeMap<CommandId, usize>,
    model: Model,
    /// Hashes of whole states, by the index that they stand at.
    states: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct AppliedEntry {
    term: u64,
    hash: u64,
    /// Where the commands of this entry end in `commands`.
    commands_end: usize,
}

/// A command as it stood in the log.
#[derive(Debug)]
pub(crate) struct AppliedCommand {
    pub(crate) id: CommandId,
    pub(crate) payload: Bytes,
    /// What it did; nothing if it was not applied, because it was applied before or was over.
    pub(crate) outcome: Option<Outcome>,
}

impl AppliedLog {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            commands: Vec::new(),
            by_id: BTreeMap::new(),
            model: Model::new(),
            states: BTreeMap::new(),
        }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn commands(&self) -> &[AppliedCommand] {
        &self.commands
    }

    /// The command of this name that took effect, and its place among all.
    pub(crate) fn command(&self, id: CommandId) -> Option<(usize, &AppliedCommand)> {
        self.by_id.get(&id).map(|place| (*place, &self.commands[*place]))
    }

    /// The last index applied by anybody.
    pub(crate) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    /// A member applied a run of entries, given with hashes of their content, and answered.
    pub(crate) fn applied(
        &mut self,
        member: u64,
        run: &[(CommittedEntry, u64)],
        answers: &[Answer],
    ) -> Result<(), Violation> {
        let mut answers = answers.iter();
        for (entry, hash) in run {
            let index = entry.position.index.get();
            let term = entry.position.term.get();
            if index == self.last() + 1 {
                self.extend(term, *hash, entry);
            }
            let place = usize::try_from(index - 1).unwrap_or(usize::MAX);
            let Some(known) = self.entries.get(place) else {
                let detail = format!("member {member} applies {index} after {}", self.last());
                return Err(Violation::new("apply-gap", detail));
            };
            Violation::unless(
                (known.term, known.hash) == (term, *hash),
                "apply-agreement",
                || {
                    format!(
                        "member {member} applies another entry at {} than others",
                        entry.position
                    )
                },
            )?;
            let first = place.checked_sub(1).map_or(0, |before| self.entries[before].commands_end);
            for command in &self.commands[first..known.commands_end] {
                let Some(Outcome { result, .. }) = &command.outcome else { continue };
                let answer = answers.next();
                let same = answer.is_some_and(|a| a.id == command.id && a.result == *result);
                Violation::unless(same, "apply-model", || {
                    let expected = format!("{:?} {result:?}", command.id);
                    format!("member {member} at {index} answers {answer:?}, expected {expected}")
                })?;
            }
        }
        let rest = answers.next();
        Violation::unless(rest.is_none(), "apply-model", || {
            format!("member {member} answers {rest:?}, which was not to be applied")
        })
    }

    fn extend(&mut self, term: u64, hash: u64, entry: &CommittedEntry) {
        let index = entry.position.index.get();
        for command in &entry.commands {
            let outcome = self.model.apply(index, command.id, command.floor, &command.payload);
            if outcome.is_some() {
                self.by_id.insert(command.id, self.commands.len());
            }
            let payload = command.payload.clone();
            self.commands.push(AppliedCommand { id: command.id, payload, outcome });
        }
        self.entries.push(AppliedEntry { term, hash, commands_end: self.commands.len() });
    }

    /// The whole state of a member at `index` hashes to this.
    pub(crate) fn state(&mut self, member: u64, index: u64, hash: u64) -> Result<(), Violation> {
        let known = *self.states.entry(index).or_insert(hash);
        Violation::unless(known == hash, "state-agreement", || {
            format!("member {member} has another state than others at index {index}")
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use quorate_kv_api::{Command as KvCommand, PutRequest, PutResponse, ResponseHeader};
    use quorate_mvcc::Response;
    use quorate_raft_node::Command;
    use quorate_types::{LogIndex, LogPosition, MemberId, Term};

    use super::*;

    fn entry(index: u64, key: &'static str) -> (CommittedEntry, u64) {
        let id = CommandId { origin: MemberId::new(1), incarnation: 1, sequence: index };
        let payload = KvCommand::from(PutRequest::new(key, "v")).encode_to_vec().into();
        let position = LogPosition::new(Term::new(1), LogIndex::new(index));
        let commands = vec![Command { id, floor: 1, payload }];
        (CommittedEntry { position, commands, membership: None }, key.len() as u64)
    }

    fn answer(index: u64, revision: i64) -> Answer {
        let id = CommandId { origin: MemberId::new(1), incarnation: 1, sequence: index };
        let header = Some(ResponseHeader::at(revision));
        let result = Ok(Response::Put(PutResponse { header, prev_kv: None }));
        Answer { id, index: LogIndex::new(index), result }
    }

    fn check(run: &[(CommittedEntry, u64)], answers: &[Answer], expected: Option<&str>) {
        let mut log = AppliedLog::new();
        let first = log.applied(1, &[entry(1, "a"), entry(2, "b")], &[answer(1, 2), answer(2, 3)]);
        assert_eq!(first, Ok(()));
        let second = log.applied(2, run, answers);
        assert_eq!(second.err().map(|violation| violation.checker), expected);
    }

    #[test]
    fn the_same_entries_and_answers_in_other_runs_are_fine() {
        check(&[entry(1, "a")], &[answer(1, 2)], None);
        check(&[entry(2, "b"), entry(3, "c")], &[answer(2, 3), answer(3, 4)], None);
    }

    #[test]
    fn another_entry_a_gap_or_another_answer_is_not() {
        check(&[entry(2, "other")], &[answer(2, 3)], Some("apply-agreement"));
        check(&[entry(4, "d")], &[answer(4, 5)], Some("apply-gap"));
        check(&[entry(1, "a")], &[answer(1, 3)], Some("apply-model"));
        check(&[entry(1, "a")], &[], Some("apply-model"));
        check(&[entry(1, "a")], &[answer(1, 2), answer(1, 2)], Some("apply-model"));
    }

    #[test]
    fn states_at_one_index_must_be_equal() {
        let mut log = AppliedLog::new();
        assert!(log.state(1, 5, 7).is_ok());
        assert!(log.state(2, 6, 8).is_ok());
        assert!(log.state(2, 5, 7).is_ok());
        assert!(log.state(3, 5, 8).is_err());
    }
}
