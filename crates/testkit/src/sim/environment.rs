//! What environment variables say of a run.

use std::ops::Range;

use crate::plan::Plan;

/// What to do differently from what the test says.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Wishes {
    pub(super) seeds: Option<Range<u64>>,
    pub(super) plan: Option<Plan>,
    pub(super) leave_as_found: bool,
}

impl Wishes {
    /// Those of the process.
    ///
    /// # Panics
    ///
    /// If a variable has a value that cannot be used: a test that ran something else than it was
    /// told to would mislead.
    pub(super) fn of_process() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        match Self::parse(read) {
            Ok(wishes) => wishes,
            Err(problem) => panic!("{problem}"),
        }
    }

    fn parse(read: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let bad = |name: &str, value: &str| format!("{name} cannot be {value:?}");
        let mut wishes = Self::default();
        if let Some(value) = read("QUORATE_SEEDS") {
            let parsed = value.split_once("..").and_then(|(first, end)| {
                let (first, end): (u64, u64) = (first.parse().ok()?, end.parse().ok()?);
                (first < end).then_some(first..end)
            });
            wishes.seeds = Some(parsed.ok_or_else(|| bad("QUORATE_SEEDS", &value))?);
        }
        if let Some(value) = read("QUORATE_SEED") {
            let seed: u64 = value.parse().map_err(|_| bad("QUORATE_SEED", &value))?;
            let end = seed.checked_add(1).ok_or_else(|| bad("QUORATE_SEED", &value))?;
            wishes.seeds = Some(seed..end);
        }
        if let Some(path) = read("QUORATE_PLAN") {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("QUORATE_PLAN {path}: {error}"))?;
            let plan =
                Plan::from_json(&text).map_err(|error| format!("QUORATE_PLAN {path}: {error}"))?;
            wishes.plan = Some(plan);
        }
        wishes.leave_as_found = match read("QUORATE_SHRINK").as_deref() {
            Some("0") => true,
            Some("1") | None => false,
            Some(value) => return Err(bad("QUORATE_SHRINK", value)),
        };
        Ok(wishes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Wishes, String> {
        Wishes::parse(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn variables_choose_seeds_and_plans() {
        assert_eq!(Wishes::parse(|_| None), Ok(Wishes::default()));
        let seeds = |name, value| parse(name, value).map(|wishes| wishes.seeds);
        assert_eq!(seeds("QUORATE_SEED", "17"), Ok(Some(17..18)));
        assert_eq!(seeds("QUORATE_SEEDS", "3..9"), Ok(Some(3..9)));
        assert!(parse("QUORATE_SHRINK", "0").is_ok_and(|wishes| wishes.leave_as_found));
    }

    #[test]
    fn a_saved_plan_is_read_from_its_file() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let plan = Plan::from_seed(7, &crate::run::Options::default());
        std::fs::write(file.path(), plan.to_json()).expect("the file can be written");
        let path = file.path().to_str().expect("its name is text");
        assert_eq!(parse("QUORATE_PLAN", path).map(|wishes| wishes.plan), Ok(Some(plan)));
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (name, value) in [
            ("QUORATE_SEED", "x"),
            ("QUORATE_SEED", "18446744073709551615"),
            ("QUORATE_SEEDS", "9..3"),
            ("QUORATE_SEEDS", "9"),
            ("QUORATE_SHRINK", "2"),
            ("QUORATE_PLAN", "no such file"),
        ] {
            let problem = parse(name, value).expect_err("it cannot be used");
            assert!(problem.contains(name) && problem.contains(value), "{problem}");
        }
    }
}
