//! Collecting a snapshot beside the present state.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{Engine, Restore};
use quorate_types::LogPosition;

use crate::codec::Malformed;
use crate::meta::{FORMAT, HEAD_KEY, Head};
use crate::snapshot::block::{Block, EndBlock, HeadBlock, RowsBlock, decode, extend_chain};
use crate::{META, StoreError, TABLES};

/// A snapshot being received. Dropping it forgets it.
pub struct StagedSnapshot {
    restore: Box<dyn Restore>,
    /// How many blocks came.
    blocks: u64,
    rows: u64,
    chain: u32,
    position: LogPosition,
    /// The row that came last: its table's place in [`TABLES`], and its key.
    last: Option<(usize, Bytes)>,
    /// Where the rows say the store stands.
    head: Option<Head>,
    is_complete: bool,
}

impl StagedSnapshot {
    /// Starts to collect a snapshot for `engine`, whose present content stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`].
    pub fn begin(engine: &Arc<dyn Engine>) -> Result<Self, StoreError> {
        Ok(Self {
            restore: engine.restore()?,
            blocks: 0,
            rows: 0,
            chain: 0,
            position: LogPosition::default(),
            last: None,
            head: None,
            is_complete: false,
        })
    }

    /// Adds the next block of the stream. A block that is refused as malformed leaves everything as
    /// it was, so the right one can follow.
    ///
    /// # Errors
    ///
    /// [`StoreError::MalformedSnapshot`]; [`StoreError::NewerFormat`] if the sender is newer than
    /// this version; [`StoreError::Storage`], after which the snapshot must be given up.
    pub fn push_block(&mut self, block: &[u8]) -> Result<(), StoreError> {
        let decoded = decode(block, self.blocks).map_err(|detail| self.malformed(detail))?;
        match decoded {
            Block::Head(head) => self.push_head(&head)?,
            Block::Rows(rows) => self.push_rows(&rows)?,
            Block::End(end) => self.push_end(&end).map_err(|detail| self.malformed(detail))?,
        }
        self.chain = extend_chain(self.chain, block);
        self.blocks += 1;
        Ok(())
    }

    /// The last log entry that the snapshot includes; index 0 before the first block came.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// How many blocks came: the number of the next one.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Succeeds if the stream came to its end.
    ///
    /// # Errors
    ///
    /// [`StoreError::IncompleteSnapshot`].
    pub fn finish(&self) -> Result<(), StoreError> {
        if self.is_complete {
            Ok(())
        } else {
            Err(StoreError::IncompleteSnapshot { blocks: self.blocks })
        }
    }

    pub(crate) fn into_restore(self) -> Result<Box<dyn Restore>, StoreError> {
        self.finish()?;
        Ok(self.restore)
    }

    fn malformed(&self, detail: Malformed) -> StoreError {
        StoreError::MalformedSnapshot { block: self.blocks, detail }
    }

    fn push_head(&mut self, head: &HeadBlock) -> Result<(), StoreError> {
        if self.blocks != 0 {
            return Err(self.malformed("a head block came again"));
        }
        if head.format > FORMAT {
            return Err(StoreError::NewerFormat { found: head.format, supported: FORMAT });
        }
        self.position = head.position;
        Ok(())
    }

    fn push_rows(&mut self, block: &RowsBlock<'_>) -> Result<(), StoreError> {
        let (table, head) = self.check_rows(block).map_err(|detail| self.malformed(detail))?;
        for (key, value) in &block.rows {
            self.restore.put(TABLES[table], key, value)?;
        }
        self.rows += block.rows.len() as u64;
        self.head = head.or(self.head);
        if let Some((key, _)) = block.rows.last() {
            self.last = Some((table, Bytes::copy_from_slice(key)));
        }
        Ok(())
    }

