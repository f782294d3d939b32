//! The three members: opened, watched, killed and opened again.

use std::thread;
use std::time::{Duration, Instant};

use quorate::hub::Hub;
use quorate::{Client, Config, Consensus, Node, Range};

use crate::failure::Failure;
use crate::folder::{Folder, NAMES};

/// The members of one cluster. All handles are in the order of [`NAMES`].
pub(crate) struct Members {
    /// `None` while a member is down.
    nodes: [Option<Node>; 3],
    hub: Hub,
    /// Dropped after the members, who use it.
    folder: Folder,
}

/// A running member's name and a handle on it.
pub(crate) type Named = (&'static str, Client);

impl Members {
    /// Opens all three.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`].
    pub(crate) fn open(folder: Folder) -> Result<Self, Failure> {
        let mut members = Self { nodes: [None, None, None], hub: Hub::new(), folder };
        members.open_all()?;
        Ok(members)
    }

    /// Opens those that are down.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`].
    pub(crate) fn open_all(&mut self) -> Result<(), Failure> {
        for index in 0..NAMES.len() {
            if self.nodes[index].is_none() {
                self.open_one(index)?;
            }
        }
        Ok(())
    }

    fn open_one(&mut self, index: usize) -> Result<(), Failure> {
        let name = NAMES[index];
        let config = Config::new(self.folder.member(name)).named(name);
        let config = config.cluster(self.folder.cluster.clone());
        let config =
            if self.folder.is_tcp() { config.over_tcp() } else { config.in_process(&self.hub) };
        let node = Node::open(config).map_err(|source| Failure::Open { name, source })?;
        self.nodes[index] = Some(node);
        Ok(())
    }

    /// Waits until a member leads and a majority follows it, and says which it is.
    ///
    /// # Errors
    ///
    /// [`Failure::NoLeader`].
    pub(crate) fn wait_for_leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + LEADER_WAIT_MAX;
        while Instant::now() < deadline {
            for (index, node) in self.nodes.iter().enumerate() {
                let Some(node) = node.as_ref().filter(|node| node.status().is_leader()) else {
                    continue;
                };
                // A linearizable read is answered only while a majority agrees who leads.
                let read = node.with_timeout(LEADER_CHECK_WAIT).range(Range::all().count_only());
                if read.wait().is_ok() && node.status().is_leader() {
                    return Ok(index);
                }
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(Failure::NoLeader(LEADER_WAIT_MAX))
    }

    /// Handles on the members that run.
    pub(crate) fn running(&self) -> Vec<Named> {
        let nodes = NAMES.into_iter().zip(&self.nodes);
        nodes.filter_map(|(name, node)| Some((name, node.as_ref()?.client()))).collect()
    }

    /// What a member knows of itself, unless it is down.
    pub(crate) fn consensus(&self, index: usize) -> Option<Consensus> {
        self.nodes[index].as_ref()?.status().consensus.ok()
    }

    /// Stops a member as a crash would.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take() {
            node.kill();
        }
    }

    /// Closes all in good order.
    ///
    /// # Errors
    ///
    /// [`Failure::Close`] for the first that did not.
    pub(crate) fn close_all(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for (name, node) in NAMES.into_iter().zip(&mut self.nodes) {
            let closed = node.take().map_or(Ok(()), Node::close);
            result = result.and(closed.map_err(|source| Failure::Close { name, source }));
        }
        result
    }
}

/// How often members are asked whether something has happened.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// An election takes a second or two; a machine that is busy with other things gets more.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(60);

/// A leader whose majority does not answer for this long is asked again later.
const LEADER_CHECK_WAIT: Duration = Duration::from_secs(5);
