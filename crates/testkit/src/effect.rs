//! What a command did, in the form in which the model and the store can be compared.

use quorate_kv_api::{KeyValue, KvError, OpResponse, RangeResponse, ResponseOp};
use quorate_mvcc::Response;
use quorate_types::{CommandId, LogIndex};

/// What a command did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Effect {
    /// It set a key at this revision.
    Put { revision: i64 },
    /// It deleted keys; the revision is a new one if there were any.
    Delete { revision: i64, deleted: i64 },
    /// It took one of its branches.
    Txn { revision: i64, succeeded: bool, parts: Vec<Part> },
    /// It was refused.
    Refused { cause: String },
}

/// What an operation of a transaction did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Part {
    Put,
    Delete { deleted: i64 },
    Range(Vec<KeyValue>),
    Other,
}

/// What the state machine answers to a command: its name, where it stood in the log, and what it
/// did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Answer {
    pub(crate) id: CommandId,
    pub(crate) index: LogIndex,
    pub(crate) effect: Effect,
}

/// What a read returned.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Found {
    pub(crate) revision: i64,
    pub(crate) kvs: Vec<KeyValue>,
}

impl Effect {
    pub(crate) fn of(result: Result<Response, KvError>) -> Self {
        match result {
            Ok(Response::Put(put)) => {
                Self::Put { revision: put.header.map_or(0, |header| header.revision) }
            }
            Ok(Response::DeleteRange(delete)) => Self::Delete {
                revision: delete.header.map_or(0, |header| header.revision),
                deleted: delete.deleted,
            },
            Ok(Response::Txn(txn)) => Self::Txn {
                revision: txn.header.map_or(0, |header| header.revision),
                succeeded: txn.succeeded,
                parts: txn.responses.into_iter().map(Part::of).collect(),
            },
            Err(cause) => Self::Refused { cause: cause.to_string() },
        }
    }

    /// The revision that the response told; 0 for a refusal.
    pub(crate) fn revision(&self) -> i64 {
        match self {
            Self::Put { revision } | Self::Delete { revision, .. } | Self::Txn { revision, .. } => {
                *revision
            }
            Self::Refused { .. } => 0,
        }
    }
}

impl Part {
    fn of(response: ResponseOp) -> Self {
        match response.response {
            Some(OpResponse::Put(_)) => Self::Put,
            Some(OpResponse::DeleteRange(delete)) => Self::Delete { deleted: delete.deleted },
            Some(OpResponse::Range(range)) => Self::Range(range.kvs),
            Some(OpResponse::Txn(_)) | None => Self::Other,
        }
    }
}

impl Found {
    pub(crate) fn of(response: RangeResponse) -> Self {
        let revision = response.header.map_or(0, |header| header.revision);
        Self { revision, kvs: response.kvs }
    }
}
