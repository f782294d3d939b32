//! Clients: what they call, and what they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use quorate_kv_api::{AlarmResponse, Command, KvError, Limits, ResponseHeader};
use quorate_mvcc::RequestError;
use quorate_raft_node::core::{Input, ProposeError};

use super::World;
use crate::checkers::history::{Call, Ending, Record};
use crate::coverage::{features_of, refusal_name};
use crate::effect::{Answer, Found};
use crate::member::Ticket;
use crate::sabotage::Sabotage;
use crate::violation::Violation;

impl World<'_> {
    /// A planned operation is called.
    pub(super) fn operation(&mut self, index: usize) -> Result<(), Violation> {
        let plan = self.plan;
        let operation = &plan.operations[index];
        let place = operation.member;
        let call = operation.request.call(&self.members[place].seen, self.history.len());
        self.call(place, call, PLAN_LIMITS, operation.timeout)?;
        Ok(())
    }

    /// Somebody's own code calls a member, with a member's usual limits; returns the ticket of the
    /// call. It may have ended already.
    pub(super) fn call_of_actor(
        &mut self,
        place: usize,
        call: Call,
        timeout: Duration,
    ) -> Result<Ticket, Violation> {
        self.call(place, call, Limits::default(), timeout)
    }

    pub(super) fn call(
        &mut self,
        place: usize,
        call: Call,
        limits: Limits,
        timeout: Duration,
    ) -> Result<Ticket, Violation> {
        let ticket = self.history.len();
        self.counts.operations += 1;
        self.recorder.call(self.now, place, &call);
        let member = &self.members[place];
        let (now, deadline) = (self.now, member.local_time(self.now) + timeout);
        let record = Record {
            member: place,
            life: member.life,
            limits,
            call: call.clone(),
            called: now,
            ended: None,
        };
        self.history.push(record);
        if let Some(cause) = refusal(&call, &limits) {
            self.end_call(ticket, Ending::Refused(cause));
            return Ok(ticket);
        }
        if self.members[place].running.is_none() {
            self.end_call(ticket, Ending::Failed);
            return Ok(ticket);
        }
        match call {
            Call::Write(payload) => {
                self.tell(place, Input::Propose { ticket, payload, deadline });
            }
            call if call.is_parked() => self.park(place, ticket, timeout)?,
            call if call.is_local() || self.reads_without_asking(place) => {
                self.serve(place, ticket)?;
            }
            _ => {
                self.tell(place, Input::Read { ticket, deadline });
            }
        }
        Ok(ticket)
    }

    fn reads_without_asking(&self, place: usize) -> bool {
        match self.sabotage {
            Some(Sabotage::ReadUnconfirmed) => true,
            Some(Sabotage::ReadAsLeader) => self.members[place].last.leads,
            _ => false,
        }
    }

    /// A command was answered, or a read was refused.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        result: Result<Answer, ProposeError>,
    ) -> Result<(), Violation> {
        match result {
            Ok(answer) => {
                self.consensus.acknowledged(answer.index.get(), &self.holdings)?;
                self.end_call(ticket, Ending::Answered(answer));
            }
            Err(ProposeError::OutcomeUnknown)
                if self.sabotage != Some(Sabotage::UnknownIsFailure) =>
            {
                self.tell_actor_cause(ticket, ProposeError::OutcomeUnknown);
                self.end_call(ticket, Ending::Unknown);
            }
            Err(cause) => {
                self.tell_actor_cause(ticket, cause);
                self.end_call(ticket, Ending::Failed);
            }
        }
        Ok(())
    }

    /// Reads from the member's own state, as it is permitted to.
    pub(super) fn serve(&mut self, place: usize, ticket: Ticket) -> Result<(), Violation> {
        #[cfg(feature = "mutants")]
        crate::mutants::run_as(Some(place));
        let call = self.history[ticket].call.clone();
        let now = self.members[place].local_time(self.now);
        let Some(running) = self.running(place) else { return Ok(()) };
        let reader = running.machine.kv.store().reader();
        let result = match &call {
            Call::Write(_) => return Ok(()),
            Call::Range(read) if read.is_part => reader.range_part(&read.range).map(Found::Range),
            Call::Range(read) => reader.range(&read.range).map(Found::Range),
            Call::ReadTxn(txn) => reader.txn(txn).map(Found::Txn),
            Call::Hash(revision) => reader.hash(*revision).map(Found::Hash),
            Call::LeaseTimeToLive(request) => reader
                .time_to_live(request, now)
                .map(Found::LeaseTimeToLive)
                .map_err(RequestError::Failed),
            Call::Leases => Ok(Found::Leases(reader.leases(now))),
            Call::Alarms => {
                let header = Some(ResponseHeader::at(reader.revision()));
                Ok(Found::Alarms(AlarmResponse { header, alarms: reader.alarms() }))
            }
            Call::Watch(query) | Call::WatchNow(query) => reader.watch_now(query).map(Found::Watch),
            Call::Swept(_) => Ok(Found::Swept),
        };
        self.found(place, ticket, result)
    }

    /// A read was answered from the state of a member.
    pub(super) fn found(
        &mut self,
        place: usize,
        ticket: Ticket,
        result: Result<Found, RequestError>,
    ) -> Result<(), Violation> {
        let result = match result {
            Ok(found) => Ok(found),
            Err(RequestError::Refused(cause)) => Err(cause),
            Err(error) => {
                let detail = format!("member {}: {error}", place + 1);
                return Err(Violation::new("state-readable", detail));
            }
        };
        self.end_call(ticket, Ending::Read(result));
        Ok(())
    }

    /// The one place where a call ends, however it does.
    pub(super) fn end_call(&mut self, ticket: Ticket, ending: Ending) {
        let record = &mut self.history[ticket];
        let seen = &mut self.members[record.member].seen;
        match &ending {
            Ending::Answered(answer) => seen.learn_answer(answer),
            Ending::Read(Ok(found)) => seen.learn_found(found),
            _ => {}
        }
        match &ending {
            Ending::Answered(_) | Ending::Read(_) | Ending::Refused(_) => {
                self.counts.operations_done += 1;
            }
            Ending::Failed => self.counts.operations_failed += 1,
            Ending::Unknown => self.counts.operations_unknown += 1,
        }
        self.trace.fold(ticket as u64);
        self.recorder.call_end(self.now, ticket, &ending);
        let record = &mut self.history[ticket];
        self.trace
            .line(self.now, || format!("call {ticket} at {} ends: {ending:?}", record.member));
        record.ended = Some((self.now, ending));
        self.tell_actor(ticket);
        self.tell_watcher(ticket);
    }

    /// Counts what the calls were made of that a store answered, and the causes of refusals.
    pub(crate) fn features(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for record in &self.history {
            let (names, refused) = match record.ending() {
                Some(Ending::Answered(answer)) => {
                    (features_of(&record.call), answer.result.as_ref().err())
                }
                Some(Ending::Read(result)) => (features_of(&record.call), result.as_ref().err()),
                Some(Ending::Refused(cause)) => (Vec::new(), Some(cause)),
                Some(Ending::Failed | Ending::Unknown) | None => continue,
            };
            for name in names.into_iter().chain(refused.map(refusal_name)) {
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    }

    /// A member's life ended: nobody will answer the calls that wait there.
    pub(super) fn abandon_calls(&mut self, place: usize) {
        let life = self.members[place].life;
        // Calls wait for a few seconds at most, so the open ones are near the end.
        let first = self.history.len().saturating_sub(CALLS_OPEN_MAX);
        for ticket in first..self.history.len() {
            let record = &self.history[ticket];
            if record.ended.is_none() && (record.member, record.life) == (place, life) {
                let write = matches!(record.call, Call::Write(_));
                self.end_call(ticket, if write { Ending::Unknown } else { Ending::Failed });
            }
        }
    }
}

/// What a client refuses before anything is sent, as the client of a real member does.
fn refusal(call: &Call, limits: &Limits) -> Option<KvError> {
    let checked = match call {
        Call::Write(payload) => match Command::decode(payload.clone()) {
            Ok(command) => command.validate(limits),
            // Real clients send nothing but commands; here the state machine must refuse it.
            Err(_) => Ok(()),
        },
        Call::Range(read) => read.range.validate(limits),
        Call::ReadTxn(txn) => txn.validate(limits),
        _ => Ok(()),
    };
    checked.err()
}

/// What members permit to planned operations: less than usual, so that some exceed it.
const PLAN_LIMITS: Limits = Limits {
    txn_ops_max: 40,
    request_bytes_max: 8_192,
    key_bytes_max: 1_024,
    value_bytes_max: 8_192,
    lease_ttl_min: 1,
    watches_max: 100,
};

/// More calls than can be open at once.
const CALLS_OPEN_MAX: usize = 20_000;
