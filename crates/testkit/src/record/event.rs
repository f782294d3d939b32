//! The events of a history.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What clients did, in the order in which it happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<HistoryEvent>,
    /// The line where each event was read; empty if the events come from elsewhere.
    lines: Vec<usize>,
}

/// The begin or the end of a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// Its number, larger than those before it.
    pub index: u64,
    /// Nanoseconds since the history began; zero where the time is not known. The order of the
    /// events, not this, says what came first.
    #[serde(default)]
    pub time: u64,
    /// Who calls. A process makes one call at a time.
    pub process: u64,
    /// Whether a call begins or how it ended.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is called, such as `read`.
    #[serde(rename = "f")]
    pub function: String,
    /// What is passed to the call, or what it returned.
    #[serde(default)]
    pub value: Value,
    /// Which object is called, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why a call failed or has no known outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a call begins or how it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It was carried out.
    Ok,
    /// It had no effect and never will.
    Fail,
    /// Nobody knows whether it had or will have an effect.
    Info,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Invoke, Self::Ok, Self::Fail, Self::Info];

    /// Its name in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl HistoryEvent {
    /// An event at no known time, to be given its number by [`History::push`].
    pub fn new(process: u64, kind: Kind, function: impl Into<String>, value: Value) -> Self {
        let function = function.into();
        Self { index: 0, time: 0, process, kind, function, value, key: None, error: None }
    }
}

impl History {
    /// A history without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event and numbers it; returns its number.
    pub fn push(&mut self, event: HistoryEvent) -> u64 {
        let index = self.events.last().map_or(0, |last| last.index + 1);
        self.events.push(HistoryEvent { index, ..event });
        index
    }

    /// The events, oldest first.
    pub fn events(&self) -> &[HistoryEvent] {
        &self.events
    }

    /// The line that the event at this place was read from; nothing if it was not read.
    pub fn line(&self, place: usize) -> Option<usize> {
        self.lines.get(place).copied()
    }

    /// Adds an event that was read at a line.
    pub(super) fn push_read(&mut self, event: HistoryEvent, line: usize) {
        self.events.push(event);
        self.lines.push(line);
    }

    /// The number that an event has that does not tell it.
    pub(super) fn next_index(&self) -> u64 {
        self.events.last().map_or(0, |last| last.index.saturating_add(1))
    }
}

/// Equal events, wherever they were read.
impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.events == other.events
    }
}

impl Eq for History {}

impl FromIterator<HistoryEvent> for History {
    /// Keeps the numbers that the events have.
    fn from_iter<T: IntoIterator<Item = HistoryEvent>>(events: T) -> Self {
        Self { events: events.into_iter().collect(), lines: Vec::new() }
    }
}
