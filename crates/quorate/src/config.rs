//! What a member is told when it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quorate_kv_api::Limits;
use quorate_mvcc::LessorTiming;
use quorate_raft_node::core::Tuning;
use quorate_transport::Transport;
use quorate_transport::hub::Hub;
use quorate_types::{ByteSize, ClusterId, MemberId};

use crate::auto_compaction::AutoCompaction;
use crate::cluster::Cluster;
use crate::error::ConfigError;
use crate::housekeeping::{HousekeeperConfig, SWEEP_RECORDS_MAX};
use crate::memory::MemoryData;

/// Everything about one member. Start with [`Config::new`] and change what you need.
///
/// ```no_run
/// use std::time::Duration;
/// use quorate::{Cluster, Config, Node, hub::Hub};
///
/// let hub = Hub::new();
/// let cluster = Cluster::of_names("orders", ["a", "b", "c"]);
/// let mut config = Config::new("data/a").named("a").cluster(cluster).in_process(&hub);
/// config.election_timeout = Duration::from_millis(500);
/// let node = Node::open(config)?;
/// # Ok::<(), quorate::OpenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name, unique in its cluster. 1 to 64 bytes without control characters. Default
    /// `default`.
    pub name: String,
    /// Where the member keeps its data.
    pub data: Data,
    /// The members of a cluster to be founded. Needed only when the member is opened for the first
    /// time; later it may be left out, and must agree if given. 1 to 7 members, this one among
    /// them. Default: this member alone.
    pub cluster: Option<Cluster>,
    /// How the member reaches the others. Default: not at all, which suits a cluster of one.
    pub network: Network,
    /// How often a leader tells its followers that it lives. 1 ms to 10 s. Shorter notices a dead
    /// member sooner and costs messages. Equal on all members. Default 100 ms.
    pub heartbeat_interval: Duration,
    /// How long a follower waits for its leader before it asks for votes; each wait is drawn
    /// between this and twice this. 5 heartbeat intervals to 50 s. Too short, and a busy machine
    /// looks like a dead leader. Equal on all members. Default 1 s.
    pub election_timeout: Duration,
    /// How long a request waits for a majority before it fails. 1 ms to 1 h. Default 7 s, etcd's.
    pub request_timeout: Duration,
    /// Bounds on a single request.
    pub limits: Limits,
    /// How many requests may wait on this member; more are refused. 1 to 1,000,000. Default 65,536.
    pub requests_pending_max: usize,
    /// Memory of the block cache of the state store. 1 MiB to 1 TiB. Default 64 MiB.
    pub cache_size: ByteSize,
    /// Changed state kept in memory before it is written to a table file. 1 MiB to 16 GiB. Default
    /// 64 MiB.
    pub write_buffer_size: ByteSize,
    /// Log bytes after which the state is flushed so that the log can be cut. 64 KiB to 16 GiB.
    /// More makes fewer flushes and a longer recovery. Default 64 MiB.
    pub flush_after_size: ByteSize,
    /// Applied log entries kept for members that fall behind; one further behind gets a snapshot. 0
    /// to 10,000,000. Default 10,000.
    pub log_keep_entries: u64,
    /// Whether the cluster compacts on its own while this member leads. Default off, as in etcd.
    pub auto_compaction: AutoCompaction,
    /// How much disk the state may take before puts are refused with
    /// [`KvError::NoSpace`](crate::KvError::NoSpace) on all members, until the alarm is cleared. At
    /// least 1 MiB. Default: no quota.
    pub space_quota: Option<ByteSize>,
    /// How often a leader notes in the log how long leases of more than five minutes still live, so
    /// that they do not live longer because members restart. 1 s to 1 day. Default 5 minutes.
    pub lease_checkpoint_interval: Duration,
    /// How often the members compare hashes of their content while this member leads; who differs
    /// is put under the alarm [`AlarmType::Corrupt`](crate::AlarmType::Corrupt), which refuses
    /// writes; under the id 0, if nobody can tell who is right. Each comparison reads the whole
    /// history on every member, in small steps. 1 s to 10 years, or never. Default 1 day.
    pub hash_check_interval: Option<Duration>,
}

/// Where a member keeps its data.
#[derive(Clone, Debug)]
pub enum Data {
    /// In this folder, made if it is absent. Needs the feature `rocksdb`.
    Folder(PathBuf),
    /// In memory: gone when the last handle on it is dropped. For tests.
    Memory(MemoryData),
}

