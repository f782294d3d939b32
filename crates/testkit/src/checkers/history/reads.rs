//! Whether reads find exactly what the changes up to their revision lead to.

use quorate_kv_api::{KvError, OpRequest, TxnRequest};

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
    // Whoever was told no revision was told what is the same at all of them.
    let head = told.unwrap_or(model.revision());
    let expected = match &record.call {
        Call::Range(read) => model.range(&read.range, head).map(Found::Range),
        Call::ReadTxn(txn) => match result {
            Err(cause) if told.is_none() => return check_txn_refused(record, txn, cause),
            _ => model.read_txn(txn, head).map(Found::Txn),
        },
        Call::Hash(revision) => model.hash(*revision, head).map(Found::Hash),
        Call::LeaseTimeToLive(_)
        | Call::Leases
        | Call::Alarms
        | Call::Watch(_)
        | Call::WatchNow(_)
        | Call::Swept(_) => return Ok(()),
        Call::Write(_) => {
            let detail = format!("a write was answered as a read: {}", describe_record(record));
            return Err(Violation::new("read-replay", detail));
        }
    };
    let checker = match &record.call {
        Call::Hash(_) => "read-hash",
        _ => "read-replay",
    };
    Violation::unless(expected == *result, checker, || {
        format!("should have found {expected:?}: {}", describe_record(record))
    })
}

/// A refusal that tells no revision must be that of a range in one of the branches; which one was
/// taken cannot be known.
fn check_txn_refused(record: &Record, txn: &TxnRequest, cause: &KvError) -> Result<(), Violation> {
    let mut ops = txn.success.iter().chain(&txn.failure);
    let fits = ops.any(|op| match (&op.request, cause) {
        (Some(OpRequest::Range(range)), KvError::Compacted { requested, compact_revision }) => {
            range.revision == *requested && requested < compact_revision && *compact_revision == -1
        }
        _ => false,
    });
    Violation::unless(fits, "read-replay", || {
        format!("should not have been refused: {}", describe_record(record))
    })
}
