//! Turns: every actor is a thread, and of all threads only the one whose turn it is runs.
//!
//! An actor keeps its turn until it waits for something: an answer, a time, its end. Then the
//! simulator goes on, and gives the turn back when what the actor waits for has come. So the
//! threads of a run take the same steps in the same order every time.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use quorate::seam::{Request, Response, Task};
use quorate::{Error, Status};
use quorate_raft_node::driver::Completer;
use quorate_types::Instant;

/// Where the simulator and the actors of one run meet.
pub(crate) struct Stage {
    shared: Mutex<Shared>,
    simulator: Condvar,
    actors: Vec<Condvar>,
}

/// What an actor asks the simulator for.
pub(crate) enum Ask {
    /// A request to a member in one of its lives.
    Request {
        place: usize,
        life: u64,
        request: Request,
        timeout: Duration,
        completer: Completer<Result<Response, Error>>,
    },
    /// Something to be done in the background of a member.
    Task { place: usize, life: u64, task: Box<dyn Task> },
    /// What a member looks like.
    Status { place: usize, life: u64, completer: Completer<Status> },
}

/// What an actor waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    /// Counts the waits of the actor: what was scheduled for an earlier one is void.
    pub(crate) number: u64,
    /// When it goes on even if nothing has come.
    pub(crate) until: Option<Instant>,
}

/// The simulated members, as far as actors are to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The virtual time.
    pub(crate) now: Instant,
    /// The life of each member, if it runs.
    pub(crate) lives: Vec<Option<u64>>,
    /// Whether faults are over.
    pub(crate) healed: bool,
}

/// An actor kept its turn for so long that it must be waiting for something outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stuck;

struct Shared {
    /// The actor whose turn it is; nobody if it is the simulator's.
    turn: Option<usize>,
    waiting: Vec<Waiting>,
    ended: Vec<bool>,
    /// Actors for whom something has come.
    woken: Vec<usize>,
    asks: Vec<Ask>,
    /// Counts the unique names given.
    uniques: u64,
    seen: Seen,
    /// Whether the run is over: whoever waits then ends.
    over: bool,
}

/// What ends an actor whose run is over: its thread unwinds with this.
pub(crate) struct RunOver;

impl Stage {
    pub(crate) fn new(actors: usize) -> Self {
        let shared = Shared {
            turn: None,
            waiting: vec![Waiting { number: 0, until: None }; actors],
            ended: vec![false; actors],
            woken: Vec::new(),
            asks: Vec::new(),
            uniques: 0,
            seen: Seen::default(),
            over: false,
        };
        Self {
            shared: Mutex::new(shared),
            simulator: Condvar::new(),
            actors: (0..actors).map(|_| Condvar::new()).collect(),
        }
    }

    /// Nobody panics while holding the lock but by a bug of ours, which shows elsewhere.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The simulator's side.

    /// Lets an actor run until it waits or ends.
    pub(crate) fn give_turn(&self, actor: usize, seen: Seen) -> Result<(), Stuck> {
        let mut shared = self.lock();
        assert!(!shared.ended[actor], "actor {actor} has ended");
        shared.seen = seen;
        shared.turn = Some(actor);
        self.actors[actor].notify_one();
        while shared.turn.is_some() {
            let waited = self.simulator.wait_timeout(shared, TURN_MAX);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            shared = again;
            if timeout.timed_out() && shared.turn.is_some() {
                return Err(Stuck);
            }
        }
        Ok(())
    }

    /// Tells the time to what runs outside of an actor's turn.
    pub(crate) fn tell_time(&self, now: Instant) {
        self.lock().seen.now = now;
    }

    /// What an actor waits for; nothing once it has ended.
    pub(crate) fn waiting(&self, actor: usize) -> Option<Waiting> {
        let shared = self.lock();
        (!shared.ended[actor]).then(|| shared.waiting[actor])
    }

    /// What was asked for since the last call, in order.
    pub(crate) fn take_asks(&self) -> Vec<Ask> {
        std::mem::take(&mut self.lock().asks)
    }

    /// For whom something has come since the last call.
    pub(crate) fn take_woken(&self) -> Vec<usize> {
        std::mem::take(&mut self.lock().woken)
    }

