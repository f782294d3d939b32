//! A counterexample in words.

use super::{Counterexample, Model, Operation};

impl Counterexample {
    /// What went wrong, in at most 15 short lines, for the model and history that were checked.
    ///
    /// # Panics
    ///
    /// If the history is not the one that was checked, but a shorter one.
    pub fn explain<M: Model>(
        &self,
        model: &M,
        history: &[Operation<M::Input, M::Output>],
    ) -> String {
        let line = |place: usize| format!("    {}", in_words(model, &history[place]));
        let mut lines = Vec::new();
        let of_key = self.key.as_ref().map_or(String::new(), |key| format!(" of key {key:?}"));
        let placed = self.prefix.iter().filter(|place| history[**place].output().is_some());
        let (placed, answered) = (placed.count(), self.answered);
        lines.push(format!("{placed} of {answered} answered operations{of_key} have an order."));
        lines.push("This one cannot be placed after them:".to_owned());
        lines.push(line(self.culprit));
        lines.push("The object could then only be in".to_owned());
        lines.push(format!("    {}", shorten(&self.states.join(" or "), STATES_CHARS_MAX)));
        if self.prefix.is_empty() {
            lines.push("Nothing can have happened before.".to_owned());
        } else {
            lines.push("The order ends with".to_owned());
        }
        let first = self.prefix.len().saturating_sub(BEFORE_MAX);
        lines.extend(self.prefix[first..].iter().map(|place| line(*place)));
        // What was called last is most likely to matter.
        let mut others = self.concurrent.clone();
        others.retain(|place| !self.prefix[first..].contains(place));
        others.sort_by_key(|place| std::cmp::Reverse(history[*place].call_time()));
        if !others.is_empty() {
            lines.push(match others.len().saturating_sub(CONCURRENT_MAX) {
                0 => "Also under way were".to_owned(),
                more => format!("Also under way were {more} more and"),
            });
            lines.extend(others.iter().take(CONCURRENT_MAX).map(|place| line(*place)));
        }
        lines.join("\n")
    }
}

/// An operation with who and when.
fn in_words<M: Model>(model: &M, operation: &Operation<M::Input, M::Output>) -> String {
    let what = model.describe(operation.input(), operation.output());
    let (process, called) = (operation.process(), operation.call_time());
    let what = shorten(&what, OPERATION_CHARS_MAX);
    match operation.return_time() {
        Some(returned) => format!("process {process}, from {called} to {returned}: {what}"),
        None => format!("process {process}, from {called} on: {what}"),
    }
}

/// The text without its middle if it is long.
fn shorten(text: &str, chars_max: usize) -> String {
    let count = text.chars().count();
    if count <= chars_max {
        return text.to_owned();
    }
    let half = chars_max / 2;
    let begin: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{begin} … {end}")
}

/// How many operations of the order are shown.
const BEFORE_MAX: usize = 4;

/// How many operations are shown that were under way at the same time.
const CONCURRENT_MAX: usize = 4;

/// How long the text of an operation may be.
const OPERATION_CHARS_MAX: usize = 120;

/// How long the text of the states may be.
const STATES_CHARS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::super::{Limits, Register, RegisterInput, RegisterOutput, check};
    use super::*;

    #[test]
    fn a_stale_read_is_explained() {
        let write = |process, called: u64, value: u32| {
            Operation::called(process, called, RegisterInput::Write(value))
        };
        let history = [
            write(1, 0, 1).returned(1, RegisterOutput::Done),
            write(1, 2, 2).returned(3, RegisterOutput::Done),
            write(3, 2, 7),
            Operation::called(2, 4, RegisterInput::Read).returned(5, RegisterOutput::Value(1)),
        ];
        let model = Register::new(0);
        let verdict = check(&model, &history, &Limits::default());
        let text = verdict.counterexample().expect("the read is stale").explain(&model, &history);
        let expected = "\
2 of 3 answered operations have an order.
This one cannot be placed after them:
    process 2, from 4 to 5: read -> 1
The object could then only be in
    2 or 7
The order ends with
    process 1, from 0 to 1: write 1
    process 1, from 2 to 3: write 2
Also under way were
    process 3, from 2 on: write 7 -> unknown";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("äbcdefg", 6), "äbc … efg");
    }
}
