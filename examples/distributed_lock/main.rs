//! A lock shared by three members, and why its fencing token matters: a holder that is cut off
//! loses the lock without knowing it, and what it protects must refuse such a holder.
//!
//! ```text
//! cargo run --release --example distributed_lock
//! ```

use std::error::Error;

use quorate::hub::Hub;
use quorate::recipes::{Guard, Mutex, Session};
use quorate::{Cluster, Config, Node, put};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("locks", names);
    let open = |name| {
        let config = Config::new(folder.path().join(name)).named(name).cluster(cluster.clone());
        Node::open(config.in_process(&hub))
    };
    let nodes = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut printer = Printer::default();

    // A session keeps a lease alive in the background; what it holds lives as long as the lease.
    let first = Session::open(&nodes[0], 2).wait()?;
    let held_by_a = Mutex::new(&first, "locks/printer").lock().wait()?;
    println!("a holds the lock with token {}", held_by_a.token());
    printer.print("page 1 of a", &held_by_a)?;

    let second = Session::open(&nodes[1], 2).wait()?;
    let lock = Mutex::new(&second, "locks/printer");
    check(lock.try_lock().wait()?.is_none(), "b cannot have the lock as well")?;

    // The cable of a breaks. Its lease ends, and the lock goes on to b.
    println!("a is cut off, b waits for the lock");
    hub.isolate(nodes[0].member_id());
    let held_by_b = lock.lock().wait()?;
    println!("b holds the lock with token {}", held_by_b.token());
    printer.print("page 1 of b", &held_by_b)?;

    // Who asks first, knows. But between asking and acting a process may be paused for any time.
    check(held_by_a.is_lost(), "a can know that it has lost the lock")?;
    let refused = printer.print("page 2 of a", &held_by_a);
    let refused = refused.err().ok_or("the printer took a page of a")?;
    println!("a is refused by the printer: {refused}");

    // Whatever stands in the store is protected by a condition of the transaction instead.
    hub.heal();
    let late = nodes[0].txn().when(held_by_a.held()).then(put("printed", "2 pages")).commit();
    check(!late.wait()?.succeeded, "a is refused by the store")?;
    println!("a is refused by the store");
    let write = nodes[1].txn().when(held_by_b.held()).then(put("printed", "1 page")).commit();
    check(write.wait()?.succeeded, "b may write")?;

    held_by_b.unlock().wait()?;
    let third = Session::open(&nodes[2], 2).wait()?;
    let next = Mutex::new(&third, "locks/printer").try_lock().wait()?;
    println!("c holds the lock with token {}", next.ok_or("the lock is free")?.token());
    Ok(())
}

/// Something outside of the store. It knows nothing of locks but the greatest token it has seen.
#[derive(Default)]
struct Printer {
    newest_token: i64,
}

impl Printer {
    fn print(&mut self, page: &str, guard: &Guard) -> Result<(), String> {
        let token = guard.token();
        if token < self.newest_token {
            return Err(format!("token {token} is older than {}", self.newest_token));
        }
        self.newest_token = token;
        println!("  printed: {page}");
        Ok(())
    }
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("not as it should be: {what}")) }
}
