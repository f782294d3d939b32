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
//! of the store should pass on the [fencing token](Guard::token), and whoever writes to the
//! store should add [`Guard::held`] to the transaction.
//!
//! | here | keys |
//! |---|---|
//! | [`Mutex`], [`Election`] | `NAME/LEASE`, as etcd's clients: both can contend for the same |
//! | [`RwLock`] | `NAME/read/UNIQUE`, `NAME/write/UNIQUE` |
//! | [`Semaphore`] | `NAME/PERMITS/UNIQUE` |
//! | [`Barrier`] | `NAME`, as etcd's clients |
//! | [`DoubleBarrier`] | `NAME/in/COUNT/UNIQUE`, `NAME/round` |
//! | [`Queue`] | `NAME/item/REVISION-UNIQUE`, `NAME/taken`, `NAME/void/UNIQUE` |
//! | [`PriorityQueue`] | `NAME/item/PRIORITY/REVISION-UNIQUE`, and as [`Queue`] |
//! | [`ServiceRegistry`] | prefix, service and instance, with slashes between |
//! | [`LiveConfig`] | the one named |
//! | [`transact()`] | any |
//!
//! Apart from the first row, whatever has a name here needs one of its own, which is not the
//! beginning of another name up to a slash.

mod agreement;
mod attempt;
mod background;
mod barrier;
mod changes;
mod double_barrier;
mod election;
mod error;
mod follow;
mod guard;
mod items;
mod live_config;
mod mutex;
mod namespace;
mod place;
mod queue;
mod registry;
mod rw_lock;
mod semaphore;
mod session;
mod transact;

pub use barrier::Barrier;
pub use double_barrier::{DoubleBarrier, Participation};
pub use election::{Candidacy, Election, Observer};
pub use error::RecipeError;
pub use guard::Guard;
pub use live_config::{LiveConfig, LiveState};
pub use mutex::Mutex;
pub use queue::{PriorityQueue, Queue};
pub use registry::{Instance, InstanceChange, Instances, Registration, ServiceRegistry};
pub use rw_lock::RwLock;
pub use semaphore::Semaphore;
pub use session::Session;
pub use transact::{Transacted, Transaction, transact, transact_up_to};
