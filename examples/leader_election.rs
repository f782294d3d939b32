//! Who of several processes does the work: one leads, and when it is gone, the next one does.
//!
//! ```text
//! cargo run --release --example leader_election
//! ```

use std::error::Error;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use quorate::recipes::{Election, Session};
use quorate::{Client, Cluster, Config, Node, hub::Hub, put};

fn main() -> Result<(), Box<dyn Error>> {
    // Three members in this process; an application has one in each of its processes.
    let folder = tempfile::tempdir()?;
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("leader-election", names);
    let mut nodes = Vec::new();
    for name in names {
        let mut config = Config::new(folder.path().join(name)).named(name);
        config.heartbeat_interval = Duration::from_millis(20);
        config.election_timeout = Duration::from_millis(200);
        nodes.push(Node::open(config.cluster(cluster.clone()).in_process(&hub))?);
    }

    // The first process stands and is elected. Its session lives as long as it renews its lease.
    let session = Session::open(&nodes[0], SESSION_SECONDS).wait()?;
    let leads = Election::new("scheduler").campaign(&session, names[0]).wait()?;
    println!("a leads, fencing token {}", leads.token());

    // The others stand as well, and wait.
    let (elected, elections) = mpsc::channel();
    let others: Vec<_> = [1, 2]
        .map(|i| {
            let (client, elected) = (nodes[i].client(), elected.clone());
            std::thread::spawn(move || stand(&client, names[i], &elected))
        })
        .into();

    // What a leader writes, it writes only if it still leads.
    let held = leads.held();
    let written = nodes[0].txn().when(held.clone()).then(put("schedule", "by a")).commit();
    ensure(written.wait()?.succeeded, "a leads and may write")?;

    // The process of the leader dies: nobody renews its lease any more.
    nodes.remove(0).close()?;
    let closed = Instant::now();
    let (name, token) = elections.recv_timeout(PATIENCE)?;
    println!("{name} leads {:.2?} after a was closed, fencing token {token}", closed.elapsed());
    ensure(token > leads.token(), "a later leader has a greater token")?;

    // What the old leader still had on its way is refused.
    let late = nodes[0].txn().when(held).then(put("schedule", "too late")).commit().wait()?;
    ensure(!late.succeeded, "a leads no more")?;

    // A leader that resigns is followed at once.
    let resigned = Instant::now();
    let (name, last) = elections.recv_timeout(PATIENCE)?;
    println!("{name} leads {:.2?} later, fencing token {last}", resigned.elapsed());
    ensure(last > token, "and a still later one a still greater one")?;
    for other in others {
        other.join().map_err(|_| "a candidate panicked")??;
    }
    Ok(())
}

/// Leads once, tells of it, and resigns.
fn stand(
    client: &Client,
    name: &'static str,
    elected: &mpsc::Sender<(&'static str, i64)>,
) -> Result<(), quorate::Error> {
    let session = Session::open(client, SESSION_SECONDS).wait()?;
    let leads = Election::new("scheduler").campaign(&session, name).wait()?;
    // Nobody listens any more if the example has failed.
    let _ = elected.send((name, leads.token()));
    leads.resign().wait()
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {what}")) }
}

/// A leader that dies is followed after this time.
const SESSION_SECONDS: i64 = 2;

const PATIENCE: Duration = Duration::from_secs(30);
