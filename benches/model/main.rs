//! What watches, compactions, leases, large ranges and locks cost: measured on members that run in
//! this process.
//!
//! ```text
//! cargo bench -p quorate-benches --bench model -- --only compaction --scale 0.1
//! ```
//!
//! Each case prints its settings and a table. Values have 256 bytes and keys 16 unless said
//! otherwise; members are alone unless said otherwise. All threads of members and callers share
//! the processor of one machine.
//!
//! # How to read the numbers
//!
//! - `under way`: one thread makes requests, and waits for the oldest whenever so many are
//!   unanswered. Latency is from making a request to taking its answer, in that order.
//! - Memory is that of the whole process as the operating system counts it. An allocator keeps
//!   what was freed for later, so growth is true in a fresh process only: run such a case alone,
//!   with `--only`, and one engine at a time.
//! - With `memory`, data and log are in the same memory that is measured.
//! - `watch-fanout`: `ahead` 1 means that each put waits until all watchers have the event of the
//!   one before: what a single event costs. With more, watchers get several events at a time, and
//!   latency is mostly that of waiting in line.

mod case;
mod compaction;
mod executor;
mod flow;
mod leases;
mod locks;
mod options;
mod range_stream;
mod table;
mod watch_fanout;
mod watch_idle;

use std::process::ExitCode;

use quorate_benches::error;

fn main() -> ExitCode {
    let ran = options::Options::parse(std::env::args().skip(1)).and_then(|options| {
        if options.help {
            println!("{}", options::HELP);
            return Ok(());
        }
        case::run(&options)
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
