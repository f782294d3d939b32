//! What a checker says when something is wrong.

use std::fmt;

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which checker found it.
    pub checker: &'static str,
    /// What it found.
    pub detail: String,
    /// The calls of clients that it is about, by their numbers in the history; often none.
    pub calls: Vec<usize>,
}

impl Violation {
    pub(crate) fn new(checker: &'static str, detail: impl Into<String>) -> Self {
        Self { checker, detail: detail.into(), calls: Vec::new() }
    }

    /// The same, about this call.
    pub(crate) fn about(mut self, call: usize) -> Self {
        self.calls.push(call);
        self
    }

    /// An error unless `holds`.
    pub(crate) fn unless(
        holds: bool,
        checker: &'static str,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(checker, detail())) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.detail)
    }
}

impl std::error::Error for Violation {}
