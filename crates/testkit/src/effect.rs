//! What members tell their clients, in full: answers to commands and what reads found.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_kv_api::{
    AlarmResponse, KvError, LeaseLeasesResponse, LeaseTimeToLiveResponse, OpResponse,
    RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
};
use quorate_mvcc::{Response, StoreHash, WatchBatch};
use quorate_types::{CommandId, LogIndex};

/// What the state machine answers to a command: its name, where it stood in the log, and the whole
/// response or refusal.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Answer {
    pub(crate) id: CommandId,
    pub(crate) index: LogIndex,
    pub(crate) result: Result<Response, KvError>,
}

/// What a read returned.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Found {
    Range(RangeResponse),
    Txn(TxnResponse),
    Hash(StoreHash),
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    Leases(LeaseLeasesResponse),
    Alarms(AlarmResponse),
    Watch(WatchBatch),
    Swept,
}

/// The store revision that the response to a command, or its refusal, tells.
pub(crate) fn revision_of(result: &Result<Response, KvError>) -> Option<i64> {
    match result {
        Ok(Response::Put(put)) => head(put.header),
        Ok(Response::DeleteRange(delete)) => head(delete.header),
        Ok(Response::Txn(txn)) => head(txn.header),
        Ok(Response::Compaction(compacted)) => head(compacted.header),
        Ok(Response::LeaseGrant(granted)) => head(granted.header),
        Ok(Response::LeaseRevoke(revoked)) => head(revoked.header),
        Ok(Response::LeaseKeepAlive(renewed)) => head(renewed.header),
        Ok(Response::Alarm(alarms)) => head(alarms.header),
        Ok(Response::Chore(header)) => Some(header.revision),
        Err(cause) => revision_of_refusal(cause),
    }
}

/// The store revision that a refusal tells.
pub(crate) fn revision_of_refusal(cause: &KvError) -> Option<i64> {
    match cause {
        KvError::FutureRevision { current, .. } => Some(*current),
        _ => None,
    }
}

fn head(header: Option<ResponseHeader>) -> Option<i64> {
    header.map(|header| header.revision)
}

impl Found {
    /// The store revision that the response tells. A hash tells only the revision it covers, so
    /// `None` for all but a range and a transaction.
    pub(crate) fn head(&self) -> Option<i64> {
        match self {
            Self::Range(range) => head(range.header),
            Self::Txn(txn) => head(txn.header),
            Self::LeaseTimeToLive(found) => head(found.header),
            Self::Leases(leases) => head(leases.header),
            Self::Alarms(alarms) => head(alarms.header),
            Self::Watch(batch) => Some(batch.revision),
            Self::Hash(_) | Self::Swept => None,
        }
    }
}

/// The revisions that clients of one member were told; later requests refer to them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    revision: i64,
    mod_revisions: BTreeMap<Bytes, i64>,
}

impl Seen {
    /// The newest revision of the store; 0 before the first.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// The newest mod revision of a key; 0 if none was told.
    pub(crate) fn mod_revision(&self, key: &[u8]) -> i64 {
        self.mod_revisions.get(key).copied().unwrap_or(0)
    }

    /// A command was answered.
    pub(crate) fn learn_answer(&mut self, answer: &Answer) {
        self.learn_revision(revision_of(&answer.result));
        if let Ok(Response::Txn(txn)) = &answer.result {
            self.learn_responses(&txn.responses);
        }
    }

    /// A read was answered.
    pub(crate) fn learn_found(&mut self, found: &Found) {
        self.learn_revision(found.head());
        match found {
            Found::Range(range) => self.learn_range(range),
            Found::Txn(txn) => self.learn_responses(&txn.responses),
            _ => {}
        }
    }

    fn learn_revision(&mut self, revision: Option<i64>) {
        self.revision = self.revision.max(revision.unwrap_or(0));
    }

    fn learn_responses(&mut self, responses: &[ResponseOp]) {
        for response in responses {
            match &response.response {
                Some(OpResponse::Range(range)) => self.learn_range(range),
                Some(OpResponse::Txn(txn)) => self.learn_responses(&txn.responses),
                Some(OpResponse::Put(_) | OpResponse::DeleteRange(_)) | None => {}
            }
        }
    }

    fn learn_range(&mut self, range: &RangeResponse) {
        for kv in &range.kvs {
            if self.mod_revisions.len() >= KEYS_SEEN_MAX {
                return;
            }
            let newest = self.mod_revisions.entry(kv.key.clone()).or_default();
            *newest = kv.mod_revision.max(*newest);
        }
    }
}

/// Planned requests use few keys; those of other callers need not be remembered.
const KEYS_SEEN_MAX: usize = 1_024;