    /// Checks that the rows follow the last one. Returns the place of their table in [`TABLES`],
    /// and the head if it is among them.
    fn check_rows(&self, block: &RowsBlock<'_>) -> Result<(usize, Option<Head>), Malformed> {
        if self.blocks == 0 {
            return Err("a head block is missing");
        }
        if self.is_complete {
            return Err("a block comes after the end");
        }
        let table = TABLES.iter().position(|table| table.0.as_bytes() == block.table);
        let table = table.ok_or("its table is unknown")?;
        let mut last: Option<&[u8]> = None;
        if let Some((last_table, last_key)) = &self.last {
            if *last_table > table {
                return Err("its table is out of order");
            }
            last = (*last_table == table).then_some(last_key);
        }
        let mut head = None;
        for &(key, value) in &block.rows {
            if last.is_some_and(|last| key <= last) {
                return Err("its keys are out of order");
            }
            last = Some(key);
            if TABLES[table] == META && key == HEAD_KEY {
                head = Some(Head::decode(value)?);
            }
        }
        Ok((table, head))
    }

    fn push_end(&mut self, end: &EndBlock) -> Result<(), Malformed> {
        if self.is_complete {
            return Err("a block comes after the end");
        }
        if *end != (EndBlock { rows: self.rows, chain: self.chain }) {
            return Err("rows or blocks are missing");
        }
        match self.head {
            Some(head) if head.applied == self.position => {}
            _ => return Err("its rows do not tell the position of its head block"),
        }
        self.is_complete = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::FORMAT_KEY;
    use crate::snapshot::block::Builder;
    use quorate_storage::memory::MemoryEngine;
    use quorate_types::{LogIndex, Term};

    fn staged() -> StagedSnapshot {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new(TABLES));
        StagedSnapshot::begin(&engine).unwrap()
    }

    fn head(format: u32, index: u64) -> Bytes {
        let position = LogPosition::new(Term::new(1), LogIndex::new(index));
        Builder::head(0, &HeadBlock { format, position })
    }

    fn rows(number: u64, table: &str, rows: &[(&[u8], &[u8])]) -> Bytes {
        let mut builder = Builder::rows(number, table.as_bytes());
        for (key, value) in rows {
            builder.add(key, value);
        }
        builder.finish()
    }

    /// Blocks that are taken, and one that is not.
    fn check(taken: &[Bytes], refused: &Bytes, detail: &str) {
        let mut staged = staged();
        for block in taken {
            staged.push_block(block).unwrap();
        }
        let error = staged.push_block(refused).unwrap_err();
        assert!(error.to_string().ends_with(detail), "{error}, {detail} was expected");
    }

    #[test]
    fn well_formed_blocks_in_a_wrong_place() {
        let start = [head(FORMAT, 7)];
        let with_k = [start[0].clone(), rows(1, "history", &[(b"k", b"")])];
        check(&[], &rows(0, "live", &[]), "a head block is missing");
        check(&[], &head(3, 7), "format 3, this version knows formats up to 2");
        check(&start, &rows(1, "others", &[]), "its table is unknown");
        check(&start, &rows(1, "live", &[(b"k", b""), (b"k", b"")]), "its keys are out of order");
        check(&with_k, &rows(2, "history", &[(b"k", b"")]), "its keys are out of order");
        check(&with_k, &rows(2, "live", &[(b"z", b"")]), "its table is out of order");
        check(&start, &rows(1, "meta", &[(HEAD_KEY, b"?")]), "its version is unknown");
    }

    #[test]
    fn ends_that_do_not_fit() {
        let other = Head::FRESH.encode();
        let start = [head(FORMAT, 7), rows(1, "meta", &[(FORMAT_KEY, b""), (HEAD_KEY, &other)])];
        let chain = start.iter().fold(0, |chain, block| extend_chain(chain, block));
        let end = |rows, chain| Builder::end(2, &EndBlock { rows, chain });
        check(&start, &end(1, chain), "rows or blocks are missing");
        check(&start, &end(2, chain + 1), "rows or blocks are missing");
        check(&start, &end(2, chain), "its rows do not tell the position of its head block");
    }
}
