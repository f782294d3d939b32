//! What keeps a store stopped after its first failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::StorageError;

/// The first failure of a store, if any. Shared by all threads that work on the store.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    /// Whether `cause` is set; spares the lock on the common path.
    stopped: AtomicBool,
    cause: Mutex<Option<Arc<StorageError>>>,
}

impl Latch {
    /// An error if the store stopped.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.cause() {
            None => Ok(()),
            Some(cause) => Err(StorageError::Stopped { cause }),
        }
    }

    /// Stops the store for `cause` and hands it back. A later cause does not replace the first.
    pub(crate) fn stop(&self, cause: StorageError) -> StorageError {
        self.cause.lock().get_or_insert_with(|| Arc::new(cause.clone()));
        self.stopped.store(true, Ordering::Release);
        cause
    }

    /// The first failure itself, for the call that met it.
    ///
    /// # Panics
    ///
    /// If the store did not stop.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn failure(&self) -> StorageError {
        let cause = self.cause().expect("asked only after `is_stopped`");
        StorageError::clone(&cause)
    }

    /// Why the store stopped, if it did.
    fn cause(&self) -> Option<Arc<StorageError>> {
        if self.is_stopped() { self.cause.lock().clone() } else { None }
    }

    /// Whether the store stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets the store work again: it was opened anew.
    pub(crate) fn clear(&self) {
        let mut cause = self.cause.lock();
        *cause = None;
        self.stopped.store(false, Ordering::Release);
    }
}
