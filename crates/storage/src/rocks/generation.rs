//! One RocksDB database and what is read from and written to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, IteratorMode, ReadOptions, WriteOptions,
};

use super::error::translate;
use super::options::DbOptions;
use crate::{KeyRange, StorageError, Table, WriteBatch, WriteOp};

/// A database in a folder of its own. Removes the folder when it goes, if it was retired.
pub(super) struct Generation {
    /// Taken only by `drop`.
    database: Option<DB>,
    tables: Vec<Table>,
    path: PathBuf,
    retired: AtomicBool,
}

impl Generation {
    /// Opens the database in `path`; with `create` it must not exist yet.
    pub(super) fn open(
        path: &Path,
        tables: &[Table],
        options: &DbOptions,
        create: bool,
    ) -> Result<Self, StorageError> {
        let mut options = options.clone();
        options.database.create_if_missing(create);
        options.database.set_error_if_exists(create);
        let mut names: Vec<String> = tables.iter().map(|table| table.0.to_owned()).collect();
        names.push(rocksdb::DEFAULT_COLUMN_FAMILY_NAME.to_owned());
        if !create {
            // RocksDB refuses to open only some of the column families.
            let present = DB::list_cf(&options.database, path);
            names.extend(present.map_err(|error| translate("open", path, &error))?);
        }
        names.sort();
        names.dedup();
        let families =
            names.into_iter().map(|name| ColumnFamilyDescriptor::new(name, options.table.clone()));
        let database = DB::open_cf_descriptors(&options.database, path, families)
            .map_err(|error| translate("open", path, &error))?;
        Ok(Self {
            database: Some(database),
            tables: tables.to_vec(),
            path: path.into(),
            retired: AtomicBool::new(false),
        })
    }

    /// The tables that the database was opened with.
    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The database itself.
    pub(super) fn database(&self) -> &DB {
        self.database.as_ref().expect("only `drop` takes the database")
    }

    /// The column family of `table`.
    ///
    /// # Panics
    ///
    /// If the engine was not opened with this table.
    pub(super) fn family(&self, table: Table) -> &ColumnFamily {
        let family = self.database().cf_handle(table.0);
        assert!(family.is_some(), "the engine was opened without the table {}", table.0);
        family.expect("the line above stops if the table is unknown")
    }

    /// Translates an error of the database.
    pub(super) fn error(&self, action: &'static str, error: &rocksdb::Error) -> StorageError {
        translate(action, &self.path, error)
    }

    /// Writes a batch to the memtables of all tables.
    pub(super) fn write(&self, batch: &WriteBatch) -> Result<(), StorageError> {
        let mut converted = rocksdb::WriteBatch::default();
        for (place, op) in batch.ops().iter().enumerate() {
            let family = self.family(op.table());
            match op {
                WriteOp::Put { key, value, .. } => converted.put_cf(family, key, value),
                WriteOp::Delete { key, .. } => converted.delete_cf(family, key),
                WriteOp::DeleteRange { range: KeyRange { start, end: Some(end) }, .. } => {
                    // RocksDB takes a range whose end is before its start for a mistake.
                    if start < end {
                        converted.delete_range_cf(family, start, end);
                    }
                }
                WriteOp::DeleteRange { table, range: KeyRange { start, end: None } } => {
                    let end = self.end_of(*table, &batch.ops()[..place])?;
                    if *start < end {
                        converted.delete_range_cf(family, start, &end);
                    }
                }
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let result = self.database().write_opt(converted, &options);
        result.map_err(|error| self.error("write", &error))
    }

    /// A key after all keys of `table`, as they are when `ops` were applied: RocksDB knows no range
    /// without an end.
    fn end_of(&self, table: Table, ops: &[WriteOp]) -> Result<Bytes, StorageError> {
        let family = self.family(table);
        let stored = self.database().iterator_cf(family, IteratorMode::End).next();
        let stored = stored.transpose().map_err(|error| self.error("read", &error))?;
        let mut last = stored.map(|(key, _)| Bytes::from(key.into_vec()));
        for op in ops {
            if let WriteOp::Put { table: written, key, .. } = op
                && *written == table
            {
                last = last.max(Some(key.clone()));
            }
        }
        let Some(last) = last else { return Ok(Bytes::new()) };
        let mut end = Vec::with_capacity(last.len() + 1);
        end.extend_from_slice(&last);
        end.push(0);
        Ok(end.into())
    }

    /// The newest value of `key`.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let value = self.database().get_pinned_cf(self.family(table), key);
        let value = value.map_err(|error| self.error("read", &error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Makes all tables durable together.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        let families: Vec<&ColumnFamily> =
            self.tables.iter().map(|table| self.family(*table)).collect();
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let result = self.database().flush_cfs_opt(&families, &options);
        result.map_err(|error| self.error("sync", &error))
    }

    /// Bytes of live files and memtables, all tables together.
    pub(super) fn size_bytes(&self) -> u64 {
        let names = ["rocksdb.live-sst-files-size", "rocksdb.cur-size-all-mem-tables"];
        let mut total = 0;
        for table in &self.tables {
            for name in names {
                // Both are integers that RocksDB keeps; if it cannot tell one, it counts as
                // nothing.
                let size = self.database().property_int_value_cf(self.family(*table), name);
                total += size.ok().flatten().unwrap_or(0);
            }
        }
        total
    }

    /// Lets the folder be removed as soon as nobody uses the database any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

/// Options to read the keys of a non-empty `range`.
pub(super) fn range_options(range: &KeyRange) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options.set_iterate_lower_bound(range.start.to_vec());
    if let Some(end) = &range.end {
        options.set_iterate_upper_bound(end.to_vec());
    }
    options
}

impl Drop for Generation {
    fn drop(&mut self) {
        drop(self.database.take());
        if self.retired.load(Ordering::Acquire) {
            // What cannot be removed now is removed when the engine is opened next.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
