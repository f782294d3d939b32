//! The event loop: members, network and disks under one virtual time.

mod actors;
mod bulk;
mod clients;
mod consensus;
mod faults;
mod finish;
mod housekeeping;
mod manual;
mod parked;
mod process;
mod storage;
mod watchers;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate_raft_node::core::Input;
use quorate_types::{Instant, MemberId};

use crate::actors::cast::Cast;
use crate::checkers::applied::AppliedLog;
use crate::checkers::consensus::{Consensus, Holdings, hash_bytes};
use crate::checkers::history::Record;
use crate::checkers::invariants::{ReadFloors, Revisions};
use crate::counts::{Counts, FaultKind};
use crate::member::{Member, Running, Ticket};
#[cfg(feature = "mutants")]
use crate::mutants::run_as;
use crate::network::Links;
use crate::plan::{ClockRate, Plan, Step, Work};
use crate::queue::{Event, Queue};
use crate::rng::{MILLION, Purpose, Stream};
use crate::sabotage::Sabotage;
use crate::timeline::Recorder;
use crate::trace::Trace;
use crate::violation::Violation;

use self::actors::Players;
use self::bulk::Transfer;
use self::faults::{Lasting, kind_of_step};
use self::finish::Recovery;
pub(crate) use self::housekeeping::Chores;
use self::housekeeping::LeaseTimes;
use self::parked::Parked;
use self::watchers::Watchers;

/// A run in progress.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    sabotage: Option<Sabotage>,
    /// How long work takes: as planned, and short once everything is healed.
    work: Work,
    now: Instant,
    queue: Queue,
    members: Vec<Member>,
    /// What each member truly holds.
    holdings: Vec<Holdings>,
    links: Links,
    transfers: BTreeMap<u64, Transfer>,
    transfers_begun: u64,
    consensus: Consensus,
    applied: AppliedLog,
    revisions: Revisions,
    read_floors: ReadFloors,
    history: Vec<Record>,
    /// What each fault that lasts has to take back at its end.
    lasting: BTreeMap<usize, Lasting>,
    /// A member that loses its power as soon as the present event is over.
    crash_now: Option<(usize, Duration, FaultKind)>,
    recovery: Option<Recovery>,
    players: Option<Players>,
    parked: Parked,
    watchers: Watchers,
    lease_times: LeaseTimes,
    finished: bool,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    pub(crate) recorder: Recorder,
}

impl<'a> World<'a> {
    /// A cluster that has not begun.
    pub(crate) fn new(plan: &'a Plan, sabotage: Option<Sabotage>, lines_max: usize) -> Self {
        let member = |(id, clock): (u64, &ClockRate)| Member::new(MemberId::new(id), *clock);
        Self {
            plan,
            sabotage,
            work: plan.work.clone(),
            now: Instant::ZERO,
            queue: Queue::new(plan.seed),
            members: (1..).zip(&plan.clocks).map(member).collect(),
            holdings: vec![Holdings::default(); plan.members],
            links: Links::new(plan.members),
            transfers: BTreeMap::new(),
            transfers_begun: 0,
            consensus: Consensus::default(),
            applied: AppliedLog::new(),
            revisions: Revisions::default(),
            read_floors: ReadFloors::default(),
            history: Vec::with_capacity(plan.operations.len()),
            lasting: BTreeMap::new(),
            crash_now: None,
            recovery: None,
            players: None,
            parked: Parked::default(),
            watchers: Watchers::new(plan),
            lease_times: LeaseTimes::default(),
            finished: false,
            counts: Counts::default(),
            trace: Trace::new(lines_max),
            recorder: Recorder::default(),
        }
    }

    /// The same cluster with actors on it.
    pub(crate) fn with_cast(mut self, cast: Cast) -> Self {
        self.players = Some(Players::new(cast));
        self
    }

