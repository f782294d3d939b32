//! Members to be measured.

use std::path::Path;
use std::time::{Duration, Instant};

use quorate::hub::Hub;
use quorate::{Client, Cluster, Config, MemoryData, Node};
use tempfile::TempDir;

use crate::error::BenchError;

/// Where members keep their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// State and log in memory.
    Memory,
    /// State on RocksDB, log on raft-engine.
    Rocksdb,
}

impl EngineKind {
    /// All that are built in.
    pub fn available() -> &'static [Self] {
        if cfg!(feature = "rocksdb") { &[Self::Memory, Self::Rocksdb] } else { &[Self::Memory] }
    }

    /// The engine of this name.
    ///
    /// # Errors
    ///
    /// [`BenchError::InvalidUsage`] if none is built in.
    pub fn parse(text: &str) -> Result<Self, BenchError> {
        let found = Self::available().iter().find(|kind| kind.name() == text);
        found.copied().ok_or_else(|| BenchError::usage(format!("no engine {text} is built in")))
    }

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Rocksdb => "rocksdb",
        }
    }
}

/// What kind of cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Where the members keep their data.
    pub engine: EngineKind,
    /// How many there are.
    pub members: u32,
}

/// Whose handles callers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The leader.
    Leader,
    /// Everybody but the leader.
    Followers,
    /// All members in turn.
    Spread,
}

impl At {
    /// As in the names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Followers => "followers",
            Self::Spread => "spread",
        }
    }
}

/// A cluster in this process. Dropping it stops the members and removes their data.
pub struct Members {
    nodes: Vec<Node>,
    leader: usize,
    /// Removed after the members have stopped; the field order matters.
    _folder: TempDir,
}

impl Members {
    /// Founds a cluster on fresh data in a folder below `data` and waits for its leader.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn open(shape: Shape, data: &Path) -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new()
            .prefix("members-")
            .tempdir_in(data)
            .map_err(|error| BenchError::file(data, error))?;
        let names = &NAMES[..shape.members as usize];
        let cluster = Cluster::of_names("bench", names.iter().copied());
        let hub = Hub::new();
        let mut nodes = Vec::new();
        for name in names {
            let config = match shape.engine {
                EngineKind::Memory => Config::in_memory(&MemoryData::new()),
                EngineKind::Rocksdb => Config::new(folder.path().join(name)),
            };
            let config = config.named(*name).cluster(cluster.clone());
            let config = if shape.members > 1 { config.in_process(&hub) } else { config };
            let node = Node::open(config).map_err(|source| BenchError::Open { name, source })?;
            nodes.push(node);
        }
        let leader = settle(&nodes)?;
        Ok(Self { nodes, leader, _folder: folder })
    }

    /// The handles of these members.
    pub fn clients(&self, at: At) -> Vec<Client> {
        let nodes = self.nodes.iter().enumerate();
        let chosen = nodes.filter(|(index, _)| match at {
            At::Leader => *index == self.leader,
            At::Followers => *index != self.leader,
            At::Spread => true,
        });
        chosen.map(|(_, node)| node.client()).collect()
    }

    /// The handle of the leader.
    pub fn leader(&self) -> Client {
        self.nodes[self.leader].client()
    }

    /// How many elections were won so far.
    pub fn elections(&self) -> u64 {
        let won = |node: &Node| {
            node.status().consensus.map_or(0, |consensus| consensus.counters.elections_won)
        };
        self.nodes.iter().map(won).sum()
    }

    /// Stops the members without making their state durable: it is about to be removed.
    pub fn discard(self) {
        self.nodes.into_iter().for_each(Node::kill);
    }
}

/// Waits until every member knows the same leader and writes reach all; who leads, as an index.
fn settle(nodes: &[Node]) -> Result<usize, BenchError> {
    let deadline = Instant::now() + SETTLE_MAX;
    while Instant::now() < deadline {
        // Each of these waits for a leader, so this loop does not spin.
        let wrote = nodes
            .iter()
            .all(|node| node.put("settled", node.member_id().to_string()).wait().is_ok());
        let leader = nodes.iter().position(|node| node.status().is_leader());
        let Some(leader) = leader.filter(|_| wrote) else { continue };
        let id = nodes[leader].member_id();
        if nodes.iter().all(|node| node.status().leader() == Some(id)) {
            return Ok(leader);
        }
    }
    Err(BenchError::NoLeader)
}

/// As many as a cluster may have.
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// Many election timeouts; only a stuck machine needs longer.
const SETTLE_MAX: Duration = Duration::from_secs(60);
