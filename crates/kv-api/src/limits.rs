//! How large a request may be.

/// Bounds on what a caller may ask for. They are checked before a command is proposed, never when
/// it is applied, so members may have different ones.
///
/// ```
/// use quorate_kv_api::Limits;
/// let limits = Limits { txn_ops_max: 1000, ..Limits::default() };
/// assert_eq!(limits.request_bytes_max, 1_572_864);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many compares, and how many operations in one branch, a transaction may have; a nested
    /// one may use what the largest of these three leaves over. Default 128, etcd's
    /// `--max-txn-ops`. 0 leaves only transactions without anything.
    pub txn_ops_max: u32,
    /// How many bytes an encoded [`Command`](crate::Command) may take. Default 1,572,864 (1.5 MiB),
    /// etcd's `--max-request-bytes`. Reads have no bound.
    pub request_bytes_max: u32,
    /// How many bytes a key that is put may have. Default 1,572,864: no bound of its own. 0 leaves
    /// no key.
    pub key_bytes_max: u32,
    /// How many bytes a value that is put may have. Default 1,572,864: no bound of its own. 0
    /// leaves only empty values.
    pub value_bytes_max: u32,
    /// A lease with a shorter time to live, in seconds, gets this one. Default 2. A member raises
    /// it to one and a half election timeouts, as etcd does: what lives shorter could not be
    /// renewed while a leader is elected.
    pub lease_ttl_min: i64,
    /// How many watches may wait on a member at the same time. Default 1,000,000. 0 leaves none.
    pub watches_max: u32,
}

impl Limits {
    /// How deep transactions may be nested; the outermost counts. A decoder follows at most 100
    /// messages into each other, and each nested transaction takes two. etcd has no such bound.
    pub const TXN_DEPTH_MAX: u32 = 32;

    /// The longest time to live of a lease, in seconds; etcd's bound.
    pub const LEASE_TTL_MAX: i64 = 9_000_000_000;
}

/// Messages that a decoder of `prost` follows into each other.
const DECODER_DEPTH_MAX: u32 = 100;

// The command, its transactions and the innermost operation must all be decodable.
const _: () = assert!(1 + 2 * (Limits::TXN_DEPTH_MAX - 1) + 2 <= DECODER_DEPTH_MAX);

impl Default for Limits {
    fn default() -> Self {
        Self {
            txn_ops_max: 128,
            request_bytes_max: 1_572_864,
            key_bytes_max: 1_572_864,
            value_bytes_max: 1_572_864,
            lease_ttl_min: 2,
            watches_max: 1_000_000,
        }
    }
}
