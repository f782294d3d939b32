//! Histories as EDN: Jepsen's own form, one map for each event.

use serde_json::Value;

use super::edn::{Edn, Parser, write_json, write_text};
use super::{History, HistoryError, HistoryEvent, Kind, Problem};

impl History {
    /// The history as EDN, one map a line, as Jepsen's tools read it.
    pub fn to_edn(&self) -> String {
        let mut out = String::new();
        for event in self.events() {
            out.push_str(&format!("{{:type :{}, :f ", event.kind));
            write_function(&event.function, &mut out);
            if let Some(key) = &event.key {
                out.push_str(", :key ");
                write_text(key, &mut out);
            }
            out.push_str(", :value ");
            write_json(&event.value, &mut out);
            out.push_str(&format!(", :process {}, :time {}", event.process, event.time));
            out.push_str(&format!(", :index {}", event.index));
            if let Some(error) = &event.error {
                out.push_str(", :error ");
                write_text(error, &mut out);
            }
            out.push_str("}\n");
        }
        out
    }
}

/// A function as a keyword if it can be one, else as a text.
pub(super) fn write_function(function: &str, out: &mut String) {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || "-_.*+!?".contains(char);
    if function.starts_with(|char: char| char.is_ascii_alphabetic())
        && function.chars().all(is_legal)
    {
        out.push(':');
        out.push_str(function);
    } else {
        write_text(function, out);
    }
}

/// Reads maps one after another, or one sequence of them.
pub(super) fn read(text: &str) -> Result<History, HistoryError> {
    let mut parser = Parser::new(text, 1);
    let mut history = History::new();
    let end = match (parser.enter('[')?, parser.enter('(')?) {
        (true, false) => Some(']'),
        (false, true) => Some(')'),
        (false, false) => None,
        (true, true) => return Err(parser.syntax("an event must be a map")),
    };
    loop {
        if let Some(end) = end
            && parser.is_closed(end)?
        {
            break;
        }
        let line = parser.line_of_next()?;
        let Some(event) = parser.value()? else { break };
        if let Some(event) = event_of(&event, history.next_index(), line)? {
            history.push_read(event, line);
        }
    }
    match parser.value()? {
        None => Ok(history),
        Some(_) => Err(parser.syntax("something follows the end of the history")),
    }
}

/// The event that a map tells; nothing if it is none of a client, but of Jepsen's nemesis.
fn event_of(map: &Edn, next: u64, line: usize) -> Result<Option<HistoryEvent>, HistoryError> {
    if !matches!(map, Edn::Map(_)) {
        let problem = Problem::Syntax("an event must be a map".to_owned());
        return Err(HistoryError::new(line, problem));
    }
    let wrong = |name, found: Option<&Edn>| {
        let found = found.map(|found| found.to_json().to_string());
        HistoryError::new(line, Problem::Field { name, found })
    };
    let process = match map.get("process") {
        Some(Edn::Keyword(_)) => return Ok(None),
        other => number(other).ok_or_else(|| wrong("process", other))?,
    };
    let kind = map.get("type");
    let named = kind.map(Edn::name).and_then(|name| Kind::named(&name));
    let kind = named.ok_or_else(|| wrong("type", kind))?;
    let function = match map.get("f") {
        Some(name @ (Edn::Keyword(_) | Edn::Text(_) | Edn::Symbol(_))) => name.name(),
        other => return Err(wrong("f", other)),
    };
    let optional = |name, otherwise| match map.get(name) {
        None | Some(Edn::Nil) => Ok(otherwise),
        other => number(other).ok_or_else(|| wrong(name, other)),
    };
    let words = |name| map.get(name).filter(|found| **found != Edn::Nil).map(Edn::words);
    Ok(Some(HistoryEvent {
        index: optional("index", next)?,
        time: optional("time", 0)?,
        process,
        kind,
        function,
        value: map.get("value").map_or(Value::Null, Edn::to_json),
        key: words("key"),
        error: words("error"),
    }))
}

fn number(value: Option<&Edn>) -> Option<u64> {
    match value {
        Some(Edn::Number(number)) => number.as_u64(),
        _ => None,
    }
}
