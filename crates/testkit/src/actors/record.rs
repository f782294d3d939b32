//! What actors did: their notes, and their calls as they saw them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quorate::seam::{Promise, Request, Response, Seam, Task, Unique, Wait};
use quorate::{Error, Limits, Pending, Status};
use quorate_types::Instant;

/// What the actors of a run did; handed to the checks at its end.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// Notes in order of their time.
    pub notes: Vec<Note>,
    /// Calls in order of their beginning.
    pub calls: Vec<CallRecord>,
}

/// Something that an actor remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// When.
    pub at: Instant,
    /// Who.
    pub actor: usize,
    /// Which kind of note.
    pub name: String,
    /// What.
    pub value: String,
}

/// A call of an actor.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Who called.
    pub actor: usize,
    /// The node called.
    pub node: usize,
    /// What for.
    pub request: Request,
    /// When.
    pub called: Instant,
    /// When the actor learned the outcome, and which; nothing if it never did.
    pub ended: Option<(Instant, Result<Response, Error>)>,
}

impl RunHistory {
    /// The values of all notes of a name.
    pub fn notes(&self, name: &str) -> Notes<'_> {
        let named = self.notes.iter().filter(|note| note.name == name);
        Notes(named.map(|note| note.value.as_str()).collect())
    }
}

/// Values of notes, in order of their time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notes<'a>(Vec<&'a str>);

impl<'a> Notes<'a> {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().copied()
    }

    /// Whether no value occurs twice.
    pub fn all_unique(&self) -> bool {
        self.duplicates().is_empty()
    }

    /// The values that occur more than once, each given once, in ascending order.
    pub fn duplicates(&self) -> Vec<&'a str> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let mut twice: Vec<&str> =
            sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        twice
    }
}

/// A history as it grows.
#[derive(Debug, Default)]
pub(crate) struct Notebook(Mutex<RunHistory>);

impl Notebook {
    fn lock(&self) -> MutexGuard<'_, RunHistory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, at: Instant, actor: usize, name: String, value: String) {
        self.lock().notes.push(Note { at, actor, name, value });
    }

    /// What was written until now.
    pub(crate) fn history(&self) -> RunHistory {
        self.lock().clone()
    }

    fn begin(&self, call: CallRecord) -> usize {
        let mut history = self.lock();
        history.calls.push(call);
        history.calls.len() - 1
    }

    fn end(&self, call: usize, at: Instant, result: &Result<Response, Error>) {
        self.lock().calls[call].ended = Some((at, result.clone()));
    }
}

/// A seam that writes down what goes through it.
pub(crate) struct Recording {
    pub(crate) seam: Arc<dyn Seam>,
    pub(crate) notebook: Arc<Notebook>,
    /// The run's own time; members' clocks differ.
    pub(crate) clock: Arc<dyn Fn() -> Instant + Send + Sync>,
    pub(crate) actor: usize,
    pub(crate) node: usize,
}

impl Seam for Recording {
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response> {
        let (actor, node, called) = (self.actor, self.node, (self.clock)());
        let record = CallRecord { actor, node, request: request.clone(), called, ended: None };
        let call = self.notebook.begin(record);
        let (notebook, clock) = (self.notebook.clone(), self.clock.clone());
        let pending = self.seam.submit(request, timeout);
        Pending::waiting(Box::new(Recorded { pending: Some(pending), notebook, clock, call }))
    }

    fn limits(&self) -> &Limits {
        self.seam.limits()
    }

    fn status(&self) -> Status {
        self.seam.status()
    }

    fn now(&self) -> Instant {
        self.seam.now()
    }

    fn sleep(&self, duration: Duration) {
        self.seam.sleep(duration);
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.seam.spawn(task);
    }

    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool {
        self.seam.block_on(until, poll)
    }

    fn unique(&self) -> Unique {
        self.seam.unique()
    }

    fn promise(&self) -> (Promise, Pending<Response>) {
        self.seam.promise()
    }
}

struct Recorded {
    pending: Option<Pending<Response>>,
    notebook: Arc<Notebook>,
    clock: Arc<dyn Fn() -> Instant + Send + Sync>,
    call: usize,
}

impl Recorded {
    fn record(&self, result: Result<Response, Error>) -> Result<Response, Error> {
        self.notebook.end(self.call, (self.clock)(), &result);
        result
    }
}

impl Wait<Response> for Recorded {
    fn wait(mut self: Box<Self>) -> Result<Response, Error> {
        let result = self.pending.take().expect("a result is taken once").wait();
        self.record(result)
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<Response, Error>> {
        let pending = self.pending.as_mut().expect("a result is taken once");
        let result = pending.wait_timeout(timeout)?;
        Some(self.record(result))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        let pending = self.pending.as_mut().expect("a result is taken once");
        std::pin::Pin::new(pending).poll(context).map(|result| self.record(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_found_by_name_and_counted() {
        let notebook = Notebook::default();
        for (name, value) in [("done", "b"), ("maybe", "b"), ("done", "a"), ("done", "b")] {
            notebook.note(Instant::ZERO, 0, name.to_owned(), value.to_owned());
        }
        let history = notebook.history();
        let done = history.notes("done");
        assert_eq!(done.iter().collect::<Vec<_>>(), ["b", "a", "b"]);
        assert_eq!((done.count(), done.duplicates()), (3, vec!["b"]));
        assert!(!done.all_unique() && history.notes("maybe").all_unique());
        assert_eq!(history.notes("never").count(), 0);
    }
}
