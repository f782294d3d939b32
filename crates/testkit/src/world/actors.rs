//! Actors on the simulated members: their turns, and their calls.

use std::collections::BTreeMap;

use quorate::seam::{Request, Response, WatchAnswer};
use quorate::{Consensus, Error, ResponseHeader, Status};
use quorate_raft_node::core::ProposeError;
use quorate_raft_node::driver::{Completer, StopCause};
use quorate_types::{ClusterId, Instant};
use std::time::Duration;

use super::World;
use crate::actors::cast::Cast;
use crate::actors::script::Ended;
use crate::actors::stage::{Ask, Seen, Stuck};
use crate::checkers::history::{Call, Ending};
use crate::effect::Found;
use crate::member::Ticket;
use crate::plan::Work;
use crate::queue::Event;
use crate::rng::{Purpose, Stream};
use crate::violation::Violation;

/// The actors of a run, as the world keeps them.
pub(super) struct Players {
    pub(super) cast: Cast,
    /// Who waits for which call.
    waiting: BTreeMap<Ticket, Completer<Result<Response, Error>>>,
    /// Counts turns; noise.
    turns: u64,
    /// Whether all actors have ended.
    left: bool,
    /// When the end check began.
    end_begun: Option<Instant>,
}

impl Players {
    pub(super) fn new(cast: Cast) -> Self {
        Self { cast, waiting: BTreeMap::new(), turns: 0, left: false, end_begun: None }
    }
}

