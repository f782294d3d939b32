//! Keys that one branch of a transaction would write twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::{DeleteRangeRequest, KeySpan, KvError, OpRequest, RequestOp};

/// Refuses a branch that puts a key twice or puts and deletes it, as etcd's `checkIntervals` does.
///
/// Deletions of a level are looked at first, then nested transactions in order, then the puts of
/// the level. So an earlier nested put passes beside a deletion in a later nested transaction, and
/// the two branches of one nested transaction may put the same key.
///
/// # Errors
///
/// [`KvError::DuplicateKey`].
pub(crate) fn check_branch(ops: &[RequestOp]) -> Result<(), KvError> {
    if ops.len() < 2 && !matches!(ops, [RequestOp { request: Some(OpRequest::Txn(_)) }]) {
        return Ok(());
    }
    collect(ops).map(|_| ())
}

/// The keys that a branch puts and deletes, with everything nested in it.
#[derive(Default)]
struct Written<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletions: Spans<'a>,
}

impl<'a> Written<'a> {
    /// Adds a put that must not meet a deletion; the caller has looked at the other puts.
    fn put(&mut self, key: &'a [u8]) -> Result<(), KvError> {
        if self.deletions.contains(key) {
            return Err(KvError::DuplicateKey);
        }
        self.puts.insert(key);
        Ok(())
    }
}

fn collect(ops: &[RequestOp]) -> Result<Written<'_>, KvError> {
    let mut written = Written::default();
    for op in ops {
        if let Some(OpRequest::DeleteRange(request)) = &op.request {
            written.deletions.insert(request);
        }
    }
    for op in ops {
        let Some(OpRequest::Txn(nested)) = &op.request else { continue };
        let success = collect(&nested.success)?;
        let failure = collect(&nested.failure)?;
        for &key in &success.puts {
            if written.puts.contains(key) {
                return Err(KvError::DuplicateKey);
            }
        }
        for &key in &failure.puts {
            // Only one of the two branches is carried out.
            if written.puts.contains(key) && !success.puts.contains(key) {
                return Err(KvError::DuplicateKey);
            }
        }
        for key in success.puts.into_iter().chain(failure.puts) {
            written.put(key)?;
        }
        written.deletions.union(success.deletions);
        written.deletions.union(failure.deletions);
    }
    for op in ops {
        let Some(OpRequest::Put(request)) = &op.request else { continue };
        if written.puts.contains(&request.key[..]) {
            return Err(KvError::DuplicateKey);
        }
        written.put(&request.key)?;
    }
    Ok(written)
}

/// A set of keys made of single keys and of ranges, which are kept apart from each other.
#[derive(Default)]
struct Spans<'a> {
    keys: BTreeSet<&'a [u8]>,
    /// Start to end. No two touch, so the one that starts last before a key decides.
    ranges: BTreeMap<&'a [u8], &'a [u8]>,
}

impl<'a> Spans<'a> {
    fn insert(&mut self, request: &'a DeleteRangeRequest) {
        match request.span() {
            KeySpan::Key(_) => {
                self.keys.insert(&request.key);
            }
            // etcd takes this for a range that ends before it starts and so holds no key.
            KeySpan::From(_) => {}
            KeySpan::Range { .. } => self.insert_range(&request.key, &request.range_end),
        }
    }

    fn insert_range(&mut self, mut start: &'a [u8], mut end: &'a [u8]) {
        if end <= start {
            return;
        }
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..=end).next() {
            end = end.max(next_end);
            self.ranges.remove(next);
        }
        self.ranges.insert(start, end);
    }

    fn union(&mut self, other: Self) {
        self.keys.extend(other.keys);
        for (start, end) in other.ranges {
            self.insert_range(start, end);
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains(key)
            || self.ranges.range(..=key).next_back().is_some_and(|(_, &end)| key < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PutRequest, TxnRequest};

    fn put(key: &'static str) -> RequestOp {
        PutRequest::new(key, "v").into()
    }

    fn delete(key: &'static str, end: &'static str) -> RequestOp {
        DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: false }.into()
    }

    fn txn(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        TxnRequest { compare: vec![], success, failure }.into()
    }

    #[test]
    fn branches_that_pass() {
        for ops in [
            vec![put("a"), put("b")],
            vec![delete("a", ""), delete("a", ""), delete("a", "z")],
            vec![delete("a", "c"), put("c")],
            vec![delete("b", "a"), put("b")],
            vec![delete("a", "\0"), put("b")],
            vec![txn(vec![put("a")], vec![put("a")])],
            vec![txn(vec![put("a")], vec![]), txn(vec![delete("a", "")], vec![])],
            vec![txn(vec![delete("a", "")], vec![put("a")])],
        ] {
            assert_eq!(check_branch(&ops), Ok(()), "{ops:?}");
        }
    }

    #[test]
    fn branches_that_are_refused() {
        for ops in [
            vec![put("a"), put("a")],
            vec![put("a"), delete("a", "")],
            vec![delete("a", ""), put("a")],
            vec![delete("a", "c"), delete("c", "e"), put("d")],
            vec![delete("a", "z"), delete("b", "c"), put("x")],
            vec![delete("c", "e"), delete("a", "d"), put("d")],
            vec![put("a"), txn(vec![put("a")], vec![])],
            vec![put("a"), txn(vec![], vec![put("a")])],
            vec![txn(vec![put("a")], vec![]), txn(vec![], vec![put("a")])],
            vec![txn(vec![delete("a", "")], vec![]), txn(vec![put("a")], vec![])],
            vec![txn(vec![put("a")], vec![]), delete("a", "")],
            vec![txn(vec![txn(vec![put("a"), put("a")], vec![])], vec![])],
        ] {
            assert_eq!(check_branch(&ops), Err(KvError::DuplicateKey), "{ops:?}");
        }
    }
}
