//! A gate that opens when so many have come, and another one when all of them have gone.

use std::time::Duration;

use quorate_kv_api::{KeyValue, OpResponse, SortOrder, SortTarget};

use super::RecipeError;
use super::agreement::Agreement;
use super::changes::Changes;
use super::place::{Place, within};
use super::session::Session;
use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::request::{Range, create_revision, delete, put, range};
use crate::watch::Watch;

/// A double barrier: participants enter together and leave together. Nobody gets in before `count`
/// of them are there at the same time, and nobody gets out before all who got in want to leave.
///
/// It can be used again and again: whoever comes while a round is on takes part in a later one, and
/// with more than `count` participants those who came first make up the next round.
///
/// A participant is there as long as its session lives:
///
/// - Who dies before the round begins does not count any more; the others wait for somebody else.
/// - Who dies, or drops its [`Participation`], during the round has left. The others are not told,
///   and can leave.
/// - If all of a round die, the next round begins as if they had left.
///
/// All participants must give the same `count`; who gives another one while somebody is there is
/// refused with [`RecipeError::CountsDiffer`].
///
/// ```
/// use quorate::recipes::{DoubleBarrier, Session};
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let session = Session::open(&node, 5).wait()?;
/// let round = DoubleBarrier::new(&session, "barriers/round", 2);
/// let other = std::thread::spawn({
///     let round = round.clone();
///     move || round.enter().wait()?.leave().wait()
/// });
/// let participation = round.enter().wait()?; // Both are there.
/// participation.leave().wait()?; // Both have left.
/// other.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    session: Session,
    name: String,
    count: u32,
}

impl DoubleBarrier {
    /// A double barrier of this name. Nobody has come yet.
    pub fn new(session: &Session, name: impl Into<String>, count: u32) -> Self {
        Self { session: session.clone(), name: name.into(), count }
    }

    /// Comes, and waits until `count` participants are there, as long as it takes.
    ///
    /// Fails with [`RecipeError::SessionLost`], [`RecipeError::CountsDiffer`], with
    /// [`RecipeError::ZeroCount`] for a count of 0, or as its requests do; the caller is not there
    /// then.
    pub fn enter(&self) -> Pending<Participation> {
        let barrier = self.clone();
        Pending::steps(self.session.client().seam(), async move {
            let place = barrier.take_place().await?;
            loop {
                let seen = barrier.look().await?;
                match seen.outlook(place.revision(), barrier.count as usize) {
                    Outlook::Inside { round } => {
                        return Ok(Participation { barrier, place, round });
                    }
                    Outlook::Gone => return Err(barrier.session.lost_error()),
                    Outlook::Begin => barrier.begin(&place).await?,
                    Outlook::End { round } => barrier.end(round).await?,
                    Outlook::Wait => {
                        let watch = Watch::key(barrier.round_key());
                        barrier.wait(watch.from_revision(seen.revision + 1)).await?;
                    }
                    Outlook::WaitForDepartures => {
                        let watch = Watch::prefix(format!("{}/", barrier.name)).without_puts();
                        barrier.wait(watch.from_revision(seen.revision + 1)).await?;
                    }
                }
            }
        })
    }

    /// Comes, and waits until `count` participants are there, at most so long; then `None`.
    pub fn enter_timeout(&self, timeout: Duration) -> Pending<Option<Participation>> {
        within(self.client(), timeout, self.enter())
    }

    fn client(&self) -> &Client {
        self.session.client()
    }

    async fn take_place(&self) -> Result<Place, Error> {
        let name = self.name.clone();
        if self.count == 0 {
            return Err(RecipeError::ZeroCount { name }.into());
        }
        let agreement = Agreement::new(&self.participants(), self.count);
        let (prefix, conditions) = (agreement.prefix(), agreement.conditions());
        let place = Place::take_another(&self.session, &prefix, conditions).await?;
        place.ok_or_else(|| RecipeError::CountsDiffer { name, count: self.count }.into())
    }

    /// Who is there, and what is known about the round.
    async fn look(&self) -> Result<Seen, Error> {
        let all = Range::prefix(self.participants())
            .sort(SortTarget::Create, SortOrder::Ascend)
            .keys_only();
        let round = range(Range::key(self.round_key()));
        let txn = self.client().txn().then(range(all)).then(round).commit().await?;
        let revision = txn.header.unwrap_or_default().revision;
        let mut parts = txn.responses.into_iter().map(|part| match part.response {
            Some(OpResponse::Range(found)) => found.kvs,
            _ => Vec::new(),
        });
        let participants = parts.next().unwrap_or_default();
        let round = parts.next().unwrap_or_default().into_iter().next();
        Ok(Seen { participants, round: round.as_ref().map(Round::of), revision })
    }

