//! Which answers count as equal.
//!
//! Answers are compared field by field after `normalise`, which takes out what two stores can
//! never share: each line of it has its reason. Where Quorate follows newer rules than the etcd it
//! is compared with, a [`Rule`] says which ones, and when it applies. Anything else is a
//! difference.

use quorate_kv_api::{
    KeyValue, KvError, OpRequest, OpResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, SortOrder, SortTarget, TxnRequest,
};

use crate::etcd::Version;
use crate::generate::is_short_lived;
use crate::operation::{Answer, Operation};
use crate::watch::Watched;

/// What a comparison came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Equal in every field.
    Equal,
    /// Different as this rule says.
    Accepted(Rule),
    /// Different.
    Different,
}

/// A difference from some versions of etcd that is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// A sort order that is none: refused here and since etcd 3.6, ignored before.
    UnknownSortOrder,
    /// A hash up to the compact revision: given here and by etcd's newest, refused before.
    HashAtCompactRevision,
    /// A deletion at the compact revision: kept for watches here and since etcd 3.4.34 and 3.5.16,
    /// lost before.
    TombstoneAtCompactRevision,
    /// A transaction that deletes all keys from one on and then puts one of them with its present
    /// value or lease: refused here; every etcd so far accepts it and ends itself with a panic.
    CrashOfEtcd,
}

/// What a comparison must know beside the answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The version of the etcd.
    pub version: Version,
    /// The compact revision of both stores.
    pub compact_revision: i64,
}

/// Compares the answers of Quorate and of an etcd to one operation.
pub fn compare(context: Context, operation: &Operation, ours: &Answer, theirs: &Answer) -> Verdict {
    let (ours, mut theirs) = (normalise(operation, ours), normalise(operation, theirs));
    level_times(&ours, &mut theirs);
    if ours == theirs {
        return Verdict::Equal;
    }
    let holds = |rule: &Rule| rule.excuses(context, operation, &ours, &theirs);
    RULES.into_iter().find(holds).map_or(Verdict::Different, Verdict::Accepted)
}

/// Whether a refusal of ours is for an operation that may make etcd end itself; if it did, that is
/// [`Rule::CrashOfEtcd`].
pub fn may_crash_etcd(operation: &Operation, ours: &Answer) -> bool {
    matches!(operation, Operation::Txn(_)) && *ours == refusal(&KvError::KeyNotFound)
}

impl Rule {
    fn excuses(
        self,
        context: Context,
        operation: &Operation,
        ours: &Answer,
        theirs: &Answer,
    ) -> bool {
        let Context { version, compact_revision } = context;
        match (self, operation) {
            (Self::UnknownSortOrder, _) => {
                version < Version(3, 6, 0)
                    && has_unknown_order(operation)
                    && *ours == refusal(&KvError::InvalidSortOption)
            }
            (Self::HashAtCompactRevision, Operation::HashKv(request)) => {
                version < Version(3, 6, 0)
                    && request.revision == compact_revision
                    && !ours.is_refused()
                    && *theirs == refusal(&COMPACTED)
            }
            (Self::TombstoneAtCompactRevision, Operation::WatchEnd { .. }) => {
                !version.keeps_tombstones()
                    && *theirs == without_tombstones_at(compact_revision, ours)
            }
            // Said by `may_crash_etcd`, as there is no answer to compare.
            _ => false,
        }
    }
}

fn without_tombstones_at(compact_revision: i64, answer: &Answer) -> Answer {
    let Answer::Watched(Watched::Events(events)) = answer else {
        return answer.clone();
    };
    let mut events = events.clone();
    events.retain(|event| !event.is_delete() || event.revision() != compact_revision);
    Answer::Watched(Watched::Events(events))
}

/// How a refusal to begin a watch looks on the wire.
pub fn canceled(cause: &KvError) -> Answer {
    Answer::Watched(Watched::Canceled { reason: cause.etcd_message().to_owned() })
}

