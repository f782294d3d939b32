//! A member that fails, fails alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate::hub::Hub;
use quorate::{
    Cluster, Config, Error, MemberId, Network, Node, StopCause, Transport, TransportError,
};
use tempfile::TempDir;

use super::group::{NAMES, quicken, wait_for};

/// A transport with a bug that shows on command.
struct Faulty {
    inner: Arc<dyn Transport>,
    broken: Arc<AtomicBool>,
}

impl Transport for Faulty {
    fn start(&self, inbox: Arc<dyn quorate::transport::Inbox>) -> Result<(), TransportError> {
        self.inner.start(inbox)
    }

    fn send(&self, to: MemberId, message: bytes::Bytes) {
        assert!(!self.broken.load(Ordering::Relaxed), "a bug in the transport");
        self.inner.send(to, message);
    }

    fn open_bulk(
        &self,
        to: MemberId,
        header: bytes::Bytes,
    ) -> Result<Box<dyn quorate::transport::BulkSink>, TransportError> {
        self.inner.open_bulk(to, header)
    }

    fn stop(&self) {
        self.inner.stop();
    }
}

#[test]
fn a_panic_stops_one_member_and_tells_its_callers() {
    let (folder, hub) = (TempDir::new().expect("a temporary folder"), Hub::new());
    let broken = Arc::new(AtomicBool::new(false));
    let open = |name: &str| {
        let mut config = Config::new(folder.path().join(name)).named(name).in_process(&hub);
        config = config.cluster(Cluster::of_names("test", NAMES));
        quicken(&mut config);
        if name == NAMES[0] {
            let (hub, broken) = (hub.clone(), broken.clone());
            config.network = Network::Custom(Arc::new(move |cluster, member| {
                let inner: Arc<dyn Transport> = hub.join(cluster, member);
                Arc::new(Faulty { inner, broken: broken.clone() })
            }));
        }
        Node::open(config).expect("opens")
    };
    let nodes = NAMES.map(open);
    nodes[0].put("k", "v").wait().expect("written");
    broken.store(true, Ordering::Relaxed);
    let cause = wait_for("the member to stop", || nodes[0].status().consensus.err());
    assert!(
        matches!(&cause, StopCause::Panic { message, .. } if message == "a bug in the transport"),
        "{cause}"
    );
    let error = nodes[0].put("k", "w").wait().expect_err("stopped");
    assert!(matches!(error, Error::Stopped(StopCause::Panic { .. })), "{error}");
    nodes[1].put("k", "x").wait().expect("the others go on");
    let [failed, others @ ..] = nodes;
    assert!(failed.close().is_err());
    for node in others {
        node.close().expect("closes");
    }
}
