//! Carrying out one command on the pending changes.

use bytes::Bytes;
use quorate_kv_api::{
    AlarmResponse, Command, CommandKind, CompactionResponse, DeleteRangeRequest,
    DeleteRangeResponse, KeySpan, KvError, OpRequest, OpResponse, PutRequest, PutResponse,
    RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};

use quorate_types::{CommandId, mutant};

use crate::compaction::compact;
use crate::health::Health;
use crate::meta::Head;
use crate::pending::Pending;
use crate::read::{decode_live, range, visit_current};
use crate::record::{Attributes, LiveHeader, Revision, encode_delete, encode_live, encode_put};
use crate::source::Source;
use crate::store::Response;
use crate::txn::{Path, check, check_lease};
use crate::{LIVE, RequestError, StoreError};

/// Carries out `command` on `pending`, which stands at `head`; a change moves the head's revision
/// by one. `id` names the command. A refused command changes nothing. After a failure `pending` is
/// of no use any more.
pub(crate) fn execute(
    pending: &mut Pending<'_>,
    head: &mut Head,
    health: &mut Health,
    command: &Command,
    id: CommandId,
) -> Result<Response, RequestError> {
    if let Some(kind) = &command.kind {
        health.alarms.check(kind)?;
    }
    let mut execution = Execution { pending, head, changes: 0 };
    let response = match &command.kind {
        Some(CommandKind::Put(request)) => {
            execution.check_put(request)?;
            Response::Put(execution.put(request)?)
        }
        Some(CommandKind::DeleteRange(request)) => {
            Response::DeleteRange(execution.delete_range(request)?)
        }
        Some(CommandKind::Txn(request)) => Response::Txn(execution.txn(request)?),
        Some(CommandKind::LeaseGrant(request)) => {
            Response::LeaseGrant(execution.lease_grant(request, id)?)
        }
        Some(CommandKind::LeaseRevoke(request)) => {
            Response::LeaseRevoke(execution.lease_revoke(request)?)
        }
        Some(CommandKind::LeaseKeepAlive(request)) => {
            Response::LeaseKeepAlive(execution.lease_keep_alive(request))
        }
        Some(CommandKind::LeaseExpire(request)) => {
            Response::Chore(execution.lease_expire(request)?)
        }
        Some(CommandKind::LeaseCheckpoint(request)) => {
            Response::Chore(execution.lease_checkpoint(request))
        }
        Some(CommandKind::Compaction(request)) => {
            compact(execution.head, request)?;
            Response::Compaction(CompactionResponse { header: execution.header() })
        }
        Some(CommandKind::Alarm(request)) => {
            let alarms = health.alarms.apply(request)?;
            Response::Alarm(AlarmResponse { header: execution.header(), alarms })
        }
        Some(CommandKind::HashMark(_)) => {
            health.comparison.begin(execution.head);
            Response::Chore(ResponseHeader::at(execution.revision()))
        }
        Some(CommandKind::HashReport(report)) => {
            for member in health.comparison.add(report) {
                health.alarms.raise_corrupt(member);
            }
            Response::Chore(ResponseHeader::at(execution.revision()))
        }
        None => return Err(KvError::MalformedCommand.into()),
    };
    execution.finish();
    Ok(response)
}

/// One command being carried out. All its changes share one main revision.
pub(crate) struct Execution<'a, 'p> {
    pub(crate) pending: &'a mut Pending<'p>,
    /// Where the store stood before the command.
    pub(crate) head: &'a mut Head,
    /// How many changes were made: the next one's sub revision.
    changes: i64,
}

impl Execution<'_, '_> {
    /// The revision that ranges within the command see.
    pub(crate) fn revision(&self) -> i64 {
        if self.changes > 0 { self.head.revision + 1 } else { self.head.revision }
    }

