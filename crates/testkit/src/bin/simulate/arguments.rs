//! The words of the command line.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

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
