//! What a member does on its own beside serving: it ends leases, compacts, removes what was
//! compacted, and carries out the tasks of its handles.

use std::time::Duration;

use prost::Message as _;
use quorate_kv_api::{Command, CompactionRequest};
use quorate_mvcc::{Lessor, LessorTiming, Reader, Store, StoreError, Sweeper};
use quorate_raft_node::MachineError;
use quorate_raft_node::driver::{Leadership, StopCause};
use quorate_types::{Instant, MemberId};

use crate::auto_compaction::{AutoCompaction, AutoCompactor};
use crate::hash_check::Comparer;
use crate::member::Member;

/// What a member does on its own, as a function of the time: no thread, no clock. The member's
/// threads call [`Self::step`], and so does a simulator.
pub struct Housekeeper {
    reader: Reader,
    lessor: Lessor,
    sweeper: Sweeper,
    sweep_records_max: usize,
    compactor: AutoCompactor,
    /// When leases are looked at next.
    next_lease_tick: Instant,
    comparer: Comparer,
}

/// Settings of a [`Housekeeper`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HousekeeperConfig {
    /// When leases end.
    pub leases: LessorTiming,
    /// When a leader compacts.
    pub auto_compaction: AutoCompaction,
    /// How many history records are looked at in one step of a sweep.
    pub sweep_records_max: usize,
    /// The member.
    pub member: MemberId,
    /// How often a leader has the members compare their hashes; `None` for never.
    pub hash_check_interval: Option<Duration>,
}

/// What a step of a [`Housekeeper`] leaves to be done.
#[derive(Debug)]
pub struct Chores {
    /// To be proposed. Nobody waits for the answers; what is lost comes again.
    pub commands: Vec<Command>,
    /// When to call again, at the latest.
    pub next: Instant,
}

impl Housekeeper {
    /// For a member with this store.
    pub fn new(store: &Store, config: HousekeeperConfig) -> Self {
        let lessor = store.lessor();
        lessor.configure(config.leases);
        Self {
            reader: store.reader(),
            lessor,
            sweeper: store.sweeper(),
            sweep_records_max: config.sweep_records_max,
            compactor: AutoCompactor::new(config.auto_compaction),
            next_lease_tick: Instant::ZERO,
            comparer: Comparer::new(store.reader(), config.member, config.hash_check_interval),
        }
    }

    /// Does what is due.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the member must stop.
    pub fn step(&mut self, now: Instant, leadership: Leadership) -> Result<Chores, StoreError> {
        let mut commands = Vec::new();
        if now >= self.next_lease_tick {
            commands.extend(self.lessor.tick(now, leadership.term, leadership.leads));
            self.next_lease_tick = now + LEASE_TICK_INTERVAL;
        }
        let head = (self.reader.revision(), self.reader.compact_revision());
        if let Some(revision) = self.compactor.look(now, head.0, head.1)
            && leadership.leads
        {
            commands.push(CompactionRequest { revision, physical: false }.into());
        }
        let next_comparison = self.comparer.step(now, leadership.leads, &mut commands)?;
        let mut next = self.next_lease_tick.min(self.compactor.next()).min(next_comparison);
        if self.sweeper.step(self.sweep_records_max)? {
            next = next.min(now + SWEEP_PAUSE);
        }
        Ok(Chores { commands, next })
    }
}

/// The thread of a member that does all this, until the member stops.
pub(crate) fn run(member: &Member, mut housekeeper: Housekeeper) -> Result<(), StopCause> {
    let (driver, timers) = (&member.driver, &member.timers);
    while driver.stop_cause().is_none() {
        let now = driver.now();
        let chores = housekeeper
            .step(now, driver.leadership())
            .map_err(|error| StopCause::Machine(MachineError::new(error)))?;
        for command in chores.commands {
            // Nobody waits: what is lost is proposed again.
            let _abandoned = driver.propose(command.encode_to_vec().into(), CHORE_TIMEOUT);
        }
        let next = timers.run_due(now).min(chores.next);
        if timers.wait(next, next.saturating_since(driver.now())) {
            break;
        }
    }
    timers.stop();
    Ok(())
}

/// How often leases are looked at. A lease ends late by at most this, beside the time that the
/// command takes.
const LEASE_TICK_INTERVAL: Duration = Duration::from_millis(250);

/// History records that a sweep looks at in one step: less than a millisecond of
/// work on most machines. Writes wait for its batch.
pub(crate) const SWEEP_RECORDS_MAX: usize = 200;

/// The time between two steps of a sweep, which leaves the disk to others.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);

/// A command of housekeeping that is not applied by then is given up.
const CHORE_TIMEOUT: Duration = Duration::from_secs(3);
