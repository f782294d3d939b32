//! What clients saw, compared with the log that was applied.
//!
//! Answers carry revisions, so no search is needed: a sweep over time checks the order, and the
//! model, which knows every revision, tells what each read must have found. Nothing is assumed
//! about the calls: any number of them may carry the same bytes.

mod order;
mod reads;
mod writes;

use bytes::Bytes;
use prost::Message;
use quorate::seam::Read;
use quorate_kv_api::{Command, KvError, LeaseTimeToLiveRequest, Limits, TxnRequest};
use quorate_mvcc::WatchQuery;
use quorate_types::Instant;

use super::applied::AppliedLog;
use super::model::{check_command, check_range, check_txn};
use crate::effect::{Answer, Found};
use crate::timeline::describe_record;
use crate::violation::Violation;

/// One call of a client and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The place of the member asked.
    pub(crate) member: usize,
    /// Which life of that member.
    pub(crate) life: u64,
    /// What the client's member permits.
    pub(crate) limits: Limits,
    pub(crate) call: Call,
    pub(crate) called: Instant,
    /// Nothing while the client waits.
    pub(crate) ended: Option<(Instant, Ending)>,
}

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// A change: an encoded [`Command`].
    Write(Bytes),
    Range(Read),
    /// A transaction that holds nothing but ranges.
    ReadTxn(TxnRequest),
    /// The hash over the history up to a revision; 0 for now.
    Hash(i64),
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    Leases,
    Alarms,
    /// The next events of a watch, or nothing until the deadline.
    Watch(WatchQuery),
    /// The events of a watch that are there.
    WatchNow(WatchQuery),
    /// Waits until compactions up to a revision are swept.
    Swept(i64),
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// The state machine answered a command.
    Answered(Answer),
    /// A member answered a read from its state.
    Read(Result<Found, KvError>),
    /// The client refused it for its shape, and sent nothing.
    Refused(KvError),
    /// It had no effect, and never will.
    Failed,
    /// It may have had an effect, or may still have.
    Unknown,
}

impl Call {
    /// Whether it may be answered from possibly stale state.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Range(read) => read.range.serializable,
            Self::ReadTxn(txn) => txn.is_serializable(),
            Self::Watch(_) | Self::WatchNow(_) | Self::Swept(_) => true,
            Self::Write(_)
            | Self::Hash(_)
            | Self::LeaseTimeToLive(_)
            | Self::Leases
            | Self::Alarms => false,
        }
    }

    /// Whether a leader may answer it under a read lease.
    pub(crate) fn is_content_with_lease(&self) -> bool {
        matches!(self, Self::Range(read) if read.lease && !read.range.serializable)
    }

    /// Whether it waits at its member until the state has come to something.
    pub(crate) fn is_parked(&self) -> bool {
        match self {
            Self::Range(read) => read.at_least.is_some(),
            Self::Watch(_) | Self::Swept(_) => true,
            _ => false,
        }
    }
}

impl Record {
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ended.as_ref().map(|(_, ending)| ending)
    }
}

/// Checks a whole history against the log that was applied.
pub(crate) fn check(history: &[Record], applied: &AppliedLog) -> Result<(), Violation> {
    history.iter().try_for_each(check_shape)?;
    writes::check(history, applied)?;
    order::check(history, applied)?;
    order::check_members(history)?;
    reads::check(history, applied.model())
}

/// A call is refused by its shape exactly if the rules say so, and with the same cause.
fn check_shape(record: &Record) -> Result<(), Violation> {
    let expected = match &record.call {
        Call::Write(payload) => match Command::decode(payload.clone()) {
            Ok(command) => check_command(&command, &record.limits),
            // What is no command at all is for the state machine to refuse.
            Err(_) => Ok(()),
        },
        Call::Range(read) => check_range(&read.range),
        Call::ReadTxn(txn) => check_txn(txn, &record.limits),
        _ => Ok(()),
    };
    let told = match record.ending() {
        Some(Ending::Refused(cause)) => Err(cause.clone()),
        _ => Ok(()),
    };
    Violation::unless(expected == told, "refusal", || {
        format!("expected of its shape {expected:?}: {}", describe_record(record))
    })
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
