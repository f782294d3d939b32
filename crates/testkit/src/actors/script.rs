//! What is played: the parts that a user wrote, and the threads that play them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::actor::{Actor, Trouble};
use super::record::{Notebook, RunHistory};
use super::stage::RunOver;
use quorate::Client;

/// Application code that runs as an actor.
pub(crate) type Body = Arc<dyn Fn(&Actor) -> Result<(), Trouble> + Send + Sync>;

/// What is checked at the end, with a handle on the healed cluster.
pub(crate) type EndBody = Arc<dyn Fn(&RunHistory, &Client) -> Result<(), Trouble> + Send + Sync>;

/// The parts of a run, in order: first the setup alone, then all actors, then the end alone.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) setup: Option<Body>,
    pub(crate) actors: Vec<Body>,
    pub(crate) end: Option<EndBody>,
}

/// A part of a script, and whether it begins anew when it ends with nothing but a fault.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) body: Body,
    pub(crate) begins_anew: bool,
    pub(crate) name: String,
}

impl Script {
    /// All parts: the setup first, the end last, both always there.
    pub(crate) fn parts(&self, notebook: &Arc<Notebook>) -> Vec<Part> {
        let nothing: Body = Arc::new(|_| Ok(()));
        let setup = self.setup.clone().unwrap_or(nothing);
        let end = self.end.clone();
        let notebook = notebook.clone();
        let end: Body = Arc::new(move |actor| match &end {
            Some(end) => end(&notebook.history(), &actor.db()),
            None => Ok(()),
        });
        let alone = |body, name: &str| Part { body, begins_anew: false, name: name.to_owned() };
        let mut parts = vec![alone(setup, "setup")];
        parts.extend(self.actors.iter().enumerate().map(|(number, body)| Part {
            body: body.clone(),
            begins_anew: true,
            name: format!("actor {number}"),
        }));
        parts.push(alone(end, "end check"));
        parts
    }
}

/// How a part ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Well,
    Trouble(Trouble),
    Panicked(String),
    /// The run was over first.
    Unfinished,
}

/// Plays a part to its end.
pub(crate) fn play(part: &Part, actor: &Actor) -> Ended {
    loop {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let result = (part.body)(actor);
            if part.begins_anew && result.as_ref().is_err_and(Trouble::is_fault) {
                actor.sleep(PAUSE_BEFORE_ANEW);
                return None;
            }
            Some(result)
        }));
        match played {
            Ok(None) => {}
            Ok(Some(Ok(()))) => return Ended::Well,
            Ok(Some(Err(trouble))) => return Ended::Trouble(trouble),
            Err(payload) if payload.is::<RunOver>() => return Ended::Unfinished,
            Err(payload) => return Ended::Panicked(panic_text(&*payload)),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a text").to_owned()
}

/// About what a supervisor waits before it starts a process again.
const PAUSE_BEFORE_ANEW: Duration = Duration::from_millis(100);
