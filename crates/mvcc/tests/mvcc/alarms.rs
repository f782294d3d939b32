//! Alarms: raised, listed, cleared, kept, and what they refuse.

use quorate_kv_api::{
    AlarmAction, AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DeleteRangeRequest,
    KvError, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use quorate_mvcc::Response;

use crate::harness::{Single, dump, open};
use crate::snapshots::{blocks, stage};

const NOTHING: &[(u64, AlarmType)] = &[];

fn ask(
    single: &mut Single,
    action: AlarmAction,
    member_id: u64,
    alarm: AlarmType,
) -> Vec<AlarmMember> {
    let revision = single.store.reader().revision();
    let request = AlarmRequest { action: action.into(), member_id, alarm: alarm.into() };
    match single.apply(request) {
        Ok(Response::Alarm(response)) => {
            assert_eq!(response.header.expect("it is there").revision, revision);
            response.alarms
        }
        other => panic!("an alarm is answered as one: {other:?}"),
    }
}

fn members(alarms: &[(u64, AlarmType)]) -> Vec<AlarmMember> {
    let member = |(member_id, alarm): &(u64, AlarmType)| AlarmMember {
        member_id: *member_id,
        alarm: (*alarm).into(),
    };
    alarms.iter().map(member).collect()
}

#[test]
fn raising_listing_clearing() {
    use AlarmAction::{Activate, Deactivate, Get};
    use AlarmType::{Corrupt, NoSpace, None};
    let all = [(0, NoSpace), (7, NoSpace), (7, Corrupt)];
    let mut single = Single::new();
    for (action, member, kind, expected) in [
        (Get, 0, None, NOTHING),
        (Activate, 7, None, NOTHING),
        (Deactivate, 7, NoSpace, NOTHING),
        (Activate, 7, Corrupt, &[(7, Corrupt)]),
        (Activate, 7, NoSpace, &[(7, NoSpace)]),
        (Activate, 7, NoSpace, &[(7, NoSpace)]),
        (Activate, 0, NoSpace, &[(0, NoSpace)]),
        (Get, 0, None, &all),
        (Get, 99, None, &all),
        (Get, 0, NoSpace, &all[..2]),
        (Deactivate, 8, NoSpace, NOTHING),
        (Deactivate, 7, None, NOTHING),
        (Deactivate, 7, NoSpace, &[(7, NoSpace)]),
        (Deactivate, 7, NoSpace, NOTHING),
    ] {
        let found = ask(&mut single, action, member, kind);
        assert_eq!(found, members(expected), "{action:?} {member} {kind:?}");
    }
    assert_eq!(single.store.reader().alarms(), members(&[(0, NoSpace), (7, Corrupt)]));
    for request in [
        AlarmRequest { action: 3, ..AlarmRequest::default() },
        AlarmRequest { action: Activate.into(), alarm: 3, ..AlarmRequest::default() },
    ] {
        assert_eq!(single.apply(request), Err(KvError::InvalidAlarm));
    }
}

/// Whether commands are refused, and how: a put; transactions with a put on the path taken, on the
/// other one, and nested; a deletion, one in a transaction; a compaction; a transaction that reads.
fn refusals(single: &mut Single) -> Vec<Option<KvError>> {
    let put = RequestOp::from(PutRequest::new("a", "v"));
    let success = |op: RequestOp| TxnRequest { success: vec![op], ..TxnRequest::default() };
    let failure = TxnRequest { failure: vec![put.clone()], ..TxnRequest::default() };
    let delete = DeleteRangeRequest::key("zz");
    let compaction = CompactionRequest {
        revision: single.store.reader().compact_revision() + 1,
        physical: true,
    };
    vec![
        single.apply(PutRequest::new("a", "v")).err(),
        single.apply(success(put.clone())).err(),
        single.apply(failure).err(),
        single.apply(success(success(put).into())).err(),
        single.apply(delete.clone()).err(),
        single.apply(success(delete.into())).err(),
        single.apply(compaction).err(),
        single.apply(success(RangeRequest::key("a").into())).err(),
    ]
}

#[test]
fn what_they_refuse() {
    let mut single = Single::new();
    single.apply(PutRequest::new("a", "v")).unwrap();
    let no_space: Vec<_> =
        (0..8).map(|command| (command < 4).then_some(KvError::NoSpace)).collect();
    let corrupt: Vec<_> = (0..8).map(|command| (command < 7).then_some(KvError::Corrupt)).collect();
    assert_eq!(refusals(&mut single), vec![None; 8]);
    ask(&mut single, AlarmAction::Activate, 1, AlarmType::NoSpace);
    ask(&mut single, AlarmAction::Activate, 2, AlarmType::NoSpace);
    let before = single.store.reader().revision();
    assert_eq!(refusals(&mut single), no_space);
    assert_eq!(single.store.reader().revision(), before);
    ask(&mut single, AlarmAction::Deactivate, 1, AlarmType::NoSpace);
    assert_eq!(refusals(&mut single), no_space, "the alarm of the other member is left");
    ask(&mut single, AlarmAction::Activate, 1, AlarmType::Corrupt);
    assert_eq!(refusals(&mut single), corrupt);
    assert_eq!(single.value("a"), Some("v".into()), "reads are answered");
    ask(&mut single, AlarmAction::Deactivate, 1, AlarmType::Corrupt);
    ask(&mut single, AlarmAction::Deactivate, 2, AlarmType::NoSpace);
    assert_eq!(refusals(&mut single), vec![None; 8]);
}

#[test]
fn they_are_kept_and_go_with_snapshots() {
    let mut single = Single::new();
    let fresh = dump(&single.engine).len();
    ask(&mut single, AlarmAction::Activate, 3, AlarmType::NoSpace);
    single.engine.reopen();
    single.store = open(&single.engine);
    let alarms = members(&[(3, AlarmType::NoSpace)]);
    assert_eq!(single.store.reader().alarms(), alarms);
    assert_eq!(single.apply(PutRequest::new("a", "v")), Err(KvError::NoSpace));

    let mut to = Single::new();
    ask(&mut to, AlarmAction::Activate, 3, AlarmType::Corrupt);
    let staged = stage(&to.store, &blocks(single.store.snapshot().unwrap())).unwrap();
    to.store.install(staged).unwrap();
    assert_eq!(to.store.reader().alarms(), alarms);
    to.skip_to(single.next());
    assert_eq!(to.apply(PutRequest::new("a", "v")), Err(KvError::NoSpace));
    ask(&mut to, AlarmAction::Deactivate, 3, AlarmType::NoSpace);
    assert_eq!(to.store.reader().alarms(), []);
    // Nothing is left of them but the session of the member that asked.
    assert_eq!(dump(&to.engine).len(), fresh + 1);
}