/// How a member reaches the others of its cluster.
#[derive(Clone)]
pub enum Network {
    /// Not at all.
    None,
    /// Through a hub in this process.
    Hub(Hub),
    /// Over TCP. The member listens on its own address in [`Config::cluster`], unless told
    /// otherwise here.
    Tcp {
        /// The address to listen on, if it differs from the one that the others use.
        listen: Option<String>,
    },
    /// Through a transport of the application's own.
    Custom(TransportFactory),
}

/// Makes the transport of a member once its ids are known.
pub type TransportFactory = Arc<dyn Fn(ClusterId, MemberId) -> Arc<dyn Transport> + Send + Sync>;

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Hub(_) => f.write_str("Hub"),
            Self::Tcp { listen } => f.debug_struct("Tcp").field("listen", listen).finish(),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl Config {
    /// A member with its data in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with_data(Data::Folder(folder.into()))
    }

    /// A member with its data in memory, for tests.
    pub fn in_memory(data: &MemoryData) -> Self {
        Self::with_data(Data::Memory(data.clone()))
    }

    fn with_data(data: Data) -> Self {
        Self {
            name: "default".to_owned(),
            data,
            cluster: None,
            network: Network::None,
            heartbeat_interval: Duration::from_millis(100),
            election_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(7),
            limits: Limits::default(),
            requests_pending_max: 65_536,
            cache_size: ByteSize::mib(64),
            write_buffer_size: ByteSize::mib(64),
            flush_after_size: ByteSize::mib(64),
            log_keep_entries: 10_000,
            auto_compaction: AutoCompaction::Off,
            space_quota: None,
            lease_checkpoint_interval: Duration::from_secs(300),
            hash_check_interval: Some(Duration::from_secs(86_400)),
        }
    }

    /// Sets the member's name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the members of the cluster to be founded.
    #[must_use]
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Reaches the other members through a hub in this process.
    #[must_use]
    pub fn in_process(mut self, hub: &Hub) -> Self {
        self.network = Network::Hub(hub.clone());
        self
    }

    /// Reaches the other members over TCP, at the addresses in [`Self::cluster`].
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        self.network = Network::Tcp { listen: None };
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field whose value cannot be used.
    ///
    /// ```
    /// let mut config = quorate::Config::new("data");
    /// config.election_timeout = std::time::Duration::from_millis(200);
    /// assert_eq!(
    ///     config.validate().unwrap_err().to_string(),
    ///     "config field election_timeout is 200ms, \
    ///      but must be 500ms (five heartbeat intervals) to 50s"
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_name("name", &self.name)?;
        if let Some(cluster) = &self.cluster {
            self.validate_cluster(cluster)?;
        }
        let (millisecond, second) = (Duration::from_millis(1), Duration::from_secs(1));
        within("heartbeat_interval", self.heartbeat_interval, millisecond, second * 10)?;
        let (least, most) = (self.heartbeat_interval * 5, second * 50);
        if !(least..=most).contains(&self.election_timeout) {
            let expected = format!("{least:?} (five heartbeat intervals) to {most:?}");
            return Err(wrong(
                "election_timeout",
                format!("{:?}", self.election_timeout),
                expected,
            ));
        }
        within("request_timeout", self.request_timeout, millisecond, second * 3600)?;
        within("requests_pending_max", self.requests_pending_max, 1, 1_000_000)?;
        let size = |field, value: ByteSize, least: ByteSize, most: ByteSize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(wrong(field, value.to_string(), format!("{least} to {most}")))
        };
        size("cache_size", self.cache_size, ByteSize::mib(1), ByteSize::gib(1024))?;
        size("write_buffer_size", self.write_buffer_size, ByteSize::mib(1), ByteSize::gib(16))?;
        size("flush_after_size", self.flush_after_size, ByteSize::kib(64), ByteSize::gib(16))?;
        within("log_keep_entries", self.log_keep_entries, 0, 10_000_000)?;
        let bytes = u64::from(self.limits.request_bytes_max);
        let (least, most) = (ByteSize::kib(1), ByteSize::mib(32));
        size("limits.request_bytes_max", ByteSize::new(bytes), least, most)?;
        within("limits.txn_ops_max", self.limits.txn_ops_max, 1, 65_536)?;
        let day = second * 86_400;
        within("lease_checkpoint_interval", self.lease_checkpoint_interval, second, day)?;
        if let Some(interval) = self.hash_check_interval {
            within("hash_check_interval", interval, second, day * 3_650)?;
        }
        if let Some(quota) = self.space_quota {
            size("space_quota", quota, ByteSize::mib(1), ByteSize::new(u64::MAX))?;
        }
        match self.auto_compaction {
            AutoCompaction::Off => Ok(()),
            AutoCompaction::Revisions(keep) => {
                within("auto_compaction (revisions)", keep, 1, i64::MAX)
            }
            AutoCompaction::Periodic(time) => {
                within("auto_compaction (time)", time, second, day * 3_650)
            }
        }
    }

    /// The limits with the least time to live of a lease that the election timeout allows.
    pub(crate) fn effective_limits(&self) -> Limits {
        let lease_ttl_min = (self.election_timeout * 3 / 2).as_secs_f64().ceil() as i64;
        let lease_ttl_min = self.limits.lease_ttl_min.max(lease_ttl_min);
        Limits { lease_ttl_min, ..self.limits }
    }

    pub(crate) fn housekeeping(&self, member: MemberId) -> HousekeeperConfig {
        HousekeeperConfig {
            leases: LessorTiming {
                election_timeout: self.election_timeout,
                checkpoint_interval: self.lease_checkpoint_interval,
                ..LessorTiming::default()
            },
            auto_compaction: self.auto_compaction,
            sweep_records_max: SWEEP_RECORDS_MAX,
            member,
            hash_check_interval: self.hash_check_interval,
        }
    }

    fn validate_cluster(&self, cluster: &Cluster) -> Result<(), ConfigError> {
        let count = cluster.members.len();
        within("cluster (number of members)", count, 1, MEMBERS_MAX)?;
        check_name("cluster (token)", &cluster.token)?;
        for (name, address) in &cluster.members {
            check_name("cluster (member name)", name)?;
            if address.len() > ADDRESS_LEN_MAX || address.contains(char::is_whitespace) {
                let expected =
                    format!("an address without spaces of up to {ADDRESS_LEN_MAX} bytes");
                return Err(wrong("cluster (member address)", format!("{address:?}"), expected));
            }
        }
        if !cluster.members.contains_key(&self.name) {
            let names: Vec<&str> = cluster.names().collect();
            let expected = format!("one of the cluster's members: {}", names.join(", "));
            return Err(wrong("name", format!("{:?}", self.name), expected));
        }
        let mut ids: Vec<MemberId> = cluster.ids().into_values().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != count {
            let found = "a cluster with equal addresses".to_owned();
            return Err(wrong("cluster", found, "members with different addresses".to_owned()));
        }
        if count > 1 && matches!(self.network, Network::None) {
            let expected = "a hub, TCP or a transport of your own for a cluster of several members";
            return Err(wrong("network", "None".to_owned(), expected.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn tuning(&self) -> Tuning {
        Tuning {
            heartbeat_interval: self.heartbeat_interval,
            election_timeout: self.election_timeout,
            commands_pending_max: self.requests_pending_max,
            log_keep_entries: self.log_keep_entries,
            flush_after_size: self.flush_after_size,
            ..Tuning::default()
        }
    }
}

fn within<V: PartialOrd + std::fmt::Debug>(
    field: &'static str,
    value: V,
    least: V,
    most: V,
) -> Result<(), ConfigError> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(wrong(field, format!("{value:?}"), format!("{least:?} to {most:?}")))
}

fn check_name(field: &'static str, name: &str) -> Result<(), ConfigError> {
    if (1..=NAME_LEN_MAX).contains(&name.len()) && !name.contains(char::is_control) {
        return Ok(());
    }
    let expected = format!("1 to {NAME_LEN_MAX} bytes without control characters");
    Err(wrong(field, format!("{name:?}"), expected))
}

fn wrong(field: &'static str, found: String, expected: String) -> ConfigError {
    ConfigError { field, found, expected }
}

/// More members make every write wait for a larger majority and protect no better: seven survive
/// the loss of three.
const MEMBERS_MAX: usize = 7;

/// Long enough for any host name, short enough for a line of a file.
const NAME_LEN_MAX: usize = 64;

/// A host name has at most 253 bytes; a scheme and a port may stand around it.
const ADDRESS_LEN_MAX: usize = 300;
