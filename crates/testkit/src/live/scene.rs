//! Live members as an actor sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use quorate::Client;
use quorate_types::Instant;

use super::cluster::LiveCluster;
use crate::actors::actor::Scene;
use crate::actors::record::{Notebook, Recording};

/// What the actors of a live run share.
pub(crate) struct LiveWorld {
    pub(crate) cluster: LiveCluster,
    pub(crate) notebook: Arc<Notebook>,
    pub(crate) begun: std::time::Instant,
    pub(crate) healed: AtomicBool,
    /// Whether the run is over: whoever waits then ends.
    pub(crate) over: AtomicBool,
}

impl LiveWorld {
    pub(crate) fn now(&self) -> Instant {
        let nanos = self.begun.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// One actor's view.
pub(crate) struct LiveScene {
    pub(crate) world: Arc<LiveWorld>,
    pub(crate) number: usize,
}

impl Scene for LiveScene {
    fn client(&self, node: usize, timeout: Duration) -> Client {
        let client = loop {
            match self.world.cluster.client(node) {
                Some(client) => break client.with_timeout(timeout),
                None => self.sleep(DOWN_POLL_INTERVAL),
            }
        };
        let world = self.world.clone();
        let recording = Recording {
            seam: client.seam(),
            notebook: self.world.notebook.clone(),
            clock: Arc::new(move || world.now()),
            actor: self.number,
            node,
        };
        Client::new(Arc::new(recording), timeout)
    }

    fn now(&self) -> Instant {
        self.world.now()
    }

    fn sleep(&self, duration: Duration) {
        if self.world.over.load(Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new(crate::actors::stage::RunOver));
        }
        std::thread::sleep(duration);
    }

    fn faults_over(&self) -> bool {
        self.world.healed.load(Ordering::Relaxed)
    }

    fn block_on(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        while poll(&mut context).is_pending() {
            std::thread::park();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How often an actor looks whether its node is back.
const DOWN_POLL_INTERVAL: Duration = Duration::from_millis(5);
