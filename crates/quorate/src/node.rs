//! A member of a cluster, running in this process.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::RwLock;
use quorate_mvcc::{Store, StoreError};
use quorate_raft_node::driver::{Driver, DriverConfig, StartError, StopCause};
use quorate_transport::Transport;
use quorate_transport::tcp::{TcpConfig, TcpTransport};
use quorate_types::{ClusterId, MemberId};

use crate::client::Client;
use crate::config::{Config, Network};
use crate::data::{OpenData, Place};
use crate::error::OpenError;
use crate::housekeeping::{self, Housekeeper};
use crate::identity::Identity;
use crate::machine::KvMachine;
use crate::member::{Member, Threads};
use crate::solitude::Solitude;

/// A member of a cluster, running in this process. Dropping it stops the member.
///
/// Everything that a [`Client`] can do can be done on the node itself; clients that outlive it are
/// told that the member has stopped.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// use quorate::{Config, Node};
///
/// let node = Node::open(Config::new(folder.join("data")))?;
/// node.put("greeting", "hello").wait()?;
/// let found = node.get("greeting").wait()?;
/// assert_eq!(&found.unwrap().value[..], b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Node {
    member: Arc<Member>,
    client: Client,
    housekeeping: Option<JoinHandle<()>>,
    election_timeout: Duration,
    /// Held until the member has stopped; the field order matters.
    _place: Place,
}

impl Node {
    /// Opens a member and starts its threads. The first time, it founds its cluster as configured;
    /// later it goes on where it stopped, whether it was closed or killed.
    ///
    /// Returns without waiting for the other members. Requests wait for a majority as long as their
    /// timeout allows.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Nothing runs then, and the data folder is as it was, or founded.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        config.validate()?;
        let OpenData { identity, engine, log, place } = OpenData::open(&config)?;
        let store = Store::open(engine).map_err(|error| match error {
            StoreError::NewerFormat { found, supported } => {
                OpenError::NewerFormat { path: place.path(), found, supported }
            }
            StoreError::Storage(cause) => OpenError::Storage(cause),
            other => OpenError::Store(other),
        })?;
        let transport = open_transport(&config, &identity)?;
        let limits = config.effective_limits();
        let housekeeper = Housekeeper::new(&store, config.housekeeping(identity.member_id()));
        let machine = KvMachine::new(store);
        let reader = machine.store().reader();
        let driver_config = DriverConfig {
            member: identity.member_id(),
            initial_membership: identity.membership(),
            seed: seed(identity.member_id()),
            tuning: config.tuning(),
        };
        let driver = Driver::start(driver_config, log, machine, transport)?;
        let member = Member {
            name: identity.name.clone(),
            cluster_id: identity.cluster_id(),
            member_id: identity.member_id(),
            driver,
            reader: RwLock::new(Some(reader)),
            limits,
            space_quota: config.space_quota,
            timers: Arc::default(),
            watches: AtomicU32::new(0),
            uniques: AtomicU64::new(0),
        };
        let member = Arc::new(member);
        let housekeeping = spawn_housekeeping(&member, housekeeper)?;
        let client = Client::new(Arc::new(Threads(member.clone())), config.request_timeout);
        let election_timeout = config.election_timeout;
        let housekeeping = Some(housekeeping);
        Ok(Self { member, client, housekeeping, election_timeout, _place: place })
    }

    /// A handle to be kept elsewhere.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The member's cluster.
    pub fn cluster_id(&self) -> ClusterId {
        self.member.cluster_id
    }

    /// The member's id.
    pub fn member_id(&self) -> MemberId {
        self.member.member_id
    }

    /// Asks that leadership move to another member and waits until it has moved, at most for an
    /// election timeout. Returns whether `to` leads now, as far as this member knows.
    pub fn transfer_leader(&self, to: MemberId) -> bool {
        self.transfer_leader_by(to, Instant::now() + self.election_timeout)
    }

    fn transfer_leader_by(&self, to: MemberId, deadline: Instant) -> bool {
        self.member.driver.transfer_leader(to);
        loop {
            let status = self.client.status();
            if status.leader() == Some(to) || status.consensus.is_err() {
                return status.leader() == Some(to);
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(TRANSFER_POLL_INTERVAL);
        }
    }

    /// Stops the member in good order: hands leadership over if it leads others, stops its threads,
    /// makes its state durable and gives up the data folder. Requests that still wait fail with
    /// [`Error::Stopped`](crate::Error::Stopped).
    ///
    /// # Errors
    ///
    /// Why the member had stopped before, or that its state could not be made durable. The data
    /// folder is given up in any case, and nothing that was answered is lost.
    pub fn close(mut self) -> Result<(), StopCause> {
        self.hand_over();
        self.stop_housekeeping();
        let stopped = self.member.driver.stop();
        self.release();
        stopped
    }

    /// Stops the member at once, as a crash of the process would, except that the operating system
    /// keeps what was written. For tests of what happens then.
    pub fn kill(mut self) {
        self.member.driver.kill();
        self.stop_housekeeping();
        self.release();
    }

    /// Ends the thread of housekeeping. Requests that wait for a time or an event look at once
    /// whether the member has stopped.
    fn stop_housekeeping(&mut self) {
        self.member.timers.stop();
        if let Some(thread) = self.housekeeping.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // Panics were caught inside and told to the member.
            let _joined = thread.join();
        }
    }

    /// Gives up the store, which clients would hold open otherwise.
    fn release(&self) {
        *self.member.reader.write() = None;
    }

    /// Moves leadership to another member, if this one leads. Each gets an equal part of an
    /// election timeout to take it, so that members that are away do not hold up the closing for
    /// long.
    fn hand_over(&self) {
        let Ok(consensus) = self.client.status().consensus else { return };
        let me = self.member_id();
        if consensus.leader != Some(me) {
            return;
        }
        let others: Vec<_> = consensus.members.into_iter().filter(|other| *other != me).collect();
        let part = self.election_timeout / u32::try_from(others.len().max(1)).unwrap_or(u32::MAX);
        for other in others {
            if self.transfer_leader_by(other, Instant::now() + part) {
                return;
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `close`.
        let _stopped = self.member.driver.stop();
        self.stop_housekeeping();
        self.release();
    }
}

impl Deref for Node {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({:?}, {})", self.member.name, self.member_id())
    }
}

