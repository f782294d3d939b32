//! What a user can set, and the options of RocksDB that follow from it.

use quorate_types::ByteSize;
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel, Options};

use crate::StorageError;

/// Settings of a [`RocksEngine`](super::RocksEngine).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RocksOptions {
    /// Bytes of uncompressed blocks, indexes and filters kept in memory, by all tables together.
    ///
    /// Default 64 MiB; 1 MiB (most reads go to the disk) to 1 TiB.
    pub block_cache_size: ByteSize,
    /// Bytes of written but not flushed data, by all tables together; RocksDB flushes on its own
    /// beyond.
    ///
    /// Default 64 MiB; 1 MiB (many small files, much merging) to 16 GiB (long flushes).
    pub write_buffer_size: ByteSize,
    /// How many table files are held open.
    ///
    /// Default 512; 64 (reads open files again and again) to 1,000,000. The process needs as many
    /// file descriptors.
    pub open_files_max: u32,
    /// How many threads flush and merge in the background, shared by all engines of the process.
    ///
    /// Default 2; 1 (a long merge holds up flushes) to 64.
    pub background_jobs_max: u32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            block_cache_size: ByteSize::mib(64),
            write_buffer_size: ByteSize::mib(64),
            open_files_max: 512,
            background_jobs_max: 2,
        }
    }
}

impl RocksOptions {
    /// Checks every field against its range.
    ///
    /// # Errors
    ///
    /// [`StorageError::InvalidOption`] with the first field that is out of range.
    pub fn validate(&self) -> Result<(), StorageError> {
        let (mib, tib) = (ByteSize::mib(1).bytes(), ByteSize::gib(1024).bytes());
        let buffer_max = ByteSize::gib(16).bytes();
        let check = StorageError::check_option;
        check("block_cache_size", self.block_cache_size.bytes(), mib..=tib)?;
        check("write_buffer_size", self.write_buffer_size.bytes(), mib..=buffer_max)?;
        check("open_files_max", self.open_files_max.into(), 64..=1_000_000)?;
        check("background_jobs_max", self.background_jobs_max.into(), 1..=64)
    }
}

/// The options of RocksDB for one engine; cheap to clone, with one block cache among the clones.
#[derive(Clone)]
pub(super) struct DbOptions {
    pub(super) database: Options,
    pub(super) table: Options,
}

impl DbOptions {
    /// Derives the options. `options` must be valid.
    pub(super) fn new(options: &RocksOptions) -> Self {
        let size = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let cache = Cache::new_lru_cache(size(options.block_cache_size));

        let mut database = Options::default();
        database.set_atomic_flush(true);
        database.set_paranoid_checks(true);
        database.create_missing_column_families(true);
        database.set_max_open_files(count(options.open_files_max));
        database.set_max_background_jobs(count(options.background_jobs_max));
        database.set_db_write_buffer_size(size(options.write_buffer_size));
        // RocksDB's own diary, of use to its developers only: keep it short.
        database.set_log_level(LogLevel::Warn);
        database.set_keep_log_file_num(2);
        database.set_max_log_file_size(1 << 20);
        database.set_stats_dump_period_sec(0);

        let mut table = Options::default();
        table.set_write_buffer_size(size(options.write_buffer_size));
        table.set_level_compaction_dynamic_level_bytes(true);
        table.set_compression_type(DBCompressionType::Lz4);
        table.set_block_based_table_factory(&block_options(&cache));
        Self { database, table }
    }
}

fn block_options(cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    // Indexes and filters count against the cache, or else memory would grow with the data.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_whole_key_filtering(true);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_range_that_is_checked() {
        fn check(change: impl Fn(&mut RocksOptions), expected: &str) {
            let mut options = RocksOptions::default();
            change(&mut options);
            assert_eq!(options.validate().unwrap_err().to_string(), expected);
        }
        assert!(RocksOptions::default().validate().is_ok());
        check(
            |options| options.block_cache_size = ByteSize::kib(1),
            "option block_cache_size is 1024, allowed are 1048576 to 1099511627776",
        );
        check(
            |options| options.write_buffer_size = ByteSize::gib(17),
            "option write_buffer_size is 18253611008, allowed are 1048576 to 17179869184",
        );
        check(
            |options| options.open_files_max = 3,
            "option open_files_max is 3, allowed are 64 to 1000000",
        );
        check(
            |options| options.background_jobs_max = 0,
            "option background_jobs_max is 0, allowed are 1 to 64",
        );
    }
}
