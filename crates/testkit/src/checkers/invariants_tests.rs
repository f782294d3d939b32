//! Good and bad members, made by hand.

use quorate_raft_node::core::Counters;
use quorate_storage::{EntryKind, LogEntry};
use quorate_types::{LogIndex, MemberId, Term};

use super::*;

fn found(result: Result<(), Violation>) -> Option<&'static str> {
    result.err().map(|violation| violation.checker)
}

fn at(index: u64) -> LogPosition {
    LogPosition::new(Term::new(1), LogIndex::new(index))
}

/// A leader of term 2 with these positions: start, applied, commit and last.
fn probe(positions: [u64; 4]) -> Probe {
    let [start, applied, commit, last] = positions;
    Probe {
        term: Term::new(2),
        role: Role::Leader,
        leader: None,
        vote: MemberId::from_u64(3),
        commit: LogIndex::new(commit),
        applied: at(applied),
        log_start: at(start),
        log_last: LogIndex::new(last),
        members: (1..=3).map(MemberId::new).collect(),
        commands_pending: 4,
        counters: Counters::default(),
    }
}

fn batch(first: u64, terms: &[u64]) -> LogBatch {
    let entry = |(index, term): (u64, &u64)| LogEntry {
        position: LogPosition::new(Term::new(*term), LogIndex::new(index)),
        kind: EntryKind::Normal,
        data: bytes::Bytes::new(),
    };
    LogBatch { entries: (first..).zip(terms).map(entry).collect(), ..LogBatch::default() }
}

fn log(terms: &[u64]) -> LogMirror {
    let mut log = LogMirror::default();
    log.append(&batch(1, terms));
    log
}

#[test]
fn positions_stand_in_their_order() {
    let check = |positions, log_start| {
        let last = LastSeen { log_start, ..LastSeen::default() };
        found(check_positions(1, &probe(positions), &last))
    };
    assert_eq!(check([1, 2, 3, 4], 0), None);
    assert_eq!(check([2, 2, 2, 2], 2), None);
    assert_eq!(check([3, 2, 3, 4], 0), Some("position-order"));
    assert_eq!(check([1, 4, 3, 4], 0), Some("position-order"));
    assert_eq!(check([1, 2, 5, 4], 0), Some("position-order"));
    assert_eq!(check([1, 2, 3, 4], 2), Some("start-monotonic"));
}

#[test]
fn limits_and_members_are_kept() {
    let check = |members, commands| found(check_bounds(1, &probe([0, 0, 0, 0]), members, commands));
    assert_eq!(check(3, 4), None);
    assert_eq!(check(3, 3), Some("queue-bounds"));
    assert_eq!(check(4, 4), Some("membership"));
    assert_eq!(found(check_snapshots(1, 2, 1, 3)), None);
    assert_eq!(found(check_snapshots(1, 3, 0, 3)), Some("snapshots-bounded"));
    assert_eq!(found(check_snapshots(1, 0, 2, 3)), Some("snapshots-bounded"));
}

#[test]
fn a_leader_only_adds_entries_of_its_term() {
    let check = |leads, term, batch: LogBatch| {
        let last = LastSeen { leads, term, ..LastSeen::default() };
        found(check_append_only(1, &probe([0, 0, 0, 2]), &last, &log(&[1, 2]), &batch))
    };
    assert_eq!(check(true, 2, batch(3, &[2, 2])), None);
    assert_eq!(check(true, 2, LogBatch::default()), None);
    assert_eq!(check(true, 2, batch(2, &[2])), Some("leader-append-only"));
    assert_eq!(check(true, 2, batch(3, &[2, 1])), Some("leader-append-only"));
    let reset = LogBatch { reset: Some(at(2)), ..batch(3, &[2]) };
    assert_eq!(check(true, 2, reset), Some("leader-append-only"));
    // It followed somebody until now, or led in an earlier term.
    assert_eq!(check(false, 2, batch(2, &[2])), None);
    assert_eq!(check(true, 1, batch(2, &[2])), None);
}

#[test]
fn the_log_is_not_purged_beyond_the_durable_state() {
    assert_eq!(found(check_purge(1, at(5), 5)), None);
    assert_eq!(found(check_purge(1, at(5), 4)), Some("purge-durable"));
}

#[test]
fn a_durable_vote_is_there_after_a_restart() {
    let state = |term, vote| HardState { term: Term::new(term), vote, ..HardState::default() };
    let check = |durable, opened| found(check_vote_kept(1, durable, opened, &probe([0, 0, 0, 0])));
    assert_eq!(check(state(2, 3), state(2, 3)), None);
    assert_eq!(check(state(2, 0), state(2, 3)), None);
    assert_eq!(check(state(1, 2), state(2, 3)), None);
    assert_eq!(check(state(2, 3), state(2, 0)), Some("vote-kept"));
    assert_eq!(check(state(2, 3), state(2, 1)), Some("vote-kept"));
    // The disk has it, and the member does not look.
    let other = Probe { vote: None, ..probe([0, 0, 0, 0]) };
    let result = check_vote_kept(1, state(2, 3), state(2, 3), &other);
    assert_eq!(found(result), Some("vote-kept"));
}

#[test]
fn durable_committed_entries_are_there_after_a_restart() {
    let check = |commit, durable: &[u64], opened: &[u64]| {
        found(check_log_kept(1, commit, |_| Some(1), &log(durable), &log(opened)))
    };
    assert_eq!(check(2, &[1, 1], &[1, 1]), None);
    assert_eq!(check(2, &[1, 1], &[1, 1, 2]), None);
    assert_eq!(check(9, &[1], &[1]), None);
    // What is not committed may have been replaced.
    assert_eq!(check(2, &[1, 2], &[1, 1]), None);
    assert_eq!(check(1, &[1, 1], &[1, 2]), None);
    assert_eq!(check(2, &[1, 1], &[1]), Some("log-kept"));
    assert_eq!(check(2, &[1, 1], &[1, 2]), Some("log-kept"));
}

#[test]
fn revisions_grow_with_the_index_and_are_the_same_for_all() {
    let mut revisions = Revisions::default();
    assert_eq!(found(revisions.stands(1, 10, 5)), None);
    assert_eq!(found(revisions.stands(2, 20, 9)), None);
    assert_eq!(found(revisions.stands(3, 20, 9)), None);
    assert_eq!(found(revisions.stands(3, 15, 7)), None);
    assert_eq!(found(revisions.stands(1, 20, 8)), Some("revision-monotonic"));
    assert_eq!(found(revisions.stands(1, 20, 10)), Some("revision-monotonic"));
    assert_eq!(found(revisions.stands(1, 30, 8)), Some("revision-monotonic"));
    assert_eq!(found(revisions.stands(1, 12, 8)), Some("revision-monotonic"));
}

#[test]
fn reads_are_served_from_what_was_committed_before_them() {
    let mut floors = ReadFloors::default();
    floors.called(1, 5);
    floors.called(2, 5);
    floors.called(3, 5);
    assert_eq!(found(floors.ended(1, Some(5))), None);
    assert_eq!(found(floors.ended(2, Some(4))), Some("read-index"));
    assert_eq!(found(floors.ended(3, None)), None);
}

#[test]
fn calls_end_once_and_the_dead_are_silent() {
    assert_eq!(found(check_open(1, false)), None);
    assert_eq!(found(check_open(1, true)), Some("answered-once"));
    assert_eq!(found(check_runs(1, true)), None);
    assert_eq!(found(check_runs(1, false)), Some("stopped-silent"));
}