impl World<'_> {
    /// Begins with the setup, while nothing disturbs it.
    pub(super) fn set_up(&mut self) {
        self.links.set_calm(true);
        self.work = Work::quick();
        self.cue(SETUP);
    }

    /// The setup is done: faults and actors begin.
    fn raise_curtain(&mut self) {
        let Some(players) = &self.players else { return };
        let actors = players.cast.actors();
        self.links.set_calm(false);
        self.work = self.plan.work.clone();
        self.begin();
        actors.for_each(|place| self.cue(place));
    }

    /// Schedules the first turn of a part.
    fn cue(&mut self, place: usize) {
        let event = self.turn_of(place, 0);
        self.queue.push(self.now, event);
    }

    /// The event of an actor's turn.
    fn turn_of(&self, actor: usize, number: u64) -> Event {
        let member = self.players.as_ref().map_or(0, |players| players.cast.node(actor));
        Event::Turn { member, actor, number }
    }

    /// An actor's turn has come, unless it waits for something else by now.
    pub(super) fn turn(&mut self, actor: usize, number: u64) -> Result<(), Violation> {
        let Some(players) = &self.players else { return Ok(()) };
        let current = players.cast.stage.waiting(actor);
        if current.is_none_or(|waiting| waiting.number != number) {
            return Ok(());
        }
        let lives = self.members.iter().map(|m| m.running.as_ref().map(|_| m.life)).collect();
        let seen = Seen { now: self.now, lives, healed: self.healed() };
        let stage = players.cast.stage.clone();
        if stage.give_turn(actor, seen) == Err(Stuck) {
            return Err(self.stuck(actor));
        }
        self.take_asks()?;
        match stage.waiting(actor) {
            Some(waiting) => {
                if let Some(until) = waiting.until {
                    let event = self.turn_of(actor, waiting.number);
                    self.queue.push(until.max(self.now + SHORTEST_WAIT), event);
                }
                Ok(())
            }
            None => self.part_ended(actor),
        }
    }

    /// Carries out what actors, or their tasks, have asked for.
    pub(super) fn take_asks(&mut self) -> Result<(), Violation> {
        let Some(players) = &self.players else { return Ok(()) };
        let stage = players.cast.stage.clone();
        stage.take_asks().into_iter().try_for_each(|ask| self.ask_of_actor(ask))
    }

    fn healed(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.complete)
    }

    fn stuck(&mut self, actor: usize) -> Violation {
        let Some(players) = &mut self.players else { return Violation::new("actor-stuck", "") };
        players.cast.give_up();
        let name = players.cast.name(actor).to_owned();
        Violation::new("actor-stuck", format!("{name} waits for something outside of the run"))
    }

    /// Schedules turns for those for whom something has come.
    pub(super) fn wake_actors(&mut self) {
        let Some(players) = &mut self.players else { return };
        for actor in players.cast.stage.take_woken() {
            let Some(waiting) = players.cast.stage.waiting(actor) else { continue };
            players.turns += 1;
            let entity = actor as u64;
            let mut noise = Stream::new(self.plan.seed, Purpose::Turn, entity, players.turns);
            let delay = noise.duration(Duration::ZERO, TURN_DELAY_MAX);
            let member = players.cast.node(actor);
            let event = Event::Turn { member, actor, number: waiting.number };
            self.queue.push(self.now + delay, event);
        }
    }

    fn ask_of_actor(&mut self, ask: Ask) -> Result<(), Violation> {
        match ask {
            Ask::Status { place, life, completer } => {
                completer.complete(self.status(place, life));
                Ok(())
            }
            Ask::Task { place, life, task } => {
                self.add_task(place, life, task);
                Ok(())
            }
            Ask::Request { place, life, request, timeout, completer } => {
                let member = &self.members[place];
                if member.life != life || member.running.is_none() {
                    completer.complete(Err(Error::Stopped(StopCause::Closed)));
                    return Ok(());
                }
                // The call may end at once, so whoever waits for it is known before.
                let ticket = self.history.len();
                if let Some(players) = &mut self.players {
                    players.waiting.insert(ticket, completer);
                }
                let begun = self.call_of_actor(place, call_of(request), timeout)?;
                assert_eq!(begun, ticket, "calls are numbered in order");
                Ok(())
            }
        }
    }

    fn status(&self, place: usize, life: u64) -> Status {
        let member = &self.members[place];
        let running = member.running.as_ref().filter(|_| member.life == life);
        Status {
            name: format!("node {place}"),
            cluster_id: CLUSTER,
            member_id: member.id,
            revision: running.map_or(0, |running| running.machine.kv.store().reader().revision()),
            consensus: match running {
                Some(running) => Ok(Consensus::from(running.core.probe())),
                None => Err(StopCause::Closed),
            },
        }
    }

    /// Tells an actor why its call failed.
    pub(super) fn tell_actor_cause(&mut self, ticket: Ticket, cause: ProposeError) {
        let Some(players) = &mut self.players else { return };
        if let Some(completer) = players.waiting.remove(&ticket) {
            completer.complete(Err(cause.into()));
        }
    }

    /// Tells an actor how its call ended.
    pub(super) fn tell_actor(&mut self, ticket: Ticket) {
        let Some(players) = &mut self.players else { return };
        let Some(completer) = players.waiting.remove(&ticket) else { return };
        let record = &self.history[ticket];
        let member = &self.members[record.member];
        let mut result = result_of(record.ending());
        if let Ok(response) = &mut result
            && let Some(header) = response.header_mut()
        {
            header.cluster_id = CLUSTER.get();
            header.member_id = member.id.get();
            header.raft_term = member.last.term;
        }
        completer.complete(result);
    }

    fn part_ended(&mut self, actor: usize) -> Result<(), Violation> {
        let Some(players) = &self.players else { return Ok(()) };
        let name = players.cast.name(actor);
        self.trace.line(self.now, || format!("{name} has ended"));
        let of_actor = players.cast.actors().contains(&actor);
        match players.cast.ended(actor) {
            Some(Ended::Trouble(trouble)) => {
                let checker = if of_actor { "actor" } else { "user-check" };
                return Err(Violation::new(checker, format!("{name}: {trouble}")));
            }
            Some(Ended::Panicked(text)) => {
                let checker = if of_actor { "actor-panicked" } else { "user-check" };
                return Err(Violation::new(checker, format!("{name}: {text}")));
            }
            Some(Ended::Well | Ended::Unfinished) | None => {}
        }
        if actor == SETUP {
            self.raise_curtain();
        } else if actor == players.cast.end_place() {
            self.finished = true;
        }
        Ok(())
    }

    /// Whether actors still play on the healed cluster. The recovery counts from their end.
    pub(super) fn actors_play(&mut self) -> Result<bool, Violation> {
        let (Some(players), Some(recovery)) = (&mut self.players, &mut self.recovery) else {
            return Ok(false);
        };
        if players.left || !recovery.complete {
            return Ok(false);
        }
        let unfinished = players.cast.unfinished();
        if unfinished.is_empty() {
            players.left = true;
            recovery.since = self.now;
            return Ok(false);
        }
        let waited = self.now - recovery.since;
        Violation::unless(waited <= FINISH_MAX, "actors-finish", || {
            format!("{} did not end within {waited:?} without faults", unfinished.join(", "))
        })?;
        Ok(true)
    }

    /// Once the cluster has recovered: whether the end check is over. Begins it if it has not.
    pub(super) fn end_checked(&mut self) -> Result<bool, Violation> {
        let Some(players) = &mut self.players else { return Ok(true) };
        let end = players.cast.end_place();
        let Some(begun) = players.end_begun else {
            players.end_begun = Some(self.now);
            self.cue(end);
            return Ok(false);
        };
        let waited = self.now - begun;
        Violation::unless(self.finished || waited <= FINISH_MAX, "actors-finish", || {
            format!("the end check did not end within {waited:?}")
        })?;
        Ok(self.finished)
    }
}

