//! Failures that a test orders in advance.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::StorageError;

/// The operations that can be told to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// Taking in a batch.
    Write,
    /// Making batches durable.
    Sync,
    /// Reading a value or an entry.
    Read,
}

/// What was ordered to fail. Each order is carried out once.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Whether any order is open; spares the lock on the common path.
    armed: AtomicBool,
    orders: Mutex<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    write: Option<io::ErrorKind>,
    sync: Option<io::ErrorKind>,
    read: Option<ReadFailure>,
}

/// How a read fails.
#[derive(Clone, Copy, Debug)]
enum ReadFailure {
    Io(io::ErrorKind),
    Damage,
}

impl Faults {
    /// Lets the next write fail with `kind`.
    pub(super) fn fail_next_write(&self, kind: io::ErrorKind) {
        self.orders.lock().write = Some(kind);
        self.armed.store(true, Ordering::Release);
    }

    /// Lets the next flush or sync fail with `kind`.
    pub(super) fn fail_next_sync(&self, kind: io::ErrorKind) {
        self.orders.lock().sync = Some(kind);
        self.armed.store(true, Ordering::Release);
    }

    /// Lets the next read find damaged bytes.
    pub(super) fn corrupt_next_read(&self) {
        self.orders.lock().read = Some(ReadFailure::Damage);
        self.armed.store(true, Ordering::Release);
    }

    /// Lets the next read fail with `kind`.
    pub(super) fn fail_next_read(&self, kind: io::ErrorKind) {
        self.orders.lock().read = Some(ReadFailure::Io(kind));
        self.armed.store(true, Ordering::Release);
    }

    /// Takes back an order for the next read.
    pub(super) fn forget_read(&self) {
        if self.armed.load(Ordering::Acquire) {
            self.orders.lock().read = None;
        }
    }

    /// Takes back every order that was not carried out yet.
    pub(super) fn forget(&self) {
        *self.orders.lock() = Orders::default();
        self.armed.store(false, Ordering::Release);
    }

    /// Carries out an order for `operation`, if there is one.
    pub(super) fn check(&self, operation: Operation, path: &str) -> Result<(), StorageError> {
        if !self.armed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut orders = self.orders.lock();
        let result = match operation {
            Operation::Write => {
                orders.write.take().map_or(Ok(()), |kind| fail("write", path, kind))
            }
            Operation::Sync => orders.sync.take().map_or(Ok(()), |kind| fail("sync", path, kind)),
            Operation::Read => match orders.read.take() {
                None => Ok(()),
                Some(ReadFailure::Io(kind)) => fail("read", path, kind),
                Some(ReadFailure::Damage) => Err(StorageError::Corrupt {
                    path: path.into(),
                    offset: 0,
                    detail: "damage was ordered by a test".into(),
                }),
            },
        };
        let armed = orders.write.is_some() || orders.sync.is_some() || orders.read.is_some();
        self.armed.store(armed, Ordering::Release);
        result
    }
}

fn fail(action: &'static str, path: &str, kind: io::ErrorKind) -> Result<(), StorageError> {
    Err(StorageError::io(action, path, io::Error::new(kind, "ordered by a test")))
}
