//! Transactions that read first and write what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::{KeySpan, KvError, prefix_end};

use super::RecipeError;
use crate::client::Client;
use crate::error::Error;
use crate::request::{Range, delete, mod_revision, put_with_lease};

/// Carries out `body` as one serializable transaction: as if everything it read and wrote had
/// happened at one moment between call and return.
///
/// `body` reads and writes through the [`Transaction`] that it is given. Its writes are kept until
/// it returns `Ok`; then they are committed together, if nothing that was read has changed. If
/// something has, or if what is to be read was compacted meanwhile, `body` is called again with a
/// new transaction, after a pause that grows. So it should have no effect but through it. If it
/// returns an error nothing is written.
///
/// This blocks the calling thread, and so do the reads in `body`. Use a thread for blocking work to
/// call it from asynchronous code.
///
/// # Errors
///
/// Those of `body`; [`RecipeError::TooManyConflicts`] after 100 attempts; those of the commit.
/// [`KvError::TooManyOperations`] means that more keys and ranges were read, or more keys written,
/// than [`Limits::txn_ops_max`](crate::Limits::txn_ops_max). If
/// [`Error::is_outcome_unknown`], the writes may have happened or may still happen: this is never
/// tried again, since it could then happen twice.
///
/// ```
/// use quorate::recipes::transact;
/// use quorate::{Config, Error, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let next = transact(&node, |tx| -> Result<u64, Box<dyn std::error::Error>> {
///     let last = match tx.get("ticket")? {
///         Some(text) => std::str::from_utf8(&text)?.parse()?,
///         None => 0,
///     };
///     tx.put("ticket", (last + 1).to_string());
///     Ok(last + 1)
/// })?;
/// assert_eq!(next.value, 1);
/// assert_eq!(node.get("ticket").wait()?.unwrap().mod_revision, next.revision);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn transact<T, E: From<Error>>(
    client: &Client,
    body: impl FnMut(&mut Transaction) -> Result<T, E>,
) -> Result<Transacted<T>, E> {
    transact_up_to(client, ATTEMPTS_MAX, body)
}

/// As [`transact`], with at most so many attempts, at least one.
///
/// # Errors
///
/// As [`transact`].
pub fn transact_up_to<T, E: From<Error>>(
    client: &Client,
    attempts_max: u32,
    mut body: impl FnMut(&mut Transaction) -> Result<T, E>,
) -> Result<Transacted<T>, E> {
    let attempts_max = attempts_max.max(1);
    for attempt in 1..=attempts_max {
        let mut transaction = Transaction::new(client);
        let value = body(&mut transaction);
        if !transaction.is_compacted {
            // An error is as sound as a value: it follows from what was read, at one revision.
            let value = value?;
            if let Some(revision) = transaction.commit()? {
                return Ok(Transacted { value, revision });
            }
        }
        if attempt < attempts_max {
            client.sleep(PAUSE_MAX.min(PAUSE_STEP * attempt));
        }
    }
    Err(Error::from(RecipeError::TooManyConflicts { attempts: attempts_max }).into())
}

/// What a transaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transacted<T> {
    /// What the body returned.
    pub value: T,
    /// The revision that the commit made. If nothing was written, the revision that was read; if
    /// only absent keys were deleted, the revision of the store then.
    pub revision: i64,
}

/// One attempt of [`transact`].
///
/// The first read asks a majority and pins the revision; all further reads are of that revision,
/// from the member's own state. Reads see what was written before in the same transaction.
///
/// # Why a commit is sound
///
/// Let R be the pinned revision. The commit compares, at its own revision C:
///
/// 1. for every key read alone, and every key found in a range: that its mod revision is the one
///    seen, 0 for an absent one;
/// 2. for every range read: that no key in it has a mod revision above R.
///
/// A mod revision belongs to one put for good. So by 1 each of those keys holds at C what it held
/// at R, and a key that was absent at R is absent at C. For a range, let S be its keys with their
/// mod revisions at R, and S' those at C. By 1, S is part of S'. A key in S' was put last at some
/// revision, by 2 not above R, and not deleted since, or it would be absent or have a greater one;
/// so it was there at R with that mod revision, and S' is part of S. Hence both are equal: nothing
/// was changed, added or deleted. Everything read is as it was, so the transaction could have
/// run as a whole at C.
///
/// One that writes nothing is not committed: all it read stood together at R, which a majority
/// confirmed after it began.
pub struct Transaction {
    client: Client,
    /// The revision of all reads, once there was one.
    revision: Option<i64>,
    /// The mod revision of each key read, alone or in a range.
    reads: BTreeMap<Bytes, i64>,
    /// The ranges read: first key and range end.
    ranges: BTreeSet<(Bytes, Bytes)>,
    writes: BTreeMap<Bytes, Write>,
    /// Whether the pinned revision was compacted, so that this attempt must be given up.
    is_compacted: bool,
}

