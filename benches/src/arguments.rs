//! Reading the command line.

use std::str::FromStr;
use std::time::Duration;

use crate::error::BenchError;

/// The value of the option `name` as a number.
///
/// # Errors
///
/// [`BenchError::InvalidUsage`].
pub fn number<N: FromStr>(name: &str, text: &str) -> Result<N, BenchError> {
    text.parse().map_err(|_| BenchError::usage(format!("{name} cannot be {text}")))
}

/// The value of the option `name` as a duration of at most a day.
///
/// # Errors
///
/// [`BenchError::InvalidUsage`].
pub fn seconds(name: &str, text: &str) -> Result<Duration, BenchError> {
    let seconds: f64 = number(name, text)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= SECONDS_MAX)
        .ok_or_else(|| BenchError::usage(format!("{name} cannot be {text}")))
}

/// Nobody waits longer for one case.
const SECONDS_MAX: Duration = Duration::from_secs(24 * 3600);