    /// The present virtual time.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Runs until the healed cluster has recovered and everything is checked.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.open_all()?;
        match &self.players {
            Some(_) => self.set_up(),
            None => self.begin(),
        }
        while !self.finished {
            if !self.step()? {
                return Err(Violation::new("liveness", "nothing is left to happen"));
            }
        }
        self.check_end()
    }

    /// Opens all members for the first time.
    pub(crate) fn open_all(&mut self) -> Result<(), Violation> {
        self.count_constants();
        (0..self.members.len()).try_for_each(|place| self.start(place))
    }

    /// Lets the next event happen; returns false if there is none.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.queue.pop() else { return Ok(false) };
        self.now = at;
        if let Some((place, _)) = event.member()
            && self.members[place].defers(&event, at)
        {
            self.members[place].deferred.push(event);
            return Ok(true);
        }
        self.note(&event);
        self.dispatch(event)?;
        self.after_event();
        Ok(true)
    }

    /// What follows from an event at once.
    fn after_event(&mut self) {
        if let Some((place, down, kind)) = self.crash_now.take() {
            self.crash(place, down, kind);
        }
        self.wake_parked();
        self.wake_actors();
    }

    /// Lets what is planned come, counted from now.
    fn begin(&mut self) {
        self.begin_plan();
        self.queue.push(self.now + self.plan.duration, Event::Heal);
    }

    /// The same without an end of faults.
    pub(crate) fn begin_plan(&mut self) {
        let since = self.now - Instant::ZERO;
        for (place, fault) in self.plan.faults.iter().enumerate() {
            self.queue.push(fault.at + since, Event::Fault(place));
        }
        for (place, operation) in self.plan.operations.iter().enumerate() {
            self.queue.push(operation.at + since, Event::Operation(place));
        }
        self.begin_watchers();
    }

    /// Counts what disturbs the members all the time.
    fn count_constants(&mut self) {
        for clock in &self.plan.clocks {
            match clock.nanos_per_milli.cmp(&MILLION) {
                Ordering::Less => self.counts.note(FaultKind::ClockSlow),
                Ordering::Greater => self.counts.note(FaultKind::ClockFast),
                Ordering::Equal => {}
            }
        }
        if self.plan.limits.log_keep_entries < TINY_KEEP_ENTRIES {
            self.counts.note(FaultKind::TinyLimits);
        }
    }

    fn note(&mut self, event: &Event) {
        let member = event.member().map_or(u64::MAX >> 32, |(place, _)| place as u64);
        self.trace.event(self.now, event.kind(), member);
        if let Event::Message { from, bytes, .. } = event {
            self.trace.fold(hash_bytes(*from as u64, bytes));
        }
        match event {
            Event::Wake { .. } | Event::Timer { .. } | Event::Chores { .. } => {}
            _ => self.trace.line(self.now, || describe(event)),
        }
    }

    fn dispatch(&mut self, event: Event) -> Result<(), Violation> {
        if let Some((place, Some(life))) = event.member()
            && (self.members[place].life != life || self.members[place].running.is_none())
        {
            return Ok(());
        }
        #[cfg(feature = "mutants")]
        run_as(event.member().map(|(place, _)| place));
        match event {
            Event::Operation(place) => self.operation(place),
            Event::Fault(place) => self.fault(place),
            Event::FaultStep { fault, step } => {
                self.fault_step(fault, step);
                Ok(())
            }
            Event::Resume(place) => {
                self.resume(place);
                Ok(())
            }
            Event::LoopCrash { member, down, .. } => {
                self.crash(member, down, FaultKind::CrashInLoop);
                Ok(())
            }
            Event::Message { from, to, bytes } => {
                self.deliver(from, to, bytes);
                Ok(())
            }
            Event::Unreachable { member, peer } => {
                let peer = self.members[peer].id;
                self.tell(member, Input::Unreachable { peer });
                Ok(())
            }
            Event::Wake { member, .. } => self.wake(member),
            Event::Timer { member, .. } => {
                self.timer(member);
                Ok(())
            }
            Event::LogDone { member, .. } => self.log_done(member),
            Event::ApplyDone { member, .. } => self.apply_done(member),
            Event::FlushDone { member, position, early, .. } => {
                self.flush_done(member, position, early)
            }
            Event::FetchDone { member, fetch, .. } => self.fetch_done(member, fetch),
            Event::BulkStep(transfer) => self.bulk_step(transfer),
            Event::BulkIdle { transfer, block } => {
                self.bulk_idle(transfer, block);
                Ok(())
            }
            Event::BulkEnd { member, to, delivered, .. } => {
                self.tell(member, Input::SnapshotSent { to, delivered });
                Ok(())
            }
            Event::Restart { member, life } => {
                let member_now = &self.members[member];
                let due = member_now.life == life && member_now.running.is_none();
                if due && !self.stays_down(member) { self.start(member) } else { Ok(()) }
            }
            Event::Heal => self.heal(),
            Event::Progress => self.progress(),
            Event::Parked { member, ticket, .. } => self.try_parked(member, ticket),
            Event::Task { member, number, .. } => self.step_task(member, number),
            Event::Watcher { watcher, step } => self.watcher_step(watcher, step),
            Event::Chores { member, .. } => self.chores(member),
            Event::Turn { actor, number, .. } => self.turn(actor, number),
        }
    }

    // Sending and receiving.

    fn send(&mut self, from: usize, to: MemberId, bytes: Bytes) {
        let Ok(to) = usize::try_from(to.get() - 1) else { return };
        self.counts.messages += 1;
        let counts = &mut self.counts;
        let fate = self.links.route(self.plan, (from, to), &bytes, self.now, counts);
        if fate.noticed {
            let at = self.now + Duration::from_millis(1);
            self.queue.push(at, Event::Unreachable { member: from, peer: to });
        }
        let delay = self.members[to].receive_delay;
        let [first, copy] = fate.arrivals;
        if let Some(at) = copy {
            let bytes = bytes.clone();
            self.queue.push(at + delay, Event::Message { from, to, bytes });
        }
        if let Some(at) = first {
            self.queue.push(at + delay, Event::Message { from, to, bytes });
        }
    }

    fn deliver(&mut self, from: usize, to: usize, bytes: Bytes) {
        let sender = self.members[from].id;
        self.tell(to, Input::Message { from: sender, message: bytes });
    }

    /// Puts an input before the consensus thread of a member, if it runs.
    fn tell(&mut self, place: usize, input: Input<Ticket, crate::effect::Answer>) {
        let Some(running) = &mut self.members[place].running else { return };
        if let Input::Read { ticket, .. } = &input {
            self.read_floors.called(*ticket, self.consensus.commit());
        }
        running.inbox.push(input);
        if !running.wake_scheduled {
            running.wake_scheduled = true;
            self.schedule_wake(place);
        }
    }

    fn schedule_wake(&mut self, place: usize) {
        let member = &mut self.members[place];
        member.noise.wakes += 1;
        let counter = member.noise.wakes;
        let mut noise = Stream::new(self.plan.seed, Purpose::Wake, place as u64, counter);
        let delay = member.slowed(noise.duration(Duration::ZERO, self.work.wake_max));
        let event = Event::Wake { member: place, life: member.life };
        self.queue.push(self.now + delay, event);
    }

    // Small helpers.

    /// Whether the member is to crash at this step; it then does when the present event is over.
    fn reached(&mut self, place: usize, step: Step) -> bool {
        let member = &mut self.members[place];
        let Some(order) = member.crash_at.iter().position(|(at, _)| *at == step) else {
            return false;
        };
        let (_, down) = member.crash_at.remove(order);
        self.crash_now = Some((place, down, kind_of_step(step)));
        true
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        let leading = |place: &usize| {
            let member = &self.members[*place];
            member.running.is_some() && member.last.leads
        };
        (0..self.members.len()).filter(leading).max_by_key(|place| self.members[*place].last.term)
    }

    fn running(&mut self, place: usize) -> Option<&mut Running> {
        self.members[place].running.as_mut()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Message { from, to, bytes } => {
            let what = crate::peek::peek(bytes);
            format!("message {} -> {}: {what:?}", from + 1, to + 1)
        }
        other => format!("{other:?}"),
    }
}

/// Members that keep fewer entries than this have tiny limits.
const TINY_KEEP_ENTRIES: u64 = 10;
