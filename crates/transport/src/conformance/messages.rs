//! Checks of messages.

use std::time::Instant;

use bytes::Bytes;
use quorate_types::MemberId;

use super::{Member, Network, foreign, members, pattern};
use crate::TransportError;

/// Messages of all sizes arrive between all members as they were sent.
pub fn arrive_unaltered(network: &dyn Network) {
    let members = members(network, 3);
    for from in &members {
        for to in members.iter().filter(|to| to.id != from.id) {
            for size in [0, 1, 1_000, 60_000] {
                let seed = u8::try_from(from.id.get() * 8 + to.id.get()).expect("ids are small");
                from.send_until_arrived(to, &Bytes::from(pattern(size, seed)));
            }
        }
    }
}

/// A message to nobody is lost without a trace.
pub fn to_unknown_peers_are_dropped(network: &dyn Network) {
    let members = members(network, 2);
    let nobody = MemberId::new(99);
    members[0].transport.send(nobody, Bytes::from_static(b"for nobody"));
    members[0].send_until_arrived(&members[1], &Bytes::from_static(b"for somebody"));
    let opened = members[0].transport.open_bulk(nobody, Bytes::new());
    let error = opened.err().expect("there is no way to nobody");
    assert!(matches!(error, TransportError::Unreachable { peer, .. } if peer == nobody));
    let seen = members[1].recorder.seen();
    assert!(seen.messages.iter().all(|(_, message)| message == "for somebody"));
}

/// Members of different clusters that know each other's addresses do not hear each other.
pub fn stay_in_their_cluster(network: &dyn Network) {
    let members = members(network, 2);
    let stranger = Member::start(network, foreign(network), 3);
    for _ in 0..10 {
        stranger.transport.send(members[0].id, Bytes::from_static(b"foreign"));
        members[0].transport.send(stranger.id, Bytes::from_static(b"foreign"));
    }
    // A bulk stream tells for certain that the refusal was made.
    assert!(stranger.transport.open_bulk(members[0].id, Bytes::new()).is_err());
    assert!(members[0].transport.open_bulk(stranger.id, Bytes::new()).is_err());
    members[0].send_until_arrived(&members[1], &Bytes::from_static(b"own"));
    members[1].send_until_arrived(&members[0], &Bytes::from_static(b"own"));
    assert!(members[0].recorder.seen().messages.iter().all(|(_, m)| m == "own"));
    assert!(stranger.recorder.seen().messages.is_empty(), "the stranger hears nothing");
}

/// The longest message arrives; one byte more is refused and counted, and does no harm.
pub fn have_a_size_limit(network: &dyn Network) {
    let members = members(network, 2);
    let limit = usize::try_from(network.message_size_max().bytes()).expect("the limit is small");
    let longest = Bytes::from(pattern(limit, 1));
    members[0].send_until_arrived(&members[1], &longest);
    let refused = network.refused_too_large();
    members[0].transport.send(members[1].id, Bytes::from(pattern(limit + 1, 2)));
    assert_eq!(network.refused_too_large(), refused + 1);
    members[0].send_until_arrived(&members[1], &Bytes::from_static(b"after"));
    let seen = members[1].recorder.seen();
    assert!(seen.messages.iter().all(|(_, message)| message.len() <= limit));
}

/// A receiver that stalls makes the sender drop the oldest messages and hear of it; the newest
/// arrive. The sender never blocks.
pub fn to_a_stalled_peer_are_bounded(network: &dyn Network) {
    let members = members(network, 2);
    let (sender, receiver) = (&members[0], &members[1]);
    sender.send_until_arrived(receiver, &Bytes::from_static(b"connected"));
    receiver.recorder.seen().stalled = true;
    let filler = Bytes::from(pattern(32 * 1024, 3));
    let mut sent = 0_usize;
    sender.recorder.wait_while_doing(
        "the sender to hear that messages are lost",
        || {
            for _ in 0..64 {
                sender.transport.send(receiver.id, filler.clone());
                sent += 1;
            }
        },
        |seen| seen.unreachable.contains_key(&receiver.id),
    );
    let begun = Instant::now();
    sender.transport.send(receiver.id, Bytes::from_static(b"newest"));
    assert!(begun.elapsed().as_secs() < 1, "a send to a stalled peer returns at once");
    receiver.recorder.open_gate();
    sender.send_until_arrived(receiver, &Bytes::from_static(b"alive"));
    let seen = receiver.recorder.seen();
    let arrived = seen.messages.iter().filter(|(_, message)| *message == filler).count();
    assert!(arrived < sent, "some of {sent} messages were dropped, {arrived} arrived");
}
