//! The seam of a simulated member: what stands behind an actor's handle.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quorate::seam::{Promise, Request, Response, Seam, Task, Unique, Wait};
use quorate::{Error, Limits, Pending, Status};
use quorate_raft_node::driver::{Abandoned, Completion, StopCause, completion};
use quorate_types::Instant;

use super::stage::{Ask, Stage, current};

/// A member in one of its lives.
pub(crate) struct SimulatedMember {
    pub(crate) stage: Arc<Stage>,
    pub(crate) place: usize,
    pub(crate) life: u64,
    pub(crate) limits: Limits,
}

impl Seam for SimulatedMember {
    fn submit(&self, request: Request, timeout: Duration) -> Pending<Response> {
        let (completer, completion) = completion();
        let (place, life) = (self.place, self.life);
        self.stage.ask(Ask::Request { place, life, request, timeout, completer });
        Pending::waiting(Box::new(Turns(completion)))
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn status(&self) -> Status {
        let (completer, mut completion) = completion();
        let (stage, actor) = current();
        stage.ask(Ask::Status { place: self.place, life: self.life, completer });
        let answer = stage.block_on(actor, None, |context| Pin::new(&mut completion).poll(context));
        answer.expect("there is no time limit").expect("the simulator always answers")
    }

    fn now(&self) -> Instant {
        self.stage.seen(|seen| seen.now)
    }

    fn sleep(&self, duration: Duration) {
        let (stage, actor) = current();
        stage.sleep(actor, duration);
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.stage.ask(Ask::Task { place: self.place, life: self.life, task });
    }

    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool {
        let (stage, actor) = current();
        stage.block_on(actor, until, poll).is_some()
    }

    fn unique(&self) -> Unique {
        Unique { member: self.place as u64 + 1, life: self.life, number: self.stage.count() }
    }

    fn promise(&self) -> (Promise, Pending<Response>) {
        let (completer, completion) = completion();
        let promise = Promise::new(move |result| completer.complete(result));
        (promise, Pending::waiting(Box::new(Turns(completion))))
    }
}

/// Waits by giving the turn back.
struct Turns(Completion<Result<Response, Error>>);

impl Turns {
    fn wait_until(&mut self, until: Option<Instant>) -> Option<Result<Response, Error>> {
        let (stage, actor) = current();
        stage.block_on(actor, until, |context| self.poll(context))
    }
}

impl Wait<Response> for Turns {
    fn wait(mut self: Box<Self>) -> Result<Response, Error> {
        self.wait_until(None).expect("there is no time limit")
    }

    fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<Response, Error>> {
        let (stage, _) = current();
        self.wait_until(Some(stage.seen(|seen| seen.now) + timeout))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|Abandoned| Err(Error::Stopped(StopCause::Closed))))
    }
}
