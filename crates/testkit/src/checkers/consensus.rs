//! Invariants of consensus, checked by what changed: elections, votes, logs, commits.

use std::collections::BTreeMap;

use quorate_raft_node::core::{Probe, Role};
use quorate_storage::{LogBatch, LogEntry};

use crate::mirror::LogMirror;
use crate::peek::{
    APPEND_RESPONSE, READ_INDEX, REQUEST_PRE_VOTE, REQUEST_PRE_VOTE_RESPONSE, REQUEST_VOTE,
    REQUEST_VOTE_RESPONSE, RaftPeek,
};
use crate::rng::mix;
use crate::violation::Violation;

/// What a member holds, by the simulator's knowledge and not by its own word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    /// The log as the core handed it out.
    pub(crate) issued: LogMirror,
    /// What of it is truly durable.
    pub(crate) durable: LogMirror,
    /// The last entry that the durable state contains.
    pub(crate) durable_applied: u64,
}

impl Holdings {
    /// Whether a crash now would leave this entry, in the log or in the state.
    pub(crate) fn keeps(&self, index: u64, term: u64) -> bool {
        index <= self.durable_applied || self.durable.holds(index, term)
    }
}

/// What the cluster was seen to do.
#[derive(Debug, Default)]
pub(crate) struct Consensus {
    leaders: BTreeMap<u64, u64>,
    /// Who got the vote of each term, by (term, voter).
    votes: BTreeMap<(u64, u64), u64>,
    /// Who made the entries of each term.
    authors: BTreeMap<u64, u64>,
    /// For each entry ever written, by (index, term): the term before it and a hash of its data.
    entries: BTreeMap<(u64, u64), (u64, u64)>,
    /// The term of each committed entry, from index 1.
    committed: Vec<u64>,
    /// For each of them the term of the member that was the first to know: it was committed in that
    /// term or before. Never falls.
    known_in: Vec<u64>,
}

/// The last things seen of one life of a member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastSeen {
    pub(crate) term: u64,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) leads: bool,
    pub(crate) log_start: u64,
}