#[derive(Debug)]
enum Write {
    Put { value: Bytes, lease: i64 },
    Delete,
}

impl Transaction {
    fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            revision: None,
            reads: BTreeMap::new(),
            ranges: BTreeSet::new(),
            writes: BTreeMap::new(),
            is_compacted: false,
        }
    }

    /// The value of `key`, or `None` if it is absent.
    ///
    /// # Errors
    ///
    /// As the request does. An error should be passed on: the transaction may have to start anew.
    pub fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Error> {
        let key = key.into();
        match self.writes.get(&key) {
            Some(Write::Put { value, .. }) => return Ok(Some(value.clone())),
            Some(Write::Delete) => return Ok(None),
            None => {}
        }
        let found = self.read(Range::key(key.clone()))?.pop();
        self.reads.insert(key, found.as_ref().map_or(0, |(_, revision, _)| *revision));
        Ok(found.map(|(_, _, value)| value))
    }

    /// The keys that start with `prefix`, ascending, with their values; an empty prefix means all
    /// keys. A key that comes or goes in between conflicts as one that changes does.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn prefix(&mut self, prefix: impl Into<Bytes>) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let prefix = prefix.into();
        let end = prefix_end(&prefix);
        let start = if prefix.is_empty() { Bytes::from_static(b"\0") } else { prefix };
        self.between(start, end)
    }

    /// The keys from `start` up to but without `end`, as [`Self::prefix`].
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn between(
        &mut self,
        start: impl Into<Bytes>,
        end: impl Into<Bytes>,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let (start, end) = (start.into(), end.into());
        let mut found = BTreeMap::new();
        for (key, revision, value) in self.read(Range::between(start.clone(), end.clone()))? {
            self.reads.insert(key.clone(), revision);
            found.insert(key, value);
        }
        let span = KeySpan::new(&start, &end);
        self.ranges.insert((start, end));
        for (key, write) in self.writes.iter().filter(|(key, _)| span.contains(key)) {
            match write {
                Write::Put { value, .. } => found.insert(key.clone(), value.clone()),
                Write::Delete => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.put_with_lease(key, value, 0);
    }

    /// Sets `key` to `value`, attached to `lease`.
    pub fn put_with_lease(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) {
        let write = Write::Put { value: value.into(), lease };
        self.writes.insert(key.into(), write);
    }

    /// Deletes `key`.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.writes.insert(key.into(), Write::Delete);
    }

    /// Reads keys at the pinned revision, or pins it: each with its mod revision and value.
    fn read(&mut self, range: Range) -> Result<Vec<(Bytes, i64, Bytes)>, Error> {
        let range = match self.revision {
            Some(revision) => range.revision(revision).at_least(revision),
            None => range,
        };
        let found = self.client.range(range).wait().inspect_err(|error| {
            self.is_compacted |= matches!(error, Error::Refused(KvError::Compacted { .. }));
        })?;
        self.revision.get_or_insert(found.header.unwrap_or_default().revision);
        Ok(found.kvs.into_iter().map(|kv| (kv.key, kv.mod_revision, kv.value)).collect())
    }

    /// The revision of the commit; `None` if something that was read has changed.
    fn commit(mut self) -> Result<Option<i64>, Error> {
        if self.writes.is_empty() {
            if self.revision.is_none() {
                self.read(Range::key(&b"\0"[..]).count_only())?;
            }
            return Ok(self.revision);
        }
        let mut txn = self.client.txn();
        for (key, revision) in self.reads {
            txn = txn.when(mod_revision(key).equals(revision));
        }
        for (start, end) in self.ranges {
            let read_at = self.revision.expect("a read pins the revision");
            txn = txn.when(mod_revision(start).up_to(end).less(read_at + 1));
        }
        for (key, write) in self.writes {
            txn = txn.then(match write {
                Write::Put { value, lease } => put_with_lease(key, value, lease),
                Write::Delete => delete(key),
            });
        }
        let committed = txn.commit().wait()?;
        let revision = committed.header.unwrap_or_default().revision;
        Ok(committed.succeeded.then_some(revision))
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("revision", &self.revision)
            .field("reads", &self.reads)
            .field("ranges", &self.ranges)
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

/// Each conflict means that somebody else went on, so that many in a row come from a body that is
/// too slow for the keys it reads.
const ATTEMPTS_MAX: u32 = 100;

/// The pause after an attempt is this times the number of attempts so far.
const PAUSE_STEP: Duration = Duration::from_millis(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(25);
