//! Callers that keep members busy, and what they see.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use quorate::{Client, Error, Pending};

use quorate_benches::error::BenchError;
use quorate_benches::latency::{Latencies, latencies};
use quorate_types::SplitMix64;

/// How callers wait for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Each blocks a thread of its own.
    Threads,
    /// All await on [`EXECUTOR_THREADS`] threads.
    Tasks,
}

impl Style {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Tasks => "tasks",
        }
    }
}

/// How many callers make requests, where and how long.
pub(crate) struct Load<'a> {
    /// The handles that callers use, in turn.
    pub(crate) clients: &'a [Client],
    pub(crate) callers: u32,
    pub(crate) style: Style,
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// What callers saw.
pub(crate) struct Outcome {
    /// From making a request to having its answer, of all requests that succeeded in the measured
    /// time.
    pub(crate) latencies: Latencies,
    /// Requests that failed.
    pub(crate) errors_count: u64,
    /// The last failure.
    pub(crate) error: Option<Error>,
}

impl Outcome {
    fn new() -> Self {
        Self { latencies: latencies(), errors_count: 0, error: None }
    }

    fn add(&mut self, other: Self) {
        self.latencies += other.latencies;
        self.errors_count += other.errors_count;
        self.error = other.error.or(self.error.take());
    }

    fn record<T>(&mut self, window: Window, start: Instant, result: Result<T, Error>) -> Next {
        let now = Instant::now();
        match result {
            Ok(_) if now >= window.start && now < window.end => {
                self.latencies.saturating_record((now - start).as_nanos() as u64);
            }
            Ok(_) => {}
            Err(error) => {
                self.errors_count += 1;
                let stopped = matches!(error, Error::Stopped(_));
                self.error = Some(error);
                if stopped {
                    return Next::Stop;
                }
            }
        }
        if now < window.end { Next::Again } else { Next::Stop }
    }
}

/// What a caller does after an answer.
#[derive(PartialEq)]
enum Next {
    Again,
    Stop,
}

/// When answers count.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

/// Has callers make requests with `make` until the time is over. `on_start` is called when the
/// measured time begins,
/// `on_end` when it ends.
pub(crate) fn run<T, M>(
    load: &Load<'_>,
    make: &M,
    on_start: impl FnOnce(),
    on_end: impl FnOnce(),
) -> Result<Outcome, BenchError>
where
    T: Unpin,
    M: Fn(&Client, &mut SplitMix64) -> Pending<T> + Sync,
{
    let workers = match load.style {
        Style::Threads => load.callers,
        Style::Tasks => EXECUTOR_THREADS.min(load.callers),
    };
    thread::scope(|scope| {
        let start = Instant::now() + load.warmup;
        let window = Window { start, end: start + load.measured };
        let mut threads = Vec::new();
        for worker in 0..workers {
            let mine = (worker..load.callers).step_by(workers as usize);
            let callers: Vec<Caller<'_>> = mine.map(|index| Caller::new(load, index)).collect();
            let body = move || match load.style {
                Style::Threads => block(callers, make, window),
                Style::Tasks => Executor::new(callers, make, window).run(),
            };
            let builder = thread::Builder::new().name("caller".to_owned()).stack_size(STACK_SIZE);
            threads.push(builder.spawn_scoped(scope, body).map_err(BenchError::Thread)?);
        }
        sleep_until(window.start);
        on_start();
        sleep_until(window.end);
        on_end();
        let mut outcome = Outcome::new();
        for thread in threads {
            outcome.add(thread.join().expect("callers do not panic"));
        }
        Ok(outcome)
    })
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// One caller: which handle it uses, and its own random numbers.
struct Caller<'a> {
    client: &'a Client,
    random: SplitMix64,
}

impl<'a> Caller<'a> {
    fn new(load: &Load<'a>, index: u32) -> Self {
        let client = &load.clients[index as usize % load.clients.len()];
        Self { client, random: SplitMix64::new(u64::from(index)) }
    }
}

/// Callers that block; there is one in each thread.
fn block<T>(
    callers: Vec<Caller<'_>>,
    make: &impl Fn(&Client, &mut SplitMix64) -> Pending<T>,
    window: Window,
) -> Outcome {
    let mut outcome = Outcome::new();
    for mut caller in callers {
        loop {
            let start = Instant::now();
            let result = make(caller.client, &mut caller.random).wait();
            if outcome.record(window, start, result) == Next::Stop {
                break;
            }
        }
    }
    outcome
}

/// Callers that await, on one thread: a task is polled when its waker has sent its number.
struct Executor<'a, T, M> {
    tasks: Vec<Task<'a, T>>,
    /// Tasks that make requests still.
    live_count: usize,
    woken: Receiver<usize>,
    make: &'a M,
    window: Window,
    outcome: Outcome,
}

struct Task<'a, T> {
    caller: Caller<'a>,
    waker: Waker,
    start: Instant,
    /// `None` once the caller has stopped.
    pending: Option<Pending<T>>,
}

struct Wakeup {
    task: usize,
    woken: Sender<usize>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        // The executor ends after all requests, so nobody is left to be woken if it is gone.
        let _ended = self.woken.send(self.task);
    }
}

impl<'a, T, M> Executor<'a, T, M>
where
    T: Unpin,
    M: Fn(&Client, &mut SplitMix64) -> Pending<T>,
{
    fn new(callers: Vec<Caller<'a>>, make: &'a M, window: Window) -> Self {
        let (sender, woken) = channel();
        let mut tasks = Vec::with_capacity(callers.len());
        for (task, mut caller) in callers.into_iter().enumerate() {
            let waker = Waker::from(Arc::new(Wakeup { task, woken: sender.clone() }));
            waker.wake_by_ref();
            let (start, pending) = (Instant::now(), make(caller.client, &mut caller.random));
            tasks.push(Task { caller, waker, start, pending: Some(pending) });
        }
        Self { live_count: tasks.len(), tasks, woken, make, window, outcome: Outcome::new() }
    }

    fn run(mut self) -> Outcome {
        while self.live_count > 0 {
            let task = self.woken.recv().expect("the tasks hold senders");
            self.poll(task);
        }
        self.outcome
    }

    fn poll(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        let mut context = Context::from_waker(&task.waker);
        for _ in 0..POLLS_MAX {
            let Some(pending) = &mut task.pending else { return };
            let Poll::Ready(result) = Pin::new(pending).poll(&mut context) else { return };
            if self.outcome.record(self.window, task.start, result) == Next::Stop {
                task.pending = None;
                self.live_count -= 1;
                return;
            }
            task.start = Instant::now();
            task.pending = Some((self.make)(task.caller.client, &mut task.caller.random));
        }
        task.waker.wake_by_ref();
    }
}

/// Two threads can make far more requests than members on the same machine can answer.
const EXECUTOR_THREADS: u32 = 2;

/// Callers need little, and there are many.
const STACK_SIZE: usize = 256 << 10;

/// Answers that a task takes in a row before it lets others run; matters only for requests answered
/// at once.
const POLLS_MAX: u32 = 16;
