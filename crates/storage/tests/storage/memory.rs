//! The memory stores.

use quorate_storage::conformance::{engine_suite, log_suite};

use crate::harness::{MemoryEngineHarness, MemoryLogHarness};

#[test]
fn the_memory_engine_conforms_whatever_a_crash_keeps() {
    for kept in [0, 1, 7, usize::MAX] {
        engine_suite(&|| Box::new(MemoryEngineHarness::new(kept)));
    }
}

#[test]
fn the_memory_log_conforms_whatever_a_crash_keeps() {
    for kept in [0, 1, 3, usize::MAX] {
        log_suite(&|| Box::new(MemoryLogHarness::new(kept)));
    }
}
