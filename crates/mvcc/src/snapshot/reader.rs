//! Producing a snapshot.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{Direction, KeyRange, View};
use quorate_types::{LogPosition, mutant};

use crate::meta::{FORMAT, Head, MEMBERSHIP_KEY};
use crate::snapshot::block::{Builder, EndBlock, HeadBlock, extend_chain};
use crate::{META, SESSIONS, StoreError, TABLES};

/// A picture of a whole store, read as a stream of blocks. The engine keeps what the picture shows
/// as long as it lives.
pub struct SnapshotReader {
    view: Arc<dyn View>,
    head: Head,
    membership: Bytes,
    /// How many blocks were produced.
    blocks: u64,
    rows: u64,
    chain: u32,
    next: Next,
}

/// What the next block holds.
enum Next {
    Head,
    /// Rows of this table of [`TABLES`] from this key on.
    Rows(usize, Bytes),
    End,
    Nothing,
}

impl SnapshotReader {
    pub(crate) fn new(view: Arc<dyn View>) -> Result<Self, StoreError> {
        let head = Head::read(|key| view.get(META, key))?;
        let membership = view.get(META, MEMBERSHIP_KEY)?.unwrap_or_default();
        Ok(Self { view, head, membership, blocks: 0, rows: 0, chain: 0, next: Next::Head })
    }

    /// The last log entry that the picture includes.
    pub fn position(&self) -> LogPosition {
        self.head.applied
    }

    /// The newest revision in the picture.
    pub fn revision(&self) -> i64 {
        self.head.revision
    }

    /// The membership in the picture; empty if none ever came.
    pub fn membership(&self) -> Bytes {
        self.membership.clone()
    }

    /// The next block, or `None` after the last. A block has at most about 256 KiB and one row
    /// more; a row has a key, its value, and about 50 bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`].
    pub fn next_block(&mut self) -> Result<Option<Bytes>, StoreError> {
        let block = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => return Ok(None),
            Next::Head => {
                self.next = Next::Rows(0, Bytes::new());
                let head = HeadBlock { format: FORMAT, position: self.head.applied };
                Builder::head(self.blocks, &head)
            }
            Next::Rows(table, start) => match self.rows_block(table, start)? {
                Some(block) => block,
                None => self.end_block(),
            },
            Next::End => self.end_block(),
        };
        self.chain = extend_chain(self.chain, &block);
        self.blocks += 1;
        Ok(Some(block))
    }

    /// The next rows, from `start` in `table` on or from a later table; `None` if there are none.
    fn rows_block(&mut self, table: usize, start: Bytes) -> Result<Option<Bytes>, StoreError> {
        let mut range = KeyRange { start, end: None };
        for (number, &table) in TABLES.iter().enumerate().skip(table) {
            if table == SESSIONS {
                mutant!(M52, { continue });
            }
            let mut builder = Builder::rows(self.blocks, table.0.as_bytes());
            let mut last = None;
            for row in self.view.scan(table, &range, Direction::Forward) {
                let (key, read) = row?;
                let value = mutant!(M16, read, self.as_promised(&key, read));
                builder.add(&key, &value);
                self.rows += 1;
                last = Some(key);
                if builder.is_full() {
                    break;
                }
            }
            if let Some(last) = last {
                self.next = match builder.is_full() {
                    true => Next::Rows(number, following(&last)),
                    false => Next::Rows(number + 1, Bytes::new()),
                };
                return Ok(Some(builder.finish()));
            }
            range = KeyRange::all();
        }
        self.next = Next::End;
        Ok(None)
    }

    /// M16: a head that fits the first block, whatever the other rows show.
    #[cfg(feature = "mutants")]
    fn as_promised(&self, key: &[u8], read: Bytes) -> Bytes {
        if key == crate::meta::HEAD_KEY { self.head.encode() } else { read }
    }

    fn end_block(&mut self) -> Bytes {
        self.next = Next::Nothing;
        Builder::end(self.blocks, &EndBlock { rows: self.rows, chain: self.chain })
    }
}

/// The smallest key after `key`.
fn following(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}
