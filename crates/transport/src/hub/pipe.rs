//! A bulk stream inside one process.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::{Condvar, Mutex};
use quorate_types::MemberId;

use crate::{BULK_CHUNK_SIZE_MAX, BulkSink, BulkSource, TransportError};

/// What sender and receiver share. It needs no timeout: whatever ends one side tells the other.
pub(super) struct Pipe {
    pub(super) from: MemberId,
    pub(super) to: MemberId,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// At most [`CHUNK_COUNT_MAX`], none empty.
    chunks: VecDeque<Bytes>,
    /// The sender wrote all.
    ended: bool,
    /// Why the stream broke. Final.
    broken: Option<&'static str>,
    /// The receiver's verdict; `Err` says why it refused.
    answer: Option<Result<(), String>>,
}

impl Pipe {
    pub(super) fn new(from: MemberId, to: MemberId) -> Self {
        Self { from, to, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Makes every present and later call of both ends fail, unless the receiver has answered.
    pub(super) fn break_off(&self, why: &'static str) {
        let mut state = self.state.lock();
        if state.answer.is_none() && state.broken.is_none() {
            state.broken = Some(why);
            state.chunks.clear();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Tells the sender what the receiver made of the stream.
    pub(super) fn answer(&self, answer: Result<(), String>) {
        let mut state = self.state.lock();
        state.answer = Some(answer);
        state.chunks.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn push(&self, chunk: Bytes) -> Result<(), String> {
        let mut state = self.state.lock();
        loop {
            state.check()?;
            if let Some(answer) = &state.answer {
                let early = Err("the receiver left before the end".to_owned());
                return answer.clone().and(early);
            }
            if state.chunks.len() < CHUNK_COUNT_MAX {
                break;
            }
            self.changed.wait(&mut state);
        }
        state.chunks.push_back(chunk);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The next chunk; `None` at the end.
    fn pop(&self) -> Result<Option<Bytes>, String> {
        let mut state = self.state.lock();
        loop {
            state.check()?;
            if let Some(chunk) = state.chunks.pop_front() {
                drop(state);
                self.changed.notify_all();
                return Ok(Some(chunk));
            }
            if state.ended {
                return Ok(None);
            }
            self.changed.wait(&mut state);
        }
    }

    fn finish(&self) -> Result<(), String> {
        let mut state = self.state.lock();
        state.ended = true;
        self.changed.notify_all();
        loop {
            state.check()?;
            if let Some(answer) = &state.answer {
                return answer.clone();
            }
            self.changed.wait(&mut state);
        }
    }
}

impl State {
    fn check(&self) -> Result<(), String> {
        self.broken.map_or(Ok(()), |why| Err(why.to_owned()))
    }
}

/// The writing end.
pub(super) struct PipeSink {
    pipe: Arc<Pipe>,
    chunk: BytesMut,
}

impl PipeSink {
    pub(super) fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, chunk: BytesMut::new() }
    }
}

impl Write for PipeSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BULK_CHUNK_SIZE_MAX - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == BULK_CHUNK_SIZE_MAX {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = self.chunk.split().freeze();
        self.pipe.push(chunk).map_err(broken_pipe)
    }
}

impl BulkSink for PipeSink {
    fn finish(mut self: Box<Self>) -> Result<(), TransportError> {
        let peer = self.pipe.to;
        let bulk = |detail| TransportError::Bulk { peer, detail };
        self.flush().map_err(|error| bulk(error.to_string()))?;
        self.pipe.finish().map_err(bulk)
    }
}

impl Drop for PipeSink {
    fn drop(&mut self) {
        self.pipe.break_off("the sender gave up");
    }
}

/// The reading end. Dropped without [`Pipe::answer`], it breaks the stream.
pub(super) struct PipeSource {
    pipe: Arc<Pipe>,
    chunk: Bytes,
}

impl PipeSource {
    pub(super) fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, chunk: Bytes::new() }
    }
}

impl Read for PipeSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_empty() {
            match self.pipe.pop().map_err(broken_pipe)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let taken = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl BulkSource for PipeSource {}

impl Drop for PipeSource {
    fn drop(&mut self) {
        self.pipe.break_off("the receiver gave up");
    }
}

fn broken_pipe(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, why)
}

/// Enough for both ends to work at the same time, little enough for many streams: 1 MiB each.
const CHUNK_COUNT_MAX: usize = 4;