    pub(crate) fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader::at(self.revision()))
    }

    fn finish(self) {
        self.head.revision = self.revision();
    }

    /// Takes the revision of the next change.
    fn next_revision(&mut self) -> Revision {
        let revision = Revision::new(self.head.revision + 1, self.changes);
        self.changes += 1;
        revision
    }

    /// The checks of a put outside of a transaction, in etcd's order.
    fn check_put(&self, request: &PutRequest) -> Result<(), RequestError> {
        check_lease(&*self.pending, request.lease)?;
        let keeps_something = request.ignore_value || request.ignore_lease;
        if keeps_something && self.pending.live(&request.key)?.is_none() {
            return Err(KvError::KeyNotFound.into());
        }
        Ok(())
    }

    fn put(&mut self, request: &PutRequest) -> Result<PutResponse, StoreError> {
        let key = &request.key;
        let (old, record) = self.old(key, request.ignore_value || request.prev_kv)?;
        let revision = self.next_revision();
        let mut attributes =
            Attributes { create_revision: revision.main, version: 1, lease: request.lease };
        let mut value = request.value.clone();
        let mut prev_kv = None;
        if let Some(old) = &old {
            let created = old.attributes.create_revision;
            attributes.create_revision = mutant!(M66, created, revision.main);
            attributes.version = old.attributes.version + 1;
            if request.ignore_lease {
                attributes.lease = old.attributes.lease;
            }
            if request.ignore_value {
                value = old.value(&record);
            }
            if request.prev_kv {
                prev_kv = Some(old.key_value(key.clone(), &record));
            }
            mutant!(M83, self.pending.add_version(key, old.revision, revision.main), ());
        }
        let old_lease = old.map_or(0, |old| old.attributes.lease);
        self.pending.attach(key, old_lease, attributes.lease);
        let superseded = old.map(|old| old.revision).unwrap_or_default();
        let history = encode_put(key, superseded, attributes, &value);
        self.pending.add_history(revision, history);
        self.pending.set_live(key, Some(encode_live(revision, attributes, &value)));
        Ok(PutResponse { header: Some(ResponseHeader::at(revision.main)), prev_kv })
    }

    /// The current version of a key, if there is one, and its record, which is left empty if its
    /// value is not wanted.
    pub(crate) fn old(
        &self,
        key: &[u8],
        with_value: bool,
    ) -> Result<(Option<LiveHeader>, Bytes), StoreError> {
        let (header, record) = if with_value {
            let record = self.pending.live(key)?;
            let header = record.as_ref().map(|record| decode_live(key, record)).transpose()?;
            (header, record.unwrap_or_default())
        } else {
            (self.pending.live_header(key)?, Bytes::new())
        };
        let header = header.map(|header| self.check(key, header)).transpose()?;
        Ok((header, record))
    }

    /// The revision of a current record cannot lie ahead of the store.
    fn check(&self, key: &[u8], header: LiveHeader) -> Result<LiveHeader, StoreError> {
        if header.revision.main > self.revision() {
            return Err(StoreError::corrupt(LIVE, key, "its revision lies in the future"));
        }
        Ok(header)
    }

    fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, StoreError> {
        let mut doomed = Vec::new();
        match request.span() {
            KeySpan::Key(key) => {
                let (header, record) = self.old(&key, request.prev_kv)?;
                doomed.extend(header.map(|header| (key, record, header)));
            }
            span => visit_current(&*self.pending, &span, |key, record| {
                let header = self.check(&key, decode_live(&key, &record)?)?;
                doomed.push((key, record, header));
                Ok(true)
            })?,
        }
        mutant!(M67, { doomed.truncate(doomed.len().saturating_sub(1).max(1)) });
        let deleted = doomed.len() as i64;
        let mut prev_kvs = Vec::new();
        for (key, record, header) in doomed {
            self.delete(&key, &header);
            if request.prev_kv {
                prev_kvs.push(header.key_value(key, &record));
            }
        }
        let header = Some(ResponseHeader::at(self.revision()));
        Ok(DeleteRangeResponse { header, deleted, prev_kvs })
    }

    /// Deletes a key, whose present version is `header`.
    pub(crate) fn delete(&mut self, key: &[u8], header: &LiveHeader) {
        let revision = self.next_revision();
        self.pending.attach(key, header.attributes.lease, 0);
        self.pending.add_version(key, header.revision, revision.main);
        self.pending.add_history(revision, encode_delete(key, header.revision));
        self.pending.set_live(key, None);
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, RequestError> {
        let mut path = Path::evaluate(&*self.pending, request)?;
        mutant!(M12, check(&*self.pending, self.head, request, &mut path)?, path.rewind());
        let mut response = self.branch(request, &mut path)?;
        response.header = Some(ResponseHeader::at(self.revision()));
        Ok(response)
    }

    /// Carries out the branch taken. The header stays empty, as etcd leaves that of a nested one.
    fn branch(
        &mut self,
        request: &TxnRequest,
        path: &mut Path,
    ) -> Result<TxnResponse, RequestError> {
        let (succeeded, ops) = path.enter(request);
        let mut responses = Vec::with_capacity(ops.len());
        for op in ops {
            responses.push(ResponseOp { response: self.op(op, path)? });
        }
        Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
    }

    fn op(&mut self, op: &RequestOp, path: &mut Path) -> Result<Option<OpResponse>, RequestError> {
        let response = match &op.request {
            Some(OpRequest::Range(request)) => {
                let head = Head { revision: self.revision(), ..*self.head };
                OpResponse::Range(range(&*self.pending, &head, request)?)
            }
            Some(OpRequest::Put(request)) => OpResponse::Put(self.put(request)?),
            Some(OpRequest::DeleteRange(request)) => {
                OpResponse::DeleteRange(self.delete_range(request)?)
            }
            Some(OpRequest::Txn(request)) => OpResponse::Txn(self.branch(request, path)?),
            None => return Ok(None),
        };
        Ok(Some(response))
    }
}
