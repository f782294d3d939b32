//! How far a phase is: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text;

/// The progress of one phase, to be moved on from any thread.
pub(crate) struct Progress {
    total: u64,
    unit: &'static str,
    done: AtomicU64,
    /// `None` if nobody sees it.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts at zero of `total` units, which are many of `unit`.
    pub(crate) fn new(total: u64, unit: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(total, unit));
        Self { total, unit, done: AtomicU64::new(0), bar }
    }

    /// Moves on.
    pub(crate) fn add(&self, count: u64) {
        let before = self.done.fetch_add(count, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => bar.inc(count),
            None => self.tell(before, before + count),
        }
    }

    /// How many are done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Removes the bar, so that the next line stands in its place.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Prints a line for each mark that was passed.
    fn tell(&self, before: u64, after: u64) {
        let Some(mark) = passed(self.total, before, after) else { return };
        let (done, total) = (text::grouped(after), text::grouped(self.total));
        text::say(format_args!("  {mark:>3} %  {done} of {total} {}", self.unit));
    }
}

/// The last mark, in percent, between two counts.
fn passed(total: u64, before: u64, after: u64) -> Option<u64> {
    let marks = (1..=MARK_COUNT).map(|mark| mark * 100 / MARK_COUNT);
    let is_passed = |mark: &u64| before * 100 < mark * total && after * 100 >= mark * total;
    marks.rev().find(is_passed)
}

fn bar(total: u64, unit: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let template = "  {bar:32} {percent:>3} %  {human_pos} of {human_len} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(unit)
}

/// Lines printed where there is no terminal: 25, 50, 75, 100 %.
const MARK_COUNT: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_passed_once() {
        let steps = (0..10).map(|before| passed(10, before, before + 1));
        let expected = [3, 5, 8, 10].map(|at| at - 1);
        for (before, mark) in steps.enumerate() {
            assert_eq!(mark.is_some(), expected.contains(&before), "{before}");
        }
        assert_eq!(passed(10, 0, 10), Some(100));
        assert_eq!(passed(10, 10, 11), None);
    }
}
