//! Random requests over few keys, so that they meet.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed};
use quorate_kv_api::{
    Command, CompactionRequest, Compare, DeleteRangeRequest, Limits, PutRequest, RangeRequest,
    RequestOp, TargetUnion, TxnRequest,
};

/// The same cases on every machine and every day.
pub(crate) fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(0x71756f72),
        ..Config::default()
    }
}

const KEYS: [&[u8]; 10] =
    [b"a", b"a\0", b"a\0\xff", b"a\x01", b"ab", b"b", b"c", b"\0", b"\0\x01", b"\xff"];

pub(crate) fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(&KEYS[..]).prop_map(Bytes::from_static)
}

pub(crate) fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => Just(Bytes::new()),
        2 => Just(Bytes::from_static(b"\0")),
        3 => key(),
        1 => Just(Bytes::from_static(b"d")),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(0u8..4, 0..3).prop_map(Bytes::from)
}

/// Mostly false.
fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

/// Small numbers around the revisions of a short run, mostly 0.
fn bound() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => -3i64..30]
}

pub(crate) fn range() -> impl Strategy<Value = RangeRequest> {
    let bounds = (bound(), bound(), bound(), bound());
    let sort = (0i32..3, 0i32..5);
    let limit = prop_oneof![2 => Just(0i64), 2 => 1i64..6, 1 => Just(i64::MAX), 1 => Just(-1)];
    let revision = prop_oneof![1 => Just(0i64), 2 => -2i64..30];
    (key(), range_end(), limit, revision, sort, bounds, rarely(), rarely()).prop_map(
        |(key, range_end, limit, revision, sort, bounds, keys_only, count_only)| RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order: sort.0,
            sort_target: sort.1,
            serializable: false,
            keys_only,
            count_only,
            min_mod_revision: bounds.0,
            max_mod_revision: bounds.1,
            min_create_revision: bounds.2,
            max_create_revision: bounds.3,
        },
    )
}

/// The leases that puts name; mostly none.
type LeaseIds = &'static [i64];

/// For tests in which there are no leases.
const UNKNOWN: LeaseIds = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

/// For tests with leases of these ids; that of `-1` is in no way special but its place in a table.
const KNOWN: LeaseIds = &[0, 0, 1, 1, 2, 2, -1];

/// One of the leases that [`leased_command`] names.
pub(crate) fn lease_id() -> impl Strategy<Value = i64> {
    prop::sample::select(&[1i64, 2, -1][..])
}

fn put(leases: LeaseIds) -> impl Strategy<Value = PutRequest> {
    let lease = prop::sample::select(leases);
    (key(), value(), lease, any::<bool>(), rarely(), rarely()).prop_map(
        |(key, value, lease, prev_kv, ignore_value, ignore_lease)| PutRequest {
            key,
            value: if ignore_value { Bytes::new() } else { value },
            lease: if ignore_lease { 0 } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

fn compare() -> impl Strategy<Value = Compare> {
    let union = prop_oneof![
        (0i64..4).prop_map(TargetUnion::Version),
        (0i64..30).prop_map(TargetUnion::CreateRevision),
        (0i64..30).prop_map(TargetUnion::ModRevision),
        value().prop_map(TargetUnion::Value),
        (-1i64..3).prop_map(TargetUnion::Lease),
    ];
    (0i32..5, 0i32..6, key(), prop::option::weighted(0.9, union), range_end()).prop_map(
        |(result, target, key, target_union, range_end)| Compare {
            result,
            target,
            key,
            target_union,
            range_end,
        },
    )
}

fn simple_op(leases: LeaseIds) -> impl Strategy<Value = RequestOp> {
    prop_oneof![
        3 => put(leases).prop_map(RequestOp::from),
        2 => delete().prop_map(RequestOp::from),
        2 => range().prop_map(RequestOp::from),
        1 => Just(RequestOp::default()),
    ]
}

fn txn_of(op: impl Strategy<Value = RequestOp> + Clone) -> impl Strategy<Value = TxnRequest> {
    let ops = prop::collection::vec(op, 0..4);
    (prop::collection::vec(compare(), 0..3), ops.clone(), ops)
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
}

pub(crate) fn read_txn() -> impl Strategy<Value = TxnRequest> {
    txn_of(range().prop_map(RequestOp::from).boxed())
}

/// Any transaction, nested at most three deep; also such as would be refused before.
fn any_txn(leases: LeaseIds) -> impl Strategy<Value = TxnRequest> {
    let op = simple_op(leases).boxed().prop_recursive(
        2,
        12,
        3,
        move |inner| {
            prop_oneof![2 => simple_op(leases), 1 => txn_of(inner).prop_map(RequestOp::from)]
        },
    );
    txn_of(op)
}

fn compaction() -> impl Strategy<Value = CompactionRequest> {
    (-2i64..30, any::<bool>())
        .prop_map(|(revision, physical)| CompactionRequest { revision, physical })
}

/// Any command; also such as would be refused before.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    any_command_with(UNKNOWN)
}

fn any_command_with(leases: LeaseIds) -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => put(leases).prop_map(Command::from),
        2 => delete().prop_map(Command::from),
        4 => any_txn(leases).prop_map(Command::from),
        1 => compaction().prop_map(Command::from),
    ]
}

/// A command that may be proposed.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    any_command().prop_map(valid)
}

/// A put, deletion or transaction that may be proposed, with leases that may exist.
pub(crate) fn leased_command() -> impl Strategy<Value = Command> {
    any_command_with(KNOWN).prop_map(valid)
}

fn valid(command: Command) -> Command {
    match command.validate(&Limits::default()) {
        Ok(()) => command,
        Err(_) => Command::from(PutRequest::new("b", "instead")),
    }
}
