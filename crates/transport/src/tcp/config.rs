//! Settings of the TCP transport.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_types::{ByteSize, ClusterId, MemberId};

use crate::{MESSAGE_SIZE_MAX, QUEUE_COUNT_MAX, QUEUE_SIZE_MAX, TransportError};

/// The most peers of one member. Every peer costs two threads and a queue; Raft clusters have at
/// most a dozen voters, so this leaves room for learners.
pub const PEER_COUNT_MAX: usize = 64;

/// The most incoming connections. Each has a thread. A peer uses one for messages and one for each
/// bulk stream; the rest is for restarts and strangers.
pub const INCOMING_COUNT_MAX: u32 = 256;

/// Settings of a [`TcpTransport`](super::TcpTransport). Make one with [`TcpConfig::new`] and change
/// what should differ. Values outside their range are refused by [`TcpConfig::validate`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpConfig {
    /// This member's cluster. Connections of any other cluster are refused.
    pub cluster: ClusterId,
    /// This member.
    pub member: MemberId,
    /// Where to listen, `host:port`. Port 0 lets the operating system choose. No default.
    pub listen: String,
    /// Where the peers listen, `host:port`, resolved anew for every connection. Default none; at
    /// most [`PEER_COUNT_MAX`], without this member itself. Changed later by `set_peer`.
    pub peers: BTreeMap<MemberId, String>,
    /// The longest message, and the longest header of a bulk stream, in bytes. Longer ones are not
    /// sent, and a peer that sends one is disconnected: it must be the same on all members. Default
    /// and largest [`MESSAGE_SIZE_MAX`], smallest 1 byte.
    pub message_size_max: ByteSize,
    /// The most messages that wait for one peer; as many again can be in the hands of its writer.
    /// Default [`QUEUE_COUNT_MAX`], at least 1.
    pub queue_count_max: u32,
    /// The most bytes that wait for one peer; as many again can be in the hands of its writer.
    /// Default [`QUEUE_SIZE_MAX`], at least `message_size_max`.
    pub queue_size_max: ByteSize,
    /// The most incoming connections, with those still in their handshake; callers above it are
    /// hung up on. Default and largest [`INCOMING_COUNT_MAX`], at least 1, which starves all peers
    /// but one.
    pub incoming_count_max: u32,
    /// How long connecting to one address of a peer may take. Default 2 s, from 1 ms to 5 min. Too
    /// short for the network, and no connection ever stands.
    pub connect_timeout: Duration,
    /// How long both sides wait for the other's part of a handshake. Default 5 s, from 1 ms to 5
    /// min. Half-open connections hold one of the places for incoming ones that long.
    pub handshake_timeout: Duration,
    /// The pause after the first failed connection; each further failure doubles it. The real pause
    /// is between half and all of that, at random. Default 50 ms, from 1 ms to `backoff_max`.
    pub backoff_min: Duration,
    /// The longest pause between connections. Default 2 s, from `backoff_min` to 5 min.
    pub backoff_max: Duration,
    /// How long a peer may take no bytes before the connection counts as broken. Default 10 s, from
    /// 1 ms to 5 min.
    pub write_timeout: Duration,
    /// How often a connection for messages shows that it is alive. Default 5 s, from 1 ms to 5 min.
    pub keep_alive_interval: Duration,
    /// How long such a connection may be silent before it counts as broken. Default 15 s, from
    /// twice `keep_alive_interval` (of every peer) to 30 min.
    pub idle_timeout: Duration,
    /// How long a bulk stream may stand still in the middle, for either end. A member receives one
    /// at a time, so one that stands still keeps others from coming. Default 10 s, from 1 ms to 1
    /// h.
    pub bulk_idle_timeout: Duration,
    /// How long `finish` waits for the receiver, which may still have to install what it got.
    /// Default 10 min, from 1 ms to 24 h.
    pub bulk_answer_timeout: Duration,
    /// Where the random numbers of the pauses start, together with the member's id. Default 0; any
    /// value.
    pub seed: u64,
}

