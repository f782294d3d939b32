//! Who holds something: locks and leadership, by the notes of actors.

use std::collections::BTreeMap;

use super::Checker;
use crate::actors::record::{Note, RunHistory};

/// A lock has one holder at a time, and its fencing tokens tell them apart. Actors note, with a
/// name without spaces, the fencing token, and a revision:
///
/// | note | value | when |
/// |---|---|---|
/// | `acquired` | name token | it holds the lock: it is not told that its session is lost |
/// | `holds` | name token | it still does, and is still not told |
/// | `released` | name token | the same, right before it gives the lock up |
/// | `wrote` | name token revision | something was written that the lock protects |
/// | `evicted` | name token | somebody ended the session of one that waits with this token |
///
/// Whoever has lost its session notes nothing more of that token. Then tokens grow from holder to
/// holder, nobody holds what somebody else has acquired meanwhile, nobody acquires with a token
/// that was evicted, and what was written is in the order of the tokens. The last is demanded even
/// of those who were not told yet that they lost the lock, so they need
/// [`held`](quorate::recipes::Election).
///
/// Sessions are lost in time only if clocks run alike, so this goes with faults without
/// [`FaultClass::ClockRates`](crate::FaultClass::ClockRates).
pub fn locks() -> impl Checker {
    Holders { name: "locks", words: ["acquired", "holds", "released", "wrote", "evicted"] }
}

/// The same for elections, whose leaders note `elected`, `leads`, `resigned`, `proclaimed` (with
/// the revision) and `evicted`. Actors that observe note `observes` (name) when they begin, and
/// `observed` (name token revision) for everything told, with the revisions at which the key was
/// made and changed last. Then nobody is told of an earlier leader after a later one, or twice of
/// the same change.
pub fn elections() -> impl Checker {
    Elections(Holders {
        name: "elections",
        words: ["elected", "leads", "resigned", "proclaimed", "evicted"],
    })
}

struct Holders {
    name: &'static str,
    words: [&'static str; 5],
}

/// What the notes of one name told so far.
#[derive(Default)]
struct Line {
    /// The greatest token that was acquired.
    token: i64,
    /// Revisions and tokens of writes.
    writes: Vec<(i64, i64)>,
    evicted: Vec<i64>,
}

impl Checker for Holders {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        let mut lines: BTreeMap<&str, Line> = BTreeMap::new();
        for note in &history.notes {
            let Some(kind) = self.words.iter().position(|word| *word == note.name) else {
                continue;
            };
            let (name, numbers) = parts(note)?;
            let line = lines.entry(name).or_default();
            let fine = match (kind, &numbers[..]) {
                (0, [token]) => {
                    let fine = *token > line.token && !line.evicted.contains(token);
                    line.token = line.token.max(*token);
                    fine
                }
                (1 | 2, [token]) => *token == line.token,
                (3, [token, revision]) => {
                    line.writes.push((*revision, *token));
                    true
                }
                (4, [token]) => {
                    line.evicted.push(*token);
                    *token > line.token
                }
                _ => return Err(format!("a note that cannot be read: {note:?}")),
            };
            if !fine {
                let (token, evicted) = (line.token, &line.evicted);
                return Err(format!(
                    "the newest token is {token}, evicted were {evicted:?}: {note:?}"
                ));
            }
        }
        lines.into_iter().try_for_each(|(name, line)| in_order(name, line.writes))
    }
}

/// The name and the numbers of a note.
fn parts(note: &Note) -> Result<(&str, Vec<i64>), String> {
    let mut words = note.value.split_whitespace();
    let name = words.next().unwrap_or_default();
    let numbers: Result<_, _> = words.map(str::parse).collect();
    numbers.map(|numbers| (name, numbers)).map_err(|error| format!("{note:?}: {error}"))
}

