//! A queue of jobs for workers on three members. Every job is done exactly once, although one
//! member is taken out of service half-way.
//!
//! ```text
//! cargo run --release --example work_queue
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quorate::hub::Hub;
use quorate::recipes::Queue;
use quorate::{Client, Cluster, Config, Node, Range, Watch, create_revision, put};

const JOBS: usize = 120;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("work", names);
    let open = |name| {
        let config = Config::new(folder.path().join(name)).named(name).cluster(cluster.clone());
        Node::open(config.in_process(&hub))
    };
    let mut nodes = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;

    // Two workers on each member. They wait for jobs before there are any.
    let closing = [0; 3].map(|_| Arc::new(AtomicBool::new(false)));
    let mut workers: Vec<Vec<Worker>> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let start = |number: usize| {
            let name = format!("{}{number}", names[index]);
            Worker::start(name, node.client(), closing[index].clone())
        };
        workers.push((1..=2).map(start).collect());
    }

    let mut done = nodes[0].watch(Watch::prefix("done/")).wait()?;
    let queue = Queue::new(&nodes[0], "queues/jobs");
    for job in 0..JOBS {
        queue.add(format!("{job:03}")).wait()?;
    }
    println!("{JOBS} jobs were added");

    // Half-way the last member is closed. Its workers end their jobs first: a job that is taken is
    // no more in the queue, so it would be lost with a worker that is killed.
    done.events().take(JOBS / 2).try_for_each(|event| event.map(|_| ()))?;
    closing[2].store(true, Ordering::SeqCst);
    for worker in workers.pop().expect("three members") {
        worker.end()?;
    }
    nodes.pop().expect("three members").close()?;
    println!("member c is closed");

    done.events().take(JOBS - JOBS / 2).try_for_each(|event| event.map(|_| ()))?;
    closing.iter().for_each(|closing| closing.store(true, Ordering::SeqCst));
    for worker in workers.into_iter().flatten() {
        worker.end()?;
    }
    let found = nodes[1].range(Range::prefix("done/").count_only()).wait()?.count;
    let left = queue.count().wait()?;
    println!("{found} jobs are done, {left} are left");
    if (found, left) != (JOBS as i64, 0) {
        return Err("not every job was done".into());
    }
    Ok(())
}

/// A thread that takes jobs and does them.
struct Worker {
    name: String,
    thread: JoinHandle<Result<usize, String>>,
}

impl Worker {
    fn start(name: String, client: Client, closing: Arc<AtomicBool>) -> Self {
        let worker = name.clone();
        let work = move || work(&worker, &client, &closing);
        Self { name, thread: thread::spawn(work) }
    }

    fn end(self) -> Result<(), String> {
        let done = self.thread.join().map_err(|_| format!("{} panicked", self.name))??;
        println!("worker {} has done {done} jobs", self.name);
        Ok(())
    }
}

/// Does jobs until told to end; how many it was.
fn work(name: &str, client: &Client, closing: &AtomicBool) -> Result<usize, String> {
    let queue = Queue::new(client, "queues/jobs");
    let mut done = 0;
    while !closing.load(Ordering::SeqCst) {
        // It looks up now and then to see whether it is to end.
        let job = queue.take_timeout(Duration::from_millis(200)).wait();
        let Some(job) = job.map_err(|error| format!("{name} cannot take a job: {error}"))? else {
            continue;
        };
        // The work itself is to write down who did it, which must not have been done before.
        let key = format!("done/{}", String::from_utf8_lossy(&job));
        let first = create_revision(key.clone()).equals(0);
        let written = client.txn().when(first).then(put(key.clone(), name.to_owned())).commit();
        let written = written.wait().map_err(|error| format!("{name} cannot write: {error}"))?;
        if !written.succeeded {
            return Err(format!("{key} was done already"));
        }
        done += 1;
    }
    Ok(done)
}