/// How an error looks on the wire.
pub fn refusal(cause: &KvError) -> Answer {
    Answer::Refused { code: cause.grpc_code(), message: cause.etcd_message().to_owned() }
}

/// Takes out what two stores can never share.
fn normalise(operation: &Operation, answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Put(response) => without_identity(&mut response.header),
        Answer::DeleteRange(response) => without_identity(&mut response.header),
        Answer::Range(response) => {
            without_identity(&mut response.header);
            if let Operation::Range(request) = operation {
                order_ties(request, response);
            }
        }
        Answer::Txn(response) => {
            without_identity(&mut response.header);
            if let Operation::Txn(request) = operation {
                order_ties_of_branch(request, response.succeeded, &mut response.responses);
            }
        }
        Answer::HashKv(response) => {
            // The client handle gives a hash without a header, and etcd before 3.6 does not tell
            // the revision that it covered.
            (response.header, response.hash_revision) = (None, 0);
        }
        Answer::Compact(response) => without_identity(&mut response.header),
        Answer::LeaseGrant(response) => without_identity(&mut response.header),
        Answer::LeaseRevoke(response) => without_identity(&mut response.header),
        Answer::LeaseKeepAlive(response) => without_identity(&mut response.header),
        Answer::LeaseTimeToLive(response) => {
            without_identity(&mut response.header);
            // etcd lists the keys in the order of a Go map.
            response.keys.sort();
        }
        Answer::Leases(response) => {
            without_identity(&mut response.header);
            // Some may have ended on one side only. The others come by remaining time, which no two
            // clocks measure alike.
            response.leases.retain(|lease| !is_short_lived(lease.id));
            response.leases.sort_by_key(|lease| lease.id);
        }
        Answer::Refused { .. } | Answer::Watched(_) => {}
    }
    answer
}

/// What is left of a lease is cut to whole seconds, and the two were granted one after the other:
/// a second more or less is the same.
fn level_times(ours: &Answer, theirs: &mut Answer) {
    if let (Answer::LeaseTimeToLive(ours), Answer::LeaseTimeToLive(theirs)) = (ours, theirs)
        && ours.ttl.min(theirs.ttl) >= 0
        && ours.ttl.abs_diff(theirs.ttl) <= 1
    {
        theirs.ttl = ours.ttl;
    }
}

/// Two clusters have different ids, and had different elections.
fn without_identity(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        *header = ResponseHeader::at(header.revision);
    }
}

/// etcd sorts unstably: keys with equal values of the sort target come in any order, and if a limit
/// cuts through them, any of them come. Here they are brought into key order. Of those that a limit
/// cut through, and of keys sorted by values that were then left out, only the number remains to be
/// compared.
fn order_ties(request: &RangeRequest, response: &mut RangeResponse) {
    if request.sort_target() == SortTarget::Key {
        return;
    }
    if request.sort_target() == SortTarget::Value && request.keys_only {
        let kvs = response.kvs.len();
        response.kvs = vec![KeyValue::default(); kvs];
        return;
    }
    let rank = |kv: &KeyValue| match request.sort_target() {
        SortTarget::Key => (0, bytes::Bytes::new()),
        SortTarget::Version => (kv.version, bytes::Bytes::new()),
        SortTarget::Create => (kv.create_revision, bytes::Bytes::new()),
        SortTarget::Mod => (kv.mod_revision, bytes::Bytes::new()),
        SortTarget::Value => (0, kv.value.clone()),
    };
    let last = response.kvs.last().filter(|_| response.more).map(rank);
    for group in response.kvs.chunk_by_mut(|a, b| rank(a) == rank(b)) {
        group.sort_by(|a, b| a.key.cmp(&b.key));
        if group.first().map(rank) == last {
            group.fill(KeyValue::default());
        }
    }
}

