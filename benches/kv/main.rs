//! What a put and a get cost: measured on members that run in this process.
//!
//! ```text
//! cargo bench -p quorate-benches --bench kv -- --only put/rocksdb --seconds 5
//! ```
//!
//! # How to read the numbers
//!
//! A case is called `request/engine/members/at/callers/style`, for example
//! `put/rocksdb/3/spread/256/tasks`:
//!
//! - request: `put` writes a random one of 100,000 keys, `get` reads one linearizably, `local`
//!   reads one from the member's own state. Put cases start on empty data; the read cases of one
//!   cluster share data with every key present.
//! - engine: `memory` shows what everything but the disk costs. `rocksdb` keeps the log on
//!   raft-engine and the state on RocksDB, and a majority syncs each put before it is answered.
//!   All members share one disk and one processor here; on machines of their own they have one
//!   each, and a network between them.
//! - at: whose handles the callers use. `leader`: the leader's; `followers`: those of all others;
//!   `spread`: those of all members in turn.
//! - callers: each has exactly one request in flight, and makes the next when it is answered.
//! - style: `threads` are callers that block in `Pending::wait`, one thread each. `tasks` are
//!   callers that await, all on two threads of a small executor: what an asynchronous application
//!   sees. A thousand threads would measure the scheduler of the operating system.
//!
//! `raw sync` lines show what the disk can do: one write of 300 bytes and one `fdatasync`, at the
//! end of a file that grows and inside a file written before. They are measured before and after
//! everything else; if the two differ, something else used the machine, and the rest is as
//! doubtful; the 10th percentile suffers least. Durable puts of a single caller are compared with
//! raw syncs made just before and after them.
//!
//! `cpu` is processor time of the whole process per request, callers included. It hardly depends
//! on what else runs. Multiplied by the requests per second it tells how many cores were busy: if
//! all, the processor bounds the case, otherwise waiting does.
//!
//! `elections` should be 0. Otherwise a leader was lost during the case, usually because the
//! machine was too busy for the default timeouts.

mod case;
mod disk;
mod load;
mod options;
mod report;
mod suite;

use std::process::ExitCode;

use quorate_benches::error;

fn main() -> ExitCode {
    let ran = options::Options::parse(std::env::args().skip(1)).and_then(|options| {
        if options.help {
            println!("{}", options::HELP);
            return Ok(());
        }
        suite::run(&options)
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
