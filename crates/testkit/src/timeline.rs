//! What happened in a run, for people: as data, as a few lines of text, and as a page to look at.
//!
//! A [`Timeline`] is plain data. The simulator fills one in while it runs if
//! [`Options::timeline`](crate::Options::timeline) asks for it; anybody else may build one by hand.

mod calls;
mod html;
mod recorder;
mod text;
mod words;

use std::collections::BTreeMap;

use crate::violation::Violation;
use quorate_types::Instant;
use serde::{Deserialize, Serialize};

pub(crate) use self::calls::describe_record;
pub(crate) use self::recorder::Recorder;

/// What happened in a run. All times are nanoseconds of virtual time since its beginning.
///
/// ```
/// use quorate_testkit::{Options, run_seed};
/// let options = Options { timeline: true, ..Options::default() };
/// let report = run_seed(1, &options)?;
/// let timeline = report.timeline.expect("it was asked for");
/// assert!(timeline.to_text().lines().count() <= 30);
/// assert!(timeline.to_html().starts_with("<!DOCTYPE html>"));
/// # Ok::<(), Box<quorate_testkit::Failure>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeline {
    /// The seed of the plan.
    pub seed: u64,
    /// How many members the cluster has; they are numbered from 1.
    pub members: u64,
    /// When the run ended.
    pub end: u64,
    /// When all faults were healed, if the run came that far.
    pub healed: Option<u64>,
    /// What each member was, by member and time.
    pub states: Vec<State>,
    /// What happened to members at once, by time.
    pub marks: Vec<Mark>,
    /// Faults, by when they began.
    pub faults: Vec<FaultSpan>,
    /// Cuts of the network, by when they began.
    pub cuts: Vec<CutSpan>,
    /// Calls of clients, by when they began.
    pub calls: Vec<CallSpan>,
    /// The promise that was broken, if one was.
    pub violation: Option<Broken>,
    /// Further facts for the head of the page, by name.
    pub facts: BTreeMap<String, String>,
}

/// A member was something for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    /// Which member.
    pub member: u64,
    /// What it was.
    pub kind: StateKind,
    /// Its term, for roles; else 0.
    pub term: u64,
    /// Since when.
    pub from: u64,
    /// Until when.
    pub to: u64,
}

/// What a member is for a while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateKind {
    /// It follows a leader, or waits for one.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
    /// It does not run.
    Down,
    /// It does not move.
    Paused,
    /// Its threads take longer.
    Slow,
}

/// Something that happened to a member at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Which member.
    pub member: u64,
    /// When.
    pub at: u64,
    /// What kind of thing.
    pub kind: MarkKind,
    /// What happened, in words.
    pub text: String,
}

/// Kinds of marks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// It was opened.
    Opened,
    /// It lost its power.
    Crashed,
    /// It stopped itself.
    Stopped,
    /// A snapshot replaced its state.
    Snapshot,
}

/// A fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FaultSpan {
    /// When it began.
    pub from: u64,
    /// When it was over; nothing if it did not last.
    pub to: Option<u64>,
    /// What it was, in words.
    pub text: String,
}

/// Links that carried nothing for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutSpan {
    /// When it began.
    pub from: u64,
    /// When it was over.
    pub to: u64,
    /// The links, each from one member to another.
    pub links: Vec<(u64, u64)>,
    /// Whether messages waited until it was over, instead of being lost.
    pub hold: bool,
    /// Who was cut off from whom, in short.
    pub text: String,
}

/// A call of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallSpan {
    /// The member asked.
    pub member: u64,
    /// When it was called.
    pub from: u64,
    /// When it ended; nothing if it never did.
    pub to: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was asked, in words.
    pub request: String,
    /// What was told, in words.
    pub result: String,
    /// Whether the broken promise was broken by this call, among others.
    pub involved: bool,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// With a result.
    Done,
    /// Without an effect.
    Failed,
    /// Nobody knows.
    Unknown,
    /// It had not ended when the run did.
    Open,
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Broken {
    /// When it was noticed.
    pub at: u64,
    /// The checker that noticed.
    pub checker: String,
    /// What it found.
    pub detail: String,
}

impl Timeline {
    /// The same, ending with this violation.
    pub(crate) fn broken_by(mut self: Box<Self>, violation: &Violation) -> Box<Self> {
        let (checker, detail) = (violation.checker.to_owned(), violation.detail.clone());
        self.violation = Some(Broken { at: self.end, checker, detail });
        for call in &violation.calls {
            if let Some(span) = self.calls.get_mut(*call) {
                span.involved = true;
            }
        }
        self
    }

    /// The timeline as plain text: the violation, and the events that tell most about it.
    ///
    /// It has at most 30 lines of at most 140 columns, each ended by a line feed.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// The timeline as one HTML page that needs nothing else, neither files nor a network.
    pub fn to_html(&self) -> String {
        html::render(self)
    }

    /// When the violation happened as far as is known: the end of the last call that it is about,
    /// or when it was noticed.
    pub(crate) fn violated_at(&self) -> Option<u64> {
        let noticed = self.violation.as_ref()?.at;
        let involved = self.calls.iter().filter(|call| call.involved);
        Some(involved.filter_map(|call| call.to).max().unwrap_or(noticed))
    }
}

/// A time in seconds, as texts show it.
fn seconds(nanos: u64) -> String {
    format!("{}.{:06}", nanos / 1_000_000_000, nanos / 1_000 % 1_000_000)
}

/// A point in time as a number of a timeline.
fn number(at: Instant) -> u64 {
    at.as_nanos()
}