    /// Ends the run: every actor that waits unwinds.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.actors.iter().for_each(Condvar::notify_one);
    }

    // The actors' side.

    /// Waits for the first turn of an actor; returns whether there is one.
    pub(crate) fn enter(self: &Arc<Self>, actor: usize) -> bool {
        CURRENT.set(Some((self.clone(), actor)));
        let shared = self.lock();
        self.await_turn(shared, actor)
    }

    /// The actor has ended: its last turn is over.
    pub(crate) fn leave(&self, actor: usize) {
        CURRENT.set(None);
        let mut shared = self.lock();
        shared.ended[actor] = true;
        if shared.turn == Some(actor) {
            shared.turn = None;
            self.simulator.notify_one();
        }
    }

    /// What the actor whose turn it is may know.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.lock().seen)
    }

    /// A number that is given once in a run.
    pub(crate) fn count(&self) -> u64 {
        let mut shared = self.lock();
        shared.uniques += 1;
        shared.uniques
    }

    pub(crate) fn ask(&self, ask: Ask) {
        self.lock().asks.push(ask);
    }

    /// Gives the turn back until something has come for the actor, or `until`. May return early.
    pub(crate) fn wait(&self, actor: usize, until: Option<Instant>) {
        let mut shared = self.lock();
        let number = shared.waiting[actor].number + 1;
        shared.waiting[actor] = Waiting { number, until };
        shared.turn = None;
        self.simulator.notify_one();
        if !self.await_turn(shared, actor) && !std::thread::panicking() {
            std::panic::resume_unwind(Box::new(RunOver));
        }
    }

    fn await_turn(&self, mut shared: MutexGuard<'_, Shared>, actor: usize) -> bool {
        while shared.turn != Some(actor) && !shared.over {
            shared = self.actors[actor].wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        !shared.over
    }

    /// Sleeps in virtual time.
    pub(crate) fn sleep(&self, actor: usize, duration: Duration) {
        let until = self.seen(|seen| seen.now) + duration;
        while self.seen(|seen| seen.now) < until {
            self.wait(actor, Some(until));
        }
    }

    /// Polls until something has come, at most until a time.
    pub(crate) fn block_on<T>(
        self: &Arc<Self>,
        actor: usize,
        until: Option<Instant>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let waker = Waker::from(Arc::new(TurnWaker { stage: self.clone(), actor }));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(value) = poll(&mut context) {
                return Some(value);
            }
            if until.is_some_and(|until| self.seen(|seen| seen.now) >= until) {
                return None;
            }
            self.wait(actor, until);
        }
    }
}

/// Tells the simulator that something has come for an actor.
struct TurnWaker {
    stage: Arc<Stage>,
    actor: usize,
}

impl Wake for TurnWaker {
    fn wake(self: Arc<Self>) {
        let mut shared = self.stage.lock();
        if !shared.woken.contains(&self.actor) {
            shared.woken.push(self.actor);
        }
    }
}

thread_local! {
    /// The actor that runs on this thread.
    static CURRENT: RefCell<Option<(Arc<Stage>, usize)>> = const { RefCell::new(None) };
}

/// The actor that runs on this thread.
///
/// # Panics
///
/// On every other thread: waiting there would stop a simulation for ever.
pub(crate) fn current() -> (Arc<Stage>, usize) {
    CURRENT.with_borrow(|current| current.clone()).expect(
        "only an actor's own thread may wait for what happens in a simulation, not one it started",
    )
}

/// An actor that computes for longer without waiting is taken to wait outside of the simulation.
const TURN_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(nanos: u64) -> Seen {
        Seen { now: Instant::from_nanos(nanos), ..Seen::default() }
    }

    #[test]
    fn only_the_actor_whose_turn_it_is_runs() {
        let stage = Arc::new(Stage::new(2));
        let steps = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..2)
            .map(|actor| {
                let (stage, steps) = (stage.clone(), steps.clone());
                std::thread::spawn(move || {
                    assert!(stage.enter(actor));
                    for step in 0..3 {
                        steps.lock().expect("no panic").push((actor, step));
                        stage.sleep(actor, Duration::from_nanos(10));
                    }
                    stage.leave(actor);
                })
            })
            .collect();
        for round in 0..4 {
            for actor in [1, 0] {
                stage.give_turn(actor, seen(10 * round)).expect("it waits soon");
                let until = (round < 3).then(|| Instant::from_nanos(10 * round + 10));
                assert_eq!(stage.waiting(actor).map(|w| w.until), until.map(Some));
            }
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        let expected = [(1, 0), (0, 0), (1, 1), (0, 1), (1, 2), (0, 2)];
        assert_eq!(*steps.lock().expect("no panic"), expected);
    }

    #[test]
    fn an_answer_wakes_the_actor_that_waits_for_it() {
        let stage = Arc::new(Stage::new(1));
        let (completer, mut completion) = quorate_raft_node::driver::completion::<u8>();
        let actor = {
            let stage = stage.clone();
            std::thread::spawn(move || {
                assert!(stage.enter(0));
                let answer = stage
                    .block_on(0, None, |context| std::pin::Pin::new(&mut completion).poll(context));
                stage.leave(0);
                answer
            })
        };
        stage.give_turn(0, seen(0)).expect("it waits");
        assert!(stage.take_woken().is_empty());
        completer.complete(7);
        assert_eq!(stage.take_woken(), [0]);
        stage.give_turn(0, seen(1)).expect("it ends");
        assert_eq!(stage.waiting(0), None);
        assert_eq!(actor.join().expect("no panic"), Some(Ok(7)));
    }

    #[test]
    fn whoever_waits_when_the_run_is_over_ends() {
        let stage = Arc::new(Stage::new(2));
        let waits = {
            let stage = stage.clone();
            std::thread::spawn(move || {
                assert!(stage.enter(0));
                stage.sleep(0, Duration::from_secs(1));
            })
        };
        let never_began = {
            let stage = stage.clone();
            std::thread::spawn(move || stage.enter(1))
        };
        stage.give_turn(0, seen(0)).expect("it waits");
        stage.end();
        let unwound = waits.join().expect_err("it unwinds");
        assert!(unwound.is::<RunOver>());
        assert!(!never_began.join().expect("no panic"));
    }
}
