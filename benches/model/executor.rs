//! Many futures on one thread.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};

use futures_core::Stream;

/// A future of [`run`].
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Polls tasks as they are woken, until all have ended.
pub(crate) fn run(tasks: Vec<Task<'_>>) {
    let (sender, woken) = channel();
    let mut tasks: Vec<Option<(Task<'_>, Waker)>> = tasks
        .into_iter()
        .enumerate()
        .map(|(number, task)| {
            let waker = Waker::from(Arc::new(Wakeup { number, woken: sender.clone() }));
            waker.wake_by_ref();
            Some((task, waker))
        })
        .collect();
    let mut live_count = tasks.len();
    while live_count > 0 {
        let number: usize = woken.recv().expect("a sender is kept here");
        let Some((task, waker)) = &mut tasks[number] else { continue };
        if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            tasks[number] = None;
            live_count -= 1;
        }
    }
}

/// The next item of a stream.
pub(crate) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

struct Wakeup {
    number: usize,
    woken: Sender<usize>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        // Nobody is left to be woken once all tasks have ended.
        let _ended = self.woken.send(self.number);
    }
}
