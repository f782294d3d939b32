//! Clients: what they call, and what they are told.

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{
    Command, Compare, CompareResult, DeleteRangeRequest, KeySpan, PutRequest, RangeRequest,
    TargetUnion, TxnRequest,
};
use quorate_raft_node::core::{Input, ProposeError};
use std::time::Duration;

use super::World;
use crate::checkers::history::{Call, Ending, Record};
use crate::effect::{Answer, Effect, Found, Part};
use crate::member::Ticket;
use crate::plan::{Expected, Request, key_bytes};
use crate::sabotage::Sabotage;
use crate::violation::Violation;

impl World<'_> {
    pub(super) fn operation(&mut self, index: usize) -> Result<(), Violation> {
        let plan = self.plan;
        let operation = &plan.operations[index];
        self.call(operation.member, &operation.request, operation.timeout)?;
        Ok(())
    }

    /// A client of a member calls; returns the ticket of the call.
    pub(super) fn call(
        &mut self,
        place: usize,
        request: &Request,
        timeout: Duration,
    ) -> Result<Ticket, Violation> {
        let ticket = self.history.len();
        self.counts.operations += 1;
        let call = self.call_of(place, ticket, request);
        let life = self.members[place].life;
        let (now, deadline) = (self.now, self.members[place].local_time(self.now) + timeout);
        let member = place;
        self.history.push(Record { member, life, call: call.clone(), called: now, ended: None });
        if self.members[place].running.is_none() {
            self.end_call(ticket, Ending::Failed);
            return Ok(ticket);
        }
        match call {
            Call::Write(payload) => {
                self.tell(place, Input::Propose { ticket, payload, deadline });
            }
            Call::Read { local: true, .. } => self.serve(place, ticket)?,
            Call::Read { .. } if self.reads_without_asking(place) => self.serve(place, ticket)?,
            Call::Read { .. } => self.tell(place, Input::Read { ticket, deadline }),
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

    fn call_of(&self, place: usize, ticket: Ticket, request: &Request) -> Call {
        match request {
            Request::Put { key, padding } => write(put(*key, ticket, *padding)),
            Request::Delete { key } => {
                // The end lies right behind the key and makes the call different from all others.
                let start = key_bytes(*key);
                let range_end = named_end(&start, ticket);
                write(DeleteRangeRequest { key: start, range_end, prev_kv: false })
            }
            Request::DeleteRange { first, last } => {
                let range_end = named_end(&key_bytes(*last), ticket);
                write(DeleteRangeRequest { key: key_bytes(*first), range_end, prev_kv: false })
            }
            Request::Range { first, end, local } => {
                let end = end.map(key_bytes).unwrap_or_default();
                Call::Read { span: KeySpan::new(&key_bytes(*first), &end), local: *local }
            }
            Request::CompareAndSet { key, expected } => {
                let seen = self.members[place].seen_revisions.get(key).copied().unwrap_or(0);
                write(compare_and_set(*key, *expected, seen, ticket))
            }
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
                self.learn(ticket, &answer);
                self.end_call(ticket, Ending::Answered(answer));
            }
            Err(ProposeError::OutcomeUnknown)
                if self.sabotage != Some(Sabotage::UnknownIsFailure) =>
            {
                self.end_call(ticket, Ending::Unknown);
            }
            Err(_) => self.end_call(ticket, Ending::Failed),
        }
        Ok(())
    }

    /// Reads from the member's own state, as it is permitted to.
    pub(super) fn serve(&mut self, place: usize, ticket: Ticket) -> Result<(), Violation> {
        #[cfg(feature = "mutants")]
        crate::mutants::run_as(Some(place));
        let Call::Read { span, .. } = &self.history[ticket].call else { return Ok(()) };
        let request = match span {
            KeySpan::Key(key) => RangeRequest::key(key.clone()),
            KeySpan::From(start) => RangeRequest {
                range_end: Bytes::from_static(&[0]),
                ..RangeRequest::key(start.clone())
            },
            KeySpan::Range { start, end } => {
                RangeRequest { range_end: end.clone(), ..RangeRequest::key(start.clone()) }
            }
        };
        let Some(running) = self.running(place) else { return Ok(()) };
        let found = running.machine.kv.store().reader().range(&request).map_err(|error| {
            Violation::new("state-readable", format!("member {}: {error}", place + 1))
        })?;
        self.end_call(ticket, Ending::Found(Found::of(found)));
        Ok(())
    }

    pub(super) fn end_call(&mut self, ticket: Ticket, ending: Ending) {
        match &ending {
            Ending::Answered(_) | Ending::Found(_) => self.counts.operations_done += 1,
            Ending::Failed => self.counts.operations_failed += 1,
            Ending::Unknown => self.counts.operations_unknown += 1,
        }
        self.trace.fold(ticket as u64);
        let record = &mut self.history[ticket];
        self.trace
            .line(self.now, || format!("call {ticket} at {} ends: {ending:?}", record.member));
        record.ended = Some((self.now, ending));
    }

    /// Remembers the revisions that a client saw, for later compares.
    fn learn(&mut self, ticket: Ticket, answer: &Answer) {
        let record = &self.history[ticket];
        let seen = &mut self.members[record.member].seen_revisions;
        if let Effect::Txn { revision, succeeded, parts } = &answer.effect {
            for part in parts {
                let Part::Range(kvs) = part else { continue };
                for kv in kvs {
                    let Some(key) = key_number(&kv.key) else { continue };
                    let told = if *succeeded { *revision } else { kv.mod_revision };
                    seen.insert(key, told);
                }
            }
        }
    }

    /// A member's life ended: nobody will answer the calls that wait there.
    pub(super) fn abandon_calls(&mut self, place: usize) {
        let life = self.members[place].life;
        // Calls wait for a few seconds at most, so the open ones are near the end.
        let first = self.history.len().saturating_sub(CALLS_OPEN_MAX);
        for ticket in first..self.history.len() {
            let record = &self.history[ticket];
            if record.ended.is_none() && (record.member, record.life) == (place, life) {
                let read = matches!(record.call, Call::Read { .. });
                self.end_call(ticket, if read { Ending::Failed } else { Ending::Unknown });
            }
        }
    }
}

