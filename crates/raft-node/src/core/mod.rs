//! Consensus without I/O: a state machine around the `raft` crate.
//!
//! Tell a [`Core`] what happened with [`Core::handle`], as often as you like, then carry out what
//! [`Core::poll`] returns, field by field. [`Outputs::deadline`] says when to poll again if nothing
//! happens; an early poll is harmless. No thread, socket, file, clock or random number is used
//! inside: the same inputs at the same times give the same outputs.
//!
//! Everything about the protocol lives here: timeouts and retries, batching, the queue of reads,
//! when to flush, to purge and to send a snapshot.

mod appends;
mod check;
mod config;
mod convert;
mod lease;
mod messages;
#[cfg(feature = "mutants")]
mod mutations;
mod outputs;
mod proposals;
mod reads;
mod ready;
mod requests;
mod snapshots;
mod tail;

use std::collections::BTreeMap;

use quorate_storage::{HardState, LogEntry, LogState};
use quorate_types::{Instant, LogIndex, LogPosition, MemberId, SplitMix64, Term, mutant};
use raft::eraftpb::Entry;
use raft::{GetEntriesContext, RawNode, ReadOnlyOption, StateRole};
use thiserror::Error;

pub use self::config::{CoreConfig, Tuning};
pub use self::outputs::{
    Append, Counters, Fetch, Input, Install, Outbound, Outputs, Probe, ProposeError, Role,
    SnapshotOrder,
};

use self::appends::Appends;
use self::lease::Lease;
use self::proposals::Proposals;
use self::reads::Reads;
use self::snapshots::Snapshots;
use self::tail::Tail;
use crate::membership::Membership;
use crate::wire::Peer;

/// Why a core cannot be opened or cannot go on. Final for the member.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The membership kept by the state machine is damaged.
    #[error("damaged membership: {detail}")]
    CorruptMembership {
        /// What is wrong.
        detail: String,
    },
    /// This member takes no part in its own cluster.
    #[error("member {member} is not in the membership")]
    NotAMember {
        /// This member.
        member: MemberId,
    },
    /// The log and the hard state contradict each other.
    #[error("damaged log: {detail}")]
    CorruptLog {
        /// What is wrong.
        detail: String,
    },
    /// The leader knows that this member once held more than it holds now: it lost acknowledged
    /// data and must not vote under its old identity.
    #[error(
        "this member acknowledged log entry {acknowledged} but its log ends at {last}: \
         data was lost"
    )]
    LogLost {
        /// What this member once acknowledged as durable.
        acknowledged: LogIndex,
        /// Where its log ends now.
        last: LogIndex,
    },
    /// The `raft` crate refused its configuration.
    #[error("raft refused its configuration: {detail}")]
    Raft {
        /// What it said.
        detail: String,
    },
}

/// What was found on disk when a member is opened, after [`crate::recover`].
#[derive(Debug)]
pub struct Recovered {
    /// What the log store holds.
    pub log: LogState,
    /// All its entries.
    pub entries: Vec<LogEntry>,
    /// The last entry that the durable state contains.
    pub applied: LogPosition,
    /// The membership at that position; `None` if none was ever applied.
    pub membership: Option<Membership>,
}

/// Consensus of one member. `T` is the driver's ticket for a caller, `R` a response of the state
/// machine.
pub struct Core<T, R> {
    member: MemberId,
    tuning: Tuning,
    raw: RawNode<Tail>,
    random: SplitMix64,
    /// When the logical clock moves next.
    next_tick: Instant,
    proposals: Proposals<T>,
    /// Forwarded commands without an answer are sent again at this time.
    next_resend: Instant,
    reads: Reads<T>,
    lease: Lease,
    appends: Appends,
    snapshots: Snapshots,
    /// The last entry applied.
    applied: LogPosition,
    /// Bytes and position of the log when the last flush was ordered.
    flush: FlushState,
    /// Entries being fetched for slow followers, by request.
    fetching: BTreeMap<u64, (LogIndex, GetEntriesContext)>,
    next_fetch: u64,
    /// Term, role and leader when last looked at.
    leadership: (u64, StateRole, u64),
    counters: Counters,
    outputs: Outputs<T, R>,
}

