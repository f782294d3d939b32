//! The Raft log on raft-engine, an append-only log by the makers of TiKV.
//!
//! raft-engine keeps the entries in numbered files and finds them through an index in memory. This
//! module adds what it leaves open:
//!
//! - **One record a batch.** Entries, hard state and positions of a batch go into one record of
//!   raft-engine, which is there after a crash as a whole or not at all.
//! - **Failures are final.** All writes and syncs pass through a guard that keeps the first
//!   failure; then nothing more is written or synced, not even on closing. raft-engine would panic
//!   or go on.
//! - **Torn or damaged?** Each record tells how far the log was synced when it was written. On
//!   opening, all files are checked: a bad record is cut off only if nothing behind it says that it
//!   had been synced; otherwise opening fails with file and offset. raft-engine would silently drop
//!   everything behind it.
//! - **Several logs in one process.** raft-engine keeps the block read last in a variable of the
//!   thread, and would take the block of one log for that of another. Reads and file removal run on
//!   threads of their own.
//!
//! `docs/disk_format.md` describes the files.

mod disk;
mod meta;
mod options;
mod reader;
mod record;
mod store;
mod tail_check;

pub use disk::{DiskHook, DiskOperation};
pub use options::RaftEngineLogOptions;
pub use store::RaftEngineLog;
