//! Limits that every transport of this crate shares.

use std::time::Duration;

use quorate_types::ByteSize;

/// The longest message. A message carries one batch of log entries, which is far smaller; this
/// bounds what one peer can make another allocate.
pub const MESSAGE_SIZE_MAX: ByteSize = ByteSize::mib(64);

/// The most messages that wait for one peer. Consensus keeps hundreds in flight; this is room for
/// a pause of about a second in a busy cluster.
pub const QUEUE_COUNT_MAX: u32 = 65_536;

/// The most bytes that wait for one peer: one message of the largest size, and as much again.
pub const QUEUE_SIZE_MAX: ByteSize = ByteSize::mib(128);

/// The longest chunk of a bulk stream in bytes: large enough that the cost of a chunk does not
/// count, small enough to hold a few for every stream.
pub const BULK_CHUNK_SIZE_MAX: usize = 256 * 1024;

/// The most bulk streams that one member receives at the same time; each has a thread. One for
/// every peer of the largest sensible cluster, and then some.
pub const BULK_STREAM_COUNT_MAX: usize = 16;

/// The shortest time between two `unreachable` calls for one peer. A sender reacts by probing the
/// peer, which takes a heartbeat or so; telling it more often only costs.
pub const UNREACHABLE_INTERVAL: Duration = Duration::from_millis(100);

const _: () = assert!(
    QUEUE_SIZE_MAX.bytes() >= MESSAGE_SIZE_MAX.bytes(),
    "a message of the largest size must fit into a queue"
);
