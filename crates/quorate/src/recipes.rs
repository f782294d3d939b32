//! Coordination built on the store: sessions, locks, elections, barriers, queues, registries.
//!
//! Everything here uses nothing but the public calls of a [`Client`](crate::Client), so it runs on
//! every member and in the simulator alike, and an application can build its own in the same way.
//!
//! Most of it takes several requests. Such a call returns a [`Pending`](crate::Pending) that,
//! unlike that of a single request, does nothing until it is awaited or waited for; dropping it
//! half-way takes back what it has written so far, as far as the cluster can be reached.
//!
//! Who holds something here holds it by keys attached to the lease of a [`Session`]. A process that
//! is paused or cut off cannot know that its lease has ended, so whoever acts on something outside
//! of the store should pass on the [fencing token](MutexGuard::token), and whoever writes to the
//! store should add [`MutexGuard::held`] to the transaction.
//!
//! | here | keys |
//! |---|---|
//! | [`Mutex`], [`Election`] | as etcd's clients: both can contend for the same |
//! | [`ServiceRegistry`] | prefix, service and instance, with slashes between |
//! | [`LiveConfig`] | the one named |
//! | [`transact()`] | any |

mod election;
mod error;
mod follow;
mod live_config;
mod mutex;
mod namespace;
mod place;
mod registry;
mod session;
mod transact;

pub use election::{Candidacy, Election, Observer};
pub use error::RecipeError;
pub use live_config::{LiveConfig, LiveState};
pub use mutex::{Mutex, MutexGuard};
pub use registry::{Instance, InstanceChange, Instances, Registration, ServiceRegistry};
pub use session::Session;
pub use transact::{Transacted, Transaction, transact, transact_up_to};