fn spawn_housekeeping(
    member: &Arc<Member>,
    housekeeper: Housekeeper,
) -> Result<JoinHandle<()>, OpenError> {
    let thread = "quorate-housekeeping";
    let member = member.clone();
    let body = move || {
        member.driver.guard(thread, || housekeeping::run(&member, housekeeper));
        member.timers.stop();
    };
    let spawned = std::thread::Builder::new().name(thread.to_owned()).spawn(body);
    spawned
        .map_err(|error| OpenError::Start(StartError::Thread { thread, source: Arc::new(error) }))
}

fn open_transport(config: &Config, identity: &Identity) -> Result<Arc<dyn Transport>, OpenError> {
    let (cluster, member) = (identity.cluster_id(), identity.member_id());
    match &config.network {
        Network::None => Ok(Arc::new(Solitude)),
        Network::Hub(hub) => Ok(hub.join(cluster, member)),
        Network::Custom(make) => Ok(make(cluster, member)),
        Network::Tcp { listen } => {
            let mut addresses = identity.cluster.members.clone();
            let own = addresses.remove(&identity.name).unwrap_or_default();
            let mut tcp = TcpConfig::new(cluster, member, listen.clone().unwrap_or(own));
            tcp.seed = seed(member);
            tcp.peers = addresses
                .into_iter()
                .filter_map(|(name, address)| Some((identity.cluster.member_id(&name)?, address)))
                .collect();
            Ok(Arc::new(TcpTransport::bind(tcp).map_err(OpenError::Transport)?))
        }
    }
}

/// Where the random numbers of a member start. They spread timeouts and need not be unpredictable.
fn seed(member: MemberId) -> u64 {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = OPENED.fetch_add(1, Ordering::Relaxed);
    member.get() ^ (since.as_nanos() as u64) ^ count.rotate_left(32)
}

/// Leadership moves within a few round trips.
const TRANSFER_POLL_INTERVAL: Duration = Duration::from_millis(2);
