//! Plans as files.

use std::io;
use std::time::Duration;

use quorate_types::Instant;
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::Plan;
use crate::rng::nanos;

/// A plan's file could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// The text is not that of a plan: no JSON, or a field is missing, unknown or of another kind.
    Malformed {
        /// Where it went wrong: the line, counted from 1.
        line: usize,
        /// The column in the line, counted from 1.
        column: usize,
        /// What was expected there.
        detail: String,
    },
    /// The file was written in another format than this program knows.
    UnknownFormat {
        /// The number of its format.
        found: u64,
        /// The number of the format that is known.
        supported: u64,
    },
    /// A field has a value that no run can work with.
    Invalid {
        /// The field, with its place in lists: `operations[3].member`.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { line, column, detail } => {
                write!(f, "no plan at line {line}, column {column}: {detail}")
            }
            Self::UnknownFormat { found, supported } => {
                write!(f, "plan format {found} is not known, only {supported}")
            }
            Self::Invalid { field, found, expected } => {
                write!(f, "{field} is {found}, expected {expected}")
            }
        }
    }
}

impl std::error::Error for PlanError {}

impl PlanError {
    pub(super) fn invalid(
        field: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Invalid { field: field.into(), found: found.to_string(), expected: expected.into() }
    }
}

impl From<serde_json::Error> for PlanError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        // The text repeats the place at its end.
        let detail = error.to_string();
        let detail = detail.split(" at line ").next().unwrap_or_default().to_owned();
        Self::Malformed { line, column, detail }
    }
}

/// What stands in a file.
#[derive(Serialize)]
struct Written<'a> {
    format: u64,
    plan: &'a Plan,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: u64,
    plan: Plan,
}

/// The part of a file that is read first.
#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

impl Plan {
    /// The plan as the text of a file: the same text for the same plan, byte for byte. Faults,
    /// operations and watches have a line each.
    ///
    /// ```
    /// use quorate_testkit::{Options, Plan};
    /// let plan = Plan::from_seed(7, &Options::default());
    /// assert_eq!(Plan::from_json(&plan.to_json())?, plan);
    /// # Ok::<(), quorate_testkit::PlanError>(())
    /// ```
    pub fn to_json(&self) -> String {
        let mut bytes = Vec::new();
        let formatter = Lines { depth: 0, outer: PrettyFormatter::new(), inner: CompactFormatter };
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        let written = Written { format: FORMAT, plan: self };
        written.serialize(&mut serializer).expect("plans hold nothing that JSON cannot");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("JSON is text")
    }

    /// Reads the text that [`Plan::to_json`] wrote, or that somebody changed, and checks it with
    /// [`Plan::validate`].
    ///
    /// # Errors
    ///
    /// [`PlanError::Malformed`] if the text is not that of a plan, [`PlanError::UnknownFormat`] if
    /// it is that of another version, [`PlanError::Invalid`] if no run can work with it.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let FormatOnly { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(PlanError::UnknownFormat { found: format, supported: FORMAT });
        }
        let Read { plan, .. } = serde_json::from_str(text)?;
        plan.validate()?;
        Ok(plan)
    }
}

/// The number of the format; grows when a file of before would be misread.
const FORMAT: u64 = 1;

/// JSON in lines for the outer levels, and in one line for everything within.
struct Lines<'a> {
    depth: usize,
    outer: PrettyFormatter<'a>,
    inner: CompactFormatter,
}

impl Lines<'_> {
    fn open(&mut self) -> bool {
        self.depth += 1;
        self.depth <= OUTER_DEPTH
    }

    fn close(&mut self) -> bool {
        self.depth -= 1;
        self.depth < OUTER_DEPTH
    }

    fn is_outer(&self) -> bool {
        self.depth <= OUTER_DEPTH
    }
}

/// The file, the plan, and its lists.
const OUTER_DEPTH: usize = 3;

