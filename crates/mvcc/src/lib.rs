//! The replicated key-value state machine: revisions, transactions, old reads, hashes, snapshots.
//!
//! A [`Store`] is a function of the log: the same entries give the same tables, responses and
//! hashes on every member, however the entries are split into calls of [`Store::apply`]. Nothing
//! here reads a clock or draws a random number.
//!
//! ```
//! use std::sync::Arc;
//! use prost::Message;
//! use quorate_kv_api::{Command as KvCommand, PutRequest, RangeRequest};
//! use quorate_mvcc::{Command, Entry, Store, TABLES};
//! use quorate_storage::memory::MemoryEngine;
//! use quorate_types::{CommandId, LogIndex, LogPosition, MemberId, Term};
//!
//! let mut store = Store::open(Arc::new(MemoryEngine::new(TABLES)))?;
//! let put = KvCommand::from(PutRequest::new("k", "v")).encode_to_vec();
//! let id = CommandId { origin: MemberId::new(1), incarnation: 1, sequence: 1 };
//! let commands = vec![Command { id, floor: 1, payload: put.into() }];
//! let entry = |index| Entry {
//!     position: LogPosition::new(Term::new(1), LogIndex::new(index)),
//!     commands: commands.clone(),
//!     membership: None,
//! };
//! let mut outcomes = Vec::new();
//! store.apply(&[entry(1), entry(2)], &mut outcomes)?; // a retry: applied once
//! assert_eq!(outcomes.len(), 1);
//!
//! let found = store.reader().range(&RangeRequest::key("k")).expect("the store can be read");
//! assert_eq!((&found.kvs[0].value[..], found.kvs[0].mod_revision), (&b"v"[..], 2));
//! # Ok::<(), quorate_mvcc::StoreError>(())
//! ```
//!
//! # Tables
//!
//! See [`TABLES`]; `docs/disk_format.md` gives every record byte by byte. A current read looks at
//! `live` only. An old read at revision R takes from `live` what was last put at R or before, and
//! else finds in `versions` the version that was current at R, whose content is in `history`.
//!
//! # Applying
//!
//! A run of entries is carried out in memory, above what the engine holds, and becomes one batch.
//! To put a key, its present version must be known: the new one counts on from it. The store
//! remembers the versions of the keys that it wrote last, so that only the others are looked up in
//! the engine; a put that needs the present *value* is always looked up.
//! [`Store::with_headers_size`] bounds that memory, which never changes a result.
//!
//! # Leases
//!
//! Leases are granted, renewed, revoked and expired by commands. Time does not enter the tables:
//! a [`Lessor`] on each member counts it, and the leader's proposes what is due.
//!
//! # Compaction
//!
//! A compaction through the log only moves the compact revision, below which reads are refused. A
//! [`Sweeper`] removes the records, member by member, whenever there is time. It walks `history`
//! from the compaction before on: each record names the version it superseded, which is the
//! garbage. So it costs as much as was written between two compactions, however many keys there
//! are. No answer of the store depends on how far it came, not even the hash.
//!
//! # Watching
//!
//! The events of a run are the `history` records that it wrote. The newest stay in memory for all
//! watches together; older ones are read from the table. See [`Reader::watch`].
//!
//! # Not here yet
//!
//! - *Auth*.

mod alarm;
mod codec;
mod compaction;
mod comparison;
mod error;
mod execute;
mod hash;
mod headers;
mod health;
mod lease;
mod meta;
mod pending;
mod read;
mod reader;
mod record;
mod sessions;
mod snapshot;
mod source;
mod store;
mod sweep;
mod txn;
mod versions;
mod watch;

use quorate_storage::Table;

pub use comparison::HashMark;
pub use error::{RequestError, StoreError};
pub use hash::{Hashing, StoreHash};
pub use lease::{Lessor, LessorTiming};
pub use reader::Reader;
pub use snapshot::{SnapshotReader, StagedSnapshot};
pub use store::{Command, Entry, Outcome, Response, Store};
pub use sweep::Sweeper;
pub use watch::{Milestone, Ticket, WatchBatch, WatchPosition, WatchQuery, Watching};

/// The tables that an engine must offer to a [`Store`], in the order of a snapshot:
///
/// | table | key | holds |
/// |---|---|---|
/// | `live` | user key | the current version of each key |
/// | `history` | revision | every version and every deletion |
/// | `versions` | user key, then revision, newest first | versions that are not current any more |
/// | `sessions` | member id | which commands of a member were applied |
/// | `leases` | lease id | every lease |
/// | `lease_keys` | lease id, then user key | which keys are attached to a lease |
/// | `meta` | name | format, revisions, applied position, membership, sweep, alarms, comparison |
pub const TABLES: &[Table] = &[LIVE, HISTORY, VERSIONS, SESSIONS, LEASES, LEASE_KEYS, META];

pub(crate) const LIVE: Table = Table("live");
pub(crate) const HISTORY: Table = Table("history");
pub(crate) const VERSIONS: Table = Table("versions");
pub(crate) const SESSIONS: Table = Table("sessions");
pub(crate) const LEASES: Table = Table("leases");
pub(crate) const LEASE_KEYS: Table = Table("lease_keys");
pub(crate) const META: Table = Table("meta");
