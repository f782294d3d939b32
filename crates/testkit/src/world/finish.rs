//! The end of a run: everything is healed, and the cluster must recover and agree.

use std::time::Duration;

use quorate_kv_api::RangeRequest;
use quorate_types::Instant;

use super::World;
use crate::checkers::history::{self, Ending};
use crate::member::Ticket;
use crate::plan::{Request, Work};
use crate::queue::Event;
use crate::violation::Violation;

/// How far the healed cluster has come.
pub(super) struct Recovery {
    since: Instant,
    /// What each member still has to show.
    proofs: Vec<Proof>,
}

/// What a member must be able to do after the faults: first a write, then a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proof {
    Write(Option<Ticket>),
    Read(Option<Ticket>),
    Given,
}

impl World<'_> {
    /// Ends all faults and restarts everybody who is down.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.trace.line(self.now, || "healed".to_owned());
        self.recorder.healed(self.now);
        self.links.heal();
        self.work = Work::quick();
        self.cuts.clear();
        let proofs = vec![Proof::Write(None); self.members.len()];
        self.recovery = Some(Recovery { since: self.now, proofs });
        for place in 0..self.members.len() {
            let member = &mut self.members[place];
            member.paused_until = Instant::ZERO;
            member.slow_factor = 1;
            member.crash_at = None;
            if member.running.is_none() {
                self.start(place)?;
            }
        }
        self.queue.push(self.now + STEP, Event::Progress);
        Ok(())
    }

    /// Looks how far the recovery is, and ends the run once it is complete.
    pub(super) fn progress(&mut self) -> Result<(), Violation> {
        let Some(mut recovery) = self.recovery.take() else { return Ok(()) };
        let mut calls = Vec::new();
        for (place, proof) in recovery.proofs.iter_mut().enumerate() {
            *proof = self.advance(*proof);
            if matches!(proof, Proof::Write(None) | Proof::Read(None)) {
                calls.push(place);
            }
        }
        let since = recovery.since;
        self.recovery = Some(recovery);
        for place in calls {
            self.ask(place)?;
        }
        self.finished = self.recovered();
        let waited = self.now - since;
        if !self.finished && waited > RECOVERY_MAX {
            return Err(Violation::new("liveness", self.describe_stall()));
        }
        self.queue.push(self.now + STEP, Event::Progress);
        Ok(())
    }

    fn advance(&self, proof: Proof) -> Proof {
        let ended = |ticket: Ticket| self.history[ticket].ended.as_ref().map(|(_, ending)| ending);
        match proof {
            Proof::Write(Some(ticket)) => match ended(ticket) {
                Some(Ending::Answered(_)) => Proof::Read(None),
                Some(_) => Proof::Write(None),
                None => proof,
            },
            Proof::Read(Some(ticket)) => match ended(ticket) {
                Some(Ending::Found(_)) => Proof::Given,
                Some(_) => Proof::Read(None),
                None => proof,
            },
            Proof::Write(None) | Proof::Read(None) | Proof::Given => proof,
        }
    }

    fn ask(&mut self, place: usize) -> Result<(), Violation> {
        let Some(recovery) = &self.recovery else { return Ok(()) };
        let (request, write) = match recovery.proofs[place] {
            Proof::Write(_) => (Request::Put { key: place as u32, padding: 0 }, true),
            _ => (Request::Range { first: 0, end: Some(999), local: false }, false),
        };
        let ticket = self.call(place, &request, PROOF_TIMEOUT)?;
        let Some(recovery) = &mut self.recovery else { return Ok(()) };
        let proof = if write { Proof::Write(Some(ticket)) } else { Proof::Read(Some(ticket)) };
        recovery.proofs[place] = proof;
        Ok(())
    }

    /// Whether everybody did what was asked, applied everything, and nobody waits for an answer.
    fn recovered(&self) -> bool {
        let Some(recovery) = &self.recovery else { return false };
        let commit = self.consensus.commit();
        recovery.proofs.iter().all(|proof| *proof == Proof::Given)
            && self.members.iter().all(|member| member.last.applied == commit)
            && self.history.iter().rev().take(RECENT_CALLS).all(|call| call.ended.is_some())
    }

    fn describe_stall(&self) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|member| {
                let probe = member.running.as_ref().map(|running| running.core.probe());
                format!("{:?} {probe:?}", member.id)
            })
            .collect();
        let proofs = self.recovery.as_ref().map(|recovery| &recovery.proofs);
        let commit = self.consensus.commit();
        let open = self.history.iter().filter(|call| call.ended.is_none()).count();
        format!("commit {commit}, {open} calls open, {proofs:?}, members {members:#?}")
    }

    /// Checks what can only be checked at the end.
    pub(super) fn check_end(&mut self) -> Result<(), Violation> {
        for place in 0..self.members.len() {
            let Some(running) = self.members[place].running.take() else { continue };
            self.count_core(&running);
            self.compare_state(place, &running.machine)?;
            let reader = running.machine.kv.store().reader();
            let all =
                RangeRequest { range_end: [0_u8; 1].to_vec().into(), ..RangeRequest::key("a") };
            let found = reader.range(&all).map_err(|error| {
                Violation::new("state-readable", format!("member {}: {error}", place + 1))
            })?;
            let model = self.applied.model();
            let same = found.kvs.iter().eq(model.keys()) && reader.revision() == model.revision();
            Violation::unless(same, "state-model", || {
                format!("member {} ends at {} with {:?}", place + 1, reader.revision(), found.kvs)
            })?;
        }
        history::check(&self.history, &self.applied)
    }
}

/// How often the recovery is looked at.
const STEP: Duration = Duration::from_millis(50);

/// How long the recovery may take: many election timeouts.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// How long one of the calls waits that show the recovery. Some get no answer: one that a snapshot
/// brought to its own member, applied already.
const PROOF_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls that may still be open when faults end; older ones were answered by their deadlines.
const RECENT_CALLS: usize = 4_096;