/// What decides when the state is flushed and the log purged.
#[derive(Default)]
struct FlushState {
    ordered: LogIndex,
    under_way: bool,
    bytes_since: u64,
}

impl<T, R> Core<T, R> {
    /// Opens a core on what was found on disk.
    ///
    /// # Errors
    ///
    /// [`CoreError`] if the parts found contradict each other.
    pub fn open(config: CoreConfig, found: Recovered, now: Instant) -> Result<Self, CoreError> {
        let CoreConfig { member, incarnation, initial_membership, seed, tuning } = config;
        let membership = found.membership.unwrap_or(initial_membership);
        if !membership.members().contains(&member) {
            return Err(CoreError::NotAMember { member });
        }
        let hard_state = checked_hard_state(&found.log, found.applied)?;
        let mut tail = Tail::new(found.log.start, hard_state, membership.to_raft());
        let entries: Vec<Entry> = found.entries.iter().map(crate::wire::from_log_entry).collect();
        tail.append(&entries);
        tail.shrink(tuning.log_cache_size.bytes(), found.applied.index.get());
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&raft_config(member, &tuning, found.applied), tail, &logger)
            .map_err(|e| CoreError::Raft { detail: e.to_string() })?;
        let alone = membership.members() == [member];
        let lived_before = found.log.hard_state.term > Term::new(0);
        let mut core = Self {
            member,
            random: SplitMix64::new(seed),
            next_tick: now + tuning.tick(),
            raw,
            proposals: Proposals::new(member, mutant!(M60, incarnation, 1)),
            next_resend: now,
            reads: Reads::new(incarnation),
            lease: Lease::new(lived_before && !alone, now, &tuning),
            appends: Appends::default(),
            snapshots: Snapshots::default(),
            applied: found.applied,
            flush: FlushState { ordered: found.applied.index, ..FlushState::default() },
            fetching: BTreeMap::new(),
            next_fetch: 1,
            leadership: (0, StateRole::Follower, 0),
            counters: Counters::default(),
            outputs: Outputs::default(),
            tuning,
        };
        mutant!(M17b, { core.reads.count_contexts_from(member.get() << 48 | incarnation << 32) });
        core.draw_election_timeout();
        if alone {
            // Nobody else can be leader, so there is nobody to wait for.
            core.raw.campaign().map_err(|e| CoreError::Raft { detail: e.to_string() })?;
            core.after_raft();
        }
        Ok(core)
    }

    /// Takes note of something that happened. Call [`Self::poll`] afterwards, at the latest when
    /// inputs run dry.
    ///
    /// # Errors
    ///
    /// [`CoreError::LogLost`]; the member must stop.
    ///
    /// # Panics
    ///
    /// On a broken invariant of this crate or of `raft`; the member must stop.
    pub fn handle(&mut self, input: Input<T, R>, now: Instant) -> Result<(), CoreError> {
        self.advance_clock(now);
        match input {
            Input::Message { from, message } => self.on_message(from, message, now)?,
            Input::Propose { ticket, payload, deadline } => {
                let added = self.proposals.add(ticket, payload, deadline, &self.tuning);
                if let Err((ticket, error)) = added {
                    self.outputs.answers.push((ticket, Err(error)));
                }
            }
            Input::Read { ticket, deadline, lease } => self.reads.add(ticket, deadline, lease),
            Input::Appended { number } => self.on_appended(number),
            Input::Applied { position, responses } => self.on_applied(position, responses),
            Input::Flushed { position } => self.on_flushed(position),
            Input::Fetched { id, entries } => self.on_fetched(id, &entries),
            Input::SnapshotOpened { to, position, membership } => {
                self.on_snapshot_opened(to, position, &membership, now)?;
            }
            Input::SnapshotSent { to, delivered } => self.on_snapshot_sent(to, delivered),
            Input::SnapshotStaged { id, from, head, position } => {
                self.on_snapshot_staged(id, from, head, position)?;
            }
            Input::Installed { position } => self.on_installed(position),
            Input::Unreachable { peer } => self.raw.report_unreachable(peer.get()),
            Input::TransferLeader { to } => self.on_transfer_leader(to),
        }
        self.after_raft();
        Ok(())
    }

    /// Returns what is to be done now.
    ///
    /// # Errors
    ///
    /// [`CoreError`]; the member must stop.
    ///
    /// # Panics
    ///
    /// On a broken invariant of this crate or of `raft`; the member must stop.
    pub fn poll(&mut self, now: Instant) -> Result<Outputs<T, R>, CoreError> {
        self.advance_clock(now);
        self.expire(now);
        self.notice_leadership();
        self.pump_reads(now);
        self.pump_proposals(now);
        self.process_readies();
        // A round of reads that ended just now makes place for the reads that came meanwhile. The
        // next call may be as late as the next heartbeat.
        self.pump_reads(now);
        self.process_readies();
        self.notice_leadership();
        self.serve_demand(now);
        self.order_flush();
        self.outputs.readable.extend(self.reads.take_ready(self.applied.index));
        self.raw.mut_store().shrink(self.tuning.log_cache_size.bytes(), self.applied.index.get());
        self.outputs.deadline = Some(self.next_deadline(now));
        Ok(std::mem::take(&mut self.outputs))
    }

    /// What this member's consensus looks like now.
    pub fn probe(&self) -> Probe {
        let raft = &self.raw.raft;
        Probe {
            term: Term::new(raft.term),
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Follower => Role::Follower,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            },
            leader: MemberId::from_u64(raft.leader_id),
            vote: MemberId::from_u64(raft.vote),
            commit: LogIndex::new(raft.raft_log.committed),
            applied: self.applied,
            log_start: self.raw.store().start(),
            log_last: LogIndex::new(raft.raft_log.last_index()),
            members: self.membership().members(),
            commands_pending: self.proposals.pending_count(),
            counters: self.counters,
        }
    }

    /// The latest term seen.
    pub fn term(&self) -> Term {
        Term::new(self.raw.raft.term)
    }

    fn membership(&self) -> Membership {
        Membership::from_raft(&self.raw.raft.prs().conf().to_conf_state())
    }

    /// Whether this member leads in [`Self::term`].
    pub fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    fn leader(&self) -> Option<MemberId> {
        MemberId::from_u64(self.raw.raft.leader_id)
    }

    fn send(&mut self, to: MemberId, message: Peer) {
        self.outputs.messages.push(Outbound { to, message: message.into_bytes() });
    }

    // Time.

    /// Moves Raft's logical clock up to `now`. After a long pause at most one election timeout is
    /// made up for.
    fn advance_clock(&mut self, now: Instant) {
        let mut budget = self.tuning.election_ticks();
        while self.next_tick <= now && budget > 0 {
            // While the state is being replaced this member hears nobody, and must not ask for
            // votes: the crate would look for unapplied entries before the start of the log.
            if mutant!(M77, !self.appends.replacing(), true) {
                self.raw.tick();
                self.after_raft();
            }
            self.next_tick += self.tuning.tick();
            budget -= 1;
        }
        if self.next_tick <= now {
            self.next_tick = now + self.tuning.tick();
        }
    }

    /// When to poll again: the first tick that matters, or the first deadline of a caller.
    fn next_deadline(&self, now: Instant) -> Instant {
        let raft = &self.raw.raft;
        let ticks = if self.leads() {
            let heartbeat = raft.heartbeat_timeout().saturating_sub(raft.heartbeat_elapsed());
            heartbeat.min(raft.election_timeout().saturating_sub(raft.election_elapsed))
        } else {
            raft.randomized_election_timeout().saturating_sub(raft.election_elapsed)
        };
        let ticks = u32::try_from(ticks.max(1) - 1).unwrap_or(u32::MAX);
        let mut deadline = self.next_tick + self.tuning.tick() * ticks;
        let callers = [self.proposals.next_deadline(), self.reads.next_deadline()];
        deadline = callers.into_iter().flatten().fold(deadline, Instant::min);
        if !self.leads() && self.proposals.has_sent() {
            deadline = deadline.min(self.next_resend);
        }
        if let Some(sent) = self.reads.request_sent() {
            deadline = deadline.min(sent + self.tuning.heartbeat_interval);
        }
        deadline.max(now)
    }

    fn expire(&mut self, now: Instant) {
        for (ticket, error) in self.proposals.expire(now) {
            self.outputs.answers.push((ticket, Err(error)));
        }
        for ticket in self.reads.expire(now) {
            self.outputs.answers.push((ticket, Err(ProposeError::TimedOut)));
        }
    }

    /// Must follow every call that may change the `raft` crate's state.
    fn after_raft(&mut self) {
        if self.raw.raft.randomized_election_timeout() >= 2 * self.tuning.election_ticks() {
            self.draw_election_timeout();
        }
        self.repair_progress();
    }

    /// Replaces the election timeout that the crate drew from a generator of its own; see
    /// [`raft_config`].
    fn draw_election_timeout(&mut self) {
        let base = self.tuning.election_ticks();
        let extra = self.random.below(base as u64) as usize;
        self.raw.raft.set_randomized_election_timeout(base + extra);
    }

    /// The `raft` crate 0.7.0 may set a peer's next index to or below its matched index when a
    /// rejection comes late. That costs needless messages; what follows in the crate expects the
    /// order, so it is restored.
    fn repair_progress(&mut self) {
        if !self.leads() {
            return;
        }
        for (_, progress) in self.raw.raft.mut_prs().iter_mut() {
            if progress.next_idx <= progress.matched {
                progress.next_idx = progress.matched + 1;
                self.counters.progress_repaired += 1;
            }
        }
    }

    /// Reacts to a new term, role or leader since the last call.
    fn notice_leadership(&mut self) {
        let raft = &self.raw.raft;
        let now = (raft.term, raft.state, raft.leader_id);
        if now == self.leadership {
            return;
        }
        self.counters.elections_won += u64::from(
            now.1 == StateRole::Leader && (self.leadership.0, self.leadership.1) != (now.0, now.1),
        );
        self.leadership = now;
        mutant!(M72, self.reads.restart(), ());
        self.proposals.unsend(Instant::MAX);
        if !self.leads() {
            self.proposals.drop_forwarded();
            let closed = self.snapshots.close_opened();
            self.close_snapshots(closed);
            self.fetching.clear();
            self.raw.mut_store().forget_fetched();
        }
    }
}

