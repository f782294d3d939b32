//! Counters that any thread may add to.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. It orders nothing, so relaxed access is enough.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
