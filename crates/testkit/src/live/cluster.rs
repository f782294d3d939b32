//! Live members in one process, to be killed and opened again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate::hub::{Hub, LinkRules};
use quorate::{Client, Cluster, Config, MemberId, MemoryData, Node, OpenError};

use crate::plan::{Network, Plan};
use crate::rng::MILLION;

/// The members of a live run.
pub(crate) struct LiveCluster {
    hub: Hub,
    configs: Vec<Config>,
    ids: Vec<MemberId>,
    nodes: Vec<Mutex<Option<Node>>>,
    noise: LinkRules,
    /// How many faults cut each link.
    cuts: Mutex<BTreeMap<(usize, usize), u32>>,
}

impl LiveCluster {
    /// Opens all members of a plan's cluster.
    pub(crate) fn open(plan: &Plan, folder: Option<&PathBuf>) -> Result<Self, OpenError> {
        let hub = Hub::with_seed(plan.seed);
        let names: Vec<String> = (0..plan.members).map(|place| format!("node-{place}")).collect();
        let cluster = Cluster::of_names(format!("seed-{}", plan.seed), names.clone());
        let config = |name: &String| {
            let config = match folder {
                Some(folder) => Config::new(folder.join(name)),
                None => Config::in_memory(&MemoryData::new()),
            };
            let mut config = config.named(name).cluster(cluster.clone()).in_process(&hub);
            config.heartbeat_interval = plan.limits.heartbeat_interval;
            config.election_timeout = plan.limits.election_timeout;
            config.log_keep_entries = plan.limits.log_keep_entries;
            config
        };
        let configs: Vec<Config> = names.iter().map(config).collect();
        let ids = names
            .iter()
            .map(|name| cluster.member_id(name).expect("it is a member by construction"))
            .collect();
        let nodes = configs
            .iter()
            .map(|config| Node::open(config.clone()).map(|node| Mutex::new(Some(node))))
            .collect::<Result<_, _>>()?;
        let (noise, cuts) = (rules(&plan.network), Mutex::default());
        Ok(Self { hub, configs, ids, nodes, noise, cuts })
    }

    fn node(&self, place: usize) -> MutexGuard<'_, Option<Node>> {
        self.nodes[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// A handle on a member, if it runs.
    pub(crate) fn client(&self, place: usize) -> Option<Client> {
        self.node(place).as_ref().map(|node| node.client())
    }

    /// Who leads, as far as any member knows.
    pub(crate) fn leader(&self) -> Option<usize> {
        (0..self.count())
            .find(|place| self.node(*place).as_ref().is_some_and(|node| node.status().is_leader()))
    }

    /// Stops a member at once.
    pub(crate) fn kill(&self, place: usize) -> bool {
        let node = self.node(place).take();
        node.map(Node::kill).is_some()
    }

    /// Closes a member in good order.
    pub(crate) fn close(&self, place: usize) -> bool {
        let node = self.node(place).take();
        // It may have stopped by itself; opening it again shows whether that matters.
        node.map(|node| drop(node.close())).is_some()
    }

    /// Opens a member again, unless it runs.
    pub(crate) fn reopen(&self, place: usize) -> Result<(), OpenError> {
        let mut node = self.node(place);
        if node.is_none() {
            *node = Some(Node::open(self.configs[place].clone())?);
        }
        Ok(())
    }

    /// Asks a member to hand leadership over.
    pub(crate) fn transfer(&self, asked: usize, to: usize) {
        if let Some(node) = self.node(asked).as_ref() {
            node.transfer_leader(self.ids[to]);
        }
    }

    /// Begins the plan's noise on all links.
    pub(crate) fn begin_noise(&self) {
        for from in 0..self.count() {
            for to in 0..self.count() {
                self.set(from, to, false);
            }
        }
    }

    /// Cuts links, or takes one cut of each back.
    pub(crate) fn change_cuts(&self, links: &[(usize, usize)], cut: bool) {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        for (from, to) in links {
            let count = cuts.entry((*from, *to)).or_default();
            *count = if cut { *count + 1 } else { count.saturating_sub(1) };
            self.set(*from, *to, *count > 0);
        }
    }

    fn set(&self, from: usize, to: usize, cut: bool) {
        let rules = LinkRules { cut, ..self.noise };
        let set = self.hub.set_link(self.ids[from], self.ids[to], rules);
        set.expect("the rules of a plan are within their ranges");
    }

    /// Ends all faults of the network.
    pub(crate) fn heal(&self) {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.hub.heal();
    }
}

/// What of a plan's network the hub can do.
fn rules(network: &Network) -> LinkRules {
    let ppm = |chance: u64| u32::try_from(chance.min(MILLION)).unwrap_or(u32::MAX);
    LinkRules {
        drop_ppm: ppm(network.lost_ppm),
        duplicate_ppm: ppm(network.doubled_ppm),
        reorder_ppm: if network.in_order { 0 } else { ppm(MILLION / 4) },
        delay_min: network.delay_min,
        delay_max: network.delay_max.max(network.delay_min),
        cut: false,
    }
}
