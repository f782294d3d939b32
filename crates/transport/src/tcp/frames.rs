//! Reads and writes frames.

use std::io::{self, BufReader, Read, Write};

use bytes::Bytes;

use super::wire::{
    FRAME_HEADER_SIZE, Frame, FrameKind, Malformed, frame_header, open_frame, payload_size,
};

/// Why no frame could be read.
#[derive(Debug)]
pub(super) enum FrameError {
    Io(io::Error),
    Malformed(Malformed),
}

/// Cuts a byte stream into frames.
pub(super) struct FrameReader<R> {
    reader: BufReader<R>,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_SIZE, stream) }
    }

    /// The next frame with a payload of at most `size_max` bytes; `None` if the stream ends before
    /// it.
    pub(super) fn read(&mut self, size_max: u64) -> Result<Option<Frame>, FrameError> {
        let mut header = [0; FRAME_HEADER_SIZE];
        let count = self.read_some(&mut header)?;
        if count == 0 {
            return Ok(None);
        }
        self.reader.read_exact(&mut header[count..])?;
        let size = payload_size(&header, size_max)?;
        // Memory grows with what arrives, not with what the header promises.
        let mut payload = Vec::with_capacity(size.min(BUFFER_SIZE));
        let limit = u64::try_from(size).expect("limits are far below 2^64");
        let found = self.reader.by_ref().take(limit).read_to_end(&mut payload)?;
        if found < size {
            return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Some(open_frame(&header, Bytes::from(payload))?))
    }

    fn read_some(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for FrameError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Gathers small frames into one write; large payloads are written from where they are.
pub(super) struct FrameWriter<W> {
    stream: W,
    gathered: Vec<u8>,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, gathered: Vec::new() }
    }

    /// Adds one frame. It may wait for [`FrameWriter::flush`].
    pub(super) fn add(&mut self, kind: FrameKind, payload: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(&frame_header(kind, payload));
        if payload.len() > COPY_SIZE_MAX {
            self.flush()?;
            return self.stream.write_all(payload);
        }
        self.gathered.extend_from_slice(payload);
        if self.gathered.len() >= BUFFER_SIZE { self.flush() } else { Ok(()) }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = self.stream.write_all(&self.gathered);
        self.gathered.clear();
        written
    }
}

/// How many bytes are gathered before they are written or read: many small messages, one system
/// call.
const BUFFER_SIZE: usize = 64 * 1024;

/// Payloads above this are not copied: a system call costs less than copying them.
const COPY_SIZE_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes);
        for payload in payloads {
            writer.add(FrameKind::Message, payload).expect("memory takes all");
        }
        writer.flush().expect("memory takes all");
        bytes
    }

    fn read(bytes: &[u8], size_max: u64) -> Result<Vec<Bytes>, FrameError> {
        let mut reader = FrameReader::new(bytes);
        let mut payloads = Vec::new();
        while let Some(frame) = reader.read(size_max)? {
            payloads.push(frame.payload);
        }
        Ok(payloads)
    }

    #[test]
    fn frames_of_all_sizes_pass() {
        let large = vec![7; COPY_SIZE_MAX + 1];
        let huge = vec![8; BUFFER_SIZE * 3];
        let payloads: [&[u8]; 5] = [b"", b"small", &large, &huge, b"last"];
        assert_eq!(read(&written(&payloads), 1 << 20).expect("all is well"), payloads);
    }

    #[test]
    fn a_stream_that_ends_in_a_frame_is_an_error() {
        let bytes = written(&[b"whole", b"cut"]);
        for end in FRAME_HEADER_SIZE + 6..bytes.len() {
            let error = read(&bytes[..end], 100).expect_err("the second frame is cut");
            let FrameError::Io(error) = error else { panic!("{error:?}") };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_long_frame_is_refused_before_it_is_read() {
        let bytes = written(&[b"12345"]);
        assert!(read(&bytes, 5).is_ok());
        assert!(matches!(read(&bytes[..FRAME_HEADER_SIZE], 4), Err(FrameError::Malformed(_))));
    }
}