/// The hard state to start from: its commit index is only a hint and may lag behind what was
/// applied.
fn checked_hard_state(
    log: &LogState,
    applied: LogPosition,
) -> Result<raft::eraftpb::HardState, CoreError> {
    let HardState { term, vote, commit } = log.hard_state;
    if applied.index < log.start.index || applied.index > log.last {
        let detail = format!(
            "the state stands at {applied}, the log holds entries after {} up to {}",
            log.start, log.last
        );
        return Err(CoreError::CorruptLog { detail });
    }
    mutant!(M34, {
        if commit < log.last && applied.index < log.last {
            let detail = format!("the log ends at {} with commit {commit}", log.last);
            return Err(CoreError::CorruptLog { detail });
        }
    });
    if commit > log.last || applied.term > term {
        let detail = format!(
            "commit {commit} of term {term} with a log that ends at {} and a state at {applied}",
            log.last
        );
        return Err(CoreError::CorruptLog { detail });
    }
    Ok(raft::eraftpb::HardState {
        term: term.get(),
        vote,
        commit: mutant!(M18, commit.max(applied.index), commit).get(),
        ..Default::default()
    })
}

/// Settings of the `raft` crate.
fn raft_config(member: MemberId, tuning: &Tuning, applied: LogPosition) -> raft::Config {
    raft::Config {
        id: member.get(),
        election_tick: tuning.election_ticks(),
        heartbeat_tick: config::TICKS_PER_HEARTBEAT as usize,
        applied: applied.index.get(),
        max_size_per_msg: tuning.message_size_max.bytes(),
        max_inflight_msgs: tuning.messages_in_flight_max,
        check_quorum: true,
        read_only_option: mutant!(M24, ReadOnlyOption::Safe, ReadOnlyOption::LeaseBased),
        pre_vote: true,
        // The crate draws timeouts from a generator of its own. With this bound nearly every draw
        // is out of our range, by which we notice it and draw anew from our seed.
        max_election_tick: 1 << 40,
        max_committed_size_per_ready: APPLY_SIZE_MAX,
        ..raft::Config::default()
    }
}

/// Payload bytes handed out to be applied at once; bounds memory and the time until others get
/// their turn.
const APPLY_SIZE_MAX: u64 = 16 << 20;
