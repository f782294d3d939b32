//! TCP: conformance, restarts and addresses.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_transport::conformance::{Network, Recorder};
use quorate_transport::tcp::{TcpConfig, TcpTransport};
use quorate_transport::{BULK_STREAM_COUNT_MAX, Transport, TransportError};
use quorate_types::{ByteSize, ClusterId, MemberId};

crate::suite::run_conformance!(crate::tcp::TcpNetwork::default());

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

/// Members on loopback that know each other's addresses.
#[derive(Default)]
struct TcpNetwork {
    members: Mutex<BTreeMap<MemberId, Place>>,
}

/// Where a member listens in all its lives.
struct Place {
    address: SocketAddr,
    lives: Vec<Arc<TcpTransport>>,
}

impl Network for TcpNetwork {
    fn cluster(&self) -> ClusterId {
        cluster()
    }

    fn join(&self, cluster: ClusterId, member: MemberId) -> Arc<dyn Transport> {
        let mut members = self.members.lock().expect("no check panicked");
        let listen = members.get(&member).map(|place| place.address.to_string());
        let mut config = config(member);
        config.cluster = cluster;
        config.listen = listen.unwrap_or(config.listen);
        config.peers = members
            .iter()
            .filter(|(id, _)| **id != member)
            .map(|(id, place)| (*id, place.address.to_string()))
            .collect();
        let transport = Arc::new(bind(config));
        let address = transport.local_addr();
        for (_, place) in members.iter().filter(|(id, _)| **id != member) {
            for life in &place.lives {
                // Earlier lives are stopped.
                let _ = life.set_peer(member, address.to_string());
            }
        }
        let place = members.entry(member).or_insert(Place { address, lives: Vec::new() });
        place.lives.push(Arc::clone(&transport));
        transport
    }

    fn message_size_max(&self) -> ByteSize {
        ByteSize::mib(1)
    }

    fn refused_too_large(&self) -> u64 {
        let members = self.members.lock().expect("no check panicked");
        let lives = members.values().flat_map(|place| &place.lives);
        lives.map(|life| life.stats().refused_too_large).sum()
    }
}

/// The cluster of the test that runs on this thread. Ports that one test gives back may be
/// another's at once; its members must not take each other for their own.
pub(crate) fn cluster() -> ClusterId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static CLUSTER: ClusterId = {
            let process = u64::from(std::process::id());
            ClusterId::new((process << 32) + COUNT.fetch_add(2, Ordering::Relaxed))
        };
    }
    CLUSTER.with(|cluster| *cluster)
}

/// Limits that checks can reach, and pauses that they can wait for.
pub(crate) fn config(member: MemberId) -> TcpConfig {
    let mut config = TcpConfig::new(cluster(), member, "127.0.0.1:0");
    config.message_size_max = ByteSize::mib(1);
    config.queue_count_max = 1_024;
    config.queue_size_max = ByteSize::mib(4);
    config.backoff_min = Duration::from_millis(5);
    config.backoff_max = Duration::from_millis(50);
    config
}

/// Listens. A port that was used before may be some other test's for a moment.
fn bind(config: TcpConfig) -> TcpTransport {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        match TcpTransport::bind(config.clone()) {
            Ok(transport) => return transport,
            Err(TransportError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                thread::yield_now();
            }
            Err(error) => panic!("cannot listen: {error}"),
        }
    }
}

/// A started member.
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) transport: TcpTransport,
    pub(crate) recorder: Arc<Recorder>,
}

impl Member {
    pub(crate) fn start(config: TcpConfig) -> Self {
        let id = config.member;
        let transport = bind(config);
        let recorder = Arc::new(Recorder::new());
        transport.start(recorder.clone()).expect("threads can be started");
        Self { id, transport, recorder }
    }

    pub(crate) fn address(&self) -> String {
        self.transport.local_addr().to_string()
    }

    pub(crate) fn send_until_arrived(&self, to: &Member, text: &'static str) {
        to.recorder.wait_while_doing(
            text,
            || self.transport.send(to.id, Bytes::from_static(text.as_bytes())),
            |seen| seen.messages.iter().any(|(_, message)| message == text),
        );
    }
}

/// Members 1 and 2; the first knows the second.
pub(crate) fn pair() -> [Member; 2] {
    let second = Member::start(config(MemberId::new(2)));
    let mut config = config(MemberId::new(1));
    config.peers.insert(second.id, second.address());
    [Member::start(config), second]
}

/// Waits until `done`, which looks at counters.
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

#[test]
fn a_restarted_peer_is_found_again_on_its_port() {
    let [first, second] = pair();
    first.send_until_arrived(&second, "before");
    let listen = second.address();
    drop(second);
    first.recorder.wait("the loss to be told", |seen| !seen.unreachable.is_empty());
    let mut config = config(MemberId::new(2));
    config.listen = listen;
    let second = Member::start(config);
    first.send_until_arrived(&second, "after");
    let stats = first.transport.stats();
    assert!(stats.connections_opened >= 2 && stats.connections_lost >= 1, "{stats:?}");
}

