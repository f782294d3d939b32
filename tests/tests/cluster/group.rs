//! Three durable members in this process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quorate::hub::Hub;
use quorate::{Cluster, Config, Node};
use tempfile::TempDir;

pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Three members, some of them running, and their folders.
pub(crate) struct Group {
    pub(crate) hub: Hub,
    pub(crate) nodes: [Option<Node>; 3],
    folder: TempDir,
    tune: fn(&mut Config),
}

impl Group {
    /// Founds the cluster and opens all members.
    pub(crate) fn new() -> Self {
        Self::tuned(|_| {})
    }

    /// The same with a change of every member's configuration.
    pub(crate) fn tuned(tune: fn(&mut Config)) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut group = Self { hub: Hub::new(), nodes: [None, None, None], folder, tune };
        (0..3).for_each(|index| group.open(index));
        group
    }

    pub(crate) fn config(&self, index: usize) -> Config {
        let config = Config::new(self.path(index)).named(NAMES[index]).in_process(&self.hub);
        let mut config = config.cluster(Cluster::of_names("test", NAMES));
        quicken(&mut config);
        (self.tune)(&mut config);
        config
    }

    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.folder.path().join(NAMES[index])
    }

    pub(crate) fn open(&mut self, index: usize) {
        self.nodes[index] = Some(Node::open(self.config(index)).expect("the member opens"));
    }

    pub(crate) fn node(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().expect("the member runs")
    }

    pub(crate) fn take(&mut self, index: usize) -> Node {
        self.nodes[index].take().expect("the member runs")
    }

    /// The member that leads, once one does.
    pub(crate) fn leader(&self) -> usize {
        wait_for("a leader", || {
            (0..3).find(|index| self.nodes[*index].as_ref().is_some_and(|n| n.status().is_leader()))
        })
    }
}

/// Shorter times, so that elections do not make tests slow.
pub(crate) fn quicken(config: &mut Config) {
    config.heartbeat_interval = Duration::from_millis(50);
    config.election_timeout = Duration::from_millis(400);
    config.request_timeout = Duration::from_secs(30);
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// Every file below `folder` whose name ends in `ending`, with its size.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