/// What was written comes in the order of the tokens.
fn in_order(name: &str, mut writes: Vec<(i64, i64)>) -> Result<(), String> {
    writes.sort_unstable();
    for pair in writes.windows(2) {
        let ((before, first), (revision, second)) = (pair[0], pair[1]);
        if second < first {
            return Err(format!(
                "{name}: token {first} wrote at revision {before}, and the earlier token {second} \
                 after that at revision {revision}"
            ));
        }
    }
    Ok(())
}

struct Elections(Holders);

/// What an observer was told.
#[derive(Default)]
struct Told {
    /// The last token and revision.
    last: (i64, i64),
    /// Whether it began anew since.
    anew: bool,
}

impl Checker for Elections {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        self.0.check(history)?;
        // By observer and name.
        let mut told: BTreeMap<(usize, &str), Told> = BTreeMap::new();
        for note in &history.notes {
            if note.name != "observes" && note.name != "observed" {
                continue;
            }
            let (name, numbers) = parts(note)?;
            let told = told.entry((note.actor, name)).or_default();
            match (note.name.as_str(), &numbers[..]) {
                ("observes", []) => told.anew = true,
                ("observed", [token, revision]) => {
                    let next = (*token, *revision);
                    if next < told.last || (next == told.last && !told.anew) {
                        return Err(format!("{:?} was told before: {note:?}", told.last));
                    }
                    *told = Told { last: next, anew: false };
                }
                _ => return Err(format!("a note that cannot be read: {note:?}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::Instant;

    use super::*;

    fn history(notes: &[(usize, &str, &str)]) -> RunHistory {
        let note = |(at, (actor, name, value)): (u64, &(usize, &str, &str))| Note {
            at: Instant::from_nanos(at),
            actor: *actor,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        RunHistory { notes: (0..).zip(notes).map(note).collect(), calls: Vec::new() }
    }

    fn check(checker: impl Checker, notes: &[(usize, &str, &str)], wrong: Option<&str>) {
        let result = checker.check(&history(notes));
        match wrong {
            None => assert_eq!(result, Ok(())),
            Some(text) => {
                let problem = result.expect_err("something is wrong");
                assert!(problem.contains(text), "{problem}");
            }
        }
    }

    #[test]
    fn holders_follow_each_other() {
        let (a, b) = ((0, "acquired", "x 3"), (1, "acquired", "x 5"));
        check(locks(), &[a, (0, "released", "x 3"), b, (1, "holds", "x 5")], None);
        check(locks(), &[a, (9, "acquired", "y 2"), (0, "holds", "x 3"), b], None);
        check(locks(), &[b, a], Some("the newest token is 5"));
        check(locks(), &[a, a], Some("the newest token is 3"));
        check(locks(), &[a, b, (0, "holds", "x 3")], Some("the newest token is 5"));
        check(locks(), &[a, b, (0, "released", "x 3")], Some("the newest token is 5"));
        check(locks(), &[a, (0, "evicted", "x 5"), b], Some("evicted were [5]"));
        check(locks(), &[(0, "acquired", "x")], Some("cannot be read"));
        check(locks(), &[(0, "acquired", "x y")], Some("invalid digit"));
    }

    #[test]
    fn writes_are_in_the_order_of_tokens_whenever_they_were_noted() {
        let (a, b) = ((0, "wrote", "x 3 10"), (1, "wrote", "x 5 11"));
        check(locks(), &[b, a, (1, "wrote", "x 5 12")], None);
        check(locks(), &[b, a, (0, "wrote", "x 3 12")], Some("the earlier token 3"));
    }

    #[test]
    fn observers_are_told_of_leaders_in_order() {
        let (begins, a) = ((0, "observes", "x"), (0, "observed", "x 3 3"));
        check(elections(), &[begins, a, (0, "observed", "x 3 4"), (1, "observed", "x 3 3")], None);
        check(elections(), &[begins, a, begins, a, (0, "observed", "x 5 5")], None);
        check(elections(), &[begins, a, a], Some("was told before"));
        let later = (0, "observed", "x 5 5");
        check(elections(), &[begins, later, begins, a], Some("was told before"));
        check(elections(), &[(0, "elected", "x 3"), (1, "elected", "x 3")], Some("token is 3"));
    }
}
