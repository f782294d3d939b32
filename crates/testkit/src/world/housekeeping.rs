//! What members do on their own, and whether leases end when they should.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use quorate::{Housekeeper, HousekeeperConfig};
use quorate_kv_api::{AlarmAction, AlarmRequest, Command, CommandKind, LeaseExpireRequest, Limits};
use quorate_mvcc::Store;
use quorate_raft_node::StateMachine;
use quorate_raft_node::driver::Leadership;
use quorate_types::{Instant, LogIndex, Term};

use super::World;
use super::process::explain;
use crate::checkers::history::Call;
use crate::machine::Machine;
use crate::member::Ticket;
use crate::queue::Event;
use crate::rng::{MILLION, Purpose, Stream, nanos};
use crate::state;
use crate::violation::Violation;

/// The housekeeping of one life of a member.
pub(crate) struct Chores {
    keeper: Housekeeper,
    /// The term of the last step, when the first step in it was, and what was applied then.
    term: Option<(Term, Instant, LogIndex)>,
}

impl Chores {
    pub(super) fn new(store: &Store, config: HousekeeperConfig) -> Self {
        Self { keeper: Housekeeper::new(store, config), term: None }
    }
}

/// What is known of time in the log, and what the recovery does for it.
#[derive(Debug, Default)]
pub(super) struct LeaseTimes {
    /// When each entry was applied first by anybody, from index 1.
    applied_at: Vec<Instant>,
    /// Calls of the recovery that clear alarms.
    clearing: Vec<Ticket>,
    /// Counts the steps of housekeeping; noise.
    steps: BTreeMap<usize, u64>,
}

