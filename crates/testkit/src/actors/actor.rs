//! What application code in a test is handed, and how it says that something is wrong.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quorate::{Client, Error};
use quorate_types::Instant;

use super::record::Notebook;
use crate::rng::{Purpose, Stream};

/// Where actors play: on simulated members or on live ones.
pub(crate) trait Scene: Send + Sync {
    /// The seam of a member; waits until the member runs.
    fn client(&self, node: usize, timeout: Duration) -> Client;
    fn now(&self) -> Instant;
    fn sleep(&self, duration: Duration);
    fn faults_over(&self) -> bool;
    /// Polls on this actor's thread until it is ready.
    fn block_on(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>);
}

/// One of the actors of a [`Sim`](crate::Sim): a thread of ordinary, blocking application code.
///
/// Of all actors only one runs at a time, and it gives way only where it waits: for an answer, in
/// [`Self::sleep`], in [`Self::db`]. Waiting for anything else (a lock held by another actor, a
/// channel, a socket) stops the simulation, which then fails and says so.
pub struct Actor {
    scene: Arc<dyn Scene>,
    notebook: Arc<Notebook>,
    number: usize,
    node: usize,
    nodes: usize,
    seed: u64,
    drawn: Cell<u64>,
}

impl Actor {
    pub(crate) fn new(
        scene: Arc<dyn Scene>,
        notebook: Arc<Notebook>,
        number: usize,
        nodes: usize,
        seed: u64,
    ) -> Self {
        Self { scene, notebook, number, node: number % nodes, nodes, seed, drawn: Cell::new(0) }
    }

    /// Which of the actors this is, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The node whose application this is, from 0; actors are dealt out to nodes in turn.
    pub fn node(&self) -> usize {
        self.node
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// A handle on this actor's node as it runs now; waits while the node is down. After a crash of
    /// the node, calls on the old handle fail with [`Error::Stopped`].
    pub fn db(&self) -> Client {
        self.db_of(self.node)
    }

    /// A handle on another node.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn db_of(&self, node: usize) -> Client {
        assert!(node < self.nodes, "node {node} of {}", self.nodes);
        self.scene.client(node, REQUEST_TIMEOUT)
    }

    /// The time since the run began.
    pub fn now(&self) -> Instant {
        self.scene.now()
    }

    /// Waits for a time.
    pub fn sleep(&self, duration: Duration) {
        self.scene.sleep(duration);
    }

    /// A number from a range, by the seed; 0 from an empty one.
    pub fn random(&self, range: Range<u64>) -> u64 {
        self.drawn.set(self.drawn.get() + 1);
        let entity = self.number as u64;
        let mut stream = Stream::new(self.seed, Purpose::Actor, entity, self.drawn.get());
        range.start + stream.below(range.end.saturating_sub(range.start))
    }

    /// Runs a future on this thread, in the time of the run: for application code that awaits.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut output = None;
        self.scene.block_on(&mut |context| {
            future.as_mut().poll(context).map(|value| output = Some(value))
        });
        output.expect("it was polled until it was ready")
    }

    /// Remembers something for the check at the end.
    pub fn note(&self, name: impl Into<String>, value: impl fmt::Display) {
        self.notebook.note(self.now(), self.number, name.into(), value.to_string());
    }

    /// Whether faults are over and everything is healed: for actors that go on until then.
    pub fn faults_over(&self) -> bool {
        self.scene.faults_over()
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({} on node {})", self.number, self.node)
    }
}

/// Why application code or a check in a [`Sim`](crate::Sim) ended early.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A request failed, as requests do under faults. An actor that ends with one that only tells
    /// of faults (retryable, unknown, stopped) begins anew, as a supervised process would.
    Request(Error),
    /// Something is wrong; made by [`ensure!`](crate::ensure).
    Broken(String),
}

impl Trouble {
    /// Something is wrong.
    pub fn broken(detail: impl Into<String>) -> Self {
        Self::Broken(detail.into())
    }

    /// Whether it only tells of faults.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retryable() || error.is_outcome_unknown(),
            Self::Broken(_) => false,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "a request failed: {error}"),
            Self::Broken(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Trouble {}

/// Returns from an actor or a check with a [`Trouble`] unless a condition holds.
///
/// ```
/// use quorate_testkit::{Trouble, ensure};
/// fn check(count: u32) -> Result<(), Trouble> {
///     ensure!(count < 3, "{count} are too many");
///     Ok(())
/// }
/// assert!(check(2).is_ok());
/// assert_eq!(check(3).unwrap_err().to_string(), "3 are too many");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return ::core::result::Result::Err($crate::Trouble::broken(::std::format!($($text)+)));
        }
    };
}

/// Long beside an election, short beside a run: actors find out about faults.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
