//! Who is there and where: instances of a service register, a client follows them.
//!
//! ```text
//! cargo run --release --example service_registry
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use quorate::recipes::{Instance, InstanceChange, Instances, ServiceRegistry, Session};
use quorate::{Cluster, Config, Node, hub::Hub};

fn main() -> Result<(), Box<dyn Error>> {
    // Three members in this process; an application has one in each of its processes.
    let folder = tempfile::tempdir()?;
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("service-registry", names);
    let open = |name| {
        let mut config = Config::new(folder.path().join(name)).named(name);
        config.heartbeat_interval = Duration::from_millis(20);
        config.election_timeout = Duration::from_millis(200);
        Node::open(config.cluster(cluster.clone()).in_process(&hub))
    };
    let (a, b, c) = (open("a")?, open("b")?, open("c")?);

    // Two processes offer a service. Each registers as long as its session lives.
    let services = ServiceRegistry::new("services");
    let (session_a, session_b) = (Session::open(&a, 2).wait()?, Session::open(&b, 2).wait()?);
    let at_a = Instance::new("a", "10.0.0.1:8080").with("zone", "north");
    let at_b = Instance::new("b", "10.0.0.2:8080").with("zone", "south");
    let registered_a = services.register(&session_a, "search", &at_a).wait()?;
    let registered_b = services.register(&session_b, "search", &at_b).wait()?;

    // A third one wants to use it. It learns who is there, then what changes.
    let mut alive = Alive { changes: services.watch(&c, "search")?, addresses: BTreeMap::new() };
    alive.until(&["10.0.0.1:8080", "10.0.0.2:8080"])?;

    // An instance moves.
    let moved = Instance { address: "10.0.0.3:8080".to_owned(), ..at_b };
    registered_b.update(&moved).wait()?;
    alive.until(&["10.0.0.1:8080", "10.0.0.3:8080"])?;

    // An instance goes in good order: its name is gone at once.
    registered_a.deregister().wait()?;
    alive.until(&["10.0.0.3:8080"])?;

    // A process dies without a word: its name goes with its lease.
    let closed = Instant::now();
    b.close()?;
    alive.until(&[])?;
    println!("noticed {:.2?} after b was closed", closed.elapsed());

    // Its keeper knows as well. A process that lives would register anew with a new session.
    registered_b.lost().wait()?;
    let session = Session::open(&a, 2).wait()?;
    let _again = services.register(&session, "search", &moved).wait()?;
    alive.until(&["10.0.0.3:8080"])
}

/// The addresses in use, as a client keeps them.
struct Alive {
    changes: Instances,
    addresses: BTreeMap<String, String>,
}

impl Alive {
    /// Follows the changes until exactly these addresses are there.
    fn until(&mut self, expected: &[&str]) -> Result<(), Box<dyn Error>> {
        while !self.addresses.values().eq(expected) {
            let change = self.changes.next().ok_or("the watch has ended")??;
            println!("{}", describe(&change));
            match change {
                InstanceChange::Joined(instance) | InstanceChange::Updated(instance) => {
                    self.addresses.insert(instance.name, instance.address);
                }
                InstanceChange::Left(instance) => {
                    self.addresses.remove(&instance.name);
                }
                other => return Err(format!("unknown change {other:?}").into()),
            }
        }
        Ok(())
    }
}

fn describe(change: &InstanceChange) -> String {
    match change {
        InstanceChange::Joined(i) => format!("{} joined at {} {:?}", i.name, i.address, i.metadata),
        InstanceChange::Updated(i) => format!("{} is now at {}", i.name, i.address),
        InstanceChange::Left(i) => format!("{} left", i.name),
        other => format!("{other:?}"),
    }
}
