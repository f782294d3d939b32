//! The guard between raft-engine and the disk.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_engine::env::{DefaultFileSystem, FileSystem, Handle, Permission, WriteExt};

use crate::StorageError;
use crate::files::sync_folder;
use crate::latch::Latch;

/// Sees every change of the disk before it happens and may forbid it: for tests of failing disks
/// and of lost power.
pub trait DiskHook: Send + Sync {
    /// Called before `operation` on the file or folder `path`.
    ///
    /// # Errors
    ///
    /// Any error takes the place of the operation, which is then not carried out.
    fn before(&self, path: &Path, operation: DiskOperation) -> io::Result<()>;
}

/// A change of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DiskOperation {
    /// A file is created, or opened if it exists.
    Create,
    /// Bytes are written to a file.
    Write {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        size: u64,
    },
    /// A file or folder is synced.
    Sync,
    /// A file is cut off.
    Truncate {
        /// The size that stays.
        size: u64,
    },
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
}

/// raft-engine's file system with a memory for failure.
///
/// After the first failed change every further one fails, except that a sync then does nothing and
/// says it succeeded: raft-engine panics on a failed sync, even on closing. So whoever acknowledges
/// a write must ask the latch first.
pub(super) struct GuardedFileSystem {
    inner: DefaultFileSystem,
    guard: Guard,
}

#[derive(Clone)]
struct Guard {
    latch: Arc<Latch>,
    hook: Option<Arc<dyn DiskHook>>,
}

pub(super) struct GuardedHandle {
    inner: Arc<<DefaultFileSystem as FileSystem>::Handle>,
    path: Arc<Path>,
    guard: Guard,
}

pub(super) struct GuardedReader {
    inner: <DefaultFileSystem as FileSystem>::Reader,
    path: Arc<Path>,
}

pub(super) struct GuardedWriter {
    inner: <DefaultFileSystem as FileSystem>::Writer,
    offset: u64,
    path: Arc<Path>,
    guard: Guard,
}

impl GuardedFileSystem {
    /// Guards the disk; failures go to `latch`.
    pub(super) fn new(latch: Arc<Latch>, hook: Option<Arc<dyn DiskHook>>) -> Self {
        Self { inner: DefaultFileSystem, guard: Guard { latch, hook } }
    }

    fn handle(
        &self,
        path: &Path,
        inner: <DefaultFileSystem as FileSystem>::Handle,
    ) -> GuardedHandle {
        GuardedHandle { inner: Arc::new(inner), path: path.into(), guard: self.guard.clone() }
    }
}

impl Guard {
    /// Carries out one change, or fails if an earlier one failed.
    fn run<T>(
        &self,
        action: &'static str,
        path: &Path,
        operation: DiskOperation,
        change: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if self.latch.is_stopped() {
            return Err(io::Error::other(AFTER_FAILURE));
        }
        let allowed = self.hook.as_ref().map_or(Ok(()), |hook| hook.before(path, operation));
        allowed.and_then(|()| change()).map_err(|error| {
            let kind = error.kind();
            self.latch.stop(StorageError::io(action, path, in_plain_words(error)));
            // raft-engine reads the text: it would try again on some errors.
            io::Error::new(kind, AFTER_FAILURE)
        })
    }

    /// Syncs once. A failure is only kept in the latch, see [`GuardedFileSystem`].
    fn sync(&self, path: &Path, sync: impl FnOnce() -> io::Result<()>) {
        let _ = self.run("sync", path, DiskOperation::Sync, sync);
    }
}

impl FileSystem for GuardedFileSystem {
    type Handle = GuardedHandle;
    type Reader = GuardedReader;
    type Writer = GuardedWriter;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<GuardedHandle> {
        let path = path.as_ref();
        let create = || self.inner.create(path);
        let handle = self.guard.run("create", path, DiskOperation::Create, create)?;
        // raft-engine does not sync the folder for the first file of a log.
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        self.guard.sync(&folder, || sync_folder(&folder).map_err(io::Error::other));
        Ok(self.handle(path, handle))
    }

    fn open<P: AsRef<Path>>(&self, path: P, perm: Permission) -> io::Result<GuardedHandle> {
        let path = path.as_ref();
        let handle =
            self.inner.open(path, perm).map_err(|error| read_error("open", path, error))?;
        Ok(self.handle(path, handle))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref();
        self.guard.run("remove", path, DiskOperation::Remove, || self.inner.delete(path))
    }

    fn rename<P: AsRef<Path>>(&self, src_path: P, dst_path: P) -> io::Result<()> {
        let (from, to) = (src_path.as_ref(), dst_path.as_ref());
        self.guard.run("rename", from, DiskOperation::Rename, || self.inner.rename(from, to))
    }

    fn new_reader(&self, handle: Arc<GuardedHandle>) -> io::Result<GuardedReader> {
        let inner = self.inner.new_reader(Arc::clone(&handle.inner))?;
        Ok(GuardedReader { inner, path: Arc::clone(&handle.path) })
    }

    fn new_writer(&self, handle: Arc<GuardedHandle>) -> io::Result<GuardedWriter> {
        let inner = self.inner.new_writer(Arc::clone(&handle.inner))?;
        let (path, guard) = (Arc::clone(&handle.path), handle.guard.clone());
        Ok(GuardedWriter { inner, offset: 0, path, guard })
    }
}

impl Handle for GuardedHandle {
    fn truncate(&self, offset: usize) -> io::Result<()> {
        let operation = DiskOperation::Truncate { size: offset as u64 };
        self.guard.run("truncate", &self.path, operation, || self.inner.truncate(offset))
    }

    fn file_size(&self) -> io::Result<usize> {
        self.inner.file_size().map_err(|error| read_error("read", &self.path, error))
    }

    fn sync(&self) -> io::Result<()> {
        self.guard.sync(&self.path, || self.inner.sync());
        Ok(())
    }
}

impl Read for GuardedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| read_error("read", &self.path, error))
    }
}

impl Seek for GuardedReader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

impl Write for GuardedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let operation = DiskOperation::Write { offset: self.offset, size: buffer.len() as u64 };
        let (inner, guard) = (&mut self.inner, &self.guard);
        let written = guard.run("write", &self.path, operation, || match inner.write(buffer) {
            Ok(0) if !buffer.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            result => result,
        })?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Seek for GuardedWriter {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.offset = self.inner.seek(position)?;
        Ok(self.offset)
    }
}

impl WriteExt for GuardedWriter {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        let operation = DiskOperation::Truncate { size: offset as u64 };
        let (inner, guard) = (&mut self.inner, &self.guard);
        guard.run("truncate", &self.path, operation, || inner.truncate(offset))?;
        self.offset = offset as u64;
        Ok(())
    }

    fn allocate(&mut self, offset: usize, size: usize) -> io::Result<()> {
        // Allocating ahead is only for speed; a full disk shows when the bytes are written.
        self.inner.allocate(offset, size)
    }
}

/// raft-engine puts the name of a system call in the place of the operating system's words, but
/// keeps the kind of the error.
fn in_plain_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => error,
        _ if error.raw_os_error().is_some() => error,
        kind => io::Error::from(kind),
    }
}

/// An error that carries the path through raft-engine, see [`storage_error`].
fn read_error(action: &'static str, path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), StorageError::io(action, path, error))
}

/// What the guard put into `error`, or a plain I/O error of `path`.
pub(super) fn storage_error(action: &'static str, path: &Path, error: io::Error) -> StorageError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>());
    inner.cloned().unwrap_or_else(|| StorageError::io(action, path, error))
}

const AFTER_FAILURE: &str = "a disk operation of the log failed";
