//! The threads of one transport: started and joined in one place.

use std::io;
use std::thread::{self, JoinHandle, ThreadId};

use parking_lot::Mutex;

/// Threads that end together. Ended ones are forgotten when the next one starts.
#[derive(Default)]
pub(crate) struct ThreadGroup {
    inner: Mutex<Inner>,
    /// Held while joining, so that a second caller of `join` also waits for the end.
    joining: Mutex<()>,
}

#[derive(Default)]
struct Inner {
    members: Vec<Member>,
    closed: bool,
}

struct Member {
    id: ThreadId,
    /// Taken by the thread that joins this one.
    handle: Option<JoinHandle<()>>,
}

impl ThreadGroup {
    /// Starts a thread, unless the group is closed or holds `limit` running threads.
    pub(crate) fn spawn(
        &self,
        name: String,
        limit: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the transport is stopped"));
        }
        inner.members.retain(|m| m.handle.as_ref().is_none_or(|handle| !handle.is_finished()));
        if inner.members.len() >= limit {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many connections are open",
            ));
        }
        let handle = thread::Builder::new().name(name).spawn(body)?;
        inner.members.push(Member { id: handle.thread().id(), handle: Some(handle) });
        Ok(())
    }

    /// Refuses further threads. The caller tells the running ones to end.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
    }

    /// Waits until all threads ended. Called by one of them, it waits for none: a thread cannot
    /// wait for itself.
    pub(crate) fn join(&self) {
        let own = thread::current().id();
        if self.inner.lock().members.iter().any(|member| member.id == own) {
            return;
        }
        let _joining = self.joining.lock();
        loop {
            let mut inner = self.inner.lock();
            let Some(handle) = inner.members.iter_mut().find_map(|m| m.handle.take()) else {
                break;
            };
            drop(inner);
            // A thread that panicked told its story on stderr; it has ended all the same.
            let _ = handle.join();
        }
    }
}
