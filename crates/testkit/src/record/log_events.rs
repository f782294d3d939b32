//! Histories as a log for people: the lines that Jepsen prints.
//!
//! `INFO  jepsen.util - 3<tab>:ok<tab>:cas<tab>[1 2]`, and behind another tab what else is known:
//! a map with `:index`, `:time`, `:key` and `:error`, or just the error.

use serde_json::Value;

use super::edn::{Edn, Parser, write_json, write_text};
use super::edn_events::write_function;
use super::{History, HistoryError, HistoryEvent, Kind, Problem};

impl History {
    /// The history as lines of a log, as Jepsen prints them.
    pub fn to_log(&self) -> String {
        let mut out = String::new();
        let mut next = 0;
        for event in self.events() {
            out.push_str(&format!("INFO  {LOGGER} - {}\t:{}\t", event.process, event.kind));
            write_function(&event.function, &mut out);
            out.push('\t');
            write_json(&event.value, &mut out);
            let more = more(event, next);
            if !more.is_empty() {
                out.push_str(&format!("\t{{{}}}", more.join(", ")));
            }
            out.push('\n');
            next = event.index.saturating_add(1);
        }
        out
    }
}

/// What the four columns of a line do not tell.
fn more(event: &HistoryEvent, next: u64) -> Vec<String> {
    let quoted = |text: &String| {
        let mut out = String::new();
        write_text(text, &mut out);
        out
    };
    let mut more = Vec::new();
    more.extend((event.index != next).then(|| format!(":index {}", event.index)));
    more.extend((event.time != 0).then(|| format!(":time {}", event.time)));
    more.extend(event.key.as_ref().map(|key| format!(":key {}", quoted(key))));
    more.extend(event.error.as_ref().map(|error| format!(":error {}", quoted(error))));
    more
}

/// Whether this is a line of a log.
pub(super) fn is_log(line: &str) -> bool {
    LEVELS
        .iter()
        .any(|level| line.strip_prefix(level).is_some_and(|rest| rest.starts_with([' ', '\t'])))
}

pub(super) fn read(text: &str) -> Result<History, HistoryError> {
    let mut history = History::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        if !is_log(text) {
            let problem = Problem::Syntax("this is no line of a log".to_owned());
            return Err(HistoryError::new(line, problem));
        }
        // Other parts of Jepsen write to the same log.
        let Some((_, event)) = text.split_once(&format!("{LOGGER} - ")) else { continue };
        if let Some(event) = event_of(text, event, history.next_index(), line)? {
            history.push_read(event, line);
        }
    }
    Ok(history)
}

/// The event that a line tells; nothing if it is none of a client, but of Jepsen's nemesis.
fn event_of(
    whole: &str,
    text: &str,
    next: u64,
    line: usize,
) -> Result<Option<HistoryEvent>, HistoryError> {
    let wrong = |name, found: &str| {
        let found = Some(found.to_owned()).filter(|found| !found.is_empty());
        HistoryError::new(line, Problem::Field { name, found })
    };
    // Tabs stand between the columns as Jepsen prints them, and spaces once somebody copied them.
    let (process, rest) = first_word(text);
    let (kind, rest) = first_word(rest);
    let mut parser = Parser::of_end(whole, rest, line);
    if process.starts_with(':') {
        return Ok(None);
    }
    let process = process.parse().map_err(|_| wrong("process", process))?;
    let named = kind.strip_prefix(':').and_then(Kind::named);
    let kind = named.ok_or_else(|| wrong("type", kind))?;
    let function = match parser.value()? {
        Some(name @ (Edn::Keyword(_) | Edn::Text(_))) => name.name(),
        Some(other) => return Err(wrong("f", &other.words())),
        None => return Err(wrong("f", "")),
    };
    let value = parser.value()?.ok_or_else(|| wrong("value", ""))?.to_json();
    let mut event =
        HistoryEvent { index: next, ..HistoryEvent::new(process, kind, function, value) };
    match parser.value()? {
        None => {}
        Some(more @ Edn::Map(_)) => {
            let number = |name| match more.get(name).map(Edn::to_json) {
                None => Ok(None),
                Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
                Some(other) => Err(wrong(name, &other.to_string())),
            };
            event.index = number("index")?.unwrap_or(next);
            event.time = number("time")?.unwrap_or(0);
            event.key = more.get("key").map(Edn::words);
            event.error = more.get("error").map(Edn::words);
        }
        Some(error) => event.error = Some(error.words()),
    }
    match parser.value()? {
        None => Ok(Some(event)),
        Some(_) => Err(parser.syntax("something follows the end of the event")),
    }
}

/// The first word of a text, and what comes behind it.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// The part of Jepsen that prints events.
const LOGGER: &str = "jepsen.util";

/// What lines of a log begin with.
const LEVELS: [&str; 5] = ["INFO", "WARN", "ERROR", "DEBUG", "TRACE"];
