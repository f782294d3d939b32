//! Whether reads find exactly what the changes up to their revision lead to.

use quorate::seam::Read;
use quorate_kv_api::{
    KvError, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, OpRequest, TxnRequest,
};

use crate::checkers::history::order::head;
use crate::checkers::history::{Call, Ending, Record};
use crate::checkers::model::Model;
use crate::effect::Found;
use crate::timeline::describe_record;
use crate::violation::Violation;

/// Checks the content of every read, with all fields of its response.
pub(super) fn check(history: &[Record], model: &Model) -> Result<(), Violation> {
    for (place, record) in history.iter().enumerate() {
        if let Some(Ending::Read(result)) = record.ending() {
            let checked = check_read(record, result, model);
            checked.map_err(|violation| violation.about(place))?;
        }
    }
    Ok(())
}

fn check_read(
    record: &Record,
    result: &Result<Found, KvError>,
    model: &Model,
) -> Result<(), Violation> {
    let told = head(record);
    if let Some(revision) = told {
        let exists = revision >= 1 && revision <= model.revision();
        Violation::unless(exists, "read-revision", || {
            format!("revision {revision} does not exist: {}", describe_record(record))
        })?;
    }
    let fits = match (&record.call, result) {
        (Call::Range(read), _) => return check_range(record, read, result, told, model),
        (Call::ReadTxn(txn), Err(cause)) if told.is_none() => {
            return check_txn_refused(record, txn, cause, model);
        }
        (Call::ReadTxn(txn), _) => {
            let expected = |head, compacted| model.read_txn(txn, head, compacted).map(Found::Txn);
            return expect(record, result, model, told, expected);
        }
        (Call::Hash(revision), _) => {
            let expected =
                |head, compacted| model.hash(*revision, head, compacted).map(Found::Hash);
            return expect(record, result, model, told, expected);
        }
        (Call::LeaseTimeToLive(request), Ok(Found::LeaseTimeToLive(found))) => {
            fits_time_to_live(request, found, told.unwrap_or(0), model)
        }
        (Call::Leases, Ok(Found::Leases(found))) => {
            let mut ids: Vec<i64> = found.leases.iter().map(|lease| lease.id).collect();
            ids.sort_unstable();
            let same = |known: &Vec<(i64, i64)>| known.iter().map(|(id, _)| *id).eq(ids.clone());
            model.leases_at(told.unwrap_or(0)).any(same)
        }
        (Call::Alarms, Ok(Found::Alarms(found))) => {
            model.alarms_at(told.unwrap_or(0)).any(|known| *known == found.alarms)
        }
        (Call::Watch(_) | Call::WatchNow(_) | Call::Swept(_), _) => true,
        _ => false,
    };
    Violation::unless(fits, "read-replay", || {
        format!("was never true of that revision: {}", describe_record(record))
    })
}

fn check_range(
    record: &Record,
    read: &Read,
    result: &Result<Found, KvError>,
    told: Option<i64>,
    model: &Model,
) -> Result<(), Violation> {
    if let (Some(told), Some(least)) = (told, read.at_least) {
        Violation::unless(told >= least, "read-revision", || {
            format!("served at {told}, before {least}: {}", describe_record(record))
        })?;
    }
    expect(record, result, model, told, |head, compacted| {
        let mut found = model.range(&read.range, head, compacted)?;
        if read.is_part {
            // What lies beyond the limit was not looked at.
            found.count = found.kvs.len() as i64;
        }
        Ok(Found::Range(found))
    })
}

/// The result must be what is expected of a store that stands at the revision told, compacted so
/// far as it was at some moment there.
fn expect(
    record: &Record,
    result: &Result<Found, KvError>,
    model: &Model,
    told: Option<i64>,
    expected: impl Fn(i64, i64) -> Result<Found, KvError>,
) -> Result<(), Violation> {
    // Whoever was told no revision was told what is the same at all of them, or of a hash: that is
    // the same at all where the revision asked for was there.
    let head = told.unwrap_or(model.revision());
    let mut compacted = match (result, told) {
        (_, Some(head)) => model.compacted_at(head),
        (Ok(Found::Hash(hash)), None) => model.compacted_since(hash.revision.max(1)),
        (_, None) => model.compacted_since(1),
    };
    match result {
        Err(KvError::Compacted { compact_revision, .. }) => {
            compacted.retain(|known| known == compact_revision);
        }
        Ok(Found::Hash(hash)) => compacted.retain(|known| *known == hash.compact_revision),
        _ => {}
    }
    let mut candidates = compacted.into_iter().map(|compacted| expected(head, compacted));
    let checker = match &record.call {
        Call::Hash(_) => "read-hash",
        _ => "read-replay",
    };
    Violation::unless(candidates.any(|expected| expected == *result), checker, || {
        let expected = expected(head, model.compact_revision());
        format!("should have found as {expected:?}: {}", describe_record(record))
    })
}

/// Whether a lease was as told at some moment at `head`. How long it still lives is for the clock
/// of the member; it is bounded.
fn fits_time_to_live(
    request: &LeaseTimeToLiveRequest,
    found: &LeaseTimeToLiveResponse,
    head: i64,
    model: &Model,
) -> bool {
    let granted = |known: &Vec<(i64, i64)>| {
        known.iter().find(|(id, _)| *id == request.id).map_or(0, |(_, granted)| *granted)
    };
    let exists = found.ttl >= 0;
    let keys = match request.keys && exists {
        true => model.attached(request.id, head),
        false => Vec::new(),
    };
    let possible = if exists { 0..=found.granted_ttl + EXTENSION_MAX } else { -1..=-1 };
    found.id == request.id
        && exists == (found.granted_ttl != 0)
        && model.leases_at(head).any(|known| granted(known) == found.granted_ttl)
        && possible.contains(&found.ttl)
        && found.keys == keys
}

/// A refusal that tells no revision must be that of a range in one of the branches; which one was
/// taken cannot be known.
fn check_txn_refused(
    record: &Record,
    txn: &TxnRequest,
    cause: &KvError,
    model: &Model,
) -> Result<(), Violation> {
    let compacted = model.compacted_since(1);
    let mut ops = txn.success.iter().chain(&txn.failure);
    let fits = ops.any(|op| match (&op.request, cause) {
        (Some(OpRequest::Range(range)), KvError::Compacted { requested, compact_revision }) => {
            range.revision == *requested
                && requested < compact_revision
                && compacted.contains(compact_revision)
        }
        _ => false,
    });
    Violation::unless(fits, "read-replay", || {
        format!("should not have been refused: {}", describe_record(record))
    })
}

/// Seconds by which a change of leadership lengthens a lease at most: an election timeout.
const EXTENSION_MAX: i64 = 10;
