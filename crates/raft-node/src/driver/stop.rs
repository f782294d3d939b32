//! Why a member is not running any more, told once and to everybody.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use quorate_storage::StorageError;
use thiserror::Error;

use crate::core::CoreError;
use crate::machine::MachineError;

/// Why a member stopped. Only opening it anew starts it again.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StopCause {
    /// Its owner closed it.
    #[error("the member was closed")]
    Closed,
    /// Its log store failed.
    #[error("the log failed")]
    Log(#[source] StorageError),
    /// Its state could not be made durable.
    #[error("the state could not be made durable")]
    Flush(#[source] StorageError),
    /// Its state machine failed.
    #[error("the state machine failed")]
    Machine(#[source] MachineError),
    /// Consensus cannot go on.
    #[error("consensus cannot go on")]
    Core(#[source] CoreError),
    /// A log entry cannot be read.
    #[error("damaged log entry at {detail}")]
    CorruptEntry {
        /// Which one and why.
        detail: String,
    },
    /// A broken invariant: a bug of ours.
    #[error("thread {thread} panicked: {message}")]
    Panic {
        /// The thread.
        thread: &'static str,
        /// What the panic said.
        message: String,
    },
}

/// The first cause, shared by a member's threads and handles.
#[derive(Clone, Default)]
pub(super) struct StopSignal(Arc<OnceLock<StopCause>>);

impl StopSignal {
    /// Keeps `cause` unless another came first.
    pub(super) fn set(&self, cause: StopCause) {
        // A second failure follows from the first; the first is the one to report.
        let _first = self.0.set(cause);
    }

    pub(super) fn cause(&self) -> Option<StopCause> {
        self.0.get().cloned()
    }

    /// Runs the body of a thread. An error or a panic becomes the cause.
    pub(super) fn guard(&self, thread: &'static str, body: impl FnOnce() -> Result<(), StopCause>) {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => self.set(cause),
            Err(payload) => {
                let message = panic_message(payload.as_ref());
                self.set(StopCause::Panic { thread, message });
            }
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let string = || payload.downcast_ref::<String>().cloned();
    text.or_else(string).unwrap_or_else(|| "no message".to_owned())
}