impl TcpConfig {
    /// The defaults for `member` of `cluster`, listening at `listen`, without peers.
    pub fn new(cluster: ClusterId, member: MemberId, listen: impl Into<String>) -> Self {
        Self {
            cluster,
            member,
            listen: listen.into(),
            peers: BTreeMap::new(),
            message_size_max: MESSAGE_SIZE_MAX,
            queue_count_max: QUEUE_COUNT_MAX,
            queue_size_max: QUEUE_SIZE_MAX,
            incoming_count_max: INCOMING_COUNT_MAX,
            connect_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(5),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            write_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            bulk_idle_timeout: Duration::from_secs(10),
            bulk_answer_timeout: Duration::from_secs(600),
            seed: 0,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`TransportError::InvalidConfig`] with the first field that is outside its range.
    pub fn validate(&self) -> Result<(), TransportError> {
        self.validate_peers()?;
        self.validate_sizes()?;
        self.validate_times()
    }

    fn validate_peers(&self) -> Result<(), TransportError> {
        let count = self.peers.len();
        check("peers", count <= PEER_COUNT_MAX, count, "at most 64")?;
        let own = self.peers.contains_key(&self.member);
        check("peers", !own, self.member, "members other than this one")?;
        check("listen", !self.listen.is_empty(), "nothing", "host:port")
    }

    fn validate_sizes(&self) -> Result<(), TransportError> {
        let size = self.message_size_max;
        let good = size.bytes() >= 1 && size <= MESSAGE_SIZE_MAX;
        check("message_size_max", good, size, "1 B to 64 MiB")?;
        let count = self.queue_count_max;
        check("queue_count_max", count >= 1, count, "at least 1")?;
        let queue = self.queue_size_max;
        check("queue_size_max", queue >= size, queue, "at least message_size_max")?;
        let count = self.incoming_count_max;
        let good = (1..=INCOMING_COUNT_MAX).contains(&count);
        check("incoming_count_max", good, count, "1 to 256")
    }

    fn validate_times(&self) -> Result<(), TransportError> {
        for (field, value) in [
            ("connect_timeout", self.connect_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("backoff_min", self.backoff_min),
            ("backoff_max", self.backoff_max),
            ("write_timeout", self.write_timeout),
            ("keep_alive_interval", self.keep_alive_interval),
        ] {
            check_time(field, value, Duration::from_secs(300), "1 ms to 5 min")?;
        }
        let hour = Duration::from_secs(3_600);
        check_time("idle_timeout", self.idle_timeout, hour / 2, "1 ms to 30 min")?;
        check_time("bulk_idle_timeout", self.bulk_idle_timeout, hour, "1 ms to 1 h")?;
        check_time("bulk_answer_timeout", self.bulk_answer_timeout, hour * 24, "1 ms to 24 h")?;
        let backoff = format!("{:?}", self.backoff_min);
        check("backoff_min", self.backoff_min <= self.backoff_max, backoff, "at most backoff_max")?;
        let idle = format!("{:?}", self.idle_timeout);
        let good = self.idle_timeout >= self.keep_alive_interval * 2;
        check("idle_timeout", good, idle, "at least twice keep_alive_interval")
    }
}

fn check_time(
    field: &'static str,
    value: Duration,
    max: Duration,
    expected: &'static str,
) -> Result<(), TransportError> {
    let good = value >= Duration::from_millis(1) && value <= max;
    check(field, good, format!("{value:?}"), expected)
}

fn check(
    field: &'static str,
    good: bool,
    found: impl ToString,
    expected: &'static str,
) -> Result<(), TransportError> {
    if good {
        return Ok(());
    }
    Err(TransportError::InvalidConfig { field, found: found.to_string(), expected })
}

const _: () = assert!(
    PEER_COUNT_MAX == 64 && INCOMING_COUNT_MAX == 256,
    "the messages of `validate` name the limits"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn config_is_invalid(change: impl Fn(&mut TcpConfig), expected: &str) {
        let mut config = TcpConfig::new(ClusterId::new(1), MemberId::new(2), "127.0.0.1:0");
        assert!(config.validate().is_ok(), "the defaults are valid");
        change(&mut config);
        let error = config.validate().expect_err("the change is invalid");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let (long, zero) = (Duration::from_secs(100_000), Duration::ZERO);
        config_is_invalid(
            |c| c.listen.clear(),
            "invalid listen: found nothing, expected host:port",
        );
        config_is_invalid(
            |c| c.message_size_max = ByteSize::new(0),
            "invalid message_size_max: found 0 B, expected 1 B to 64 MiB",
        );
        config_is_invalid(
            |c| c.queue_count_max = 0,
            "invalid queue_count_max: found 0, expected at least 1",
        );
        config_is_invalid(
            |c| c.queue_size_max = ByteSize::mib(63),
            "invalid queue_size_max: found 63 MiB, expected at least message_size_max",
        );
        config_is_invalid(
            |c| c.incoming_count_max = 257,
            "invalid incoming_count_max: found 257, expected 1 to 256",
        );
        config_is_invalid(
            |c| c.connect_timeout = zero,
            "invalid connect_timeout: found 0ns, expected 1 ms to 5 min",
        );
        config_is_invalid(
            |c| c.bulk_answer_timeout = long,
            "invalid bulk_answer_timeout: found 100000s, expected 1 ms to 24 h",
        );
        config_is_invalid(
            |c| c.backoff_min = Duration::from_secs(3),
            "invalid backoff_min: found 3s, expected at most backoff_max",
        );
        config_is_invalid(
            |c| c.idle_timeout = Duration::from_secs(9),
            "invalid idle_timeout: found 9s, expected at least twice keep_alive_interval",
        );
    }

    #[test]
    fn bounds_the_peers() {
        config_is_invalid(
            |c| drop(c.peers.insert(c.member, "127.0.0.1:1".to_owned())),
            "invalid peers: found 0000000000000002, expected members other than this one",
        );
        config_is_invalid(
            |c| c.peers = (10..75).map(|id| (MemberId::new(id), String::new())).collect(),
            "invalid peers: found 65, expected at most 64",
        );
    }
}