impl World<'_> {
    /// What a new life of a member is told of housekeeping.
    pub(super) fn housekeeping(&self, place: usize) -> HousekeeperConfig {
        let mut plan = self.plan.housekeeping.clone();
        if self.players.is_some() {
            plan.retention = Duration::ZERO;
        }
        plan.config(self.members[place].id, self.plan.limits.election_timeout)
    }

    /// A member begins its housekeeping.
    pub(super) fn begin_chores(&mut self, place: usize) {
        self.next_chores(place, self.now);
    }

    /// Lets the next step come at a time or a little later, as threads do.
    fn next_chores(&mut self, place: usize, at: Instant) {
        let counter = self.lease_times.steps.entry(place).or_default();
        *counter += 1;
        let mut noise = Stream::new(self.plan.seed, Purpose::Chores, place as u64, *counter);
        let late = match noise.below(8) {
            0 => noise.duration(STEP_MIN, LATE_MAX),
            _ => noise.duration(STEP_MIN, STEP_MIN * 4),
        };
        let member = &self.members[place];
        let event = Event::Chores { member: place, life: member.life };
        self.queue.push(at.max(self.now) + member.slowed(late), event);
    }

    /// A member does what is due on its own.
    pub(super) fn chores(&mut self, place: usize) -> Result<(), Violation> {
        let member = &mut self.members[place];
        let local = member.local_time(self.now);
        let Some(running) = &mut member.running else { return Ok(()) };
        let leadership = Leadership { term: running.core.term(), leads: running.core.leads() };
        let chores = &mut running.chores;
        if chores.term.is_none_or(|(term, ..)| term != leadership.term) {
            let applied = running.machine.kv.applied().index;
            chores.term = Some((leadership.term, self.now, applied));
        }
        let term = chores.term;
        let left = match chores.keeper.step(local, leadership) {
            Ok(left) => left,
            Err(error) => return self.storage_failed(place, &explain(&error)),
        };
        let next = member.true_time(left.next);
        self.next_chores(place, next);
        for command in left.commands {
            if let (Some(CommandKind::LeaseExpire(expire)), Some((_, since, applied))) =
                (&command.kind, term)
            {
                self.check_not_early(place, expire, since, applied)?;
            }
            let call = Call::Write(command.encode_to_vec().into());
            self.call(place, call, Limits::default(), CHORE_TIMEOUT)?;
        }
        Ok(())
    }

    /// The log was applied further; some of it by nobody before.
    pub(super) fn note_applied(&mut self) {
        let last = usize::try_from(self.applied.last()).unwrap_or(usize::MAX);
        self.lease_times.applied_at.resize(last, self.now);
    }

    /// A leader finds the time of a lease over. It must have passed, even by the fastest of all
    /// clocks, since the lease was granted or renewed; and once more after a change of leadership,
    /// in which nobody could renew it, with an election timeout.
    fn check_not_early(
        &self,
        place: usize,
        expire: &LeaseExpireRequest,
        since: Instant,
        applied: LogIndex,
    ) -> Result<(), Violation> {
        let LeaseExpireRequest { id, renewed_at } = *expire;
        let early = |detail: String| {
            let leader = place + 1;
            let text = format!("leader {leader} ends lease {id} of entry {renewed_at}: {detail}");
            Err(Violation::new("lease-early", text))
        };
        let entry = usize::try_from(renewed_at).ok().and_then(|index| index.checked_sub(1));
        let begun = entry.and_then(|place| self.lease_times.applied_at.get(place));
        let renewal = self.applied.model().renewal(id, renewed_at);
        let (Some(begun), Some(renewal)) = (begun, renewal) else {
            return early("that entry is about another one".to_owned());
        };
        let seconds = |count: i64| Duration::from_secs(u64::try_from(count).unwrap_or(0));
        let least = *begun + self.shortest(seconds(renewal.granted));
        if self.now < least {
            return early(format!("it has {} s from {begun:?} on", renewal.granted));
        }
        // What was applied later was counted later, as any renewal.
        let extended = seconds(renewal.left) + self.plan.limits.election_timeout;
        if renewed_at <= applied.get() && self.now < since + self.shortest(extended) {
            return early(format!("since {since:?} there was a new term, it has {extended:?}"));
        }
        Ok(())
    }

    /// How long a time takes that is counted by the fastest clock.
    fn shortest(&self, counted: Duration) -> Duration {
        let rates = self.plan.clocks.iter().map(|clock| clock.nanos_per_milli);
        let rate = u128::from(rates.max().unwrap_or(MILLION).max(1));
        let truly = u128::from(nanos(counted)) * u128::from(MILLION) / rate;
        Duration::from_nanos(u64::try_from(truly).unwrap_or(u64::MAX))
    }

    // The recovery.

    /// Clears the alarms that faults left raised: under them nothing else can be shown.
    pub(super) fn clear_alarms(&mut self, who: &[usize]) -> Result<(), Violation> {
        if self.players.is_some() {
            return Ok(());
        }
        let Self { lease_times, history, .. } = self;
        lease_times.clearing.retain(|ticket| history[*ticket].ended.is_none());
        if !lease_times.clearing.is_empty() {
            return Ok(());
        }
        let raised = self.applied.model().alarms().to_vec();
        for (alarm, place) in raised.into_iter().zip(who.iter().cycle()) {
            let request = AlarmRequest {
                action: AlarmAction::Deactivate.into(),
                member_id: alarm.member_id,
                alarm: alarm.alarm,
            };
            let call = Call::Write(Command::from(request).encode_to_vec().into());
            let ticket = self.call(*place, call, Limits::default(), CHORE_TIMEOUT)?;
            self.lease_times.clearing.push(ticket);
        }
        Ok(())
    }

    /// What is still to be done by housekeeping once everybody is healed; nothing if all is done.
    /// Alarms are cleared, leases that nobody renews have ended, sweeps are through.
    pub(super) fn chores_left(&self) -> Option<String> {
        let model = self.applied.model();
        if self.players.is_none() {
            if !model.alarms().is_empty() {
                return Some(format!("{:?} are raised", model.alarms()));
            }
            let short = model.lease_times().filter(|ttl| *ttl <= TTL_AWAITED).count();
            if short > 0 {
                return Some(format!("{short} leases have not ended"));
            }
        }
        let store = |member: &crate::member::Member| {
            let store = member.running.as_ref()?.machine.kv.store();
            Some((store.sweeper().swept(), store.reader().compact_revision()))
        };
        let behind = self.members.iter().filter_map(store).find(|(swept, target)| swept < target);
        behind.map(|(swept, target)| format!("a sweep is at {swept}, not at {target}"))
    }

    /// At the end members hold the same rows, byte for byte, and of the history exactly what the
    /// model leaves after the last compaction; `known` has the hashes by log index.
    pub(super) fn check_rows(
        &self,
        place: usize,
        machine: &Machine,
        known: &mut BTreeMap<u64, u64>,
    ) -> Result<(), Violation> {
        let store = machine.kv.store();
        if store.sweeper().swept() < store.reader().compact_revision() {
            return Ok(());
        }
        let failed = |error: quorate_storage::StorageError| {
            Violation::new("state-readable", format!("member {}: {error}", place + 1))
        };
        let index = machine.kv.applied().index.get();
        let hash = state::full_hash(&**store.engine()).map_err(failed)?;
        let same = *known.entry(index).or_insert(hash) == hash;
        Violation::unless(same, "state-agreement", || {
            format!("member {} ends with other rows than others at index {index}", place + 1)
        })?;
        let changes = state::changes(&**store.engine()).map_err(failed)?;
        let expected = self.applied.model().left_by_sweeps();
        Violation::unless(index != self.applied.last() || changes == expected, "swept", || {
            let compacted = self.applied.model().compact_revision();
            format!(
                "member {}, compacted at {compacted}, keeps the changes {changes:?}, and should \
                 keep {expected:?}",
                place + 1
            )
        })
    }
}

/// Time passes between two steps of housekeeping.
const STEP_MIN: Duration = Duration::from_micros(50);

/// How late a step of housekeeping is at most on a member that is not slow.
const LATE_MAX: Duration = Duration::from_millis(200);

/// As in a real member: what is not applied by then is given up.
const CHORE_TIMEOUT: Duration = Duration::from_secs(3);

/// The recovery waits for the end of leases that live for at most so many seconds.
const TTL_AWAITED: i64 = 5;
