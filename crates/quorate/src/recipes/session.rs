//! A lease that is kept alive: what other recipes attach their keys to.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::RecipeError;
use crate::client::Client;
use crate::error::Error;
use crate::lease::LeaseKeeper;
use crate::pending::Pending;

/// A lease that is kept alive in the background. Everything held with it is given up when the last
/// clone of it is dropped or the process dies, in the latter case when the time to live is over.
///
/// ```
/// use quorate::recipes::Session;
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let session = Session::open(&node, 5).wait()?;
/// assert!(!session.is_lost());
/// session.close().wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    keeper: LeaseKeeper,
    /// What the session holds or waits for, by key.
    held: Mutex<BTreeSet<String>>,
    /// Keys that are being deleted; nobody knows when.
    doubtful: Arc<Mutex<BTreeSet<String>>>,
    /// Whether the lease is to be revoked at the end.
    revokes: bool,
}

impl Session {
    /// Makes a lease of `ttl_seconds` and keeps it alive. Shorter ones are raised, see
    /// [`Client::lease_grant`].
    pub fn open(client: &Client, ttl_seconds: i64) -> Pending<Self> {
        let client = client.clone();
        Pending::steps(client.seam(), async move {
            let asked = client.now();
            let granted = client.lease_grant(ttl_seconds).await?;
            let keeper = client.lease_keeper_since(granted.id, granted.ttl, asked);
            Ok(Self::of(client, keeper, true))
        })
    }

    /// Keeps a lease alive that exists already. It is not revoked at the end.
    pub fn adopt(client: &Client, lease: i64, ttl_seconds: i64) -> Self {
        Self::of(client.clone(), client.lease_keeper(lease, ttl_seconds), false)
    }

    fn of(client: Client, keeper: LeaseKeeper, revokes: bool) -> Self {
        let (held, doubtful) = (Mutex::default(), Arc::default());
        Self { shared: Arc::new(Shared { client, keeper, held, doubtful, revokes }) }
    }

    /// The handle that the session uses.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The lease.
    pub fn lease(&self) -> i64 {
        self.shared.keeper.lease()
    }

    /// Whether the session may be over, and with it everything held by it; see
    /// [`LeaseKeeper::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.shared.keeper.is_lost()
    }

    /// Something to wait for that comes when the session is lost.
    pub fn lost(&self) -> Pending<()> {
        self.shared.keeper.lost()
    }

    /// Ends the session: revokes its lease, which deletes everything held with it.
    pub fn close(self) -> Pending<()> {
        self.client().lease_revoke(self.lease()).then(|_| Ok(()))
    }

    /// The key of the session under a prefix, as etcd's clients have it: the lease in hexadecimal
    /// digits with its sign, without zeros in front.
    pub(super) fn key_under(&self, prefix: &str) -> String {
        let lease = self.lease();
        let sign = if lease < 0 { "-" } else { "" };
        format!("{prefix}{sign}{:x}", lease.unsigned_abs())
    }

    /// The same key, or one with a number behind it: none that is being deleted, or a deletion that
    /// comes late would take what the key stands for by then.
    pub(super) fn free_key_under(&self, prefix: &str) -> String {
        let first = self.key_under(prefix);
        let doubtful = self.shared.doubtful.lock();
        let others = (1..).map(|number: u64| format!("{first}-{number}"));
        let mut keys = std::iter::once(first.clone()).chain(others);
        keys.find(|key| !doubtful.contains(key)).expect("there are always more numbers")
    }

    /// Notes that a key is being deleted, until the note is dropped.
    pub(super) fn doubt(&self, key: &str) -> Doubt {
        let doubtful = self.shared.doubtful.clone();
        doubtful.lock().insert(key.to_owned());
        Doubt { doubtful, key: key.to_owned() }
    }

    /// # Errors
    ///
    /// [`RecipeError::SessionLost`].
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.is_lost() { Err(self.lost_error()) } else { Ok(()) }
    }

    pub(super) fn lost_error(&self) -> Error {
        RecipeError::SessionLost { lease: self.lease() }.into()
    }

    /// Notes that the session holds something or waits for it, until the note is dropped.
    ///
    /// # Errors
    ///
    /// [`RecipeError::AlreadyHeld`].
    pub(super) fn hold(&self, name: &str) -> Result<Held, Error> {
        if !self.shared.held.lock().insert(name.to_owned()) {
            let (name, lease) = (name.to_owned(), self.lease());
            return Err(RecipeError::AlreadyHeld { name, lease }.into());
        }
        Ok(Held { session: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.revokes && !self.keeper.is_lost() {
            // Nobody can wait here; if it fails, the lease ends by itself.
            let _abandoned = self.client.lease_revoke(self.keeper.lease());
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("keeper", &self.shared.keeper).finish_non_exhaustive()
    }
}

/// A note that a session holds something.
pub(super) struct Held {
    session: Session,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.session.shared.held.lock().remove(&self.name);
    }
}

/// A note that a key is being deleted. It does not keep the session.
pub(super) struct Doubt {
    doubtful: Arc<Mutex<BTreeSet<String>>>,
    key: String,
}

impl Drop for Doubt {
    fn drop(&mut self) {
        self.doubtful.lock().remove(&self.key);
    }
}