fn order_ties_of_branch(request: &TxnRequest, succeeded: bool, responses: &mut [ResponseOp]) {
    let ops = if succeeded { &request.success } else { &request.failure };
    for (op, response) in ops.iter().zip(responses) {
        match (&op.request, &mut response.response) {
            (Some(OpRequest::Range(request)), Some(OpResponse::Range(response))) => {
                order_ties(request, response);
            }
            (Some(OpRequest::Txn(request)), Some(OpResponse::Txn(response))) => {
                order_ties_of_branch(request, response.succeeded, &mut response.responses);
            }
            _ => {}
        }
    }
}

fn has_unknown_order(operation: &Operation) -> bool {
    match operation {
        Operation::Range(range) => !SortOrder::is_valid(range.sort_order),
        Operation::Txn(txn) => txn.success.iter().chain(&txn.failure).any(op_has_unknown_order),
        _ => false,
    }
}

/// Nested transactions are never drawn with one: they write, and the stores would part.
fn op_has_unknown_order(op: &RequestOp) -> bool {
    matches!(&op.request, Some(OpRequest::Range(range)) if !SortOrder::is_valid(range.sort_order))
}

const RULES: [Rule; 3] =
    [Rule::UnknownSortOrder, Rule::HashAtCompactRevision, Rule::TombstoneAtCompactRevision];

