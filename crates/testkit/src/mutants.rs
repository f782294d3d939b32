//! Known bugs of this and other systems, built into the production code, and how fast the
//! simulator finds them.
//!
//! The bugs stand in the crates under test, as `quorate_types::mutant!`; [`TABLE`] tells where each
//! comes from. [`measure`] runs seeds as always, with one of them selected, until a promise is
//! broken.
//!
//! ```
//! use quorate_testkit::Options;
//! use quorate_testkit::mutants::{Mutant, measure, row};
//!
//! let measured = measure(row(Mutant::M31), 1, 0, &Options::default());
//! assert!(measured.is_found());
//! ```

mod measure;
mod scenario;
mod table;

pub use quorate_types::mutants::{Mutant, Selection};

pub use measure::{Finding, Measured, measure};
pub use scenario::Scenario;
pub use table::{EXCLUDED, TABLE};

use std::time::Duration;

/// How much work it may take to find a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Ten seeds, or a second.
    S,
    /// 500 seeds, or ten seconds.
    M,
    /// 10,000 seeds, or two minutes.
    L,
    /// 100,000 seeds, or twenty minutes.
    Xl,
}

impl Class {
    /// The seeds that one search may take.
    pub fn seeds(self) -> u64 {
        match self {
            Self::S => 10,
            Self::M => 500,
            Self::L => 10_000,
            Self::Xl => 100_000,
        }
    }

    /// The time on one core that a search may take, if it takes more seeds.
    pub fn time(self) -> Duration {
        match self {
            Self::S => Duration::from_secs(1),
            Self::M => Duration::from_secs(10),
            Self::L => Duration::from_secs(120),
            Self::Xl => Duration::from_secs(1_200),
        }
    }
}

/// What is known of a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The bug.
    pub mutant: Mutant,
    /// How fast it must be found.
    pub class: Class,
    /// Where it was seen; empty if it is our own idea.
    pub source: &'static str,
    /// The file that it stands in, within `crates`.
    pub place: &'static str,
    /// What is run to find it.
    pub scenario: Scenario,
}

/// A bug that no run can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Excluded {
    /// The bug.
    pub mutant: Mutant,
    /// Why no run reaches it.
    pub reason: &'static str,
    /// The file of the test that finds it, within `crates`.
    pub test: &'static str,
}

/// The row of a bug.
///
/// # Panics
///
/// If the table has none, as for those in [`EXCLUDED`]; a test finds every other.
pub fn row(mutant: Mutant) -> &'static Row {
    let row = TABLE.iter().find(|row| row.mutant == mutant);
    row.expect("every mutant stands in the table")
}

/// Tells whose code runs from now on, by its place; that of nobody in particular if nothing is
/// given.
pub(crate) fn run_as(place: Option<usize>) {
    quorate_types::mutants::run_as(place.map_or(0, |place| place as u64 + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_has_one_row_or_is_excluded_once() {
        for mutant in Mutant::ALL {
            let rows = TABLE.iter().filter(|row| row.mutant == *mutant).count();
            let excluded = EXCLUDED.iter().filter(|excluded| excluded.mutant == *mutant).count();
            assert_eq!(rows + excluded, 1, "{mutant:?}");
        }
        assert_eq!(TABLE.len() + EXCLUDED.len(), Mutant::ALL.len());
    }

    #[test]
    fn tests_of_excluded_mutants_exist_and_name_them() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for excluded in EXCLUDED {
            let text = std::fs::read_to_string(crates.join(excluded.test)).expect("it exists");
            assert!(
                text.contains(&format!("{:?}", excluded.mutant)) && !excluded.reason.is_empty()
            );
        }
    }

    #[test]
    fn rows_name_files_that_exist_and_hold_the_mutant() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for row in TABLE {
            let text = std::fs::read_to_string(crates.join(row.place)).expect("the file exists");
            let name = format!("mutant!({:?},", row.mutant);
            assert!(text.contains(&name), "{} does not hold {name}", row.place);
        }
    }
}
