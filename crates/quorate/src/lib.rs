//! etcd as a library: a replicated, strongly consistent key-value store inside your process.
//!
//! Open a [`Node`] in each process, tell them of each other with a [`Cluster`], and use the handle
//! of any of them: transactions and reads are strictly serializable on every member, and a write
//! that was answered is on the disks of a majority.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let node = quorate::Node::open(quorate::Config::new(folder.join("data")))?;
//! node.put("greeting", "hello").wait()?;
//! let found = node.get("greeting").wait()?;
//! # assert_eq!(&found.unwrap().value[..], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Three members in one process:
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! use quorate::{Cluster, Config, Node, hub::Hub};
//!
//! let (hub, names) = (Hub::new(), ["a", "b", "c"]);
//! let cluster = Cluster::of_names("orders", names);
//! let open = |name| {
//!     let config = Config::new(folder.join(name)).named(name).cluster(cluster.clone());
//!     Node::open(config.in_process(&hub))
//! };
//! let nodes = names.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
//! nodes[0].put("from", "any member").wait()?;
//! assert!(nodes[2].get("from").wait()?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `rocksdb` (on by default): durable members, with their state on RocksDB and their log on
//! raft-engine. Without it members keep their data in memory, see [`MemoryData`].

mod alarm;
mod auto_compaction;
mod client;
mod cluster;
mod config;
mod data;
mod error;
mod hash_check;
mod housekeeping;
mod identity;
mod lease;
mod machine;
mod member;
mod memory;
mod node;
mod parked;
mod pending;
mod range_stream;
pub mod recipes;
mod request;
pub mod seam;
mod solitude;
mod status;
mod timers;
mod watch;

pub use auto_compaction::AutoCompaction;
pub use client::{Client, Txn};
pub use cluster::Cluster;
pub use config::{Config, Data, Network, TransportFactory};
pub use error::{ConfigError, Error, OpenError};
pub use housekeeping::{Chores, Housekeeper, HousekeeperConfig};
pub use lease::LeaseKeeper;
pub use machine::KvMachine;
pub use memory::MemoryData;
pub use node::Node;
pub use pending::Pending;
pub use range_stream::RangeStream;
pub use request::{
    Comparand, Range, create_revision, delete, delete_prefix, lease, mod_revision, nested, put,
    put_with_lease, range, value, version,
};
pub use status::{Consensus, Status};
pub use watch::{Events, Watch, WatchResponse, Watcher};

pub use quorate_kv_api::{
    AlarmMember, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse, Compare,
    DeleteRangeRequest, DeleteRangeResponse, Event, EventType, KeyValue, KvError,
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse,
    LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveResponse, Limits, OpResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, SortOrder,
    SortTarget, TxnRequest, TxnResponse, prefix_end,
};
pub use quorate_mvcc::{LessorTiming, StoreError, StoreHash};
pub use quorate_raft_node::core::{Counters, Role};
pub use quorate_raft_node::driver::{StartError, StopCause};
pub use quorate_raft_node::{MachineError, RecoveryError};
pub use quorate_storage::StorageError;
pub use quorate_transport::{self as transport, Transport, TransportError, hub};
pub use quorate_types::{ByteSize, ClusterId, Instant, LogIndex, LogPosition, MemberId, Term};
