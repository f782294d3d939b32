//! A job queue, tested the Jepsen way: in one process, under virtual time, with crashes, partitions
//! and faulty disks, seed after seed.
//!
//! ```sh
//! cargo run --release --example jepsen_style            # every job is done exactly once
//! cargo run --release --example jepsen_style -- --bug   # workers that forget to compare: found
//! ```

use std::process::ExitCode;

use quorate::{Range, mod_revision, put};
use quorate_testkit::{Faults, Sim, check, ensure, millis, secs};

/// The test. With `bug`, a worker marks its job as done without looking whether somebody else did.
fn every_job_is_done_exactly_once(bug: bool) -> Sim {
    Sim::new("jobs")
        .nodes(3..=5) // drawn by each seed
        .run_for(secs(20)) // virtual
        .faults(Faults::swarm()) // crashes, partitions, disks, clocks: drawn by each seed
        .seeds(0..200)
        .setup(|db| {
            for job in 0..50 {
                db.put(format!("job/{job:03}"), "new").wait()?;
            }
            Ok(())
        })
        .actors(4, move |me| {
            // Ordinary blocking application code. It ends with `?` when a request fails under
            // faults, and then begins anew, as a supervised process would.
            let db = me.db();
            loop {
                let jobs = db.range(Range::prefix("job/")).wait()?.kvs;
                let Some(job) = jobs.into_iter().find(|job| job.value == "new") else {
                    return Ok(());
                };
                me.sleep(millis(me.random(0..200))); // the work
                let mut done = db.txn();
                if !bug {
                    done = done.when(mod_revision(job.key.clone()).equals(job.mod_revision));
                }
                let answer = done.then(put(job.key.clone(), "done")).commit().wait()?;
                if answer.succeeded {
                    me.note("done", String::from_utf8_lossy(&job.key));
                }
            }
        })
        .check(check::all())
        .check_end(|history, db| {
            let done = history.notes("done");
            ensure!(done.all_unique(), "jobs were done twice: {:?}", done.duplicates());
            let jobs = db.range(Range::prefix("job/")).wait()?.kvs;
            ensure!(jobs.iter().all(|job| job.value == "done"), "a job was lost");
            Ok(())
        })
}

fn main() -> ExitCode {
    let bug = std::env::args().any(|argument| argument == "--bug");
    // Plan, timeline and history of what is found are written there.
    match every_job_is_done_exactly_once(bug).export("target/quorate").try_run() {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(found) => {
            println!("{found}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::every_job_is_done_exactly_once;

    #[test]
    fn the_queue_is_right_and_the_bug_is_found() {
        every_job_is_done_exactly_once(false).seeds(0..20).run();
        let found = every_job_is_done_exactly_once(true).seeds(0..20).try_run();
        assert!(found.is_err_and(|found| found.to_string().contains("jobs were done twice")));
    }
}