/// What the caller is told of a call that ended so.
pub(super) fn result_of(ending: Option<&Ending>) -> Result<Response, Error> {
    match ending {
        Some(Ending::Answered(answer)) => match &answer.result {
            Ok(response) => Ok(Response::from(response.clone())),
            Err(refused) => Err(Error::Refused(refused.clone())),
        },
        Some(Ending::Read(Ok(found))) => Ok(match found.clone() {
            Found::Range(range) => Response::Range(range),
            Found::Txn(txn) => Response::Txn(txn),
            Found::Hash(hash) => Response::Hash(hash),
            Found::LeaseTimeToLive(found) => Response::LeaseTimeToLive(found),
            Found::Leases(leases) => Response::Leases(leases),
            Found::Alarms(alarms) => Response::Alarm(alarms),
            Found::Watch(batch) => {
                let header = ResponseHeader::at(batch.revision);
                Response::Watch(WatchAnswer { header, batch })
            }
            Found::Swept => Response::Done,
        }),
        Some(Ending::Read(Err(refused)) | Ending::Refused(refused)) => {
            Err(Error::Refused(refused.clone()))
        }
        // Other causes were told before: this was the end of the member's life.
        Some(Ending::Failed | Ending::Unknown) | None => Err(Error::Stopped(StopCause::Closed)),
    }
}

pub(super) fn call_of(request: Request) -> Call {
    match request {
        Request::Write(command) => Call::Write(prost::Message::encode_to_vec(&command).into()),
        Request::Range(read) => Call::Range(read),
        Request::ReadTxn(txn) => Call::ReadTxn(txn),
        Request::Hash(revision) => Call::Hash(revision),
        Request::LeaseTimeToLive(request) => Call::LeaseTimeToLive(request),
        Request::Leases => Call::Leases,
        Request::Alarms => Call::Alarms,
        Request::Watch(query) => Call::Watch(query),
        Request::WatchNow(query) => Call::WatchNow(query),
        Request::Swept(revision) => Call::Swept(revision),
    }
}

/// The place of the setup among the parts.
const SETUP: usize = 0;

/// The id of every simulated cluster.
const CLUSTER: ClusterId = ClusterId::new(0x5155_4f52_4154_4531);

/// Time passes even for actors that do not wait.
const SHORTEST_WAIT: Duration = Duration::from_nanos(1);

/// About what an operating system takes to wake a thread.
const TURN_DELAY_MAX: Duration = Duration::from_micros(50);

/// How long actors may go on once everything is healed: many request timeouts.
const FINISH_MAX: Duration = Duration::from_secs(120);
