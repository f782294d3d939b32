//! Good and bad clusters, made by hand.

use bytes::Bytes;
use quorate_raft_node::core::Counters;
use quorate_storage::{EntryKind, HardState};
use quorate_types::{LogIndex, LogPosition, Term};

use super::*;

fn batch(first: u64, terms: &[u64], data: &'static str) -> LogBatch {
    let entry = |(index, term): (u64, &u64)| LogEntry {
        position: LogPosition::new(Term::new(*term), LogIndex::new(index)),
        kind: EntryKind::Normal,
        data: Bytes::from_static(data.as_bytes()),
    };
    LogBatch { entries: (first..).zip(terms).map(entry).collect(), ..LogBatch::default() }
}

/// A member whose log holds entries of these terms, of which some are durable.
fn holding(terms: &[u64], durable: usize) -> Holdings {
    let mut holdings = Holdings::default();
    holdings.issued.append(&batch(1, terms, ""));
    holdings.durable.append(&batch(1, &terms[..durable], ""));
    holdings
}

fn probe(term: u64, role: Role, commit: u64, applied: u64) -> Probe {
    Probe {
        term: Term::new(term),
        role,
        leader: None,
        vote: None,
        commit: LogIndex::new(commit),
        applied: LogPosition::new(Term::new(term), LogIndex::new(applied)),
        log_start: LogPosition::default(),
        log_last: LogIndex::new(commit),
        members: Vec::new(),
        commands_pending: 0,
        counters: Counters::default(),
    }
}

/// A run in which a majority of three voted for this member.
fn voted_for(member: u64, term: u64) -> Consensus {
    let mut consensus = Consensus::default();
    votes(&mut consensus, member, term);
    consensus
}

fn votes(consensus: &mut Consensus, member: u64, term: u64) {
    consensus.votes.insert((term, member), member);
    consensus.votes.insert((term, 4 + member), member);
}

fn found(result: Result<(), Violation>) -> Option<&'static str> {
    result.err().map(|violation| violation.checker)
}

#[test]
fn two_leaders_of_one_term_are_found() {
    let holdings = vec![Holdings::default(); 3];
    let mut consensus = voted_for(1, 1);
    votes(&mut consensus, 2, 2);
    votes(&mut consensus, 3, 2);
    let mut look = |member, term| {
        let leader = probe(term, Role::Leader, 0, 0);
        found(consensus.look(member, &leader, &mut LastSeen::default(), &holdings))
    };
    assert_eq!(look(1, 1), None);
    assert_eq!(look(1, 1), None);
    assert_eq!(look(2, 2), None);
    assert_eq!(look(3, 2), Some("one-leader"));
}

#[test]
fn what_must_not_go_back_is_watched() {
    let holdings = vec![holding(&[1, 1, 1], 3); 3];
    let check = |last: LastSeen, now: Probe| {
        let mut last = last;
        found(Consensus::default().look(1, &now, &mut last, &holdings))
    };
    let last = LastSeen { term: 2, commit: 2, applied: 2, ..LastSeen::default() };
    assert_eq!(check(last, probe(2, Role::Follower, 3, 2)), None);
    assert_eq!(check(last, probe(1, Role::Follower, 2, 2)), Some("term-monotonic"));
    assert_eq!(check(last, probe(2, Role::Follower, 1, 1)), Some("commit-monotonic"));
    assert_eq!(check(last, probe(2, Role::Follower, 2, 1)), Some("applied-monotonic"));
    assert_eq!(check(last, probe(2, Role::Follower, 2, 3)), Some("applied-after-commit"));
}

#[test]
fn a_commit_needs_a_durable_majority() {
    let check = |durable: [usize; 3]| {
        let holdings = durable.map(|durable| holding(&[1, 1], durable));
        let mut last = LastSeen::default();
        let mut consensus = voted_for(1, 1);
        let leader = probe(1, Role::Leader, 2, 0);
        found(consensus.look(1, &leader, &mut last, &holdings))
    };
    assert_eq!(check([0, 2, 2]), None);
    assert_eq!(check([2, 2, 1]), None);
    assert_eq!(check([2, 1, 1]), Some("commit-durable"));
}

#[test]
fn an_acknowledgement_needs_a_durable_majority_still() {
    let mut holdings = vec![holding(&[1, 1], 2); 3];
    let mut consensus = voted_for(1, 1);
    let leader = probe(1, Role::Leader, 2, 0);
    consensus.look(1, &leader, &mut LastSeen::default(), &holdings).expect("all is well");
    assert_eq!(found(consensus.acknowledged(2, &holdings)), None);
    assert_eq!(found(consensus.acknowledged(3, &holdings)), Some("acknowledged-durable"));
    holdings[1] = holding(&[1, 2], 2);
    holdings[2] = holding(&[1, 2], 2);
    assert_eq!(found(consensus.acknowledged(2, &holdings)), Some("acknowledged-durable"));
    holdings[1].durable_applied = 2;
    assert_eq!(found(consensus.acknowledged(2, &holdings)), None);
}

