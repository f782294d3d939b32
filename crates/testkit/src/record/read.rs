//! Which format a text has.

use super::{History, HistoryError, Problem, edn_events, json_events, log_events};

impl History {
    /// Reads a history in whichever of the formats it is: JSON lines, EDN (maps one after another,
    /// or one sequence of them), or a log with the lines of `jepsen.util`. Events of Jepsen's
    /// nemesis, which calls itself so instead of a number, are left out.
    ///
    /// # Errors
    ///
    /// A [`HistoryError`] with the line, if the text has none of these formats, does not follow
    /// its format, has no events at all, or has events whose numbers do not grow.
    pub fn read(text: &str) -> Result<Self, HistoryError> {
        let history = match first_line(text) {
            None => return Err(HistoryError { line: None, column: None, problem: Problem::Empty }),
            Some((_, line)) if log_events::is_log(line) => log_events::read(text)?,
            Some((_, line)) if is_json(line) => json_events::read(text)?,
            Some((_, line)) if line.starts_with(['{', '[', '(', '#', ';']) => {
                edn_events::read(text)?
            }
            Some((line, _)) => return Err(HistoryError::new(line, Problem::UnknownFormat)),
        };
        for (place, pair) in history.events().windows(2).enumerate() {
            let (before, index) = (pair[0].index, pair[1].index);
            if index <= before {
                let (line, problem) = (history.line(place + 1), Problem::Order { index, before });
                return Err(HistoryError { line, column: None, problem });
            }
        }
        if history.events().is_empty() {
            return Err(HistoryError { line: None, column: None, problem: Problem::Empty });
        }
        Ok(history)
    }
}

/// The first line that is not blank.
fn first_line(text: &str) -> Option<(usize, &str)> {
    (1..).zip(text.lines().map(str::trim)).find(|(_, line)| !line.is_empty())
}

/// Whether a map begins as JSON does: with a text as its key, and a colon behind that.
fn is_json(line: &str) -> bool {
    let Some(rest) = line.strip_prefix('{').map(str::trim_start) else { return false };
    let Some(rest) = rest.strip_prefix('"') else { return rest.starts_with('}') };
    rest.split_once('"').is_some_and(|(_, rest)| rest.trim_start().starts_with(':'))
}