impl Consensus {
    /// The last index that any member knew to be committed.
    pub(crate) fn commit(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The term of a committed entry.
    pub(crate) fn committed_term(&self, index: u64) -> Option<u64> {
        let place = usize::try_from(index.checked_sub(1)?).ok()?;
        self.committed.get(place).copied()
    }

    /// Looks at a member after it was polled.
    pub(crate) fn look(
        &mut self,
        member: u64,
        probe: &Probe,
        last: &mut LastSeen,
        holdings: &[Holdings],
    ) -> Result<(), Violation> {
        let own = &holdings[usize::try_from(member - 1).unwrap_or(usize::MAX)];
        let (term, commit) = (probe.term.get(), probe.commit.get());
        let applied = probe.applied.index.get();
        Violation::unless(term >= last.term, "term-monotonic", || {
            format!("member {member} went from term {} to {term}", last.term)
        })?;
        Violation::unless(commit >= last.commit, "commit-monotonic", || {
            format!("member {member} went from commit {} to {commit}", last.commit)
        })?;
        Violation::unless(applied >= last.applied, "applied-monotonic", || {
            format!("member {member} went from applied {} to {applied}", last.applied)
        })?;
        Violation::unless(applied <= commit, "applied-after-commit", || {
            format!("member {member} applied {applied} with commit {commit}")
        })?;
        let leads = probe.role == Role::Leader;
        let led = last.leads && last.term == term;
        if leads && !led {
            self.elected(member, term, own)?;
            self.elected_by_majority(member, term, holdings.len())?;
        }
        if commit > last.commit {
            let own_term = own.issued.term_at(commit) == Some(term);
            Violation::unless(!leads || !led || own_term, "commit-own-term", || {
                format!("leader {member} of term {term} commits {commit} of an earlier term")
            })?;
            self.commits((member, term), commit, own, holdings)?;
        }
        *last = LastSeen { term, commit, applied, leads, log_start: probe.log_start.index.get() };
        Ok(())
    }

    fn elected(&mut self, member: u64, term: u64, own: &Holdings) -> Result<(), Violation> {
        let leader = *self.leaders.entry(term).or_insert(member);
        Violation::unless(leader == member, "one-leader", || {
            format!("members {leader} and {member} both lead in term {term}")
        })?;
        // Votes that come late can make a leader of a term that is over, and it may lack what was
        // committed since.
        let commit = self.known_in.partition_point(|known_in| *known_in < term) as u64;
        let Some(committed_term) = self.committed_term(commit) else { return Ok(()) };
        Violation::unless(own.issued.holds(commit, committed_term), "leader-complete", || {
            format!("leader {member} of term {term} lacks committed entry {commit}")
        })
    }

    /// A leader has the votes of a majority, all of which were seen. A member alone asks nobody.
    fn elected_by_majority(&self, member: u64, term: u64, members: usize) -> Result<(), Violation> {
        let voters = self.votes.range((term, 0)..(term + 1, 0));
        let count = voters.filter(|(_, vote)| **vote == member).count();
        Violation::unless(members == 1 || count > members / 2, "leader-elected", || {
            format!("member {member} leads in term {term} with {count} votes of {members}")
        })
    }

    /// A leader hands entries of its own term to its log: nobody else makes entries of that term.
    pub(crate) fn authored(
        &mut self,
        member: u64,
        probe: &Probe,
        batch: &LogBatch,
    ) -> Result<(), Violation> {
        let own = |entry: &LogEntry| entry.position.term == probe.term;
        if probe.role != Role::Leader || !batch.entries.iter().any(own) {
            return Ok(());
        }
        let term = probe.term.get();
        let author = *self.authors.entry(term).or_insert(member);
        Violation::unless(author == member, "one-author", || {
            format!("members {author} and {member} both make entries of term {term}")
        })
    }

    fn commits(
        &mut self,
        (member, observed_in): (u64, u64),
        commit: u64,
        own: &Holdings,
        holdings: &[Holdings],
    ) -> Result<(), Violation> {
        let missing = || {
            let detail = format!("member {member} commits {commit}, which its log does not hold");
            Violation::new("commit-in-log", detail)
        };
        if let Some(term) = self.committed_term(commit) {
            return Violation::unless(own.issued.holds(commit, term), "commit-agreement", || {
                format!("member {member} commits another entry {commit} than one of term {term}")
            });
        }
        let known = self.commit();
        if let Some(term) = self.committed_term(known) {
            Violation::unless(own.issued.holds(known, term), "commit-agreement", || {
                format!("member {member} commits {commit} without committed entry {known}")
            })?;
        }
        for index in known + 1..=commit {
            self.committed.push(own.issued.term_at(index).ok_or_else(missing)?);
            let before = self.known_in.last().copied().unwrap_or(0);
            self.known_in.push(before.max(observed_in));
        }
        let term = own.issued.term_at(commit).ok_or_else(missing)?;
        check_quorum("commit-durable", commit, term, holdings)
    }

    /// A caller is told that its command, in the entry at `index`, was carried out.
    pub(crate) fn acknowledged(&self, index: u64, holdings: &[Holdings]) -> Result<(), Violation> {
        let Some(term) = self.committed_term(index) else {
            let detail = format!("entry {index} is acknowledged and not committed");
            return Err(Violation::new("acknowledged-durable", detail));
        };
        check_quorum("acknowledged-durable", index, term, holdings)
    }

    /// A member hands entries to its log.
    pub(crate) fn appended(
        &mut self,
        member: u64,
        batch: &LogBatch,
        before: &LogMirror,
    ) -> Result<(), Violation> {
        let Some(first) = batch.entries.first() else { return Ok(()) };
        let mut previous = before.chain(batch).ok_or_else(|| {
            let detail = format!("member {member} appends {} after a gap", first.position);
            Violation::new("log-gap", detail)
        })?;
        for entry in &batch.entries {
            let key = (entry.position.index.get(), entry.position.term.get());
            let value = (previous, hash_entry(entry));
            let known = *self.entries.entry(key).or_insert(value);
            Violation::unless(known == value, "log-matching", || {
                format!("member {member} has another entry, or another before it, at {:?}", key)
            })?;
            previous = key.1;
        }
        Ok(())
    }

    /// A member sends a message to a peer.
    pub(crate) fn sent(
        &mut self,
        member: u64,
        message: &RaftPeek,
        own: &Holdings,
    ) -> Result<(), Violation> {
        // A read that is passed on keeps the name of whoever asked.
        let honest = message.from == member || message.kind == READ_INDEX;
        Violation::unless(honest, "message-honest", || {
            format!("member {member} sends as {}: {message:?}", message.from)
        })?;
        // Whether somebody would get votes is asked and answered for a term that nobody is in yet.
        let term = match message.kind {
            REQUEST_PRE_VOTE | REQUEST_PRE_VOTE_RESPONSE => 0,
            _ => message.term,
        };
        let durable = own.durable.hard_state.term.get();
        Violation::unless(term <= durable, "term-sent-durable", || {
            format!("member {member} sends {message:?}, durable is term {durable}")
        })?;
        match message.kind {
            // An answer to the leader of an earlier term may name entries that the leader of this
            // durable term has replaced before they were written: that equals having written both.
            APPEND_RESPONSE
                if !message.reject && message.term >= own.durable.hard_state.term.get() =>
            {
                let last = own.durable.last().max(own.durable_applied);
                Violation::unless(message.index <= last, "answer-durable", || {
                    let index = message.index;
                    format!("member {member} acknowledges entry {index}, durable are {last}")
                })
            }
            REQUEST_VOTE_RESPONSE if !message.reject => {
                self.voted(member, message.term, message.to, own)
            }
            REQUEST_VOTE => self.voted(member, message.term, member, own),
            _ => Ok(()),
        }
    }

    fn voted(&mut self, member: u64, term: u64, to: u64, own: &Holdings) -> Result<(), Violation> {
        let first = *self.votes.entry((term, member)).or_insert(to);
        Violation::unless(first == to, "one-vote", || {
            format!("member {member} votes for {first} and for {to} in term {term}")
        })?;
        let durable = own.durable.hard_state;
        let kept = durable.term.get() > term || (durable.term.get() == term && durable.vote == to);
        Violation::unless(kept, "vote-durable", || {
            format!("member {member} votes for {to} in term {term}, durable is {durable:?}")
        })
    }
}

fn check_quorum(
    checker: &'static str,
    index: u64,
    term: u64,
    holdings: &[Holdings],
) -> Result<(), Violation> {
    let keeping = holdings.iter().filter(|member| member.keeps(index, term)).count();
    Violation::unless(keeping > holdings.len() / 2, checker, || {
        let all = holdings.len();
        format!("entry {index} of term {term} is durable on {keeping} of {all} members only")
    })
}

/// A hash of the content of an entry.
pub(crate) fn hash_entry(entry: &LogEntry) -> u64 {
    hash_bytes(entry.kind as u64, &entry.data)
}

/// A hash of bytes; good enough to tell different ones apart, not against an adversary.
pub(crate) fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed ^ (bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word: [u8; 8] = chunk.try_into().expect("chunks of eight bytes");
        hash = mix(hash ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(hash ^ u64::from_le_bytes(word))
}

#[cfg(test)]
#[path = "consensus_tests.rs"]
mod tests;
