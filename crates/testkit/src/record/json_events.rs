//! Histories as JSON lines: one object for each event.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{History, HistoryError, HistoryEvent, Problem};

impl History {
    /// The history as JSON lines, one object a line.
    pub fn to_json_lines(&self) -> String {
        let mut out = String::new();
        for event in self.events() {
            let line = serde_json::to_string(event).expect("events have only plain fields");
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}

pub(super) fn read(text: &str) -> Result<History, HistoryError> {
    let mut history = History::new();
    for (line, text) in (1..).zip(text.lines()) {
        if !text.trim().is_empty() {
            history.push_read(event_of(text, history.next_index(), line)?, line);
        }
    }
    Ok(history)
}

fn event_of(text: &str, next: u64, line: usize) -> Result<HistoryEvent, HistoryError> {
    let wrong = |error: serde_json::Error| HistoryError {
        line: Some(line),
        column: Some(error.column()).filter(|column| *column > 0),
        // The place is told apart from what is wrong there.
        problem: Problem::Syntax(without_place(&error.to_string())),
    };
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(wrong)?;
    fields.entry("index").or_insert_with(|| next.into());
    HistoryEvent::deserialize(Value::Object(fields)).map_err(wrong)
}

fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}
