//! The key-value store as a simple model: what the applied log must lead to.
//!
//! Independent of the store under test: one map of keys, one list of changes, and the rule that a
//! command is applied once. It knows the requests that the workload makes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{
    Command, CommandKind, Compare, CompareResult, KeySpan, KeyValue, OpRequest, PutRequest,
    RequestOp, TargetUnion, TxnRequest,
};
use quorate_types::CommandId;

use crate::effect::{Effect, Part};

/// One change of one key.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    pub(crate) revision: i64,
    pub(crate) key: Bytes,
    /// What the key holds from then on; nothing if it was deleted.
    pub(crate) now: Option<KeyValue>,
}

/// The state that a log leads to, with all changes on the way.
#[derive(Debug)]
pub(crate) struct Model {
    revision: i64,
    keys: BTreeMap<Bytes, KeyValue>,
    changes: Vec<Change>,
    sessions: BTreeMap<u64, Session>,
}

/// What is known of one member's commands.
#[derive(Debug, Default)]
struct Session {
    incarnation: u64,
    floor: u64,
    seen: BTreeSet<u64>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { revision: 1, keys: BTreeMap::new(), changes: Vec::new(), sessions: BTreeMap::new() }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// All changes, by ascending revision.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyValue> {
        self.keys.values()
    }

    /// Applies a command, unless it was applied before or its member said that it is over.
    pub(crate) fn apply(&mut self, id: CommandId, floor: u64, payload: &Bytes) -> Option<Effect> {
        if !self.admit(id, floor) {
            return None;
        }
        let Ok(command) = Command::decode(payload.clone()) else {
            return Some(Effect::Refused { cause: "malformed command".to_owned() });
        };
        let next = self.revision + 1;
        let before = self.changes.len();
        let mut effect = match command.kind {
            Some(CommandKind::Put(put)) => {
                self.put(&put, next);
                Effect::Put { revision: next }
            }
            Some(CommandKind::DeleteRange(delete)) => {
                let deleted = self.delete(&delete.span(), next);
                Effect::Delete { revision: next, deleted }
            }
            Some(CommandKind::Txn(txn)) => self.txn(&txn, next),
            None => Effect::Refused { cause: "malformed command".to_owned() },
        };
        if self.changes.len() > before {
            self.revision = next;
        }
        let told = self.revision;
        if let Effect::Put { revision }
        | Effect::Delete { revision, .. }
        | Effect::Txn { revision, .. } = &mut effect
        {
            *revision = told;
        }
        Some(effect)
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

    fn put(&mut self, put: &PutRequest, revision: i64) {
        let old = self.keys.get(&put.key);
        let now = KeyValue {
            key: put.key.clone(),
            create_revision: old.map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.map_or(1, |old| old.version + 1),
            value: put.value.clone(),
            lease: put.lease,
        };
        self.keys.insert(put.key.clone(), now.clone());
        self.changes.push(Change { revision, key: put.key.clone(), now: Some(now) });
    }

    fn delete(&mut self, span: &KeySpan, revision: i64) -> i64 {
        let gone: Vec<Bytes> = self.keys.keys().filter(|key| span.contains(key)).cloned().collect();
        for key in &gone {
            self.keys.remove(key);
            self.changes.push(Change { revision, key: key.clone(), now: None });
        }
        gone.len() as i64
    }

    fn txn(&mut self, txn: &TxnRequest, next: i64) -> Effect {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { &txn.success } else { &txn.failure };
        let parts = branch.iter().map(|op| self.part(op, next)).collect();
        Effect::Txn { revision: next, succeeded, parts }
    }

    fn part(&mut self, op: &RequestOp, next: i64) -> Part {
        match &op.request {
            Some(OpRequest::Put(put)) => {
                self.put(put, next);
                Part::Put
            }
            Some(OpRequest::DeleteRange(delete)) => {
                Part::Delete { deleted: self.delete(&delete.span(), next) }
            }
            Some(OpRequest::Range(range)) => Part::Range(select(&self.keys, &range.span())),
            Some(OpRequest::Txn(_)) | None => Part::Other,
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let kv = self.keys.get(&compare.key);
        let number = |of: fn(&KeyValue) -> i64| kv.map_or(0, of);
        let ordering = match &compare.target_union {
            Some(TargetUnion::Version(given)) => number(|kv| kv.version).cmp(given),
            Some(TargetUnion::CreateRevision(given)) => number(|kv| kv.create_revision).cmp(given),
            Some(TargetUnion::ModRevision(given)) => number(|kv| kv.mod_revision).cmp(given),
            Some(TargetUnion::Value(given)) => match kv {
                Some(kv) => kv.value.cmp(given),
                None => return false,
            },
            Some(TargetUnion::Lease(given)) => number(|kv| kv.lease).cmp(given),
            None => return true,
        };
        match compare.result() {
            CompareResult::Equal => ordering.is_eq(),
            CompareResult::Greater => ordering.is_gt(),
            CompareResult::Less => ordering.is_lt(),
            CompareResult::NotEqual => ordering.is_ne(),
        }
    }
}

/// The keys of a span, in order.
pub(crate) fn select(keys: &BTreeMap<Bytes, KeyValue>, span: &KeySpan) -> Vec<KeyValue> {
    match span {
        KeySpan::Key(key) => keys.get(key).cloned().into_iter().collect(),
        _ => keys.values().filter(|kv| span.contains(&kv.key)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use quorate_kv_api::{DeleteRangeRequest, RangeRequest};
    use quorate_types::MemberId;

    use super::*;

    fn id(incarnation: u64, sequence: u64) -> CommandId {
        CommandId { origin: MemberId::new(1), incarnation, sequence }
    }

    fn bytes(command: impl Into<Command>) -> Bytes {
        command.into().encode_to_vec().into()
    }

    fn put(model: &mut Model, sequence: u64, key: &'static str) -> Option<Effect> {
        model.apply(id(1, sequence), 1, &bytes(PutRequest::new(key, "v")))
    }

    #[test]
    fn each_change_makes_one_revision_and_no_change_makes_none() {
        let mut model = Model::new();
        assert_eq!(put(&mut model, 1, "a"), Some(Effect::Put { revision: 2 }));
        assert_eq!(put(&mut model, 2, "a"), Some(Effect::Put { revision: 3 }));
        let delete = bytes(DeleteRangeRequest::key("b"));
        assert_eq!(
            model.apply(id(1, 3), 1, &delete),
            Some(Effect::Delete { revision: 3, deleted: 0 })
        );
        let kv = model.keys().next().expect("one key");
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
        assert_eq!(model.changes().len(), 2);
    }

    #[test]
    fn a_command_is_applied_once_and_not_after_its_end() {
        let mut model = Model::new();
        assert!(put(&mut model, 1, "a").is_some());
        assert!(put(&mut model, 1, "a").is_none());
        let late = bytes(PutRequest::new("a", "v"));
        assert!(model.apply(id(1, 9), 5, &late).is_some());
        assert!(model.apply(id(1, 4), 1, &late).is_none());
        assert!(model.apply(id(2, 1), 1, &late).is_some());
        assert!(model.apply(id(1, 10), 5, &late).is_none());
    }

    #[test]
    fn a_transaction_sees_the_state_before_and_then_its_own_writes() {
        let mut model = Model::new();
        put(&mut model, 1, "a");
        let txn = TxnRequest {
            compare: vec![Compare::key("a", CompareResult::Equal, TargetUnion::Version(1))],
            success: vec![PutRequest::new("a", "w").into(), RangeRequest::key("a").into()],
            failure: vec![RangeRequest::key("a").into()],
        };
        let taken = |effect| match effect {
            Some(Effect::Txn { revision, succeeded, parts }) => (revision, succeeded, parts),
            other => panic!("{other:?}"),
        };
        let (revision, succeeded, parts) = taken(model.apply(id(1, 2), 1, &bytes(txn.clone())));
        assert_eq!((revision, succeeded), (3, true));
        assert!(matches!(&parts[1], Part::Range(kvs) if kvs[0].value == "w"));
        let (revision, succeeded, parts) = taken(model.apply(id(1, 3), 1, &bytes(txn)));
        assert_eq!((revision, succeeded, parts.len()), (3, false, 1));
    }
}
