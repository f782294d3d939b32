//! The in-process network: conformance and faults.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_transport::conformance::{Network, Recorder};
use quorate_transport::hub::{Hub, HubConfig, HubTransport, LinkRules, PPM};
use quorate_transport::{BULK_STREAM_COUNT_MAX, Transport, TransportError};
use quorate_types::{ByteSize, ClusterId, MemberId};

crate::suite::run_conformance!(crate::hub::HubNetwork::new());

const CLUSTER: ClusterId = ClusterId::new(5);

/// The hub with limits that checks can reach.
struct HubNetwork(Hub);

impl HubNetwork {
    fn new() -> Self {
        let config = HubConfig {
            message_size_max: ByteSize::mib(1),
            queue_count_max: 1_024,
            queue_size_max: ByteSize::mib(4),
            ..HubConfig::default()
        };
        Self(Hub::with_config(config).expect("the limits are valid"))
    }
}

impl Network for HubNetwork {
    fn cluster(&self) -> ClusterId {
        CLUSTER
    }

    fn join(&self, cluster: ClusterId, member: MemberId) -> Arc<dyn Transport> {
        self.0.join(cluster, member)
    }

    fn message_size_max(&self) -> ByteSize {
        ByteSize::mib(1)
    }

    fn refused_too_large(&self) -> u64 {
        self.0.stats().refused_too_large
    }
}

/// A started member of a hub.
struct Member {
    id: MemberId,
    transport: Arc<HubTransport>,
    recorder: Arc<Recorder>,
}

fn pair(hub: &Hub) -> [Member; 2] {
    [1, 2].map(|id| {
        let id = MemberId::new(id);
        let transport = hub.join(CLUSTER, id);
        let recorder = Arc::new(Recorder::new());
        transport.start(recorder.clone()).expect("the place is free");
        Member { id, transport, recorder }
    })
}

fn send_numbers(from: &Member, to: &Member, count: u32) {
    for number in 0..count {
        from.transport.send(to.id, Bytes::copy_from_slice(&number.to_be_bytes()));
    }
}

fn numbers(recorder: &Recorder) -> Vec<u32> {
    let seen = recorder.seen();
    let bytes = seen.messages.iter().map(|(_, m)| m.as_ref().try_into().expect("four bytes"));
    bytes.map(u32::from_be_bytes).collect()
}

#[test]
fn without_rules_nothing_is_lost_and_order_is_kept() {
    let hub = Hub::new();
    let [a, b] = pair(&hub);
    send_numbers(&a, &b, 10_000);
    b.recorder.wait("all messages", |seen| seen.messages.len() == 10_000);
    assert_eq!(numbers(&b.recorder), (0..10_000).collect::<Vec<_>>());
    let stats = hub.stats();
    assert_eq!((stats.sent, stats.delivered), (10_000, 10_000));
}

#[test]
fn rules_lose_and_repeat_and_every_message_is_accounted_for() {
    let hub = Hub::with_seed(42);
    let [a, b] = pair(&hub);
    let rules = LinkRules { drop_ppm: PPM / 10, duplicate_ppm: PPM / 5, ..LinkRules::default() };
    hub.set_link(a.id, b.id, rules).expect("the rules are valid");
    send_numbers(&a, &b, 10_000);
    let stats = hub.stats();
    let expected = stats.sent + stats.duplicated - stats.dropped_by_rule;
    b.recorder.wait("what is left", |seen| seen.messages.len() as u64 == expected);
    assert!((800..1_200).contains(&stats.dropped_by_rule), "{stats:?}");
    assert!((1_500..2_100).contains(&stats.duplicated), "{stats:?}");
    // The other direction has no rules.
    send_numbers(&b, &a, 100);
    a.recorder.wait("the answers", |seen| seen.messages.len() == 100);
    assert_eq!(hub.stats().delivered, expected + 100);
}

