//! The RocksDB engine.

use std::fs;
use std::path::{Path, PathBuf};

use quorate_storage::conformance::{TABLES, engine_suite};
use quorate_storage::rocks::{RocksEngine, RocksOptions};
use quorate_storage::{Direction, Engine, KeyRange, StorageError, Table, WriteBatch};
use quorate_types::ByteSize;

use crate::disk::{RocksHarness, list};

#[test]
fn the_rocksdb_engine_conforms() {
    engine_suite(&|| Box::new(RocksHarness::new()));
}

fn open(path: &Path) -> Result<RocksEngine, StorageError> {
    RocksEngine::open(path, &TABLES, RocksOptions::default())
}

fn put(engine: &RocksEngine, key: &str, value: Vec<u8>) {
    let mut batch = WriteBatch::new();
    batch.put(TABLES[0], key.to_owned(), value);
    engine.write(&batch).unwrap();
}

fn generations(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_in_use_is_locked_and_invalid_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(StorageError::Locked { .. })));
    drop(engine);
    let options = RocksOptions { block_cache_size: ByteSize::new(0), ..RocksOptions::default() };
    let result = RocksEngine::open(folder.path(), &TABLES, options);
    assert!(matches!(
        result,
        Err(StorageError::InvalidOption { field: "block_cache_size", found: 0, .. })
    ));
}

#[test]
fn leftovers_of_a_crashed_restore_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).unwrap();
    put(&engine, "old", vec![]);
    engine.flush().unwrap();
    drop(engine);
    fs::create_dir(folder.path().join("generation-0000000000000002")).unwrap();
    fs::create_dir(folder.path().join("restore-0000000000000003")).unwrap();
    fs::write(folder.path().join("restore-0000000000000003/x.sst"), "x").unwrap();
    let engine = open(folder.path()).unwrap();
    assert_eq!(generations(folder.path()), ["CURRENT-GENERATION", "generation-0000000000000001"]);
    assert!(engine.get(TABLES[0], b"old").unwrap().is_some());

    let view = engine.view().unwrap();
    let restore = engine.restore().unwrap();
    restore.commit().unwrap();
    assert_eq!(generations(folder.path()).len(), 3, "the view keeps the old generation");
    assert!(view.get(TABLES[0], b"old").unwrap().is_some());
    drop(view);
    assert_eq!(generations(folder.path()), ["CURRENT-GENERATION", "generation-0000000000000002"]);
}

#[test]
fn a_lost_or_damaged_pointer_is_corruption_and_not_an_empty_store() {
    let check = |spoil: &dyn Fn(&Path), named: &str| {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path()).unwrap();
        put(&engine, "key", vec![]);
        engine.flush().unwrap();
        drop(engine);
        spoil(folder.path());
        match open(folder.path()).map(drop) {
            Err(StorageError::Corrupt { path, .. }) => {
                assert!(path.ends_with(named), "{named} expected, found {}", path.display());
            }
            other => panic!("corruption of {named} expected, got {other:?}"),
        }
    };
    let first = "generation-0000000000000001";
    check(&|path| fs::remove_file(path.join("CURRENT-GENERATION")).unwrap(), first);
    check(&|path| fs::write(path.join("CURRENT-GENERATION"), "7").unwrap(), "CURRENT-GENERATION");
    check(&|path| fs::remove_dir_all(path.join(first)).unwrap(), first);
    check(&|path| fs::remove_file(path.join(first).join("CURRENT")).unwrap(), "CURRENT");
    check(&|path| fs::remove_file(table_file(path)).unwrap(), &name_of_table_file());
}

fn table_file(path: &Path) -> PathBuf {
    let files = list(path);
    let name = files.keys().find(|name| name.extension().is_some_and(|end| end == "sst"));
    path.join(name.unwrap())
}

fn name_of_table_file() -> String {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).unwrap();
    put(&engine, "key", vec![]);
    engine.flush().unwrap();
    table_file(folder.path()).file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_flipped_bit_in_a_table_file_is_reported_with_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).unwrap();
    for number in 0..2_000_u32 {
        // Not compressible, so that blocks are many.
        let value = (0..40).map(|place| (number.wrapping_mul(2_654_435_761) >> (place % 24)) as u8);
        put(&engine, &format!("{number:06}"), value.collect());
    }
    engine.flush().unwrap();
    drop(engine);
    let file = table_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let mut with_offset = 0;
    let places = (0..whole.len()).step_by(whole.len() / 40);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&file, damaged).unwrap();
        let result = open(folder.path()).and_then(|engine| {
            let view = engine.view()?;
            let pairs = view.scan(TABLES[0], &KeyRange::all(), Direction::Forward);
            let count = pairs.collect::<Result<Vec<_>, _>>()?.len();
            // Filters and statistics do not tell what the table holds.
            assert_eq!(count, 2_000, "damage at {place} was papered over");
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(StorageError::Corrupt { path, offset, .. }) => {
                assert_eq!(path, file, "damage at {place}");
                with_offset += u32::from(offset > 0 && offset <= place as u64);
            }
            Err(error) => panic!("damage at {place} is reported as {error:?}"),
        }
    }
    assert!(with_offset > 20, "most damage is in blocks with an offset: {with_offset}");
}

#[test]
fn tables_can_be_added_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).unwrap();
    put(&engine, "key", vec![1]);
    engine.flush().unwrap();
    drop(engine);
    let new = Table("new");
    let engine = RocksEngine::open(folder.path(), &[new], RocksOptions::default()).unwrap();
    assert_eq!(engine.get(new, b"key").unwrap(), None);
    drop(engine);
    let engine = open(folder.path()).unwrap();
    assert_eq!(engine.get(TABLES[0], b"key").unwrap().as_deref(), Some(&[1][..]));
}