impl Formatter for Lines<'_> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.open() { self.outer.begin_array(out) } else { self.inner.begin_array(out) }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.close() { self.outer.end_array(out) } else { self.inner.end_array(out) }
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.is_outer() {
            self.outer.begin_array_value(out, first)
        } else {
            self.inner.begin_array_value(out, first)
        }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_outer() { self.outer.end_array_value(out) } else { Ok(()) }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.open() { self.outer.begin_object(out) } else { self.inner.begin_object(out) }
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.close() { self.outer.end_object(out) } else { self.inner.end_object(out) }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.is_outer() {
            self.outer.begin_object_key(out, first)
        } else {
            self.inner.begin_object_key(out, first)
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.outer.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_outer() { self.outer.end_object_value(out) } else { Ok(()) }
    }
}

/// A time as whole nanoseconds.
pub(super) mod span {
    use super::{Duration, nanos};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::plan) fn serialize<S: Serializer>(
        time: &Duration,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_u64(nanos(*time))
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

/// Times as whole nanoseconds.
pub(super) mod spans {
    use super::{Duration, nanos};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::plan) fn serialize<S: Serializer>(
        times: &[Duration],
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(times.iter().map(|time| nanos(*time)))
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let times = Vec::<u64>::deserialize(from)?;
        Ok(times.into_iter().map(Duration::from_nanos).collect())
    }
}

/// A point in time as whole nanoseconds since the run began.
pub(super) mod moment {
    use super::Instant;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::plan) fn serialize<S: Serializer>(
        at: &Instant,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_u64(at.as_nanos())
    }

    pub(in crate::plan) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Instant, D::Error> {
        u64::deserialize(from).map(Instant::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Options;

    fn plan() -> Plan {
        Plan::from_seed(3, &Options::default())
    }

    #[test]
    fn a_plan_survives_its_file_and_the_file_its_plan() {
        for seed in 0..32 {
            let plan = Plan::from_seed(seed, &Options::default());
            let text = plan.to_json();
            let read = Plan::from_json(&text).expect("own text");
            assert_eq!(read, plan);
            assert_eq!(read.to_json(), text);
        }
    }

    #[test]
    fn large_numbers_survive() {
        let plan = Plan { seed: u64::MAX - 1, ..plan() };
        assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
    }

    #[test]
    fn faults_operations_and_watches_have_a_line_each() {
        let plan = plan();
        let (others, text) = (plan.operations.len() + plan.watches.len(), plan.to_json());
        let lines = text.lines().filter(|line| line.starts_with("      {\"at\""));
        assert_eq!(lines.count(), plan.faults.len() + others);
    }

    /// The text of a plan with a change is refused at a line because of something.
    fn check_malformed(from: &str, to: &str, line: usize, expected: &str) {
        let text = plan().to_json();
        assert!(text.contains(from), "{text}");
        match Plan::from_json(&text.replacen(from, to, 1)) {
            Err(PlanError::Malformed { line: found, detail, .. }) => {
                assert!(detail.contains(expected), "{detail}");
                assert_eq!(found, line, "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_the_place() {
        check_malformed("\"seed\": 3,", "\"seed\": 3, \"color\": 1,", 4, "unknown field `color`");
        check_malformed("\"seed\": 3,", "\"seed\": \"three\",", 4, "expected u64");
        check_malformed("\"seed\": 3,", "\"seed\": -3,", 4, "expected u64");
        check_malformed("\"seed\": 3,", "seed: 3,", 4, "key must be a string");
        let cut = Plan::from_json(&plan().to_json()[..200]);
        assert!(matches!(cut, Err(PlanError::Malformed { .. })), "{cut:?}");
        let missing = Plan::from_json("{\"format\": 1, \"plan\": {\"seed\": 1}}");
        let Err(PlanError::Malformed { detail, .. }) = missing else { panic!("{missing:?}") };
        assert_eq!(detail, "missing field `members`");
    }

    #[test]
    fn another_format_is_told_apart_from_damage() {
        let text = plan().to_json().replacen("\"format\": 1", "\"format\": 2", 1);
        let error = Plan::from_json(&text);
        assert_eq!(error, Err(PlanError::UnknownFormat { found: 2, supported: 1 }));
    }

    #[test]
    fn a_plan_that_no_run_can_work_with_is_refused() {
        let plan = Plan { members: 9, ..plan() };
        let read = Plan::from_json(&plan.to_json());
        assert!(matches!(read, Err(PlanError::Invalid { .. })), "{read:?}");
        let text = read.map_err(|error| error.to_string());
        assert_eq!(text, Err("members is 9, expected 1 to 7".to_owned()));
    }
}
