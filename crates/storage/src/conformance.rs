//! The suite that every implementation of [`Engine`](crate::Engine) or
//! [`LogStore`](crate::LogStore) should pass.
//!
//! Implement [`EngineUnderTest`] or [`LogUnderTest`] for a harness that can open, close and crash
//! the store, and call [`engine_suite`] or [`log_suite`] from a test. A violation is a panic that
//! says what was expected.
//!
//! ```
//! use std::sync::Arc;
//! use quorate_storage::conformance::{EngineUnderTest, TABLES, engine_suite};
//! use quorate_storage::Engine;
//! use quorate_storage::memory::MemoryEngine;
//!
//! struct Harness(MemoryEngine);
//!
//! impl EngineUnderTest for Harness {
//!     fn open(&mut self) -> Arc<dyn Engine> {
//!         Arc::new(self.0.clone())
//!     }
//!     fn close_and_reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
//!         engine
//!     }
//!     fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
//!         self.0.crash();
//!         engine
//!     }
//! }
//!
//! engine_suite(&|| Box::new(Harness(MemoryEngine::new(&TABLES))));
//! ```

mod engine;
mod log;

use crate::StorageError;

pub use engine::{EngineUnderTest, TABLES, engine_suite};
pub use log::{LogUnderTest, log_suite};

/// The value of a call that has no reason to fail.
#[track_caller]
fn ok<T>(result: Result<T, StorageError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed without a reason: {error:?}"),
    }
}

/// Checks that a store refuses work after its first failure.
#[track_caller]
fn assert_stopped<T>(result: Result<T, StorageError>, call: &str) {
    let error = result.err();
    assert!(
        matches!(error, Some(StorageError::Stopped { .. })),
        "{call} after a failure must be refused as stopped, got {error:?}"
    );
}
