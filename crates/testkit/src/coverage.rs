//! Which calls of the public API are drawn, by whom, and which checkers judge their answers.
//!
//! The table is tested against the source of the API and against runs: a new call without a row, a
//! row without a call, and a feature that no run uses all fail. A run counts in
//! [`Report::features`](crate::Report::features) the features of calls that a store answered.

mod features;
mod recipes;
mod table;

pub(crate) use features::{features_of, refusal_name};
pub use recipes::{PLAYED, PLAYED_EXEMPT};
pub use table::{EXEMPT, SURFACE};

/// A public call of the crate `quorate` that runs of the simulator make and judge.
#[derive(Clone, Copy, Debug)]
pub struct Covered {
    /// The file and the function, as in `client::put`, or the implementation of a trait.
    pub call: &'static str,
    /// What the request is made of, by the names of
    /// [`Report::features`](crate::Report::features).
    pub features: &'static [&'static str],
    /// The function of `plan::draw` or `plan::watches` that draws it.
    pub generator: &'static str,
    /// The checkers that judge the answer, by the names of
    /// [`Violation::checker`](crate::Violation::checker).
    pub checkers: &'static [&'static str],
}

/// A public call that runs do not make, and why.
#[derive(Clone, Copy, Debug)]
pub struct Exempt {
    /// As in [`Covered::call`].
    pub call: &'static str,
    /// Why it need not be drawn.
    pub reason: &'static str,
}
