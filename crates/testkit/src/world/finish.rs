//! The end of a run: faults end, first for a majority and then for all, and both must recover.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{Command, PutRequest, RangeRequest};
use quorate_types::Instant;

use super::World;
use crate::checkers::history::{self, Call, Ending, Record};
use crate::checkers::watch;
use crate::counts::FaultKind;
use crate::member::Ticket;
use crate::network::SLOW_MAX;
use crate::plan::{CutMode, Work};
use crate::queue::Event;
use crate::rng::{MILLION, Purpose, Stream};
use crate::violation::Violation;

/// How far the cluster has come since faults ended.
pub(super) struct Recovery {
    /// The members that must recover in this phase.
    who: Vec<usize>,
    /// Whether that is everybody.
    pub(super) complete: bool,
    /// The members that stay down meanwhile.
    down: Vec<usize>,
    /// When this phase began, or, at its end, when the last actor was done.
    pub(super) since: Instant,
    /// When a leader was elected.
    elected: Option<Instant>,
    /// What each of `who` has shown.
    proofs: Vec<Proof>,
}

/// Writes and linearizable reads of a member's clients, in turn.
#[derive(Clone, Debug, Default)]
struct Proof {
    done: usize,
    open: Vec<Ticket>,
}

/// What becomes of a member that is not among those that must recover first.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// It is down, if need be from now on.
    Down,
    /// It stands still.
    Paused,
    /// It hears nobody and nobody hears it.
    CutOff,
    /// It hears nobody, but the others hear it.
    Deaf,
}

