//! Files of the state store that are cut, and a flush that fails although the next would succeed.

use std::fs;
use std::path::{Path, PathBuf};

use quorate_storage::{Engine, StorageError, WriteBatch};
use tempfile::TempDir;

use super::stores::{Content, Held, LIVE, content_of, explain_content, open_engine};
use super::stream::{Member, Step};

/// Leads the engine's part of a member's life up to the flush before a restore; returns the steps.
fn engine_steps(seed: u64) -> Vec<Step> {
    let steps = Member::steps(seed, &Held::default(), 200);
    let is_of_engine = |step: &Step| matches!(step, Step::Write(_) | Step::Flush);
    let steps = steps.into_iter().take_while(|step| !matches!(step, Step::Restore(_)));
    steps.filter(is_of_engine).collect()
}

/// What a member took over that holds more than a few pairs in each table.
fn large_content() -> Content {
    let steps = Member::steps(1, &Held::default(), 10_000);
    let mut contents = steps.into_iter().filter_map(|step| match step {
        Step::Restore(content) => Some(content),
        _ => None,
    });
    contents.find(|content| content.len() > 100).expect("some are large")
}

fn generation(folder: &Path) -> PathBuf {
    folder.join("state").join("generation-0000000000000001")
}

fn table_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(generation(folder)).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "sst")).collect();
    paths.sort();
    paths
}

#[test]
fn a_cut_table_file_is_reported_and_never_read_as_less() {
    let folder = TempDir::new().expect("a temporary folder");
    let engine = open_engine(folder.path()).expect("opens");
    let held = large_content();
    let mut batch = WriteBatch::new();
    for ((table, key), value) in &held {
        batch.put(*table, key.clone(), value.clone());
    }
    engine.write(&batch).expect("written");
    engine.flush().expect("flushed");
    drop(engine);
    let files = table_files(folder.path());
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let whole = fs::read(&file).expect("readable");
        for cut in 0..CUTS {
            // The last cut takes one byte.
            let size = if cut + 1 == CUTS { whole.len() - 1 } else { whole.len() * cut / CUTS };
            fs::write(&file, &whole[..size]).expect("writable");
            let read = open_engine(folder.path()).and_then(|engine| content_of(&engine));
            match read {
                Err(StorageError::Corrupt { path, .. }) => assert_eq!(path, file, "cut to {size}"),
                Err(error) => panic!("{} cut to {size}: {error:?}", file.display()),
                Ok(found) => panic!(
                    "{} cut to {size} of {}: read {} of {} pairs",
                    file.display(),
                    whole.len(),
                    found.len(),
                    held.len()
                ),
            }
        }
        fs::write(&file, whole).expect("writable");
    }
    let engine = open_engine(folder.path()).expect("whole again");
    assert!(content_of(&engine).expect("readable") == held, "the same as before the cuts");
}

#[test]
fn a_failed_flush_is_not_tried_again_and_opening_finds_what_was_flushed() {
    for seed in 0..FLUSH_ROUNDS {
        let folder = TempDir::new().expect("a temporary folder");
        let engine = open_engine(folder.path()).expect("opens");
        let steps = engine_steps(seed);
        let done = steps.len();
        for step in &steps {
            step.run_on_engine(&engine, &|| {}).expect("runs");
        }
        let mut last = WriteBatch::new();
        last.put(LIVE, "last", "unflushed");
        engine.write(&last).expect("written");
        let (present, hidden) = (generation(folder.path()), folder.path().join("hidden"));
        fs::rename(&present, &hidden).expect("can be renamed");
        let failure = engine.flush().expect_err("the folder is gone");
        assert!(matches!(failure, StorageError::Io { .. }), "seed {seed}: {failure:?}");
        fs::rename(&hidden, &present).expect("can be renamed");
        // Now that all is well again, a flush could only hide what the failed one lost.
        for refused in [engine.flush(), engine.write(&last), engine.restore().map(drop)] {
            let is_refused = matches!(refused, Err(StorageError::Stopped { .. }));
            assert!(is_refused, "seed {seed}: {refused:?}");
        }
        drop(engine);
        let engine = open_engine(folder.path()).expect("opens again");
        let found = content_of(&engine).expect("readable");
        let steps: Vec<Step> = steps.into_iter().chain([Step::Write(last)]).collect();
        let survival = explain_content(&Content::new(), &steps, done, &found);
        assert!(survival.is_some(), "seed {seed}: {} pairs that no crash leaves", found.len());
    }
}

const CUTS: usize = 12;
const FLUSH_ROUNDS: u64 = 10;
