//! The store as a plain list of all its states, written from etcd's rules and not from the code.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{
    self as kv_api, Command, CommandKind, CompactionResponse, Compare, DeleteRangeRequest,
    DeleteRangeResponse, KeyValue, KvError, LeaseGrantRequest, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseRevokeResponse, OpRequest, OpResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TargetUnion, TxnRequest,
    TxnResponse,
};
use quorate_mvcc::{Response, WatchPosition};

pub(crate) type State = BTreeMap<Bytes, KeyValue>;

/// What happened: main and sub revision, the key, and its new content unless it was deleted.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    main: i64,
    sub: i64,
    key: Bytes,
    kv: Option<KeyValue>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The state at each revision; 0 and 1 are empty.
    states: Vec<State>,
    events: Vec<Event>,
    leases: BTreeMap<i64, Lease>,
    /// The index of the entry that the next commands come with.
    pub(crate) index: u64,
    compacted: i64,
}

/// A lease. Its keys are those that have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    pub(crate) ttl: i64,
    pub(crate) renewed_at: u64,
    pub(crate) remaining: i64,
}

/// What a store that was swept to the end holds besides the current state.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Remains {
    /// Main and sub revisions of the changes that are kept.
    pub(crate) history: BTreeSet<(i64, i64)>,
    /// How many of them are versions that are not current any more.
    pub(crate) versions_count: usize,
}

/// A command under way.
struct Work<'a> {
    model: &'a Model,
    state: State,
    events: Vec<Event>,
    leases: BTreeMap<i64, Lease>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            states: vec![State::new(), State::new()],
            events: Vec::new(),
            leases: BTreeMap::new(),
            index: 0,
            compacted: -1,
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    pub(crate) fn leases(&self) -> &BTreeMap<i64, Lease> {
        &self.leases
    }

    /// Every pair of a lease and a key attached to it.
    pub(crate) fn attachments(&self) -> BTreeSet<(i64, Bytes)> {
        let attached = self.now().values().filter(|kv| kv.lease != 0);
        attached.map(|kv| (kv.lease, kv.key.clone())).collect()
    }

    fn work(&self) -> Work<'_> {
        let (state, leases) = (self.now().clone(), self.leases.clone());
        Work { model: self, state, events: Vec::new(), leases }
    }

    fn now(&self) -> &State {
        self.states.last().expect("there are always two states")
    }

    /// The oldest revision that can be read.
    pub(crate) fn compacted(&self) -> i64 {
        self.compacted
    }

    fn compact(&mut self, revision: i64) -> Result<Response, KvError> {
        let (current, compact_revision) = (self.revision(), self.compacted);
        if revision <= compact_revision {
            return Err(KvError::Compacted { requested: revision, compact_revision });
        }
        if revision > current {
            return Err(KvError::FutureRevision { requested: revision, current });
        }
        self.compacted = revision;
        let header = Some(ResponseHeader { revision: current, ..ResponseHeader::default() });
        Ok(Response::Compaction(CompactionResponse { header }))
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Result<Response, KvError> {
        if let Some(CommandKind::Compaction(request)) = &command.kind {
            return self.compact(request.revision);
        }
        let mut work = self.work();
        let response = match &command.kind {
            None => Err(KvError::MalformedCommand),
            Some(CommandKind::Put(put)) => work
                .lease(put.lease)
                .and_then(|()| work.keeps(put))
                .map(|()| Response::Put(work.put(put))),
            Some(CommandKind::DeleteRange(delete)) => {
                Ok(Response::DeleteRange(work.delete(delete)))
            }
            Some(CommandKind::Txn(txn)) => work.txn(txn).map(Response::Txn),
            Some(kind) => work.about_leases(kind),
        }?;
        let leases = work.leases;
        let (state, mut events) = (work.state, work.events);
        if !events.is_empty() {
            self.states.push(state);
            self.events.append(&mut events);
        }
        self.leases = leases;
        Ok(response)
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, KvError> {
        self.work().range(request)
    }

    pub(crate) fn read_txn(&self, txn: &TxnRequest) -> Result<TxnResponse, KvError> {
        self.work().txn(txn)
    }

    /// All events in order, with the keys as they were before, and their places.
    pub(crate) fn events(&self) -> Vec<(WatchPosition, kv_api::Event)> {
        let told = |event: &Event| {
            let deleted = KeyValue {
                key: event.key.clone(),
                mod_revision: event.main,
                ..KeyValue::default()
            };
            let is_create =
                event.kv.as_ref().is_some_and(|kv| kv.create_revision == kv.mod_revision);
            let before = self.states[event.main as usize - 1].get(&event.key).cloned();
            let told = kv_api::Event {
                r#type: i32::from(event.kv.is_none()),
                kv: Some(event.kv.clone().unwrap_or(deleted)),
                prev_kv: before.filter(|_| !is_create),
            };
            (WatchPosition { revision: event.main, event: event.sub }, told)
        };
        self.events.iter().map(told).collect()
    }

    pub(crate) fn hash(&self, revision: i64) -> u32 {
        let mut bytes = b"key".to_vec();
        let is_empty = self.states[revision as usize].is_empty();
        let in_force = self.last_changes(if is_empty { self.compacted } else { revision });
        for event in self.events.iter().filter(|event| event.main <= revision) {
            let is_old = event.main <= self.compacted;
            if is_old && (event.kv.is_none() || !in_force.contains(&(event.main, event.sub))) {
                continue;
            }
            bytes.extend_from_slice(&event.main.to_be_bytes());
            bytes.push(b'_');
            bytes.extend_from_slice(&event.sub.to_be_bytes());
            match &event.kv {
                Some(kv) => bytes.extend_from_slice(&kv.encode_to_vec()),
                None => {
                    let kv = KeyValue { key: event.key.clone(), ..KeyValue::default() };
                    bytes.push(b't');
                    bytes.extend_from_slice(&kv.encode_to_vec());
                }
            }
        }
        crc32c::crc32c(&bytes)
    }

    /// The last change of each key up to a revision.
    fn last_changes(&self, revision: i64) -> BTreeSet<(i64, i64)> {
        let mut last = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.main <= revision) {
            last.insert(&event.key, (event.main, event.sub));
        }
        last.into_values().collect()
    }

    /// What is left when the sweep is at its end.
    pub(crate) fn remains(&self) -> Remains {
        let in_force = self.last_changes(self.compacted);
        let is_kept = |event: &&Event| {
            let is_in_force = in_force.contains(&(event.main, event.sub));
            event.main > self.compacted
                || (event.kv.is_some() && is_in_force)
                || (event.kv.is_none() && event.main == self.compacted)
        };
        let kept: Vec<&Event> = self.events.iter().filter(is_kept).collect();
        let puts_count = kept.iter().filter(|event| event.kv.is_some()).count();
        Remains {
            history: kept.iter().map(|event| (event.main, event.sub)).collect(),
            versions_count: puts_count - self.now().len(),
        }
    }
}

