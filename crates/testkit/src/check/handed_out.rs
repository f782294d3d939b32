//! What is handed out once: items of queues, by the notes of actors.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::actors::record::RunHistory;

/// Everything added to a queue is taken once, and nothing is lost. Actors note, with the item as
/// value, `added` and `taken`; where the outcome is unknown `maybe added` with the item and
/// `maybe taken` with anything. Items must differ, and the queue must be empty at the end.
pub fn queue() -> impl Checker {
    Queue
}

struct Queue;

impl Checker for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        let mut added: BTreeMap<&str, bool> = BTreeMap::new();
        for (name, surely) in [("added", true), ("maybe added", false)] {
            for item in history.notes(name).iter() {
                if added.insert(item, surely).is_some() {
                    return Err(format!("{item} was added twice by the actors themselves"));
                }
            }
        }
        let taken = history.notes("taken");
        if !taken.all_unique() {
            return Err(format!("taken more than once: {:?}", taken.duplicates()));
        }
        let taken: BTreeSet<&str> = taken.iter().collect();
        if let Some(stranger) = taken.iter().find(|item| !added.contains_key(*item)) {
            return Err(format!("{stranger} was taken, and never added"));
        }
        let left = added.iter().filter(|(item, surely)| **surely && !taken.contains(*item));
        let left: Vec<&str> = left.map(|(item, _)| *item).collect();
        let excused = history.notes("maybe taken").count();
        if left.len() > excused {
            return Err(format!(
                "nobody took {left:?}; {excused} takers do not know what they did"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::Instant;

    use super::*;
    use crate::actors::record::Note;

    fn check(notes: &[(&str, &str)]) -> Result<(), String> {
        let note = |(name, value): &(&str, &str)| Note {
            at: Instant::ZERO,
            actor: 0,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let notes = notes.iter().map(note).collect();
        queue().check(&RunHistory { notes, calls: Vec::new() })
    }

    #[test]
    fn every_item_once() {
        let (a, b) = (("added", "a"), ("added", "b"));
        assert_eq!(check(&[a, b, ("taken", "b"), ("taken", "a")]), Ok(()));
        let twice = check(&[a, ("taken", "a"), ("taken", "a")]);
        assert!(twice.is_err_and(|problem| problem.contains("more than once")));
        let lost = check(&[a, b, ("taken", "b")]);
        assert!(lost.is_err_and(|problem| problem.contains("nobody took [\"a\"]")));
        assert_eq!(check(&[a, b, ("taken", "b"), ("maybe taken", "?")]), Ok(()));
        assert_eq!(check(&[("maybe added", "a")]), Ok(()));
        assert_eq!(check(&[("maybe added", "a"), ("taken", "a")]), Ok(()));
        assert!(check(&[("taken", "a")]).is_err_and(|problem| problem.contains("never added")));
        assert!(check(&[a, a]).is_err_and(|problem| problem.contains("themselves")));
    }
}
