//! Text for people: lines on the screen, numbers, durations.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// Prints a line. A reader that went away, as `head` does, is no reason to stop half-way.
pub(crate) fn say(line: impl Display) {
    let _shown = writeln!(io::stdout(), "{line}");
}

/// Prints an error with its causes, as one line.
pub(crate) fn complain(error: &dyn Error) {
    let _shown = writeln!(io::stderr(), "error: {}", with_causes(error));
}

/// An error and its causes, as one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// A number with its thousands apart: `15,758`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts, which gets an `s` unless there is one of it.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A duration with three digits or so: `850 µs`, `3.40 ms`, `1.21 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.2} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

/// How many a second, 0 if no time has passed.
pub(crate) fn rate(count: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    grouped(if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 })
}

/// The start of a text that comes from outside: control characters are shown as escapes, and what
/// is over `width` characters is cut off.
pub(crate) fn excerpt(text: &str, width: usize) -> String {
    let shown: String = text.chars().take(width + 1).flat_map(visible).collect();
    if shown.chars().count() <= width {
        return shown;
    }
    let kept: String = shown.chars().take(width.saturating_sub(3)).collect();
    format!("{kept}...")
}

fn visible(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts = [0, 7, 999, 1_000, 15_758, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "7", "999", "1,000", "15,758", "1,234,567"]);
        assert_eq!((counted(1, "line"), counted(2, "line")), ("1 line".into(), "2 lines".into()));
    }

    #[test]
    fn durations_have_three_digits() {
        let texts = [850, 3_400, 340_000, 1_210_000].map(|us| duration(Duration::from_micros(us)));
        assert_eq!(texts, ["850 µs", "3.40 ms", "340 ms", "1.21 s"]);
    }

    #[test]
    fn excerpts_are_cut_and_harmless() {
        assert_eq!(excerpt("short", 8), "short");
        assert_eq!(excerpt("just some words", 8), "just ...");
        assert_eq!(excerpt("\u{1b}[2J", 20), "\\u{1b}[2J");
    }
}