/// On the wire its revisions do not show.
const COMPACTED: KvError = KvError::Compacted { requested: 0, compact_revision: 0 };

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_kv_api::{
        CompactionRequest, CompactionResponse, Event, EventType, HashKvRequest, HashKvResponse,
        LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    };

    const OLD: Version = Version(3, 5, 1);
    const NEW: Version = Version(3, 6, 6);

    fn check(version: Version, operation: &Operation, ours: Answer, theirs: Answer, to: Verdict) {
        let context = Context { version, compact_revision: 5 };
        assert_eq!(compare(context, operation, &ours, &theirs), to, "{ours:?} {theirs:?}");
    }

    fn header(revision: i64, member_id: u64) -> Option<ResponseHeader> {
        Some(ResponseHeader { member_id, ..ResponseHeader::at(revision) })
    }

    fn kv(key: &'static str, version: i64) -> KeyValue {
        KeyValue { key: key.into(), version, ..KeyValue::default() }
    }

    fn versions(kvs: Vec<KeyValue>, more: bool) -> Answer {
        Answer::Range(RangeResponse { kvs, more, ..RangeResponse::default() })
    }

    fn by_version() -> Operation {
        let mut request = RangeRequest::key("a");
        request.set_sort_target(SortTarget::Version);
        request.set_sort_order(SortOrder::Ascend);
        Operation::Range(request)
    }

    #[test]
    fn ids_may_differ_and_revisions_may_not() {
        let request = CompactionRequest { revision: 2, physical: true };
        let answer =
            |revision, id| Answer::Compact(CompactionResponse { header: header(revision, id) });
        let operation = Operation::Compact(request);
        check(OLD, &operation, answer(4, 1), answer(4, 2), Verdict::Equal);
        check(OLD, &operation, answer(4, 1), answer(5, 1), Verdict::Different);
    }

    #[test]
    fn texts_and_codes_of_errors_are_compared() {
        let refused = |code, message: &str| Answer::Refused { code, message: message.to_owned() };
        let operation = Operation::Range(RangeRequest::key(""));
        check(OLD, &operation, refused(3, "a"), refused(3, "a"), Verdict::Equal);
        check(OLD, &operation, refused(3, "a"), refused(3, "b"), Verdict::Different);
        check(OLD, &operation, refused(3, "a"), refused(2, "a"), Verdict::Different);
    }

    #[test]
    fn ties_come_in_any_order_but_whole_unless_a_limit_cut_them() {
        let operation = by_version();
        let (ours, theirs) = (vec![kv("a", 1), kv("b", 1)], vec![kv("b", 1), kv("a", 1)]);
        check(OLD, &operation, versions(ours, false), versions(theirs, false), Verdict::Equal);
        let (ours, theirs) = (vec![kv("a", 1), kv("b", 2)], vec![kv("b", 2), kv("a", 1)]);
        check(OLD, &operation, versions(ours, false), versions(theirs, false), Verdict::Different);
        let (ours, theirs) = (vec![kv("a", 1), kv("b", 2)], vec![kv("a", 1), kv("c", 2)]);
        let cut = |kvs: &Vec<KeyValue>| versions(kvs.clone(), true);
        check(OLD, &operation, cut(&ours), cut(&theirs), Verdict::Equal);
        check(OLD, &operation, versions(ours, false), versions(theirs, false), Verdict::Different);
    }

    #[test]
    fn rules_hold_for_their_versions_and_operations_alone() {
        let mut request = RangeRequest::key("a");
        request.sort_order = 7;
        let (operation, found) = (Operation::Range(request), versions(vec![kv("a", 1)], false));
        let refused = refusal(&KvError::InvalidSortOption);
        let accepted = Verdict::Accepted(Rule::UnknownSortOrder);
        check(OLD, &operation, refused.clone(), found.clone(), accepted);
        check(NEW, &operation, refused.clone(), found.clone(), Verdict::Different);
        check(OLD, &operation, found.clone(), refused.clone(), Verdict::Different);
        check(OLD, &by_version(), refused, found, Verdict::Different);

        let hash = |hash| Answer::HashKv(HashKvResponse { hash, ..HashKvResponse::default() });
        let at = |revision| Operation::HashKv(HashKvRequest { revision });
        let accepted = Verdict::Accepted(Rule::HashAtCompactRevision);
        check(OLD, &at(5), hash(1), refusal(&COMPACTED), accepted);
        check(OLD, &at(6), hash(1), refusal(&COMPACTED), Verdict::Different);
        check(NEW, &at(5), hash(1), refusal(&COMPACTED), Verdict::Different);
        check(OLD, &at(5), hash(1), hash(2), Verdict::Different);
    }

    #[test]
    fn only_deletions_at_the_compact_revision_may_be_lost() {
        let event = |kind: EventType, revision| Event {
            r#type: kind.into(),
            kv: Some(KeyValue { mod_revision: revision, ..kv("a", 0) }),
            prev_kv: None,
        };
        let saw = |events: &[Event]| Answer::Watched(Watched::Events(events.to_vec()));
        let operation = Operation::WatchEnd { number: 0, revision: 9 };
        let (deleted, put) = (event(EventType::Delete, 5), event(EventType::Put, 9));
        let (ours, theirs) = (saw(&[deleted, put.clone()]), saw(std::slice::from_ref(&put)));
        let accepted = Verdict::Accepted(Rule::TombstoneAtCompactRevision);
        check(OLD, &operation, ours.clone(), theirs.clone(), accepted);
        check(NEW, &operation, ours, theirs.clone(), Verdict::Different);
        let (later, at) = (event(EventType::Delete, 6), event(EventType::Put, 5));
        check(OLD, &operation, saw(&[later, put.clone()]), theirs.clone(), Verdict::Different);
        check(OLD, &operation, saw(&[at, put]), theirs, Verdict::Different);
    }

    #[test]
    fn a_second_of_a_lease_is_nothing_but_its_absence_is() {
        let operation = Operation::LeaseTimeToLive(LeaseTimeToLiveRequest { id: 1, keys: true });
        let answer = |ttl, keys: &[&'static str]| {
            let keys = keys.iter().map(|key| (*key).into()).collect();
            Answer::LeaseTimeToLive(LeaseTimeToLiveResponse { ttl, keys, ..Default::default() })
        };
        check(OLD, &operation, answer(9, &["a", "b"]), answer(8, &["b", "a"]), Verdict::Equal);
        check(OLD, &operation, answer(9, &[]), answer(7, &[]), Verdict::Different);
        check(OLD, &operation, answer(0, &[]), answer(-1, &[]), Verdict::Different);
        check(OLD, &operation, answer(9, &["a"]), answer(9, &["b"]), Verdict::Different);
    }
}