#[test]
fn members_that_commit_different_entries_are_found() {
    let mut consensus = Consensus::default();
    let mut holdings = vec![holding(&[1, 1], 2); 3];
    let mut commit = |member, holdings: &[Holdings]| {
        let follower = probe(2, Role::Follower, 2, 0);
        found(consensus.look(member, &follower, &mut LastSeen::default(), holdings))
    };
    assert_eq!(commit(1, &holdings), None);
    assert_eq!(commit(2, &holdings), None);
    holdings[2] = holding(&[1, 2], 2);
    assert_eq!(commit(3, &holdings), Some("commit-agreement"));
    holdings[2] = holding(&[1], 1);
    assert_eq!(commit(3, &holdings), Some("commit-agreement"));
    let mut fresh = Consensus::default();
    let ahead = probe(2, Role::Follower, 9, 0);
    let result = fresh.look(1, &ahead, &mut LastSeen::default(), &holdings);
    assert_eq!(found(result), Some("commit-in-log"));
}

#[test]
fn a_leader_without_a_committed_entry_is_found() {
    let mut consensus = voted_for(1, 1);
    let mut holdings = vec![holding(&[1, 1], 2); 3];
    let leader = probe(1, Role::Leader, 2, 0);
    consensus.look(1, &leader, &mut LastSeen::default(), &holdings).expect("all is well");
    holdings[2] = holding(&[1], 1);
    votes(&mut consensus, 3, 3);
    let leader = probe(3, Role::Leader, 0, 0);
    let result = consensus.look(3, &leader, &mut LastSeen::default(), &holdings);
    assert_eq!(found(result), Some("leader-complete"));
}

#[test]
fn a_leader_whose_votes_came_late_may_lack_what_was_committed_since() {
    let mut consensus = voted_for(1, 5);
    let mut holdings = vec![holding(&[1, 5], 2); 3];
    let leader = probe(5, Role::Leader, 2, 0);
    consensus.look(1, &leader, &mut LastSeen::default(), &holdings).expect("all is well");
    holdings[2] = holding(&[1], 1);
    for (term, expected) in [(4, None), (6, Some("leader-complete"))] {
        votes(&mut consensus, 3, term);
        let late = probe(term, Role::Leader, 0, 0);
        let result = consensus.look(3, &late, &mut LastSeen::default(), &holdings);
        assert_eq!(found(result), expected);
    }
}

#[test]
fn logs_that_differ_below_an_equal_entry_are_found() {
    let check = |first: LogBatch, second: LogBatch, before: &[u64]| {
        let mut consensus = Consensus::default();
        let (empty, mut other) = (LogMirror::default(), LogMirror::default());
        other.append(&batch(1, before, ""));
        consensus.appended(1, &first, &empty).expect("the first is always fine");
        found(consensus.appended(2, &second, &other))
    };
    assert_eq!(check(batch(1, &[1, 1], "x"), batch(1, &[1, 1], "x"), &[]), None);
    assert_eq!(check(batch(1, &[1, 1], "x"), batch(2, &[1], "x"), &[1]), None);
    assert_eq!(check(batch(1, &[1, 3], "x"), batch(2, &[3], "x"), &[2]), Some("log-matching"));
    assert_eq!(check(batch(1, &[1], "x"), batch(1, &[1], "y"), &[]), Some("log-matching"));
    assert_eq!(check(batch(1, &[1], "x"), batch(3, &[1], "x"), &[1]), Some("log-gap"));
}

#[test]
fn votes_and_acknowledgements_are_durable_before_they_are_told() {
    let vote = |kind, term, to| RaftPeek { kind, to, from: 1, term, ..RaftPeek::default() };
    let mut own = holding(&[1], 1);
    own.durable.hard_state = HardState { term: Term::new(2), vote: 3, commit: LogIndex::new(0) };
    let check = |message: RaftPeek| found(Consensus::default().sent(1, &message, &own));
    assert_eq!(check(vote(REQUEST_VOTE_RESPONSE, 2, 3)), None);
    assert_eq!(check(vote(REQUEST_VOTE_RESPONSE, 1, 2)), None);
    assert_eq!(check(vote(REQUEST_VOTE_RESPONSE, 2, 2)), Some("vote-durable"));
    assert_eq!(check(vote(REQUEST_VOTE_RESPONSE, 3, 3)), Some("term-sent-durable"));
    assert_eq!(check(vote(REQUEST_VOTE, 2, 3)), Some("vote-durable"));
    let refusal = RaftPeek { reject: true, ..vote(REQUEST_VOTE_RESPONSE, 2, 2) };
    assert_eq!(check(refusal), None);
    let answer = |index| RaftPeek { index, ..vote(APPEND_RESPONSE, 2, 3) };
    assert_eq!(check(answer(1)), None);
    assert_eq!(check(answer(2)), Some("answer-durable"));
    assert_eq!(check(RaftPeek { term: 1, ..answer(2) }), None);
}