impl World<'_> {
    /// Ends the faults of a majority, drawn by the seed; the others stay away. It must recover
    /// without them, whatever state the faults left it in.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        let count = self.members.len();
        let mut noise = Stream::new(self.plan.seed, Purpose::Recovery, 0, 0);
        let mut order: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            order.swap(place, noise.place(place + 1));
        }
        let others = order.split_off(count / 2 + 1);
        self.work = Work::quick();
        self.lasting.clear();
        self.recovery = Some(Recovery::of(order.clone(), false, self.now));
        for place in others {
            let away = match noise.below(4) {
                _ if self.members[place].running.is_none() => Away::Down,
                0 => Away::Down,
                1 => Away::Paused,
                2 => Away::CutOff,
                _ => Away::Deaf,
            };
            self.counts.note(FaultKind::Outsider);
            self.trace.line(self.now, || format!("member {} is away: {away:?}", place + 1));
            self.put_away(place, away);
        }
        self.recover(&order)?;
        self.queue.push(self.now + STEP, Event::Progress);
        Ok(())
    }

    fn put_away(&mut self, place: usize, away: Away) {
        match away {
            Away::Down => {
                self.crash(place, Duration::ZERO, FaultKind::Crash);
                if let Some(recovery) = &mut self.recovery {
                    recovery.down.push(place);
                }
            }
            Away::Paused => self.members[place].paused_until = Instant::MAX,
            Away::CutOff | Away::Deaf => {}
        }
        self.recorder.away(self.now, place, matches!(away, Away::Paused));
        self.queue.lose_messages(place);
        for other in (0..self.members.len()).filter(|other| *other != place) {
            self.links.heal(place, other);
            self.links.cut(other, place, CutMode::Drop);
            if !matches!(away, Away::Deaf) {
                self.links.cut(place, other, CutMode::Drop);
            }
        }
    }

    /// Ends the faults of these members, and of the links between them.
    fn recover(&mut self, who: &[usize]) -> Result<(), Violation> {
        self.trace.line(self.now, || format!("members {who:?} are healed"));
        self.recorder.healed(self.now);
        for from in who {
            who.iter().for_each(|to| self.links.heal(*from, *to));
        }
        for place in who {
            self.members[*place].heal(self.now);
            self.resume(*place);
            if self.members[*place].running.is_none() {
                self.start(*place)?;
            }
        }
        Ok(())
    }

    /// Whether a member must not be opened yet.
    pub(super) fn stays_down(&self, place: usize) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.down.contains(&place))
    }

    /// Looks how far the recovery is. Goes on to the next phase, or ends the run.
    pub(super) fn progress(&mut self) -> Result<(), Violation> {
        self.queue.push(self.now + STEP, Event::Progress);
        if self.actors_play()? {
            return Ok(());
        }
        let Some(mut recovery) = self.recovery.take() else { return Ok(()) };
        for proof in &mut recovery.proofs {
            self.advance(proof);
        }
        if recovery.elected.is_none() && self.leads_among(&recovery.who) {
            recovery.elected = Some(self.now);
            if !recovery.complete {
                let waited = millis(self.now - recovery.since);
                self.counts.elect_ms_max = self.counts.elect_ms_max.max(waited);
            }
        }
        let (recovered, result) = (self.recovered(&recovery), self.check_time(&recovery));
        if recovered {
            if recovery.complete && !self.watchers_caught_up()? {
                self.recovery = Some(recovery);
                return Ok(());
            }
            return self.next_phase(recovery);
        }
        self.recovery = Some(recovery);
        result?;
        self.ask_all()
    }

    fn next_phase(&mut self, recovery: Recovery) -> Result<(), Violation> {
        if recovery.complete {
            let took = millis(self.now - recovery.since);
            self.recovery = Some(recovery);
            self.finished = self.end_checked()?;
            if self.finished {
                self.counts.converge_ms_max = self.counts.converge_ms_max.max(took);
            }
            return Ok(());
        }
        let took = millis(self.now - recovery.elected.unwrap_or(recovery.since));
        self.counts.serve_ms_max = self.counts.serve_ms_max.max(took);
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.recovery = Some(Recovery::of(all.clone(), true, self.now));
        self.recover(&all)
    }

    /// Counts the calls that were answered; the others are made again.
    fn advance(&self, proof: &mut Proof) {
        proof.open.retain(|ticket| {
            let ending = self.history[*ticket].ended.as_ref().map(|(_, ending)| ending);
            proof.done +=
                usize::from(matches!(ending, Some(Ending::Answered(_) | Ending::Read(_))));
            ending.is_none()
        });
    }

    /// Whether the newest term of these members has a leader among them.
    fn leads_among(&self, who: &[usize]) -> bool {
        let newest = who.iter().max_by_key(|place| {
            let last = &self.members[**place].last;
            (last.term, last.leads)
        });
        newest.is_some_and(|place| {
            self.members[*place].running.is_some() && self.members[*place].last.leads
        })
    }

    fn ask_all(&mut self) -> Result<(), Violation> {
        let Some(mut recovery) = self.recovery.take() else { return Ok(()) };
        let wanted = recovery.wanted();
        self.clear_alarms(&recovery.who)?;
        let Recovery { who, proofs, .. } = &mut recovery;
        for (place, proof) in who.iter().zip(proofs) {
            while proof.open.len() < CALLS_AT_ONCE && proof.done + proof.open.len() < wanted {
                let read = (proof.done + proof.open.len()) % 2 == 1 || self.players.is_some();
                let call = if read { Call::Range(every_key().into()) } else { proof_write(*place) };
                proof.open.push(self.call_of_actor(*place, call, PROOF_TIMEOUT)?);
            }
        }
        self.recovery = Some(recovery);
        Ok(())
    }

    /// Whether those who must recover did what was asked and applied everything, and, once they are
    /// all, whether nobody waits for an answer.
    fn recovered(&self, recovery: &Recovery) -> bool {
        let commit = self.consensus.commit();
        let mut recent = self.history.iter().rev().take(RECENT_CALLS);
        recovery.proofs.iter().all(|proof| proof.done >= recovery.wanted())
            && recovery.who.iter().all(|place| self.members[*place].last.applied == commit)
            && (!recovery.complete || (self.chores_left().is_none() && recent.all(has_ended)))
    }

    /// Each part of a recovery has its time.
    fn check_time(&self, recovery: &Recovery) -> Result<(), Violation> {
        let waited = self.now - recovery.since;
        let (checker, limit) = match recovery.elected {
            _ if recovery.complete => ("liveness-converge", CONVERGE_MAX),
            None => ("liveness-elect", self.elect_max()),
            Some(_) => ("liveness-serve", self.elect_max() + SERVE_MAX),
        };
        Violation::unless(waited <= limit, checker, || {
            format!("not within {limit:?}: {}", self.describe_stall(recovery))
        })
    }

    /// The time to elect a leader, by the slowest of all clocks: one who is away may lead at first.
    fn elect_max(&self) -> Duration {
        let rate = self.members.iter().map(|member| member.clock.nanos_per_milli).min();
        let rate = rate.unwrap_or(MILLION).clamp(1, MILLION);
        let timeout = self.plan.limits.election_timeout * ELECTION_TIMEOUTS;
        let nanos = timeout.as_nanos() * u128::from(MILLION) / u128::from(rate);
        UNDER_WAY_MAX + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn describe_stall(&self, recovery: &Recovery) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|member| {
                let probe = member.running.as_ref().map(|running| running.core.probe());
                format!("{:?} {probe:?}", member.id)
            })
            .collect();
        let Recovery { who, proofs, .. } = recovery;
        let commit = self.consensus.commit();
        let open = self.history.iter().filter(|call| call.ended.is_none()).count();
        let left = self.chores_left();
        let calls = format!("{open} calls open, {left:?}, {proofs:?}");
        format!("{who:?}, commit {commit}, {calls}, members {members:#?}")
    }

    /// Checks what can only be checked at the end.
    pub(super) fn check_end(&mut self) -> Result<(), Violation> {
        let mut rows = BTreeMap::new();
        for place in 0..self.members.len() {
            let Some(running) = self.members[place].running.take() else { continue };
            self.count_core(&running);
            self.compare_state(place, &running.machine)?;
            self.check_rows(place, &running.machine, &mut rows)?;
            let reader = running.machine.kv.store().reader();
            let found = reader.range(&every_key()).map_err(|error| {
                Violation::new("state-readable", format!("member {}: {error}", place + 1))
            })?;
            let model = self.applied.model();
            let same = found.kvs.iter().eq(model.keys()) && reader.revision() == model.revision();
            Violation::unless(same, "state-model", || {
                format!("member {} ends at {} with {:?}", place + 1, reader.revision(), found.kvs)
            })?;
            let hash = reader.hash(0).map_err(|error| {
                Violation::new("state-readable", format!("member {}: {error}", place + 1))
            })?;
            let expected = model.hash(0, model.revision(), model.compact_revision());
            Violation::unless(expected.as_ref() == Ok(&hash), "state-model", || {
                format!("member {} ends with {hash:?}, expected {expected:?}", place + 1)
            })?;
        }
        history::check(&self.history, &self.applied)?;
        watch::check(&self.history, &self.watchers.chains(), &self.applied)
    }
}