#[test]
fn rules_reorder_and_delay_but_lose_nothing() {
    let hub = Hub::with_seed(42);
    let [a, b] = pair(&hub);
    let rules = LinkRules {
        reorder_ppm: PPM / 4,
        delay_max: Duration::from_millis(1),
        ..LinkRules::default()
    };
    hub.set_link(a.id, b.id, rules).expect("the rules are valid");
    send_numbers(&a, &b, 1_000);
    b.recorder.wait("all messages", |seen| seen.messages.len() == 1_000);
    let mut found = numbers(&b.recorder);
    assert_ne!(found, (0..1_000).collect::<Vec<_>>(), "some messages overtook others");
    found.sort_unstable();
    assert_eq!(found, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_cut_holds_one_way_until_healed() {
    let hub = Hub::new();
    let [a, b] = pair(&hub);
    hub.cut(a.id, b.id);
    send_numbers(&a, &b, 10);
    send_numbers(&b, &a, 10);
    a.recorder.wait("the open direction", |seen| seen.messages.len() == 10);
    assert_eq!(hub.stats().dropped_by_rule, 10);
    assert!(b.recorder.seen().messages.is_empty());
    hub.heal();
    send_numbers(&a, &b, 3);
    b.recorder.wait("the healed direction", |seen| seen.messages.len() == 3);
}

#[test]
fn an_isolated_member_stays_isolated_when_it_restarts() {
    let hub = Hub::new();
    let [a, b] = pair(&hub);
    hub.isolate(a.id);
    drop(a);
    let a = hub.join(CLUSTER, MemberId::new(1));
    a.start(Arc::new(Recorder::new())).expect("the place is free again");
    a.send(b.id, Bytes::from_static(b"1"));
    b.transport.send(a.member(), Bytes::from_static(b"2"));
    assert_eq!(hub.stats().dropped_by_rule, 2);
}

#[test]
fn a_cut_breaks_bulk_streams() {
    let hub = Hub::new();
    let [a, b] = pair(&hub);
    let sink = a.transport.open_bulk(b.id, Bytes::new()).expect("the link is open");
    b.recorder.wait("the stream", |seen| seen.bulk_begun == 1);
    hub.cut(b.id, a.id);
    b.recorder.wait("the stream to break", |seen| seen.bulk.len() == 1);
    assert!(b.recorder.seen().bulk[0].2.is_err());
    let error = sink.finish().expect_err("the answer cannot arrive");
    assert!(matches!(error, TransportError::Bulk { .. }), "{error:?}");
    let opened = a.transport.open_bulk(b.id, Bytes::new());
    assert!(matches!(opened.err(), Some(TransportError::Unreachable { .. })));
}

#[test]
fn a_member_takes_a_limited_number_of_bulk_streams() {
    let hub = Hub::new();
    let [a, b] = pair(&hub);
    let open = || a.transport.open_bulk(b.id, Bytes::new());
    let sinks: Vec<_> = (0..BULK_STREAM_COUNT_MAX).map(|_| open().expect("a place")).collect();
    let error = open().err().expect("all places are taken");
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    for sink in sinks {
        sink.finish().expect("the receiver agrees");
    }
}

#[test]
fn a_full_queue_drops_the_oldest() {
    let config = HubConfig { queue_count_max: 10, ..HubConfig::default() };
    let hub = Hub::with_config(config).expect("the limits are valid");
    let [a, b] = pair(&hub);
    b.recorder.seen().stalled = true;
    send_numbers(&a, &b, 1);
    b.recorder.wait("the message that stalls", |seen| seen.messages.len() == 1);
    send_numbers(&a, &b, 100);
    a.recorder.wait("the notice", |seen| seen.unreachable.contains_key(&b.id));
    b.recorder.open_gate();
    b.recorder.wait("the newest", |seen| seen.messages.len() == 11);
    assert_eq!(numbers(&b.recorder)[1..], (90..100).collect::<Vec<_>>());
    assert_eq!(hub.stats().dropped_queue_full, 90);
}

#[test]
fn one_member_has_one_life_at_a_time() {
    let hub = Hub::new();
    let [a, _b] = pair(&hub);
    let second = hub.join(CLUSTER, a.id);
    let error = second.start(Arc::new(Recorder::new())).expect_err("the place is taken");
    assert!(matches!(error, TransportError::Listen { .. }), "{error:?}");
    drop(second);
    a.transport.send(MemberId::new(2), Bytes::from_static(b"unharmed"));
    assert_eq!(hub.stats().dropped_away, 0);
}

#[test]
fn foreign_messages_are_counted() {
    let hub = Hub::new();
    let [a, _b] = pair(&hub);
    let stranger = hub.join(ClusterId::new(6), MemberId::new(3));
    stranger.start(Arc::new(Recorder::new())).expect("the place is free");
    stranger.send(a.id, Bytes::from_static(b"foreign"));
    assert_eq!(hub.stats().refused_foreign, 1);
}

fn check_invalid(config: HubConfig, expected: &str) {
    let error = Hub::with_config(config).err().expect("the limits are invalid");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn refuses_limits_outside_their_range() {
    let valid = HubConfig::default();
    check_invalid(
        HubConfig { message_size_max: ByteSize::mib(65), ..valid },
        "invalid message_size_max: found 65 MiB, expected 1 B to 64 MiB",
    );
    check_invalid(
        HubConfig { queue_count_max: 0, ..valid },
        "invalid queue_count_max: found 0, expected at least 1",
    );
    check_invalid(
        HubConfig { queue_size_max: ByteSize::mib(1), ..valid },
        "invalid queue_size_max: found 1 MiB, expected at least message_size_max",
    );
    let rules = LinkRules { drop_ppm: PPM + 1, ..LinkRules::default() };
    assert!(Hub::new().set_link(MemberId::new(1), MemberId::new(2), rules).is_err());
}
