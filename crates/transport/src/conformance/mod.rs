//! What every [`Transport`] must do, as a suite that any implementation can run.
//!
//! Implement [`Network`] and call every function of [`messages`], [`bulk`] and [`lifecycle`] with a
//! fresh one, or [`run_all`]. They panic with the reason if the transport fails. They take for
//! granted a network without faults that loses messages only where the seam allows: so they repeat
//! a message until it arrives, and accept it twice and in any order.

pub mod bulk;
pub mod lifecycle;
pub mod messages;
mod recorder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use quorate_types::{ByteSize, ClusterId, MemberId};

pub use recorder::Recorder;

use crate::Transport;

/// Makes the members that one check needs; a fresh network for every check.
pub trait Network {
    /// The cluster of this network's members, one that no other network on this machine uses. A
    /// port that a stopped member gave back may be another network's at once, and must answer as
    /// such. The next number is used as well, for a foreign cluster.
    fn cluster(&self) -> ClusterId;

    /// Makes a transport for one life of `member`, not started, that reaches every member of this
    /// network that was or will be made. A member that stopped is made again for its next life.
    fn join(&self, cluster: ClusterId, member: MemberId) -> Arc<dyn Transport>;

    /// The longest message that the transports take: 64 KiB to 8 MiB for quick checks.
    fn message_size_max(&self) -> ByteSize;

    /// How many messages were refused so far as too long, over all members.
    fn refused_too_large(&self) -> u64;
}

/// One check.
pub type Check = fn(&dyn Network);

/// Every check with its name.
pub const CHECKS: &[(&str, Check)] = &[
    ("messages::arrive_unaltered", messages::arrive_unaltered),
    ("messages::to_unknown_peers_are_dropped", messages::to_unknown_peers_are_dropped),
    ("messages::stay_in_their_cluster", messages::stay_in_their_cluster),
    ("messages::have_a_size_limit", messages::have_a_size_limit),
    ("messages::to_a_stalled_peer_are_bounded", messages::to_a_stalled_peer_are_bounded),
    ("bulk::carries_nothing", bulk::carries_nothing),
    ("bulk::carries_ten_mebibytes", bulk::carries_ten_mebibytes),
    ("bulk::several_at_once", bulk::several_at_once),
    ("bulk::broken_by_the_sender", bulk::broken_by_the_sender),
    ("bulk::refused_before_reading", bulk::refused_before_reading),
    ("bulk::refused_after_reading", bulk::refused_after_reading),
    ("bulk::left_early_by_the_receiver", bulk::left_early_by_the_receiver),
    ("bulk::needs_a_reachable_peer", bulk::needs_a_reachable_peer),
    ("bulk::needs_the_same_cluster", bulk::needs_the_same_cluster),
    ("lifecycle::starts_once", lifecycle::starts_once),
    ("lifecycle::stops_while_busy", lifecycle::stops_while_busy),
    ("lifecycle::stops_in_the_middle_of_bulk", lifecycle::stops_in_the_middle_of_bulk),
    ("lifecycle::stops_from_within_an_inbox_call", lifecycle::stops_from_within_an_inbox_call),
    ("lifecycle::rejoins_after_stop", lifecycle::rejoins_after_stop),
];

/// Runs every check on a network of its own.
///
/// # Panics
///
/// If the transport fails one.
pub fn run_all(make: &dyn Fn() -> Box<dyn Network>) {
    for (name, check) in CHECKS {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(make().as_ref())));
        assert!(outcome.is_ok(), "the transport fails {name}, for the reason given above");
    }
}

/// A started member.
struct Member {
    id: MemberId,
    transport: Arc<dyn Transport>,
    recorder: Arc<Recorder>,
}

impl Member {
    fn start(network: &dyn Network, cluster: ClusterId, id: u64) -> Self {
        let id = MemberId::new(id);
        let transport = network.join(cluster, id);
        let recorder = Arc::new(Recorder::new());
        let started = transport.start(Arc::clone(&recorder) as Arc<dyn crate::Inbox>);
        assert!(started.is_ok(), "member {id} starts: {started:?}");
        Self { id, transport, recorder }
    }

    /// Sends `message` to `to` again and again until it arrives.
    fn send_until_arrived(&self, to: &Member, message: &Bytes) {
        let what = format!("a message of {} bytes from {} to {}", message.len(), self.id, to.id);
        let from = self.id;
        to.recorder.wait_while_doing(
            &what,
            || self.transport.send(to.id, message.clone()),
            |seen| seen.messages.iter().any(|(sender, m)| *sender == from && m == message),
        );
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.recorder.open_gate();
        self.transport.stop();
    }
}

/// A cluster that the members of `network` must not hear.
fn foreign(network: &dyn Network) -> ClusterId {
    ClusterId::new(network.cluster().get() + 1)
}

/// Members 1 to `count` of one cluster.
fn members(network: &dyn Network, count: u64) -> Vec<Member> {
    (1..=count).map(|id| Member::start(network, network.cluster(), id)).collect()
}

/// `size` bytes that tell their position, so that a mix-up is seen.
fn pattern(size: usize, seed: u8) -> Vec<u8> {
    let bytes = (0u32..).flat_map(|n| (n ^ (u32::from(seed) << 24)).to_be_bytes());
    bytes.take(size).collect()
}