fn within(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    match end {
        b"" => key == start,
        b"\0" => key >= start,
        _ => start <= key && key < end,
    }
}

impl Work<'_> {
    fn revision(&self) -> i64 {
        self.model.revision() + i64::from(!self.events.is_empty())
    }

    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision: self.revision(), ..ResponseHeader::default() })
    }

    fn event(&mut self, key: &Bytes, kv: Option<KeyValue>) {
        let (main, sub) = (self.model.revision() + 1, self.events.len() as i64);
        self.events.push(Event { main, sub, key: key.clone(), kv });
    }

    fn lease(&self, lease: i64) -> Result<(), KvError> {
        if lease == 0 || self.leases.contains_key(&lease) {
            Ok(())
        } else {
            Err(KvError::LeaseNotFound { lease })
        }
    }

    fn about_leases(&mut self, kind: &CommandKind) -> Result<Response, KvError> {
        let renewed_at = self.model.index;
        match kind {
            CommandKind::LeaseGrant(request) => {
                let LeaseGrantRequest { id, ttl } = *request;
                if self.leases.contains_key(&id) {
                    return Err(KvError::LeaseExists { lease: id });
                }
                self.leases.insert(id, Lease { ttl, renewed_at, remaining: 0 });
                let header = self.header();
                let error = String::new();
                Ok(Response::LeaseGrant(LeaseGrantResponse { header, id, ttl, error }))
            }
            CommandKind::LeaseRevoke(request) => {
                self.lease(request.id)?;
                self.end(request.id);
                Ok(Response::LeaseRevoke(LeaseRevokeResponse { header: self.header() }))
            }
            CommandKind::LeaseKeepAlive(request) => {
                let (header, id) = (self.header(), request.id);
                let ttl = self.leases.get(&id).map_or(0, |lease| lease.ttl);
                if let Some(lease) = self.leases.get_mut(&id) {
                    *lease = Lease { ttl, renewed_at, remaining: 0 };
                }
                Ok(Response::LeaseKeepAlive(LeaseKeepAliveResponse { header, id, ttl }))
            }
            CommandKind::LeaseExpire(request) => {
                let lease = self.leases.get(&request.id);
                if lease.is_some_and(|lease| lease.renewed_at == request.renewed_at) {
                    self.end(request.id);
                }
                Ok(Response::Chore(self.header().unwrap_or_default()))
            }
            CommandKind::LeaseCheckpoint(request) => {
                for checkpoint in &request.checkpoints {
                    let remaining = checkpoint.remaining_ttl;
                    if let Some(lease) = self.leases.get_mut(&checkpoint.id)
                        && lease.renewed_at == checkpoint.renewed_at
                        && 0 < remaining
                        && remaining <= lease.ttl
                    {
                        lease.remaining = remaining;
                    }
                }
                Ok(Response::Chore(self.header().unwrap_or_default()))
            }
            _ => Err(KvError::MalformedCommand),
        }
    }

    fn end(&mut self, lease: i64) {
        self.leases.remove(&lease);
        let attached = self.state.values().filter(|kv| kv.lease == lease);
        let doomed: Vec<Bytes> = attached.map(|kv| kv.key.clone()).collect();
        for key in doomed {
            self.state.remove(&key);
            self.event(&key, None);
        }
    }

    fn keeps(&self, put: &PutRequest) -> Result<(), KvError> {
        let keeps = put.ignore_value || put.ignore_lease;
        if keeps && !(self.state.contains_key(&put.key) && self.model.now().contains_key(&put.key))
        {
            return Err(KvError::KeyNotFound);
        }
        Ok(())
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        let old = self.state.get(&put.key).cloned();
        let revision = self.model.revision() + 1;
        let kv = KeyValue {
            key: put.key.clone(),
            create_revision: old.as_ref().map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value: match &old {
                Some(old) if put.ignore_value => old.value.clone(),
                _ => put.value.clone(),
            },
            lease: match &old {
                Some(old) if put.ignore_lease => old.lease,
                _ => put.lease,
            },
        };
        self.state.insert(put.key.clone(), kv.clone());
        self.event(&put.key, Some(kv));
        PutResponse { header: self.header(), prev_kv: old.filter(|_| put.prev_kv) }
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let doomed: Vec<KeyValue> = self
            .state
            .values()
            .filter(|kv| within(&kv.key, &delete.key, &delete.range_end))
            .cloned()
            .collect();
        for kv in &doomed {
            self.state.remove(&kv.key);
            self.event(&kv.key, None);
        }
        DeleteRangeResponse {
            header: self.header(),
            deleted: doomed.len() as i64,
            prev_kvs: if delete.prev_kv { doomed } else { vec![] },
        }
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, KvError> {
        let current = self.revision();
        let at = if request.revision <= 0 { current } else { request.revision };
        if at > current {
            return Err(KvError::FutureRevision { requested: at, current });
        }
        let compact_revision = self.model.compacted;
        if at < compact_revision {
            return Err(KvError::Compacted { requested: at, compact_revision });
        }
        let state = if at == current { &self.state } else { &self.model.states[at as usize] };
        let mut kvs: Vec<KeyValue> = state
            .values()
            .filter(|kv| within(&kv.key, &request.key, &request.range_end))
            .cloned()
            .collect();
        let count = kvs.len() as i64;
        let limit = if request.limit > 0 { request.limit as usize } else { usize::MAX };
        if request.count_only {
            let header = self.header();
            return Ok(RangeResponse { header, kvs: vec![], more: false, count });
        }
        let bounds = [
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        ];
        if request.sort_order == 0 && bounds == [0; 4] {
            kvs.truncate(limit.saturating_add(1));
        }
        kvs.retain(|kv| bounds[0] == 0 || kv.mod_revision >= bounds[0]);
        kvs.retain(|kv| bounds[1] == 0 || kv.mod_revision <= bounds[1]);
        kvs.retain(|kv| bounds[2] == 0 || kv.create_revision >= bounds[2]);
        kvs.retain(|kv| bounds[3] == 0 || kv.create_revision <= bounds[3]);
        // Ties are in key order either way, so the key breaks them.
        let sign = if request.sort_order == 2 { -1 } else { 1 };
        match request.sort_target {
            0 if sign < 0 => kvs.reverse(),
            0 => {}
            1 => kvs.sort_by_key(|kv| sign * kv.version),
            2 => kvs.sort_by_key(|kv| sign * kv.create_revision),
            3 => kvs.sort_by_key(|kv| sign * kv.mod_revision),
            _ if sign < 0 => kvs.sort_by_key(|kv| std::cmp::Reverse(kv.value.clone())),
            _ => kvs.sort_by_key(|kv| kv.value.clone()),
        }
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        Ok(RangeResponse { header: self.header(), kvs, more, count })
    }

    fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, KvError> {
        self.check_puts(txn, &mut Vec::new())?;
        self.check_ranges(txn)?;
        let mut response = self.run(txn)?;
        response.header = self.header();
        Ok(response)
    }

    fn succeeds(&self, txn: &TxnRequest) -> bool {
        txn.compare.iter().all(|compare| self.holds(compare))
    }

    fn branch<'a>(&self, txn: &'a TxnRequest) -> &'a [RequestOp] {
        if self.succeeds(txn) { &txn.success } else { &txn.failure }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let mut kvs: Vec<KeyValue> = self
            .model
            .now()
            .values()
            .filter(|kv| within(&kv.key, &compare.key, &compare.range_end))
            .cloned()
            .collect();
        if kvs.is_empty() {
            if compare.target == 3 {
                return false;
            }
            kvs.push(KeyValue::default());
        }
        kvs.iter().all(|kv| {
            let union = compare.target_union.clone();
            let ordering = match (compare.target, union) {
                (0, Some(TargetUnion::Version(given))) => kv.version.cmp(&given),
                (0, _) => kv.version.cmp(&0),
                (1, Some(TargetUnion::CreateRevision(given))) => kv.create_revision.cmp(&given),
                (1, _) => kv.create_revision.cmp(&0),
                (2, Some(TargetUnion::ModRevision(given))) => kv.mod_revision.cmp(&given),
                (2, _) => kv.mod_revision.cmp(&0),
                (3, Some(TargetUnion::Value(given))) => kv.value.cmp(&given),
                (3, _) => kv.value.cmp(&Bytes::new()),
                (4, Some(TargetUnion::Lease(given))) => kv.lease.cmp(&given),
                (4, _) => kv.lease.cmp(&0),
                _ => 0.cmp(&0),
            };
            match compare.result {
                0 => ordering.is_eq(),
                1 => ordering.is_gt(),
                2 => ordering.is_lt(),
                3 => ordering.is_ne(),
                _ => true,
            }
        })
    }

    fn check_puts(&mut self, txn: &TxnRequest, deleted: &mut Vec<Bytes>) -> Result<(), KvError> {
        for op in self.branch(txn) {
            match &op.request {
                Some(OpRequest::Put(put)) => {
                    let is_gone = deleted.iter().any(|start| put.key >= *start);
                    if (put.ignore_value || put.ignore_lease) && is_gone {
                        return Err(KvError::KeyNotFound);
                    }
                    self.keeps(put)?;
                    self.lease(put.lease)?;
                }
                Some(OpRequest::DeleteRange(delete)) if delete.range_end == "\0" => {
                    deleted.push(delete.key.clone());
                }
                Some(OpRequest::Txn(nested)) => self.check_puts(nested, deleted)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn check_ranges(&self, txn: &TxnRequest) -> Result<(), KvError> {
        for op in self.branch(txn) {
            match &op.request {
                Some(OpRequest::Range(range)) => {
                    let (requested, current) = (range.revision, self.model.revision());
                    if requested > current {
                        return Err(KvError::FutureRevision { requested, current });
                    }
                    let compact_revision = self.model.compacted;
                    if requested != 0 && requested < compact_revision {
                        return Err(KvError::Compacted { requested, compact_revision });
                    }
                }
                Some(OpRequest::Txn(nested)) => self.check_ranges(nested)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&mut self, txn: &TxnRequest) -> Result<TxnResponse, KvError> {
        let succeeded = self.succeeds(txn);
        let mut responses = Vec::new();
        for op in self.branch(txn) {
            let response = match &op.request {
                Some(OpRequest::Range(range)) => Some(OpResponse::Range(self.range(range)?)),
                Some(OpRequest::Put(put)) => Some(OpResponse::Put(self.put(put))),
                Some(OpRequest::DeleteRange(delete)) => {
                    Some(OpResponse::DeleteRange(self.delete(delete)))
                }
                Some(OpRequest::Txn(nested)) => Some(OpResponse::Txn(self.run(nested)?)),
                None => None,
            };
            responses.push(ResponseOp { response });
        }
        Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
    }
}
