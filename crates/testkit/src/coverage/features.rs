//! What a call is made of.

use prost::Message;
use quorate_kv_api::{
    Command, CommandKind, Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeySpan,
    KvError, OpRequest, PutRequest, RangeRequest, SortOrder, SortTarget, TxnRequest,
};
use quorate_mvcc::WatchQuery;

use crate::checkers::history::Call;

/// Names everything that a call is made of; some names may come twice.
pub(crate) fn features_of(call: &Call) -> Vec<&'static str> {
    let mut names = Names(Vec::new());
    match call {
        Call::Write(payload) => match Command::decode(payload.clone()).map(|it| it.kind) {
            Ok(Some(CommandKind::Put(put))) => names.put(&put),
            Ok(Some(CommandKind::DeleteRange(delete))) => names.delete(&delete),
            Ok(Some(CommandKind::Txn(txn))) => {
                names.add(true, "txn");
                names.txn(&txn, 1);
            }
            Ok(Some(CommandKind::Compaction(compaction))) => {
                names.add(true, "compact");
                names.add(compaction.physical, "compact.physical");
            }
            Ok(Some(CommandKind::LeaseGrant(grant))) => {
                names.add(grant.id != 0, "lease.grant");
                names.add(grant.id == 0, "lease.grant.unnamed");
            }
            Ok(Some(CommandKind::LeaseRevoke(_))) => names.add(true, "lease.revoke"),
            Ok(Some(CommandKind::LeaseKeepAlive(_))) => names.add(true, "lease.keep_alive"),
            Ok(Some(CommandKind::Alarm(alarm))) => names.add(
                true,
                match alarm.action {
                    0 => "alarm.list",
                    1 => "alarm.raise",
                    _ => "alarm.clear",
                },
            ),
            // What members propose on their own is no call of a client.
            Ok(
                Some(
                    CommandKind::LeaseExpire(_)
                    | CommandKind::LeaseCheckpoint(_)
                    | CommandKind::HashMark(_)
                    | CommandKind::HashReport(_),
                )
                | None,
            )
            | Err(_) => {}
        },
        Call::Range(read) => {
            names.add(read.at_least.is_some(), "range.at_least");
            names.add(read.is_part, "range.part");
            names.range(&read.range);
        }
        Call::ReadTxn(txn) => {
            names.add(true, "txn.read_only");
            names.add(txn.is_serializable(), "txn.read_only.local");
            names.txn(txn, 1);
        }
        Call::Hash(0) => names.add(true, "hash.now"),
        Call::Hash(_) => names.add(true, "hash.then"),
        Call::Watch(query) => names.watch(query),
        Call::WatchNow(_) => names.add(true, "watch.progress"),
        Call::LeaseTimeToLive(request) => {
            names.add(true, "lease.time_to_live");
            names.add(request.keys, "lease.time_to_live.keys");
        }
        Call::Leases => names.add(true, "lease.list"),
        Call::Alarms => names.add(true, "alarms"),
        Call::Swept(_) => names.add(true, "compact.swept"),
    }
    names.0
}

