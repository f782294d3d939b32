//! A configuration that changes while the program runs, on all members alike.
//!
//! ```text
//! cargo run --release --example live_config
//! ```

use std::error::Error;
use std::str::FromStr;

use quorate::recipes::{LiveConfig, LiveState};
use quorate::{Cluster, Config, Node, hub::Hub};

/// What is to be configured, written as `100/s burst 20`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Throttle {
    per_second: u32,
    burst: u32,
}

impl FromStr for Throttle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected something like `100/s burst 20`, found `{text}`");
        let (per_second, burst) = text.split_once("/s burst ").ok_or_else(form)?;
        let number = |text: &str| text.parse().map_err(|_| form());
        Ok(Self { per_second: number(per_second)?, burst: number(burst)? })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Three members in this process; an application has one in each of its processes.
    let folder = tempfile::tempdir()?;
    let (hub, names) = (Hub::new(), ["a", "b", "c"]);
    let cluster = Cluster::of_names("live-config", names);
    let open = |name| {
        let config = Config::new(folder.path().join(name)).named(name);
        Node::open(config.cluster(cluster.clone()).in_process(&hub))
    };
    let nodes = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;

    // Each process follows the same key. Nobody has set it, so the default holds.
    let default = Throttle { per_second: 10, burst: 1 };
    let live = |node: &Node| LiveConfig::from_text(node, "config/throttle", default.clone()).wait();
    let configs = nodes.iter().map(live).collect::<Result<Vec<_>, _>>()?;
    println!("default   {:?}", configs[0].get());

    // Somebody changes it, anywhere. Every process has it a moment later, without asking for it.
    let wide = Throttle { per_second: 100, burst: 20 };
    set(&nodes[1], &configs, "100/s burst 20")?;
    ensure(configs.iter().all(|config| *config.get() == wide), "everybody has the new value")?;

    // A mistake harms nobody: the last good value stays, and the problem is told.
    let states = set(&nodes[2], &configs, "a lot")?;
    ensure(states.iter().all(|state| *state.value == wide), "the last good value stays")?;
    ensure(states.iter().all(|state| state.problem.is_some()), "the problem is told")?;

    // The next good value is taken again.
    let states = set(&nodes[0], &configs, "50/s burst 5")?;
    ensure(states.iter().all(|state| state.problem.is_none()), "the problem is gone")?;
    ensure(configs.iter().all(|config| config.get().per_second == 50), "the value is taken")?;
    Ok(())
}

/// Sets the value and waits until everybody has seen it.
fn set(
    node: &Node,
    configs: &[LiveConfig<Throttle>],
    text: &str,
) -> Result<Vec<LiveState<Throttle>>, Box<dyn Error>> {
    let put = node.put("config/throttle", text.to_owned()).wait()?;
    let revision = put.header.ok_or("a response has a header")?.revision;
    let mut states = Vec::new();
    for (config, member) in configs.iter().zip(["a", "b", "c"]) {
        let state = config.changed(revision - 1).wait()?;
        println!("member {member}  {:?}", state.value);
        if let Some(problem) = &state.problem {
            println!("          {problem}");
        }
        states.push(state);
    }
    Ok(states)
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {what}")) }
}