    /// Lets the first `count` participants in, of whom `place` is the last.
    async fn begin(&self, place: &Place) -> Result<(), Error> {
        let is_over = create_revision(self.round_key()).equals(0);
        let last = put(self.round_key(), place.revision().to_string());
        self.client().txn().when(place.held()).when(is_over).then(last).commit().await?;
        Ok(())
    }

    /// Ends a round of which nobody is there any more.
    async fn end(&self, round: Round) -> Result<(), Error> {
        let is_same = create_revision(self.round_key()).equals(round.revision);
        self.client().txn().when(is_same).then(delete(self.round_key())).commit().await?;
        Ok(())
    }

    async fn wait(&self, watch: Watch) -> Result<(), Error> {
        Changes::during(&self.session, watch).await?.next().await?;
        Ok(())
    }

    /// Waits until nobody of a round is there, and ends it.
    async fn wait_end(&self, round: Round) -> Result<(), Error> {
        loop {
            let newest = Range::prefix(self.participants())
                .max_create_revision(round.last)
                .sort(SortTarget::Create, SortOrder::Descend)
                .limit(1)
                .keys_only();
            let found = self.client().range(newest).await?;
            let Some(newest) = found.kvs.into_iter().next() else {
                return self.end(round).await;
            };
            let from = found.header.unwrap_or_default().revision + 1;
            let watch = Watch::key(newest.key).from_revision(from).without_puts();
            Changes::of(self.client(), watch).await?.next().await?;
        }
    }

    fn participants(&self) -> String {
        format!("{}/in/", self.name)
    }

    /// Exists during a round, and tells where its last participant came.
    fn round_key(&self) -> String {
        format!("{}/round", self.name)
    }
}

/// A round that is on.
#[derive(Clone, Copy)]
struct Round {
    /// When it began.
    revision: i64,
    /// Who came up to this revision takes part in it.
    last: i64,
}

impl Round {
    /// As it stands in its key. What else may stand there is a round of nobody.
    fn of(kv: &KeyValue) -> Self {
        let text = std::str::from_utf8(&kv.value).ok();
        let last = text.and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { revision: kv.create_revision, last }
    }
}

/// The barrier at one revision.
struct Seen {
    /// In the order in which they came.
    participants: Vec<KeyValue>,
    /// `None` if there is no round.
    round: Option<Round>,
    revision: i64,
}

/// What this means for one participant.
enum Outlook {
    /// It takes part in the round.
    Inside { round: Round },
    /// It is not there any more.
    Gone,
    /// It is the last one needed, and begins the round.
    Begin,
    /// It ends a round of which nobody is left.
    End { round: Round },
    /// It waits until the round begins: somebody else begins it.
    Wait,
    /// It waits until a round ends or somebody before it leaves.
    WaitForDepartures,
}

impl Seen {
    /// For who came at `revision`.
    fn outlook(&self, revision: i64, count: usize) -> Outlook {
        let find = |kv: &KeyValue| kv.create_revision == revision;
        let Some(before) = self.participants.iter().position(find) else {
            return Outlook::Gone;
        };
        match self.round {
            Some(round) if revision <= round.last => return Outlook::Inside { round },
            Some(round) if self.participants[0].create_revision > round.last => {
                return Outlook::End { round };
            }
            Some(_) => return Outlook::WaitForDepartures,
            None => {}
        }
        match (before + 1).cmp(&count) {
            std::cmp::Ordering::Less => Outlook::Wait,
            std::cmp::Ordering::Equal => Outlook::Begin,
            std::cmp::Ordering::Greater => Outlook::WaitForDepartures,
        }
    }
}

/// A part in a round of a [`DoubleBarrier`]. Dropping it leaves, without waiting for the others.
#[must_use = "who drops this leaves"]
pub struct Participation {
    barrier: DoubleBarrier,
    place: Place,
    round: Round,
}

impl Participation {
    /// A number that is equal for all participants of the round and greater in every later round.
    pub fn round(&self) -> i64 {
        self.round.revision
    }

    /// Whether this may have ended with the session; see [`Session::is_lost`].
    pub fn is_lost(&self) -> bool {
        self.barrier.session.is_lost()
    }

    /// Something to wait for that comes when this has ended with the session.
    pub fn lost(&self) -> Pending<()> {
        self.barrier.session.lost()
    }

    /// Leaves, and waits until all participants of the round have left, as long as it takes. If it
    /// fails, or is dropped half-way, the caller has left nevertheless.
    pub fn leave(self) -> Pending<()> {
        let Self { barrier, place, round } = self;
        Pending::steps(barrier.client().seam(), async move {
            place.give_up().await?;
            barrier.wait_end(round).await
        })
    }
}

impl std::fmt::Debug for Participation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Participation({}, round {})", self.barrier.name, self.round())
    }
}
