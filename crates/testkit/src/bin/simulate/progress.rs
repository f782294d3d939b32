//! How far a run has come, shown while it goes on.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quorate_testkit::Counts;

/// A bar on the terminal, or a line now and then where there is none.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
}

/// What is shown.
pub(crate) struct Standing<'a> {
    pub(crate) seeds: u64,
    pub(crate) virtual_time: Duration,
    pub(crate) counts: &'a Counts,
}

impl Progress {
    /// Progress of a number of seeds, on the standard error stream.
    pub(crate) fn new(seeds: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {msg}, {eta} left");
        let bar = match style {
            Ok(style) if io::stderr().is_terminal() => {
                let bar = ProgressBar::with_draw_target(Some(seeds), ProgressDrawTarget::stderr());
                Some(bar.with_style(style))
            }
            _ => None,
        };
        let now = Instant::now();
        Self { bar, begun: now, told: now }
    }

    /// Shows how far the run is.
    pub(crate) fn update(&mut self, standing: &Standing<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_position(standing.seeds);
            bar.set_message(describe(standing, self.begun.elapsed()));
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let text = describe(standing, self.begun.elapsed());
            // Nobody needs to read it.
            let _shown = writeln!(io::stderr().lock(), "{} seeds, {text}", standing.seeds);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn describe(standing: &Standing<'_>, elapsed: Duration) -> String {
    let rate = standing.seeds as f64 * 60.0 / elapsed.as_secs_f64().max(1e-9);
    let hours = standing.virtual_time.as_secs_f64() / 3_600.0;
    format!("{rate:.0} seeds/min, {hours:.1} virtual hours, {} faults", standing.counts.faults())
}

/// How long it takes from one line to the next.
const LINE_EVERY: Duration = Duration::from_secs(10);