fn write(request: impl Into<Command>) -> Call {
    Call::Write(request.into().encode_to_vec().into())
}

fn put(key: u32, ticket: Ticket, padding: usize) -> PutRequest {
    let mut value = format!("{ticket}").into_bytes();
    value.resize(value.len() + padding, b'.');
    PutRequest::new(key_bytes(key), value)
}

/// An end of a range that contains `last` and no other key behind it.
fn named_end(last: &[u8], ticket: Ticket) -> Bytes {
    let mut end = last.to_vec();
    end.push(0);
    end.extend(format!("{ticket}").into_bytes());
    end.into()
}

fn compare_and_set(key: u32, expected: Expected, seen: i64, ticket: Ticket) -> TxnRequest {
    let (result, target) = match expected {
        Expected::Absent => (CompareResult::Equal, TargetUnion::CreateRevision(0)),
        Expected::SeenRevision => (CompareResult::Equal, TargetUnion::ModRevision(seen)),
        Expected::VersionBelow(version) => (CompareResult::Less, TargetUnion::Version(version)),
    };
    TxnRequest {
        compare: vec![Compare::key(key_bytes(key), result, target)],
        success: vec![put(key, ticket, 0).into(), RangeRequest::key(key_bytes(key)).into()],
        failure: vec![RangeRequest::key(key_bytes(key)).into()],
    }
}

fn key_number(key: &[u8]) -> Option<u32> {
    std::str::from_utf8(key).ok()?.strip_prefix("key/")?.parse().ok()
}

/// More calls than can be open at once.
const CALLS_OPEN_MAX: usize = 20_000;
