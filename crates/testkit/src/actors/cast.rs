//! The threads that play a script on simulated members.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use quorate::{Client, Limits};
use quorate_types::Instant;

use super::actor::{Actor, Scene};
use super::record::{Notebook, Recording};
use super::script::{Ended, Script, play};
use super::seam::SimulatedMember;
use super::stage::Stage;

/// The actors of one run and the stage that they stand on.
pub(crate) struct Cast {
    pub(crate) stage: Arc<Stage>,
    notebook: Arc<Notebook>,
    /// The names of the parts; the setup is the first, the end the last.
    names: Vec<String>,
    /// The node of each part.
    nodes: Vec<usize>,
    ended: Arc<Mutex<Vec<Option<Ended>>>>,
    threads: Vec<JoinHandle<()>>,
    /// Whether an actor never gave its turn back: its thread is given up then.
    stuck: bool,
}

impl Cast {
    /// Starts the threads; each waits for its first turn.
    ///
    /// # Errors
    ///
    /// If the operating system gives no thread.
    pub(crate) fn start(script: &Script, nodes: usize, seed: u64) -> std::io::Result<Self> {
        let notebook = Arc::new(Notebook::default());
        let parts = script.parts(&notebook);
        let stage = Arc::new(Stage::new(parts.len()));
        let ended = Arc::new(Mutex::new(parts.iter().map(|_| None).collect::<Vec<_>>()));
        let names = parts.iter().map(|part| part.name.clone()).collect();
        let actors = parts.len() - 2;
        // Actors have the first numbers; setup and end come behind them.
        let number_of = |place| match place {
            0 => actors,
            place if place > actors => actors + 1,
            place => place - 1,
        };
        let places = (0..parts.len()).map(|place| number_of(place) % nodes).collect();
        let threads = Vec::new();
        let mut cast = Self { stage, notebook, names, nodes: places, ended, threads, stuck: false };
        for (place, part) in parts.into_iter().enumerate() {
            let number = number_of(place);
            let scene = SimulatedScene {
                stage: cast.stage.clone(),
                notebook: cast.notebook.clone(),
                place,
                number,
            };
            let (stage, ended) = (cast.stage.clone(), cast.ended.clone());
            let notebook = cast.notebook.clone();
            #[cfg(feature = "mutants")]
            let inherited = quorate_types::mutants::inherit();
            let body = move || {
                #[cfg(feature = "mutants")]
                let _entered = inherited.map(|inherited| inherited.enter());
                let actor = Actor::new(Arc::new(scene), notebook, number, nodes, seed);
                let how = if stage.enter(place) { play(&part, &actor) } else { Ended::Unfinished };
                ended.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(how);
                stage.leave(place);
            };
            let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(body)?;
            cast.threads.push(thread);
        }
        Ok(cast)
    }

    /// The places of the actors; the setup stands before them, the end behind.
    pub(crate) fn actors(&self) -> std::ops::Range<usize> {
        1..self.names.len() - 1
    }

    /// The place of the check at the end.
    pub(crate) fn end_place(&self) -> usize {
        self.names.len() - 1
    }

    pub(crate) fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// The node whose process a part belongs to.
    pub(crate) fn node(&self, place: usize) -> usize {
        self.nodes[place]
    }

    /// How a part ended; nothing while it plays.
    pub(crate) fn ended(&self, place: usize) -> Option<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)[place].clone()
    }

    /// The actors that have not ended, by name.
    pub(crate) fn unfinished(&self) -> Vec<&str> {
        let open = |place: &usize| self.stage.waiting(*place).is_some();
        self.actors().filter(open).map(|place| self.name(place)).collect()
    }

    /// Notes that a thread is lost.
    pub(crate) fn give_up(&mut self) {
        self.stuck = true;
    }

    /// What the actors write into.
    pub(crate) fn notebook(&self) -> Arc<Notebook> {
        self.notebook.clone()
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.stage.end();
        if self.stuck {
            return;
        }
        for thread in self.threads.drain(..) {
            // Panics of actors were caught inside.
            let _joined = thread.join();
        }
    }
}

/// The simulated world as one actor sees it.
struct SimulatedScene {
    stage: Arc<Stage>,
    notebook: Arc<Notebook>,
    place: usize,
    number: usize,
}

impl Scene for SimulatedScene {
    fn client(&self, node: usize, timeout: Duration) -> Client {
        let life = loop {
            match self.stage.seen(|seen| seen.lives.get(node).copied().flatten()) {
                Some(life) => break life,
                None => self.stage.sleep(self.place, DOWN_POLL_INTERVAL),
            }
        };
        let stage = self.stage.clone();
        let seam = SimulatedMember { stage, place: node, life, limits: Limits::default() };
        let stage = self.stage.clone();
        let recording = Recording {
            seam: Arc::new(seam),
            notebook: self.notebook.clone(),
            clock: Arc::new(move || stage.seen(|seen| seen.now)),
            actor: self.number,
            node,
        };
        Client::new(Arc::new(recording), timeout)
    }

    fn now(&self) -> Instant {
        self.stage.seen(|seen| seen.now)
    }

    fn sleep(&self, duration: Duration) {
        self.stage.sleep(self.place, duration);
    }

    fn faults_over(&self) -> bool {
        self.stage.seen(|seen| seen.healed)
    }

    fn block_on(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        self.stage.block_on(self.place, None, poll);
    }
}

/// The name of actors' threads.
pub(crate) const THREAD: &str = "quorate-actor";

/// How often an actor looks whether its node is back.
const DOWN_POLL_INTERVAL: Duration = Duration::from_millis(10);
