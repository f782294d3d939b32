//! Harnesses that open, close and crash each store.

use std::io;
use std::sync::Arc;

use quorate_storage::conformance::{EngineUnderTest, LogUnderTest, TABLES};
use quorate_storage::memory::{MemoryEngine, MemoryLog};
use quorate_storage::{Engine, LogStore};

/// A memory engine of whose unflushed batches a crash keeps some.
pub(crate) struct MemoryEngineHarness {
    engine: MemoryEngine,
    kept: usize,
}

impl MemoryEngineHarness {
    pub(crate) fn new(kept: usize) -> Self {
        Self { engine: MemoryEngine::new(&TABLES), kept }
    }
}

impl EngineUnderTest for MemoryEngineHarness {
    fn open(&mut self) -> Arc<dyn Engine> {
        Arc::new(self.engine.clone())
    }

    fn close_and_reopen(&mut self, _: Arc<dyn Engine>) -> Arc<dyn Engine> {
        self.engine.reopen();
        self.open()
    }

    fn crash(&mut self, _: Arc<dyn Engine>) -> Arc<dyn Engine> {
        self.engine.crash_keeping(self.kept);
        self.open()
    }

    fn fail_next_flush(&mut self) -> bool {
        self.engine.fail_next_flush(io::ErrorKind::StorageFull);
        true
    }
}

/// A memory log of whose unsynced batches a crash keeps some.
pub(crate) struct MemoryLogHarness {
    log: MemoryLog,
    kept: usize,
}

impl MemoryLogHarness {
    pub(crate) fn new(kept: usize) -> Self {
        Self { log: MemoryLog::new(), kept }
    }
}

impl LogUnderTest for MemoryLogHarness {
    fn open(&mut self) -> Box<dyn LogStore> {
        Box::new(self.log.clone())
    }

    fn close_and_reopen(&mut self, _: Box<dyn LogStore>) -> Box<dyn LogStore> {
        self.log.reopen();
        self.open()
    }

    fn crash(&mut self, _: Box<dyn LogStore>) -> Box<dyn LogStore> {
        self.log.crash_keeping(self.kept);
        self.open()
    }

    fn fail_next_sync(&mut self) -> bool {
        self.log.fail_next_sync(io::ErrorKind::Other);
        true
    }
}
