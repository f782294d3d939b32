//! Bulk streams: one connection each.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use quorate_types::MemberId;

use super::connection::Connection;
use super::frames::{FrameError, FrameReader, FrameWriter};
use super::shared::{Shared, malformed_from, unreachable};
use super::wire::{
    BulkEnd, Frame, FrameKind, Malformed, StreamKind, VERDICT_SIZE_MAX, decode_verdict,
    encode_verdict,
};
use crate::bulk::verdict_of;
use crate::{BULK_CHUNK_SIZE_MAX, BulkSink, BulkSource, Inbox, TransportError};

/// The writing end. Dropping it closes the connection, which is how the receiver learns that a
/// stream without an end frame is broken.
struct TcpSink {
    shared: Arc<Shared>,
    connection: Connection,
    peer: MemberId,
    chunk: Vec<u8>,
    end: BulkEnd,
}

/// The reading end.
struct TcpSource<'a> {
    shared: &'a Shared,
    reader: FrameReader<&'a Connection>,
    peer: MemberId,
    chunk: Bytes,
    found: BulkEnd,
    state: SourceState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceState {
    Open,
    Ended,
    Broken,
}

/// Connects to `peer` and sends the header.
pub(super) fn open(
    shared: &Arc<Shared>,
    peer: MemberId,
    address: String,
    header: &[u8],
) -> Result<Box<dyn BulkSink>, TransportError> {
    let connection = shared.open(peer, address, StreamKind::Bulk)?;
    let sink = TcpSink {
        shared: Arc::clone(shared),
        connection,
        peer,
        chunk: Vec::new(),
        end: BulkEnd::default(),
    };
    sink.connection
        .set_write_timeout(shared.config.bulk_idle_timeout)
        .and_then(|()| sink.write_frame(FrameKind::BulkHeader, header))
        .map_err(|error| unreachable(peer, error))?;
    Ok(Box::new(sink))
}

/// Serves an incoming stream, all after the handshake.
pub(super) fn receive(
    shared: &Shared,
    connection: &Connection,
    from: MemberId,
    inbox: &dyn Inbox,
) -> Result<(), TransportError> {
    let config = &shared.config;
    connection
        .set_read_timeout(config.bulk_idle_timeout)
        .and_then(|()| connection.set_write_timeout(config.write_timeout))
        .map_err(|error| unreachable(from, error))?;
    let mut reader = FrameReader::new(connection);
    let header = match reader.read(config.message_size_max.bytes()) {
        Ok(Some(Frame { kind: FrameKind::BulkHeader, payload })) => payload,
        Ok(Some(frame)) => {
            let detail = format!("{:?} frame, expected BulkHeader", frame.kind);
            return Err(malformed_from(from, detail));
        }
        Ok(None) => return Ok(()),
        Err(FrameError::Malformed(what)) => return Err(malformed_from(from, what.0)),
        Err(FrameError::Io(error)) => return Err(unreachable(from, error)),
    };
    if shared.stop.is_told() {
        return Ok(());
    }
    let mut source = TcpSource {
        shared,
        reader,
        peer: from,
        chunk: Bytes::new(),
        found: BulkEnd::default(),
        state: SourceState::Open,
    };
    let verdict = inbox.bulk(from, header, &mut source);
    let verdict = verdict_of(verdict, &mut source);
    let mut writer = FrameWriter::new(connection);
    writer
        .add(FrameKind::BulkAnswer, &encode_verdict(&verdict))
        .and_then(|()| writer.flush())
        .map_err(|error| unreachable(from, error))?;
    connection.close_write();
    connection.linger(Instant::now() + LINGER_TIME_MAX, LINGER_SIZE_MAX);
    Ok(())
}

impl TcpSink {
    fn write_frame(&self, kind: FrameKind, payload: &[u8]) -> io::Result<()> {
        let mut writer = FrameWriter::new(&self.connection);
        writer.add(kind, payload).and_then(|()| writer.flush())
    }

    fn read_verdict(&self) -> Result<Result<(), String>, FrameError> {
        self.connection.set_read_timeout(self.shared.config.bulk_answer_timeout)?;
        match FrameReader::new(&self.connection).read(VERDICT_SIZE_MAX)? {
            Some(Frame { kind: FrameKind::BulkAnswer, payload }) => Ok(decode_verdict(&payload)?),
            Some(frame) => {
                let detail = format!("{:?} frame, expected BulkAnswer", frame.kind);
                Err(FrameError::Malformed(Malformed(detail)))
            }
            None => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn complete(&mut self) -> Result<(), String> {
        self.flush()
            .and_then(|()| self.write_frame(FrameKind::BulkEnd, &self.end.encode()))
            .map_err(|error| error.to_string())?;
        match self.read_verdict() {
            Ok(verdict) => verdict,
            Err(FrameError::Io(error)) => Err(format!("no answer: {error}")),
            Err(FrameError::Malformed(what)) => {
                self.shared.counters.note(malformed_from(self.peer, what.0.clone()));
                Err(what.0)
            }
        }
    }
}

impl Write for TcpSink {
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
        self.end.add(&self.chunk);
        let written = self.write_frame(FrameKind::BulkChunk, &self.chunk);
        self.chunk.clear();
        if written.is_err() {
            // Part of the chunk may be on its way; nothing may follow it.
            self.connection.close();
        }
        written
    }
}

impl BulkSink for TcpSink {
    fn finish(mut self: Box<Self>) -> Result<(), TransportError> {
        let peer = self.peer;
        self.complete().map_err(|detail| TransportError::Bulk { peer, detail })
    }
}

impl TcpSource<'_> {
    /// Reads the next chunk, or checks the end.
    fn advance(&mut self) -> io::Result<()> {
        let frame = match self.reader.read(BULK_CHUNK_SIZE_LIMIT) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(FrameError::Io(error)) => return Err(error),
            Err(FrameError::Malformed(what)) => return Err(self.malformed(what.0)),
        };
        match frame.kind {
            FrameKind::BulkChunk if !frame.payload.is_empty() => {
                self.found.add(&frame.payload);
                self.chunk = frame.payload;
                Ok(())
            }
            FrameKind::BulkEnd => self.check_end(&frame.payload),
            kind => Err(self.malformed(format!("{kind:?} frame in a bulk stream"))),
        }
    }

    fn check_end(&mut self, payload: &[u8]) -> io::Result<()> {
        let expected = BulkEnd::decode(payload).map_err(|what| self.malformed(what.0))?;
        if expected != self.found {
            return Err(self.malformed(format!("stream {:?}, expected {expected:?}", self.found)));
        }
        self.state = SourceState::Ended;
        Ok(())
    }

    fn malformed(&self, detail: String) -> io::Error {
        self.shared.counters.note(malformed_from(self.peer, detail.clone()));
        io::Error::new(io::ErrorKind::InvalidData, detail)
    }
}

impl Read for TcpSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_empty() && self.state == SourceState::Open {
            self.advance().inspect_err(|_| self.state = SourceState::Broken)?;
        }
        if self.state == SourceState::Broken {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream broke before"));
        }
        let taken = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl BulkSource for TcpSource<'_> {}

const BULK_CHUNK_SIZE_LIMIT: u64 = BULK_CHUNK_SIZE_MAX as u64;

/// How long a receiver that has answered waits for the sender to close, so that the answer is
/// not destroyed by closing over unread bytes.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// How many bytes it reads meanwhile: what the sender had on its way. One that keeps writing learns
/// from the closed connection.
const LINGER_SIZE_MAX: usize = 8 << 20;
