//! What can be wrong with a history.

use std::fmt;

use super::Kind;

/// A history that cannot be read or understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryError {
    /// The line, from 1 on; nothing if the history was not read from text.
    pub line: Option<usize>,
    /// The character in the line, from 1 on, where that helps.
    pub column: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a history.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// It begins like no format that can be read.
    UnknownFormat,
    /// It has no events.
    Empty,
    /// The text does not follow its format.
    Syntax(String),
    /// Values are nested too deep.
    TooDeep {
        /// How deep they may be.
        depth_max: usize,
    },
    /// An event lacks a field, or the field holds what it cannot hold.
    Field {
        /// The field.
        name: &'static str,
        /// What it holds, if it is there.
        found: Option<String>,
    },
    /// An event has a number that is not larger than the one before.
    Order {
        /// The number.
        index: u64,
        /// The one before.
        before: u64,
    },
    /// A call ends that did not begin.
    EndWithoutCall {
        /// Who called.
        process: u64,
        /// How it ended.
        kind: Kind,
    },
    /// A process calls before its earlier call ended.
    CallInFlight {
        /// Who calls.
        process: u64,
    },
    /// A call ends as a call of another function or key than it began.
    EndOfAnother {
        /// Who called.
        process: u64,
    },
    /// The model knows no such call, or the call no such value.
    NotOfModel(String),
}

impl HistoryError {
    pub(super) fn new(line: usize, problem: Problem) -> Self {
        Self { line: Some(line), column: None, problem }
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, _) => {}
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for HistoryError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("neither JSON lines, nor EDN, nor a log of Jepsen"),
            Self::Empty => f.write_str("there are no events"),
            Self::Syntax(what) | Self::NotOfModel(what) => f.write_str(what),
            Self::TooDeep { depth_max } => write!(f, "values are nested deeper than {depth_max}"),
            Self::Field { name, found: Some(found) } => {
                write!(f, "the field `{name}` cannot be {found}")
            }
            Self::Field { name, found: None } => write!(f, "the field `{name}` is missing"),
            Self::Order { index, before } => {
                write!(f, "event {index} comes after event {before}")
            }
            Self::EndWithoutCall { process, kind } => {
                write!(f, "process {process} has no call that could end with `{kind}`")
            }
            Self::CallInFlight { process } => {
                write!(f, "process {process} calls while its earlier call has not ended")
            }
            Self::EndOfAnother { process } => {
                write!(f, "process {process} ends another call than the one it began")
            }
        }
    }
}
