//! A new content for the engine: sorted files in a folder of their own, ingested into a new
//! database.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rocksdb::{IngestExternalFileOptions, SstFileWriter};

use super::engine::Shared;
use super::error::translate;
use super::generation::Generation;
use super::pointer::{generation_path, restore_path, write_pointer};
use crate::files::{create_folder, remove_folder};
use crate::{Restore, StorageError, Table};

/// Collects pairs and writes them out in sorted files of a bounded size.
pub(super) struct RocksRestore {
    shared: Arc<Shared>,
    /// The number of the generation to build.
    number: u64,
    /// The folder for the sorted files.
    folder: PathBuf,
    tables: Vec<Table>,
    /// The table that pairs are being added to.
    present: Option<Table>,
    /// The last key added to it.
    last: Option<Bytes>,
    /// Pairs not yet in a file, all of the present table.
    pairs: Vec<(Bytes, Bytes)>,
    pairs_size: usize,
    /// The finished files of each table, in the order of the tables.
    files: Vec<(Table, Vec<PathBuf>)>,
    files_count: u64,
}

impl RocksRestore {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, StorageError> {
        let tables = shared.current.read().tables().to_vec();
        let number = shared.next_number.fetch_add(1, Ordering::Relaxed);
        let folder = restore_path(&shared.path, number);
        remove_folder(&folder)?;
        create_folder(&folder)?;
        Ok(Self {
            shared,
            number,
            folder,
            tables,
            present: None,
            last: None,
            pairs: Vec::new(),
            pairs_size: 0,
            files: Vec::new(),
            files_count: 0,
        })
    }

    fn turn_to(&mut self, table: Table) -> Result<(), StorageError> {
        if self.present == Some(table) {
            return Ok(());
        }
        self.write_file()?;
        if !self.tables.contains(&table) {
            return Err(self.disorder(format!("unknown table {}", table.0)));
        }
        if self.files.iter().any(|(done, _)| *done == table) {
            return Err(self.disorder(format!("table {} comes twice", table.0)));
        }
        self.files.push((table, Vec::new()));
        self.present = Some(table);
        self.last = None;
        Ok(())
    }

    /// Writes the collected pairs to the next file of the present table.
    fn write_file(&mut self) -> Result<(), StorageError> {
        let pairs = std::mem::take(&mut self.pairs);
        self.pairs_size = 0;
        let Some((_, files)) = self.files.last_mut().filter(|_| !pairs.is_empty()) else {
            return Ok(());
        };
        let path = self.folder.join(format!("{:08}.sst", self.files_count));
        let failed = |error: rocksdb::Error| translate("write", &self.folder, &error);
        let mut writer = SstFileWriter::create(&self.shared.options.table);
        writer.open(&path).map_err(failed)?;
        for (key, value) in &pairs {
            writer.put(key, value).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        files.push(path);
        self.files_count += 1;
        Ok(())
    }

    /// Builds the new database, whole and durable but not yet the one that counts.
    fn build(&mut self) -> Result<Generation, StorageError> {
        self.write_file()?;
        let path = generation_path(&self.shared.path, self.number);
        remove_folder(&path)?;
        let generation = Generation::open(&path, &self.tables, &self.shared.options, true)?;
        for (table, files) in std::mem::take(&mut self.files) {
            if files.is_empty() {
                continue;
            }
            let mut options = IngestExternalFileOptions::default();
            options.set_move_files(true);
            let family = generation.family(table);
            let database = generation.database();
            let result = database.ingest_external_file_cf_opts(family, &options, files);
            result.map_err(|error| generation.error("write", &error))?;
        }
        generation.flush()?;
        Ok(generation)
    }

    fn disorder(&self, detail: String) -> StorageError {
        StorageError::Corrupt { path: self.folder.clone(), offset: 0, detail }
    }
}

impl Restore for RocksRestore {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.turn_to(table)?;
        if self.last.as_ref().is_some_and(|last| &last[..] >= key) {
            return Err(self.disorder(format!("keys of table {} are not ascending", table.0)));
        }
        let key = Bytes::copy_from_slice(key);
        self.last = Some(key.clone());
        self.pairs_size += key.len() + value.len();
        self.pairs.push((key, Bytes::copy_from_slice(value)));
        if self.pairs_size >= FILE_SIZE { self.write_file() } else { Ok(()) }
    }

    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.shared.latch.check()?;
        let shared = Arc::clone(&self.shared);
        let generation = self.build().map_err(|cause| shared.latch.stop(cause))?;
        let mut current = shared.current.write();
        shared.latch.check()?;
        write_pointer(&shared.path, self.number).map_err(|cause| shared.latch.stop(cause))?;
        let old = std::mem::replace(&mut *current, Arc::new(generation));
        old.retire();
        Ok(())
    }
}

impl Drop for RocksRestore {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the engine is opened next.
        let _ = remove_folder(&self.folder);
    }
}

/// How many bytes of keys and values one sorted file holds: bounds the memory that a restore takes.
const FILE_SIZE: usize = 32 << 20;
