//! Checks of what actors saw. What the cluster itself promises is checked in every run besides.

mod handed_out;
mod holders;
mod per_key;

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate::seam::{Request, Response};
use quorate::{KeyValue, OpResponse, TxnResponse};
use quorate_types::Instant;

use crate::actors::record::{CallRecord, RunHistory};

pub use self::handed_out::queue;
pub use self::holders::{elections, locks};
pub use self::per_key::linearizable;

/// A check of a history.
pub trait Checker: Send + Sync {
    /// What reports call it.
    fn name(&self) -> &'static str;

    /// Looks at what the actors of a run did and saw.
    ///
    /// # Errors
    ///
    /// What is wrong, for a human reader.
    fn check(&self, history: &RunHistory) -> Result<(), String>;
}

/// All checks of this module: [`revisions`], [`values`] and [`linearizable`].
pub fn all() -> impl Checker {
    All(vec![Box::new(revisions()), Box::new(values()), Box::new(linearizable())])
}

struct All(Vec<Box<dyn Checker>>);

impl Checker for All {
    fn name(&self) -> &'static str {
        "all"
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        self.0.iter().try_for_each(|checker| {
            let named = |problem| format!("{}: {problem}", checker.name());
            checker.check(history).map_err(named)
        })
    }
}

/// Time and revisions agree: whoever calls after somebody was told a revision is told one that is
/// not older, and a newer one for a change.
pub fn revisions() -> impl Checker {
    Revisions
}

struct Revisions;

impl Checker for Revisions {
    fn name(&self) -> &'static str {
        "revisions"
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        let mut moments: Vec<(Instant, bool, usize)> = Vec::new();
        for (place, call) in history.calls.iter().enumerate() {
            moments.push((call.called, false, place));
            if let Some((at, _)) = &call.ended {
                moments.push((*at, true, place));
            }
        }
        // At one time calls come before ends: they overlap, so nothing is demanded.
        moments.sort_unstable();
        let mut newest = 0;
        let mut at_call = vec![0; history.calls.len()];
        for (_, ends, place) in moments {
            if !ends {
                at_call[place] = newest;
                continue;
            }
            let call = &history.calls[place];
            let Some((revision, changed)) = told(call) else { continue };
            let fine = match changed {
                Some(true) => revision > at_call[place],
                Some(false) => revision >= at_call[place],
                None => true,
            };
            if !fine {
                return Err(format!(
                    "revision {} had been told to somebody before this call: {call:?}",
                    at_call[place]
                ));
            }
            newest = newest.max(revision);
        }
        Ok(())
    }
}

/// The revision that a call was told; and whether it made it, or must at least not be older than
/// what was known at the call. `None` in its place: a local read, which may be stale.
fn told(call: &CallRecord) -> Option<(i64, Option<bool>)> {
    let response = call.ended.as_ref()?.1.as_ref().ok()?;
    let header = match response {
        Response::Put(put) => put.header.as_ref(),
        Response::DeleteRange(deleted) => deleted.header.as_ref(),
        Response::Txn(txn) => txn.header.as_ref(),
        Response::Range(range) => range.header.as_ref(),
        Response::Compaction(compacted) => compacted.header.as_ref(),
        Response::LeaseGrant(granted) => granted.header.as_ref(),
        Response::LeaseRevoke(revoked) => revoked.header.as_ref(),
        Response::LeaseKeepAlive(renewed) => renewed.header.as_ref(),
        Response::LeaseTimeToLive(found) => found.header.as_ref(),
        Response::Leases(leases) => leases.header.as_ref(),
        Response::Alarm(alarms) => alarms.header.as_ref(),
        Response::Chore(header) => Some(header),
        Response::Watch(answer) => Some(&answer.header),
        Response::Hash(_) | Response::Done => None,
    };
    let changed = match (&call.request, response) {
        (Request::Range(read), _) if read.range.serializable => None,
        (Request::Watch(_) | Request::WatchNow(_), _) => None,
        (Request::ReadTxn(txn), _) if txn.is_serializable() => None,
        (_, Response::Put(_)) => Some(true),
        (_, Response::DeleteRange(deleted)) => Some(deleted.deleted > 0),
        (_, Response::Txn(txn)) => Some(writes(txn)),
        _ => Some(false),
    };
    Some((header?.revision, changed))
}

/// Whether a transaction wrote anything.
fn writes(txn: &TxnResponse) -> bool {
    txn.responses.iter().any(|response| match &response.response {
        Some(OpResponse::Put(_)) => true,
        Some(OpResponse::DeleteRange(deleted)) => deleted.deleted > 0,
        Some(OpResponse::Txn(nested)) => writes(nested),
        Some(OpResponse::Range(_)) | None => false,
    })
}

/// A key has one value at one revision, whoever reads it wherever.
pub fn values() -> impl Checker {
    Values
}

struct Values;

impl Checker for Values {
    fn name(&self) -> &'static str {
        "values"
    }

    fn check(&self, history: &RunHistory) -> Result<(), String> {
        let mut known: BTreeMap<(Bytes, i64), &KeyValue> = BTreeMap::new();
        for call in &history.calls {
            let Some((_, Ok(Response::Range(range)))) = &call.ended else { continue };
            let Request::Range(request) = &call.request else { continue };
            if request.range.keys_only {
                continue;
            }
            for kv in &range.kvs {
                let first = *known.entry((kv.key.clone(), kv.mod_revision)).or_insert(kv);
                if first != kv {
                    return Err(format!("{first:?} was also read as {kv:?} by {call:?}"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
