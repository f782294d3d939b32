//! A registry: which instances of a service are alive, and where.

mod instance;
mod instances;

use bytes::Bytes;
use prost::Message as _;
use quorate_kv_api::{Compare, KvError, PutRequest};

use super::RecipeError;
use super::follow::{Follower, Keys};
use super::session::{Held, Session};
use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::{Range, delete, lease, put_with_lease};
use instance::Record;

pub use instance::Instance;
pub use instances::{InstanceChange, Instances};

/// Services by name, and their instances as long as each one's session lives.
///
/// An instance is the key `<prefix>/<service>/<name>`, attached to the lease of a session. Its
/// value is a protobuf message with the address as field 1 and the metadata, a map of strings to
/// strings, as field 2. Keys of another form are left out.
///
/// ```
/// use quorate::recipes::{Instance, InstanceChange, ServiceRegistry, Session};
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let session = Session::open(&node, 5).wait()?;
/// let services = ServiceRegistry::new("services");
/// let mut changes = services.watch(&node, "search")?;
/// let instance = Instance::new("a", "10.0.0.1:80").with("zone", "north");
/// let registered = services.register(&session, "search", &instance).wait()?;
/// assert_eq!(changes.next().unwrap()?, InstanceChange::Joined(instance.clone()));
/// assert_eq!(services.instances(&node, "search").wait()?, [instance]);
/// registered.deregister().wait()?;
/// assert!(matches!(changes.next().unwrap()?, InstanceChange::Left(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRegistry {
    prefix: String,
}

impl ServiceRegistry {
    /// A registry below this prefix, without the slash after it.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Registers an instance until the registration is dropped or the session ends. Whoever was
    /// registered under that name before is replaced, for it may be this one in an earlier life.
    ///
    /// When the session is lost, see [`Registration::lost`], register again with a new one.
    ///
    /// Fails with [`RecipeError::InvalidName`], with [`RecipeError::SessionLost`], with
    /// [`RecipeError::AlreadyHeld`] if the same session has registered that name, or as its
    /// request does.
    pub fn register(
        &self,
        session: &Session,
        service: &str,
        instance: &Instance,
    ) -> Pending<Registration> {
        let key = match self.key(service, &instance.name) {
            Ok(key) => key,
            Err(error) => return Pending::ready(Err(error)),
        };
        let (session, instance) = (session.clone(), instance.clone());
        Pending::steps(session.client().seam(), async move {
            session.check()?;
            let held = session.hold(&key)?;
            let put = PutRequest {
                lease: session.lease(),
                ..PutRequest::new(key.clone(), Record::of(&instance).encode_to_vec())
            };
            // From here on whatever may have been written is taken back when this is dropped.
            let (name, is_kept) = (instance.name, true);
            let registration = Registration { session, key, name, is_kept, held: Some(held) };
            let session = &registration.session;
            session.client().put_with(put).await.map_err(|error| match error {
                Error::Refused(KvError::LeaseNotFound { .. }) => session.lost_error(),
                other => other,
            })?;
            Ok(registration)
        })
    }

    /// The instances of a service that are alive now, by name.
    ///
    /// Fails with [`RecipeError::InvalidName`], or as its request does.
    pub fn instances(&self, client: &Client, service: &str) -> Pending<Vec<Instance>> {
        let prefix = match self.service_prefix(service) {
            Ok(prefix) => prefix,
            Err(error) => return Pending::ready(Err(error)),
        };
        client.range(Range::prefix(prefix.clone())).then(move |found| {
            Ok(found.kvs.iter().filter_map(|kv| Instance::of(&prefix, kv)).collect())
        })
    }

    /// Tells which instances of a service are alive, beginning with those that are there when it is
    /// asked for the first time, and every change of that, until dropped.
    ///
    /// # Errors
    ///
    /// [`RecipeError::InvalidName`].
    pub fn watch(&self, client: &Client, service: &str) -> Result<Instances, Error> {
        let prefix = self.service_prefix(service)?;
        let follower = Follower::new(client, Keys::Prefix(prefix.clone().into()));
        Ok(Instances::new(client, prefix, follower))
    }

    fn service_prefix(&self, service: &str) -> Result<String, Error> {
        check_name(service)?;
        Ok(format!("{}/{service}/", self.prefix))
    }

    fn key(&self, service: &str, name: &str) -> Result<String, Error> {
        check_name(name)?;
        Ok(self.service_prefix(service)? + name)
    }
}

/// A slash in a name would make it part of another service.
fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains('/') {
        return Err(RecipeError::InvalidName { name: name.to_owned() }.into());
    }
    Ok(())
}

/// An instance that is registered. Dropping it ends that, without waiting for it.
#[must_use = "who drops this is not registered any more"]
pub struct Registration {
    session: Session,
    key: String,
    name: String,
    /// Whether the key is deleted when this is dropped.
    is_kept: bool,
    held: Option<Held>,
}

impl Registration {
    /// The key that stands for the instance.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the registration may be lost with its session; see [`Session::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.session.is_lost()
    }

    /// Something to wait for that comes when the registration is lost with its session.
    pub fn lost(&self) -> Pending<()> {
        self.session.lost()
    }

    /// Changes the address or the metadata; the name must stay.
    ///
    /// Fails with [`RecipeError::InvalidName`] for another name, with [`RecipeError::TakenOver`] if
    /// somebody else has registered the name since or the session has ended, or as its request
    /// does.
    pub fn update(&self, instance: &Instance) -> Pending<()> {
        if instance.name != self.name {
            let name = instance.name.clone();
            return Pending::ready(Err(RecipeError::InvalidName { name }.into()));
        }
        let value: Bytes = Record::of(instance).encode_to_vec().into();
        let (key, lease) = (self.key.clone(), self.session.lease());
        let put = put_with_lease(key.clone(), value, lease);
        let txn = self.session.client().txn().when(self.is_own()).then(put).commit();
        txn.then(move |txn| {
            let taken_over = || RecipeError::TakenOver { key, lease }.into();
            if txn.succeeded { Ok(()) } else { Err(taken_over()) }
        })
    }

    /// Ends the registration and waits until that is done.
    pub fn deregister(mut self) -> Pending<()> {
        self.is_kept = false;
        // The session can register the name again when this one is gone.
        let held = self.held.take();
        self.remove().then(move |()| {
            drop(held);
            Ok(())
        })
    }

    fn remove(&self) -> Pending<()> {
        let txn = self.session.client().txn().when(self.is_own());
        txn.then(delete(self.key.clone())).commit().then(|_| Ok(()))
    }

    /// Holds as long as nobody else has registered the name.
    fn is_own(&self) -> Compare {
        lease(self.key.clone()).equals(self.session.lease())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.is_kept && !self.session.is_lost() {
            // Nobody can wait here; if it fails, the key goes with the lease.
            let _abandoned = self.remove();
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registration({})", self.key)
    }
}
