//! An election: who of many does something, and what it tells the others.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use quorate_kv_api::{Compare, KeyValue, SortOrder, SortTarget};

use super::RecipeError;
use super::place::{Place, within};
use super::session::Session;
use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::Range;
use crate::watch::{Watch, WatchResponse, Watcher};

/// An election by name. The session whose key is the oldest leads; the others wait in the order in
/// which they came. Its keys are those of etcd's clients: the name, a slash, and the lease in
/// hexadecimal digits; the value is what the leader proclaims.
///
/// ```
/// use quorate::recipes::{Election, Session};
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let session = Session::open(&node, 5).wait()?;
/// let election = Election::new("scheduler");
/// let leads = election.campaign(&session, "host-a").wait()?;
/// let leader = election.leader(&node).wait()?.expect("somebody leads");
/// assert_eq!(&leader.value[..], b"host-a");
/// leads.resign().wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Election {
    name: String,
}

impl Election {
    /// An election of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Stands as a candidate and waits until elected, as long as it takes.
    ///
    /// Fails with [`RecipeError::SessionLost`], with [`RecipeError::AlreadyHeld`] if the same
    /// session leads or stands already, or as its requests do; it is no candidate then.
    pub fn campaign(&self, session: &Session, value: impl Into<Bytes>) -> Pending<Candidacy> {
        let (election, session, value) = (self.clone(), session.clone(), value.into());
        Pending::steps(session.client().seam(), async move {
            let place = Place::take_only(&session, &election.prefix(), value).await?;
            place.wait_turn(&election.prefix(), 1).await?;
            Ok(Candidacy { election, place })
        })
    }

    /// Stands as a candidate, at most so long; then `None`.
    pub fn campaign_timeout(
        &self,
        session: &Session,
        value: impl Into<Bytes>,
        timeout: Duration,
    ) -> Pending<Option<Candidacy>> {
        within(session.client(), timeout, self.campaign(session, value))
    }

    /// The key of who leads now, with what it proclaims; `None` if nobody does.
    pub fn leader(&self, client: &Client) -> Pending<Option<KeyValue>> {
        client.range(self.oldest()).then(|found| Ok(found.kvs.into_iter().next()))
    }

    /// Tells who leads and what it proclaims, now and at every change, until dropped.
    pub fn observe(&self, client: &Client) -> Observer {
        Observer::new(client, self)
    }

    fn prefix(&self) -> String {
        format!("{}/", self.name)
    }

    fn oldest(&self) -> Range {
        Range::prefix(self.prefix()).sort(SortTarget::Create, SortOrder::Ascend).limit(1)
    }
}

/// An election won. Dropping it resigns, without waiting for that.
#[must_use = "who drops this resigns"]
pub struct Candidacy {
    election: Election,
    place: Place,
}

impl Candidacy {
    /// The fencing token: every later leader has a greater one.
    pub fn token(&self) -> i64 {
        self.place.revision()
    }

    /// The key that stands for the leader.
    pub fn key(&self) -> &str {
        self.place.key()
    }

    /// A condition for a transaction: that this still leads.
    pub fn held(&self) -> Compare {
        self.place.held()
    }

    /// Whether leadership may be lost with the session; see [`Session::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.place.session().is_lost()
    }

    /// Something to wait for that comes when leadership is lost with the session.
    pub fn lost(&self) -> Pending<()> {
        self.place.session().lost()
    }

    /// Tells those who observe something new. Fails with [`RecipeError::NotLeader`] if somebody
    /// else leads by now.
    pub fn proclaim(&self, value: impl Into<Bytes>) -> Pending<()> {
        let name = self.election.name.clone();
        self.place.set(value.into()).then(move |was_held| {
            if was_held { Ok(()) } else { Err(RecipeError::NotLeader { name }.into()) }
        })
    }

    /// Gives leadership up and waits until that is done.
    pub fn resign(self) -> Pending<()> {
        self.place.give_up()
    }
}

impl std::fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidacy({}, {})", self.key(), self.token())
    }
}

/// Tells who leads and what it proclaims: a blocking iterator and a [`Stream`] of keys. Changes
/// that follow each other closely may be told as one when a new leader is looked for; what one
/// leader proclaims is told in full. It ends with its first error.
pub struct Observer {
    client: Client,
    election: Election,
    state: State,
    /// What is known and was not told yet.
    untold: VecDeque<KeyValue>,
}

/// The oldest key, if there is one, and the revision at which it was.
type Oldest = (Option<KeyValue>, i64);

enum State {
    /// Asks for the oldest key.
    Looking(Pending<Oldest>),
    /// Nobody leads: waits for any candidate.
    Waiting(Watcher),
    /// Follows the key of a leader.
    Following(Watcher),
    /// There was an error.
    Ended,
}

impl Observer {
    fn new(client: &Client, election: &Election) -> Self {
        let state = State::Looking(oldest(client, election));
        let (client, election) = (client.clone(), election.clone());
        Self { client, election, state, untold: VecDeque::new() }
    }

    /// Goes on until something is to be told.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<KeyValue, Error>>> {
        loop {
            if let Some(leader) = self.untold.pop_front() {
                return Poll::Ready(Some(Ok(leader)));
            }
            let next = match &mut self.state {
                State::Looking(pending) => {
                    let found = ready!(pending.poll_result(context));
                    found.and_then(|(leader, revision)| self.follow(leader, revision))
                }
                State::Waiting(watcher) => {
                    let response = ready!(Pin::new(watcher).poll_next(context));
                    response.map_or(Ok(State::Ended), |response| {
                        response.map(|_| State::Looking(oldest(&self.client, &self.election)))
                    })
                }
                State::Following(watcher) => match ready!(Pin::new(watcher).poll_next(context)) {
                    Some(Ok(response)) => {
                        if !self.take(response) {
                            continue;
                        }
                        Ok(State::Looking(oldest(&self.client, &self.election)))
                    }
                    Some(Err(error)) => Err(error),
                    None => Ok(State::Ended),
                },
                State::Ended => return Poll::Ready(None),
            };
            match next {
                Ok(state) => self.state = state,
                Err(error) => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Follows a leader, or waits for one.
    fn follow(&mut self, leader: Option<KeyValue>, revision: i64) -> Result<State, Error> {
        let Some(leader) = leader else {
            let watch = Watch::prefix(self.election.prefix()).without_deletes();
            // A watch from a known revision is there at once.
            let watcher = self.client.watch(watch.from_revision(revision + 1)).wait()?;
            return Ok(State::Waiting(watcher));
        };
        let watch = Watch::key(leader.key.clone()).from_revision(revision + 1);
        self.untold.push_back(leader);
        Ok(State::Following(self.client.watch(watch).wait()?))
    }

    /// Takes what a leader proclaimed; whether it leads no more.
    fn take(&mut self, response: WatchResponse) -> bool {
        for event in response.events {
            if event.is_delete() {
                return true;
            }
            self.untold.extend(event.kv);
        }
        false
    }
}

fn oldest(client: &Client, election: &Election) -> Pending<Oldest> {
    client.range(election.oldest()).then(|found| {
        let revision = found.header.unwrap_or_default().revision;
        Ok((found.kvs.into_iter().next(), revision))
    })
}

impl Iterator for Observer {
    type Item = Result<KeyValue, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let seam = self.client.seam();
        let mut told = None;
        seam.block_on(None, &mut |context| self.poll(context).map(|next| told = next));
        told
    }
}

impl Stream for Observer {
    type Item = Result<KeyValue, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}