struct Names(Vec<&'static str>);

impl Names {
    fn add(&mut self, holds: bool, name: &'static str) {
        if holds {
            self.0.push(name);
        }
    }

    fn put(&mut self, put: &PutRequest) {
        self.add(true, "put");
        self.add(put.prev_kv, "put.prev_kv");
        self.add(put.ignore_value, "put.ignore_value");
        self.add(put.ignore_lease, "put.ignore_lease");
        self.add(put.lease != 0, "put.lease");
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) {
        self.add(
            true,
            match delete.span() {
                KeySpan::Key(_) => "delete.key",
                KeySpan::Range { .. } => "delete.between",
                KeySpan::From(_) => "delete.from",
            },
        );
        self.add(delete.prev_kv, "delete.prev_kv");
    }

    fn range(&mut self, range: &RangeRequest) {
        self.add(
            true,
            match range.span() {
                KeySpan::Key(_) => "range.key",
                KeySpan::Range { .. } => "range.between",
                KeySpan::From(_) => "range.from",
            },
        );
        self.add(range.limit > 0, "range.limit");
        self.add(range.revision > 0, "range.revision");
        self.add(range.serializable, "range.local");
        self.add(range.keys_only, "range.keys_only");
        self.add(range.count_only, "range.count_only");
        self.add(range.min_mod_revision != 0, "range.min_mod_revision");
        self.add(range.max_mod_revision != 0, "range.max_mod_revision");
        self.add(range.min_create_revision != 0, "range.min_create_revision");
        self.add(range.max_create_revision != 0, "range.max_create_revision");
        self.add(range.sort_order() == SortOrder::Ascend, "range.ascending");
        self.add(range.sort_order() == SortOrder::Descend, "range.descending");
        self.add(
            true,
            match range.sort_target() {
                SortTarget::Key => "range.by_key",
                SortTarget::Version => "range.by_version",
                SortTarget::Create => "range.by_create_revision",
                SortTarget::Mod => "range.by_mod_revision",
                SortTarget::Value => "range.by_value",
            },
        );
    }

    fn watch(&mut self, query: &WatchQuery) {
        self.add(
            true,
            match query.span {
                KeySpan::Key(_) => "watch.key",
                KeySpan::Range { .. } => "watch.between",
                KeySpan::From(_) => "watch.from",
            },
        );
        self.add(!query.puts, "watch.without_puts");
        self.add(!query.deletes, "watch.without_deletes");
        self.add(query.prev_kv, "watch.prev_kv");
        self.add(query.fragment_bytes.is_some(), "watch.fragmented");
    }

    fn txn(&mut self, txn: &TxnRequest, depth: u32) {
        self.add(depth == 2, "txn.nested");
        self.add(depth == 3, "txn.nested_twice");
        self.add(!txn.success.is_empty(), "txn.success");
        self.add(!txn.failure.is_empty(), "txn.failure");
        for compare in &txn.compare {
            self.compare(compare);
        }
        for op in txn.success.iter().chain(&txn.failure) {
            match &op.request {
                Some(OpRequest::Put(put)) => {
                    self.add(true, "txn.put");
                    self.put(put);
                }
                Some(OpRequest::DeleteRange(delete)) => {
                    self.add(true, "txn.delete");
                    self.delete(delete);
                }
                Some(OpRequest::Range(range)) => {
                    self.add(true, "txn.range");
                    self.range(range);
                }
                Some(OpRequest::Txn(nested)) => self.txn(nested, depth + 1),
                None => {}
            }
        }
    }

    fn compare(&mut self, compare: &Compare) {
        self.add(
            true,
            match CompareTarget::try_from(compare.target) {
                Ok(CompareTarget::Version) => "compare.version",
                Ok(CompareTarget::Create) => "compare.create_revision",
                Ok(CompareTarget::Mod) => "compare.mod_revision",
                Ok(CompareTarget::Value) => "compare.value",
                Ok(CompareTarget::Lease) => "compare.lease",
                Err(_) => "compare.no_target",
            },
        );
        self.add(
            true,
            match CompareResult::try_from(compare.result) {
                Ok(CompareResult::Equal) => "compare.equals",
                Ok(CompareResult::Greater) => "compare.greater",
                Ok(CompareResult::Less) => "compare.less",
                Ok(CompareResult::NotEqual) => "compare.differs",
                Err(_) => "compare.no_result",
            },
        );
        self.add(!compare.range_end.is_empty(), "compare.span");
        self.add(compare.target_union.is_none(), "compare.nothing");
    }
}

/// The name of a refusal.
pub(crate) fn refusal_name(cause: &KvError) -> &'static str {
    match cause {
        KvError::EmptyKey => "refused.empty_key",
        KvError::KeyNotFound => "refused.key_not_found",
        KvError::ValueProvided => "refused.value_provided",
        KvError::LeaseProvided => "refused.lease_provided",
        KvError::TooManyOperations { .. } => "refused.too_many_operations",
        KvError::TooDeep { .. } => "refused.too_deep",
        KvError::DuplicateKey => "refused.duplicate_key",
        KvError::InvalidSortOption => "refused.invalid_sort_option",
        KvError::RequestTooLarge { .. } => "refused.request_too_large",
        KvError::LeaseNotFound { .. } => "refused.lease_not_found",
        KvError::Compacted { .. } => "refused.compacted",
        KvError::FutureRevision { .. } => "refused.future_revision",
        KvError::LeaseExists { .. } => "refused.lease_exists",
        KvError::LeaseTtlTooLarge { .. } => "refused.lease_ttl_too_large",
        KvError::KeyTooLarge { .. } => "refused.key_too_large",
        KvError::ValueTooLarge { .. } => "refused.value_too_large",
        KvError::NoSpace => "refused.no_space",
        KvError::Corrupt => "refused.corrupt",
        KvError::InvalidAlarm => "refused.invalid_alarm",
        KvError::MalformedCommand => "refused.malformed_command",
        KvError::NotReadOnly => "refused.not_read_only",
        KvError::EmptyWatchRange => "refused.empty_watch_range",
        _ => "refused.otherwise",
    }
}
