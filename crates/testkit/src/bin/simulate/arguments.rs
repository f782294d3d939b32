//! The words of the command line.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use quorate_testkit::{Faults, Sabotage};

/// The words that follow the name of a command.
pub(crate) struct Words(std::vec::IntoIter<String>);

impl Words {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self(words.into_iter())
    }

    /// The next word, if there is one.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    /// The value that must follow an option.
    pub(crate) fn value(&mut self, option: &str) -> Result<String, String> {
        self.next().ok_or_else(|| format!("{option} needs a value"))
    }

    /// The value that must follow an option, in a form of its own.
    pub(crate) fn parse<T>(
        &mut self,
        option: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        let value = self.value(option)?;
        parse(&value).ok_or_else(|| format!("{option} cannot be {value}"))
    }
}

/// One seed, or those from one up to but without another.
pub(crate) fn seeds(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((first, end)) => {
            let (first, end) = (first.parse().ok()?, end.parse().ok()?);
            (first < end).then_some(first..end)
        }
        None => {
            let seed: u64 = text.parse().ok()?;
            Some(seed..seed.checked_add(1)?)
        }
    }
}

/// Whole seconds above zero, with or without the unit.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let seconds: u64 = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// A number above zero.
pub(crate) fn positive<T: FromStr + PartialOrd + Default>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number| *number > T::default())
}

/// Classes of faults and their levels.
pub(crate) fn faults(words: &mut Words, option: &str) -> Result<Faults, String> {
    let text = words.value(option)?;
    Faults::parse(&text).map_err(|word| format!("{option} does not know {word}, of {text}"))
}

/// The name of a built-in bug.
pub(crate) fn sabotage(name: &str) -> Option<Sabotage> {
    Sabotage::ALL.into_iter().find(|sabotage| format!("{sabotage:?}") == name)
}

/// What a command that takes one file was given as its file.
pub(crate) fn only_file(file: &mut Option<String>, word: String) -> Result<(), String> {
    match file {
        Some(first) => Err(format!("{word} is one file too many, after {first}")),
        None if word.starts_with('-') => Err(format!("{word} is unknown")),
        None => {
            *file = Some(word);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_many() {
        assert_eq!(seeds("7"), Some(7..8));
        assert_eq!(seeds("0..200"), Some(0..200));
        for wrong in ["", "a", "5..5", "6..5", "1..", "-1", "18446744073709551615"] {
            assert_eq!(seeds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_and_numbers_are_above_zero() {
        assert_eq!(time("60s"), Some(Duration::from_secs(60)));
        assert_eq!(time("5"), Some(Duration::from_secs(5)));
        assert_eq!((time("0s"), time("1m"), time("")), (None, None, None));
        assert_eq!((positive::<u32>("3"), positive::<u32>("0")), (Some(3), None));
    }
}