#[test]
fn a_peer_that_was_never_there_is_told_unreachable() {
    // The port of a connected socket: taken, so no other test gets it, but nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let listening = listener.local_addr().expect("it is bound");
    let taken = TcpStream::connect(listening).expect("it listens");
    let address = taken.local_addr().expect("it is connected").to_string();
    let mut config = config(MemberId::new(1));
    config.peers.insert(MemberId::new(2), address);
    let member = Member::start(config);
    member.recorder.wait_while_doing(
        "the peer to be told unreachable",
        || member.transport.send(MemberId::new(2), Bytes::from_static(b"lost")),
        |seen| seen.unreachable.contains_key(&MemberId::new(2)),
    );
    let stats = member.transport.stats();
    assert!(stats.dropped_unreachable >= 1 && stats.connections_failed >= 1, "{stats:?}");
    assert!(matches!(stats.last_error, Some(TransportError::Unreachable { .. })), "{stats:?}");
}

#[test]
fn a_peer_moves_and_leaves() {
    let [first, second] = pair();
    first.send_until_arrived(&second, "here");
    let moved = Member::start(config(second.id));
    first.transport.set_peer(second.id, moved.address()).expect("it is known");
    first.send_until_arrived(&moved, "there");
    assert!(second.recorder.seen().messages.iter().all(|(_, message)| message == "here"));

    first.transport.remove_peer(second.id);
    let before = first.transport.stats().dropped_away;
    first.transport.send(second.id, Bytes::from_static(b"gone"));
    assert_eq!(first.transport.stats().dropped_away, before + 1);
    first.transport.set_peer(second.id, moved.address()).expect("it may come back");
    first.send_until_arrived(&moved, "back");
}

#[test]
fn another_member_at_the_address_gets_nothing() {
    let [first, second] = pair();
    first.transport.set_peer(MemberId::new(3), second.address()).expect("there is room");
    first.recorder.wait_while_doing(
        "the refusal",
        || first.transport.send(MemberId::new(3), Bytes::from_static(b"misled")),
        |seen| seen.unreachable.contains_key(&MemberId::new(3)),
    );
    assert!(second.transport.stats().refused_wrong_member >= 1);
    assert!(second.recorder.seen().messages.is_empty());
}

#[test]
fn an_address_is_taken_once() {
    let [_, second] = pair();
    let mut other = config(MemberId::new(3));
    other.listen = second.address();
    let error = TcpTransport::bind(other).err().expect("the port is taken");
    assert!(matches!(error, TransportError::Listen { .. }), "{error:?}");
    let mut invalid = config(MemberId::new(3));
    invalid.queue_count_max = 0;
    let error = TcpTransport::bind(invalid).err().expect("there must be a queue");
    assert!(matches!(error, TransportError::InvalidConfig { .. }), "{error:?}");
}

#[test]
fn a_member_is_not_its_own_peer() {
    let [first, second] = pair();
    let error = first.transport.set_peer(first.id, second.address()).expect_err("that is itself");
    assert!(matches!(error, TransportError::InvalidConfig { field: "peers", .. }), "{error:?}");
}

#[test]
fn a_member_has_a_limited_number_of_peers() {
    let transport = TcpTransport::bind(config(MemberId::new(1))).expect("loopback has ports");
    for id in 0..64 {
        transport.set_peer(MemberId::new(100 + id), "127.0.0.1:1").expect("there is room");
    }
    let error = transport.set_peer(MemberId::new(2), "127.0.0.1:1").expect_err("it is full");
    assert!(matches!(error, TransportError::InvalidConfig { field: "peers", .. }), "{error:?}");
    transport.stop();
    let error = transport.set_peer(MemberId::new(100), "127.0.0.1:2").expect_err("it is stopped");
    assert!(matches!(error, TransportError::Stopped), "{error:?}");
}

#[test]
fn names_are_resolved() {
    let [first, second] = pair();
    let port = second.transport.local_addr().port();
    first.transport.set_peer(second.id, format!("localhost:{port}")).expect("it is known");
    first.send_until_arrived(&second, "by name");
}

#[test]
fn a_member_takes_a_limited_number_of_bulk_streams() {
    let [first, second] = pair();
    let open = || first.transport.open_bulk(second.id, Bytes::new());
    let sinks: Vec<_> = (0..BULK_STREAM_COUNT_MAX).map(|_| open().expect("a place")).collect();
    let error = open().err().expect("all places are taken");
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    assert_eq!(second.transport.stats().refused_busy, 1);
    for sink in sinks {
        sink.finish().expect("the receiver agrees");
    }
    let deadline = Instant::now() + WAIT_MAX;
    while open().is_err() {
        assert!(Instant::now() < deadline, "the places were given back");
    }
}

#[test]
fn a_long_header_is_refused() {
    let [first, second] = pair();
    let header = Bytes::from(vec![0; (1 << 20) + 1]);
    let error = first.transport.open_bulk(second.id, header).err().expect("it is too long");
    assert!(matches!(error, TransportError::Bulk { .. }), "{error:?}");
}