impl Recovery {
    fn of(who: Vec<usize>, complete: bool, since: Instant) -> Self {
        let proofs = vec![Proof::default(); who.len()];
        Self { who, complete, down: Vec::new(), since, elected: None, proofs }
    }

    /// How many calls of each member must be answered.
    fn wanted(&self) -> usize {
        if self.complete { CALLS_OF_ALL } else { CALLS_OF_MAJORITY }
    }
}

/// Whether nobody waits for the answer, but for those who wait for events.
fn has_ended(record: &Record) -> bool {
    record.ended.is_some() || matches!(record.call, Call::Watch(_))
}

fn every_key() -> RangeRequest {
    let zero = Bytes::from_static(&[0]);
    RangeRequest { range_end: zero.clone(), ..RangeRequest::key(zero) }
}

/// A write that shows that a member serves. Runs with users' own keys have none of these.
fn proof_write(place: usize) -> Call {
    let put = Command::from(PutRequest::new(format!("proof/{place}"), "given"));
    Call::Write(put.encode_to_vec().into())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How often the recovery is looked at.
const STEP: Duration = Duration::from_millis(20);

/// How many calls of each member a majority must answer that recovers alone: enough that none is
/// luck, and that tiny limits let the log be purged once.
const CALLS_OF_MAJORITY: usize = 20;

/// How many calls of each member must be answered at the end: a write and a read.
const CALLS_OF_ALL: usize = 2;

/// How many of them are made at once: as many as wait at most under the tiniest limits.
const CALLS_AT_ONCE: usize = 4;

/// Election timeouts until there is a leader. Up to two pass until somebody notices that there is
/// none, up to two more until votes that were split are asked for again.
const ELECTION_TIMEOUTS: u32 = 5;

/// How long it takes at most until all is over that was under way when the faults ended: work of
/// the slow threads of a slow member, and messages, among them late ones of a leader's earlier
/// life, which keep followers from asking for votes.
const UNDER_WAY_MAX: Duration = SLOW_MAX.saturating_add(Duration::from_millis(500));

/// How long it takes at most until clients are served and everybody caught up. Longer than two
/// timeouts of a call, because some get no answer: one that a snapshot brought to its own member,
/// applied already.
const SERVE_MAX: Duration = Duration::from_secs(15);

/// How long the recovery of all may take: many election timeouts.
const CONVERGE_MAX: Duration = Duration::from_secs(30);

/// How long each of the calls waits.
const PROOF_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls that may still be open when faults end; older ones were answered by their deadlines.
const RECENT_CALLS: usize = 4_096;
