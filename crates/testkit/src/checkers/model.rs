//! The key-value store as a simple model: what the applied log must lead to.
//!
//! Written from etcd's rules and independent of the store under test: all versions of all keys in
//! one map, a chain of hashes, and the rule that a command is applied once. It answers every
//! request in full, so that answers are compared field by field.
//!
//! What no revision tells, as the leases, is kept with all that it was before: an answer must be
//! true of some moment at which the store stood where the answer says.

mod alarms;
mod changes;
mod compact;
mod compare;
mod hash;
mod leases;
mod shape;
mod standing;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{
    AlarmMember, Command, CommandKind, DeleteRangeRequest, DeleteRangeResponse, KeyValue, KvError,
    OpRequest, OpResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use quorate_mvcc::{Response, StoreHash};
use quorate_types::CommandId;

pub(crate) use self::changes::Change;
use self::compact::check_revision;
use self::hash::HashChain;
use self::leases::Leases;
pub(crate) use self::shape::{check_command, check_range, check_txn};
use self::standing::Standing;
use self::versions::Versions;

/// The state that a log leads to, and every state on the way.
#[derive(Debug)]
pub(crate) struct Model {
    /// The newest revision of a command that was carried out whole.
    revision: i64,
    versions: Versions,
    hashes: HashChain,
    /// Everything that ever happened, in order.
    history: Vec<Change>,
    compacted: Standing<i64>,
    leases: Leases,
    alarms: Standing<Vec<AlarmMember>>,
    /// Where the command under way stands in the log.
    index: u64,
    /// How many changes the command under way made.
    changes: i64,
    sessions: BTreeMap<u64, Session>,
}

/// What is known of one member's commands.
#[derive(Debug, Default)]
struct Session {
    incarnation: u64,
    floor: u64,
    seen: BTreeSet<u64>,
}

/// What a command did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outcome {
    /// What its caller must be told.
    pub(crate) result: Result<Response, KvError>,
    /// Whether it made a revision.
    pub(crate) changed: bool,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            revision: 1,
            versions: Versions::default(),
            hashes: HashChain::new(),
            history: Vec::new(),
            compacted: Standing::new(-1),
            leases: Leases::new(),
            alarms: Standing::new(Vec::new()),
            index: 0,
            changes: 0,
            sessions: BTreeMap::new(),
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Everything that happened, in the order of the writes.
    pub(crate) fn history(&self) -> &[Change] {
        &self.history
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyValue> {
        self.versions.all(self.revision)
    }

    /// Applies a command of the log entry at `index`, unless it was applied before or its member
    /// said that it is over.
    pub(crate) fn apply(
        &mut self,
        index: u64,
        id: CommandId,
        floor: u64,
        payload: &Bytes,
    ) -> Option<Outcome> {
        self.index = index;
        self.admit(id, floor).then(|| match Command::decode(payload.clone()) {
            Ok(command) => self.execute(&command, id),
            Err(_) => Outcome { result: Err(KvError::MalformedCommand), changed: false },
        })
    }

    fn admit(&mut self, id: CommandId, floor: u64) -> bool {
        let session = self.sessions.entry(id.origin.get()).or_default();
        if id.incarnation < session.incarnation {
            return false;
        }
        if id.incarnation > session.incarnation {
            *session = Session { incarnation: id.incarnation, ..Session::default() };
        }
        let fresh = id.sequence >= session.floor && session.seen.insert(id.sequence);
        if floor > session.floor {
            session.floor = floor;
            session.seen = session.seen.split_off(&floor);
        }
        fresh
    }

    // Writing.

    /// Carries out a command: all of it at one revision, or nothing.
    fn execute(&mut self, command: &Command, id: CommandId) -> Outcome {
        self.changes = 0;
        let result = match &command.kind {
            None => Err(KvError::MalformedCommand),
            Some(kind) => self.check_alarms(kind).and_then(|()| self.carry_out(kind, id)),
        };
        let changed = self.changes > 0;
        self.revision = self.present();
        self.leases.note(self.revision, changed);
        Outcome { result, changed }
    }

    fn carry_out(&mut self, command: &CommandKind, id: CommandId) -> Result<Response, KvError> {
        Ok(match command {
            CommandKind::Put(put) => {
                self.check_lease(put)?;
                self.check_kept(put, false)?;
                Response::Put(self.put(put))
            }
            CommandKind::DeleteRange(delete) => Response::DeleteRange(self.delete_range(delete)),
            CommandKind::Txn(txn) => Response::Txn(self.txn(txn)?),
            CommandKind::Compaction(request) => Response::Compaction(self.compact(request)?),
            CommandKind::LeaseGrant(request) => {
                Response::LeaseGrant(self.lease_grant(request, id)?)
            }
            CommandKind::LeaseRevoke(request) => {
                Response::LeaseRevoke(self.lease_revoke(request.id)?)
            }
            CommandKind::LeaseKeepAlive(request) => {
                Response::LeaseKeepAlive(self.lease_keep_alive(request.id))
            }
            CommandKind::LeaseExpire(request) => Response::Chore(self.lease_expire(request)),
            CommandKind::LeaseCheckpoint(request) => {
                Response::Chore(self.lease_checkpoint(request))
            }
            CommandKind::Alarm(request) => Response::Alarm(self.alarm(request)?),
            // Members are told not to compare hashes, so nobody proposes it.
            CommandKind::HashMark(_) | CommandKind::HashReport(_) => {
                return Err(KvError::MalformedCommand);
            }
        })
    }

    /// The revision that the command under way sees.
    fn present(&self) -> i64 {
        self.revision + i64::from(self.changes > 0)
    }

    fn record(&mut self, key: &Bytes, now: Option<KeyValue>) {
        let main = self.revision + 1;
        let before = self.versions.get(key, self.revision).cloned();
        self.history.push(Change::new((main, self.changes), key, now.clone(), before));
        self.hashes.add((main, self.changes), key, now.as_ref());
        self.versions.add(key, main, now);
        self.changes += 1;
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        let revision = self.revision + 1;
        let old = self.versions.get(&put.key, revision).cloned();
        let mut now = KeyValue {
            key: put.key.clone(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            value: put.value.clone(),
            lease: put.lease,
        };
        if let Some(old) = &old {
            now.create_revision = old.create_revision;
            now.version = old.version + 1;
            if put.ignore_value {
                now.value = old.value.clone();
            }
            if put.ignore_lease {
                now.lease = old.lease;
            }
        }
        self.record(&put.key, Some(now));
        PutResponse { header: header(revision), prev_kv: old.filter(|_| put.prev_kv) }
    }

    fn delete_range(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let present = self.present();
        let span = self.versions.span(&delete.key, &delete.range_end, present);
        let gone: Vec<KeyValue> = span.cloned().collect();
        for kv in &gone {
            self.record(&kv.key, None);
        }
        DeleteRangeResponse {
            header: header(self.present()),
            deleted: gone.len() as i64,
            prev_kvs: if delete.prev_kv { gone } else { Vec::new() },
        }
    }

    fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, KvError> {
        self.check_puts(txn, &mut Vec::new())?;
        self.check_ranges(txn, self.revision, self.compact_revision())?;
        let mut response = self.branch(txn);
        response.header = header(self.present());
        Ok(response)
    }

    /// Carries out the branch taken; the header of a nested transaction stays empty.
    fn branch(&mut self, txn: &TxnRequest) -> TxnResponse {
        let (succeeded, ops) = self.taken(txn, self.revision);
        let responses = ops.iter().map(|op| ResponseOp { response: self.op(op) }).collect();
        TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses }
    }

    fn op(&mut self, op: &RequestOp) -> Option<OpResponse> {
        Some(match op.request.as_ref()? {
            OpRequest::Put(put) => OpResponse::Put(self.put(put)),
            OpRequest::DeleteRange(delete) => OpResponse::DeleteRange(self.delete_range(delete)),
            OpRequest::Range(range) => {
                OpResponse::Range(self.versions.select(range, self.present()))
            }
            OpRequest::Txn(txn) => OpResponse::Txn(self.branch(txn)),
        })
    }

    // Checks before anything is written.

    /// Whether the compares hold at `head`, and the branch taken. Nested ones, too, look at the
    /// state before the outermost transaction.
    fn taken<'a>(&self, txn: &'a TxnRequest, head: i64) -> (bool, &'a [RequestOp]) {
        let succeeded = txn.compare.iter().all(|one| compare::holds(&self.versions, one, head));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    /// Refuses a put that keeps what is not there.
    fn check_kept(&self, put: &PutRequest, taken_away: bool) -> Result<(), KvError> {
        let keeps = put.ignore_value || put.ignore_lease;
        let exists = !taken_away && self.versions.get(&put.key, self.revision).is_some();
        if keeps && !exists { Err(KvError::KeyNotFound) } else { Ok(()) }
    }

    /// Checks the puts on the branches taken. `from` has the starts of earlier deletions without an
    /// end, the only ones that the check of the shape lets stand before a put of their keys.
    fn check_puts(&self, txn: &TxnRequest, from: &mut Vec<Bytes>) -> Result<(), KvError> {
        for op in self.taken(txn, self.revision).1 {
            match &op.request {
                Some(OpRequest::Put(put)) => {
                    let taken_away = from.iter().any(|start| put.key >= *start);
                    self.check_kept(put, taken_away)?;
                    self.check_lease(put)?;
                }
                Some(OpRequest::DeleteRange(delete)) if delete.range_end[..] == [0] => {
                    from.push(delete.key.clone());
                }
                Some(OpRequest::Txn(nested)) => self.check_puts(nested, from)?,
                Some(OpRequest::DeleteRange(_) | OpRequest::Range(_)) | None => {}
            }
        }
        Ok(())
    }

    /// Checks the revisions of the ranges on the branches taken.
    fn check_ranges(&self, txn: &TxnRequest, head: i64, compacted: i64) -> Result<(), KvError> {
        for op in self.taken(txn, head).1 {
            match &op.request {
                Some(OpRequest::Range(range)) => check_revision(range.revision, head, compacted)?,
                Some(OpRequest::Txn(nested)) => self.check_ranges(nested, head, compacted)?,
                Some(OpRequest::Put(_) | OpRequest::DeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }

    // Reading, from a store that stands at `head`, which must exist, and was compacted so far.

    /// What a range finds.
    pub(crate) fn range(
        &self,
        request: &RangeRequest,
        head: i64,
        compacted: i64,
    ) -> Result<RangeResponse, KvError> {
        check_revision(request.revision.max(0), head, compacted)?;
        Ok(self.versions.select(request, head))
    }

    /// What a transaction finds that holds nothing but ranges.
    pub(crate) fn read_txn(
        &self,
        txn: &TxnRequest,
        head: i64,
        compacted: i64,
    ) -> Result<TxnResponse, KvError> {
        self.check_ranges(txn, head, compacted)?;
        let (succeeded, ops) = self.taken(txn, head);
        let responses = ops
            .iter()
            .map(|op| match &op.request {
                Some(OpRequest::Range(range)) => {
                    Ok(OpResponse::Range(self.versions.select(range, head)).into())
                }
                _ => Err(KvError::NotReadOnly),
            })
            .collect::<Result<_, _>>()?;
        Ok(TxnResponse { header: header(head), succeeded, responses })
    }

    /// The hash over the history up to a revision. Of what was compacted counts what was still in
    /// force at that revision, or, if no key was there then, at the compact revision.
    pub(crate) fn hash(
        &self,
        requested: i64,
        head: i64,
        compact_revision: i64,
    ) -> Result<StoreHash, KvError> {
        let revision = if requested == 0 { head } else { requested };
        // A negative revision covers nothing, whatever was compacted.
        if revision >= 0 && revision < compact_revision {
            return Err(KvError::Compacted { requested, compact_revision });
        }
        if revision > head {
            return Err(KvError::FutureRevision { requested, current: head });
        }
        let hash = match compact_revision {
            -1 => self.hashes.at(revision),
            _ => {
                let is_empty = self.versions.all(revision).next().is_none();
                let in_force_at = if is_empty { compact_revision } else { revision };
                self.hashes.compacted_at(revision, compact_revision, in_force_at)
            }
        };
        Ok(StoreHash { hash, revision, compact_revision })
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