#[test]
fn a_member_sends_under_its_name_and_in_a_durable_term() {
    let mut own = Holdings::default();
    own.durable.hard_state.term = Term::new(2);
    let check = |kind, from, term| {
        let message = RaftPeek { kind, to: 3, from, term, ..RaftPeek::default() };
        found(Consensus::default().sent(1, &message, &own))
    };
    const HEARTBEAT: u64 = 8;
    assert_eq!(check(HEARTBEAT, 1, 2), None);
    assert_eq!(check(HEARTBEAT, 2, 2), Some("message-honest"));
    assert_eq!(check(HEARTBEAT, 1, 3), Some("term-sent-durable"));
    assert_eq!(check(REQUEST_PRE_VOTE, 1, 3), None);
    assert_eq!(check(REQUEST_PRE_VOTE_RESPONSE, 1, 9), None);
}

#[test]
fn a_leader_has_the_votes_of_a_majority() {
    let check = |voters: &[u64], members: usize| {
        let holdings = vec![Holdings::default(); members];
        let mut consensus = Consensus::default();
        consensus.votes.extend(voters.iter().map(|voter| ((5, *voter), 1)));
        consensus.votes.insert((5, 9), 2);
        consensus.votes.insert((4, 8), 1);
        let leader = probe(5, Role::Leader, 0, 0);
        found(consensus.look(1, &leader, &mut LastSeen::default(), &holdings))
    };
    assert_eq!(check(&[1, 3], 3), None);
    assert_eq!(check(&[1], 3), Some("leader-elected"));
    assert_eq!(check(&[1, 2], 5), Some("leader-elected"));
    assert_eq!(check(&[], 1), None);
}

#[test]
fn a_leader_commits_by_entries_of_its_own_term() {
    let holdings = vec![holding(&[1, 1, 2], 3); 3];
    let check = |leads, term, commit| {
        let mut last = LastSeen { term: 2, leads, ..LastSeen::default() };
        let leader = probe(term, if leads { Role::Leader } else { Role::Follower }, commit, 0);
        found(Consensus::default().look(1, &leader, &mut last, &holdings))
    };
    assert_eq!(check(true, 2, 3), None);
    assert_eq!(check(true, 2, 2), Some("commit-own-term"));
    assert_eq!(check(false, 2, 2), None);
}

#[test]
fn the_entries_of_a_term_have_one_author() {
    let mut consensus = Consensus::default();
    let mut authored = |member, role, term, batch: LogBatch| {
        found(consensus.authored(member, &probe(term, role, 0, 0), &batch))
    };
    assert_eq!(authored(1, Role::Leader, 2, batch(1, &[2], "")), None);
    assert_eq!(authored(2, Role::Follower, 2, batch(1, &[2], "")), None);
    assert_eq!(authored(2, Role::Leader, 3, batch(1, &[2, 3], "")), None);
    assert_eq!(authored(2, Role::Leader, 2, batch(1, &[2], "")), Some("one-author"));
}

#[test]
fn two_votes_in_one_term_are_found_across_lives() {
    let mut consensus = Consensus::default();
    let mut vote = |to: u64| {
        let mut own = Holdings::default();
        own.durable.hard_state =
            HardState { term: Term::new(5), vote: to, commit: LogIndex::new(0) };
        let kind = REQUEST_VOTE_RESPONSE;
        let message = RaftPeek { kind, to, from: 1, term: 5, ..RaftPeek::default() };
        found(consensus.sent(1, &message, &own))
    };
    assert_eq!(vote(2), None);
    assert_eq!(vote(2), None);
    assert_eq!(vote(3), Some("one-vote"));
}

#[test]
fn hashes_tell_lengths_and_bytes_apart() {
    let texts: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"12345678", b"12345678\0", b"12345679"];
    let hashes: std::collections::BTreeSet<u64> =
        texts.iter().map(|text| hash_bytes(1, text)).collect();
    assert_eq!(hashes.len(), texts.len());
}
