//! The whole state as a stream of blocks that any engine can be filled from.
//!
//! `docs/disk_format.md` gives the blocks byte by byte. The stream begins with a head block, goes
//! through the rows of all tables, and ends with a block that counts and chains what came before.

mod block;
mod reader;
mod staged;

pub use reader::SnapshotReader;
pub use staged::StagedSnapshot;
