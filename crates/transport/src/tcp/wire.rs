//! The bytes between two members: handshake, answer and frames. `docs/wire_format.md` has the
//! tables.
//!
//! All numbers are big-endian, all checksums CRC-32C. Pure functions; nothing here touches a
//! socket.

use bytes::Bytes;
use quorate_types::{ClusterId, MemberId};

/// The version this code speaks. A change of any byte below needs a new one.
pub const WIRE_VERSION: u16 = 1;

/// The length of a handshake in bytes, the same in every version.
pub(crate) const HELLO_SIZE: usize = 36;

/// The length of the answer to a handshake in bytes, the same in every version.
pub(crate) const ANSWER_SIZE: usize = 28;

/// The bytes before a frame's payload: length, checksum and kind.
pub(crate) const FRAME_HEADER_SIZE: usize = 9;

/// What a connection carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamKind {
    Message = 1,
    Bulk = 2,
}

/// The first bytes of a connection, from the member that opened it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    pub(crate) cluster: ClusterId,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) kind: StreamKind,
}

/// Whether a connection is taken, and why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerCode {
    Welcome = 0,
    ForeignCluster = 1,
    WrongMember = 2,
    UnsupportedVersion = 3,
    Busy = 4,
}

/// The reply to a [`Hello`]; tells who replies, so that the caller can check it too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) code: AnswerCode,
    pub(crate) version: u16,
    pub(crate) cluster: ClusterId,
    pub(crate) member: MemberId,
}

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrameKind {
    /// One message.
    Message = 1,
    /// Nothing; answered with the same by the member that took the connection.
    KeepAlive = 2,
    /// The header of a bulk stream, its first frame.
    BulkHeader = 3,
    /// The next bytes of a bulk stream, at least one.
    BulkChunk = 4,
    /// The end of a bulk stream: [`BulkEnd`].
    BulkEnd = 5,
    /// The receiver's verdict: one byte, 0 for taken and 1 for refused, then the reason in UTF-8.
    BulkAnswer = 6,
}

/// A frame whose checksum held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) payload: Bytes,
}

/// What a bulk stream must have carried, over all its chunks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct BulkEnd {
    pub(crate) size: u64,
    pub(crate) checksum: u32,
}

/// Why bytes are not ours: what was expected and what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) String);

/// Why a handshake is not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum HelloError {
    /// Not a handshake of any version.
    Malformed(Malformed),
    /// A handshake of this other version.
    Version(u16),
}

impl Hello {
    pub(crate) fn encode(&self) -> [u8; HELLO_SIZE] {
        let mut bytes = [0; HELLO_SIZE];
        bytes[..4].copy_from_slice(&HELLO_MAGIC);
        bytes[4..6].copy_from_slice(&WIRE_VERSION.to_be_bytes());
        bytes[6] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.cluster.get().to_be_bytes());
        bytes[16..24].copy_from_slice(&self.from.get().to_be_bytes());
        bytes[24..32].copy_from_slice(&self.to.get().to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HELLO_SIZE]) -> Result<Self, HelloError> {
        open(bytes, HELLO_MAGIC).map_err(HelloError::Malformed)?;
        let version = u16_at(bytes, 4);
        if version != WIRE_VERSION {
            return Err(HelloError::Version(version));
        }
        let malformed = |what: &str| HelloError::Malformed(Malformed(what.to_owned()));
        let kind = match bytes[6] {
            1 => StreamKind::Message,
            2 => StreamKind::Bulk,
            other => return Err(malformed(&format!("stream kind {other}"))),
        };
        Ok(Self {
            kind,
            cluster: cluster_at(bytes, 8).map_err(HelloError::Malformed)?,
            from: member_at(bytes, 16).map_err(HelloError::Malformed)?,
            to: member_at(bytes, 24).map_err(HelloError::Malformed)?,
        })
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> [u8; ANSWER_SIZE] {
        let mut bytes = [0; ANSWER_SIZE];
        bytes[..4].copy_from_slice(&ANSWER_MAGIC);
        bytes[4..6].copy_from_slice(&self.version.to_be_bytes());
        bytes[6] = self.code as u8;
        bytes[8..16].copy_from_slice(&self.cluster.get().to_be_bytes());
        bytes[16..24].copy_from_slice(&self.member.get().to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; ANSWER_SIZE]) -> Result<Self, Malformed> {
        open(bytes, ANSWER_MAGIC)?;
        let code = match bytes[6] {
            0 => AnswerCode::Welcome,
            1 => AnswerCode::ForeignCluster,
            2 => AnswerCode::WrongMember,
            3 => AnswerCode::UnsupportedVersion,
            4 => AnswerCode::Busy,
            other => return Err(Malformed(format!("answer code {other}"))),
        };
        Ok(Self {
            code,
            version: u16_at(bytes, 4),
            cluster: cluster_at(bytes, 8)?,
            member: member_at(bytes, 16)?,
        })
    }
}

impl FrameKind {
    fn from_u8(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Message,
            2 => Self::KeepAlive,
            3 => Self::BulkHeader,
            4 => Self::BulkChunk,
            5 => Self::BulkEnd,
            6 => Self::BulkAnswer,
            _ => return None,
        })
    }
}

/// The bytes that go before `payload`, which must be shorter than 4 GiB: limits see to that.
pub(crate) fn frame_header(kind: FrameKind, payload: &[u8]) -> [u8; FRAME_HEADER_SIZE] {
    let length = u32::try_from(payload.len() + 1).expect("payloads are at most MESSAGE_SIZE_MAX");
    let mut bytes = [0; FRAME_HEADER_SIZE];
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes[8] = kind as u8;
    let checksum = frame_checksum(&bytes, payload);
    bytes[4..8].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The payload's length, if it is at most `size_max`.
pub(crate) fn payload_size(
    header: &[u8; FRAME_HEADER_SIZE],
    size_max: u64,
) -> Result<usize, Malformed> {
    let length = u64::from(u32_at(header, 0));
    if length == 0 || length - 1 > size_max {
        return Err(Malformed(format!("frame of {length} bytes, expected 1 to {}", size_max + 1)));
    }
    usize::try_from(length - 1).map_err(|_| Malformed(format!("frame of {length} bytes")))
}

/// Checks a whole frame.
pub(crate) fn open_frame(
    header: &[u8; FRAME_HEADER_SIZE],
    payload: Bytes,
) -> Result<Frame, Malformed> {
    let (expected, found) = (u32_at(header, 4), frame_checksum(header, &payload));
    if expected != found {
        return Err(Malformed(format!("frame checksum {expected:08x}, computed {found:08x}")));
    }
    let kind = FrameKind::from_u8(header[8]);
    let kind = kind.ok_or_else(|| Malformed(format!("frame kind {}", header[8])))?;
    Ok(Frame { kind, payload })
}

impl BulkEnd {
    /// Adds one chunk.
    pub(crate) fn add(&mut self, chunk: &[u8]) {
        self.size += u64::try_from(chunk.len()).expect("a chunk is small");
        self.checksum = crc32c::crc32c_append(self.checksum, chunk);
    }

    pub(crate) fn encode(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.size.to_be_bytes());
        bytes[8..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; 12] = bytes
            .try_into()
            .map_err(|_| Malformed(format!("bulk end of {} bytes, expected 12", bytes.len())))?;
        Ok(Self { size: u64_at(bytes, 0), checksum: u32_at(bytes, 8) })
    }
}

/// The payload of a [`FrameKind::BulkAnswer`]. A long reason is cut.
pub(crate) fn encode_verdict(verdict: &Result<(), String>) -> Vec<u8> {
    let mut bytes = vec![u8::from(verdict.is_err())];
    if let Err(reason) = verdict {
        let end = reason.floor_char_boundary(REASON_SIZE_MAX);
        bytes.extend_from_slice(&reason.as_bytes()[..end]);
    }
    bytes
}

/// The verdict in the payload of a [`FrameKind::BulkAnswer`].
pub(crate) fn decode_verdict(payload: &[u8]) -> Result<Result<(), String>, Malformed> {
    match payload.split_first() {
        Some((0, [])) => Ok(Ok(())),
        Some((1, reason)) => Ok(Err(String::from_utf8_lossy(reason).into_owned())),
        _ => Err(Malformed(format!("bulk answer of {} bytes", payload.len()))),
    }
}

/// The longest payload of a [`FrameKind::BulkAnswer`]: the code and the reason.
pub(crate) const VERDICT_SIZE_MAX: u64 = REASON_SIZE_MAX as u64 + 1;

fn frame_checksum(header: &[u8; FRAME_HEADER_SIZE], payload: &[u8]) -> u32 {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..4]), &header[8..]);
    crc32c::crc32c_append(checksum, payload)
}

/// Writes the checksum of all bytes before the last four into those.
fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - 4;
    let checksum = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_be_bytes());
}

/// Checks the magic and what [`seal`] wrote.
fn open(bytes: &[u8], magic: [u8; 4]) -> Result<(), Malformed> {
    if bytes[..4] != magic {
        return Err(Malformed(format!("magic {:02x?}, expected {magic:02x?}", &bytes[..4])));
    }
    let end = bytes.len() - 4;
    let (expected, found) = (u32_at(bytes, end), crc32c::crc32c(&bytes[..end]));
    if expected != found {
        return Err(Malformed(format!("handshake checksum {expected:08x}, computed {found:08x}")));
    }
    Ok(())
}

fn cluster_at(bytes: &[u8], offset: usize) -> Result<ClusterId, Malformed> {
    let id = ClusterId::from_u64(u64_at(bytes, offset));
    id.ok_or_else(|| Malformed("cluster id 0".to_owned()))
}

fn member_at(bytes: &[u8], offset: usize) -> Result<MemberId, Malformed> {
    let id = MemberId::from_u64(u64_at(bytes, offset));
    id.ok_or_else(|| Malformed("member id 0".to_owned()))
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(array_at(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, offset))
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

const HELLO_MAGIC: [u8; 4] = *b"QRTH";
const ANSWER_MAGIC: [u8; 4] = *b"QRTA";

/// The longest reason of a refusal in bytes: a line of text, never a way to fill memory.
const REASON_SIZE_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello = Hello {
        cluster: ClusterId::new(0x0102_0304_0506_0708),
        from: MemberId::new(0x11),
        to: MemberId::new(0x22),
        kind: StreamKind::Message,
    };

    const ANSWER: Answer = Answer {
        code: AnswerCode::Welcome,
        version: WIRE_VERSION,
        cluster: HELLO.cluster,
        member: HELLO.to,
    };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(bytes: &[u8], size_max: u64) -> Result<Frame, Malformed> {
        let header = bytes[..FRAME_HEADER_SIZE].try_into().expect("nine bytes");
        let size = payload_size(header, size_max)?;
        let payload = Bytes::copy_from_slice(&bytes[FRAME_HEADER_SIZE..][..size]);
        open_frame(header, payload)
    }

    fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
        [&frame_header(kind, payload), payload].concat()
    }

    /// The bytes of `docs/wire_format.md`. They never change while `WIRE_VERSION` is 1.
    #[test]
    fn golden() {
        assert_eq!(WIRE_VERSION, 1);
        assert_eq!(
            hex(&HELLO.encode()),
            "5152544800010100010203040506070800000000000000110000000000000022f9ac54f8"
        );
        assert_eq!(
            hex(&ANSWER.encode()),
            "5152544100010000010203040506070800000000000000228b1092b5"
        );
        assert_eq!(hex(&frame(FrameKind::Message, b"raft")), "000000052880dc240172616674");
        assert_eq!(hex(&frame(FrameKind::KeepAlive, b"")), "00000001b7eb9eb502");
        let mut end = BulkEnd::default();
        end.add(b"123456789");
        assert_eq!(
            hex(&frame(FrameKind::BulkEnd, &end.encode())),
            "0000000d9140213f050000000000000009e3069283"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Hello::decode(&HELLO.encode()), Ok(HELLO));
        let bulk = Hello { kind: StreamKind::Bulk, ..HELLO };
        assert_eq!(Hello::decode(&bulk.encode()), Ok(bulk));
        for code in [
            AnswerCode::Welcome,
            AnswerCode::ForeignCluster,
            AnswerCode::WrongMember,
            AnswerCode::UnsupportedVersion,
            AnswerCode::Busy,
        ] {
            let answer = Answer { code, ..ANSWER };
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
        for number in 1..=6 {
            let kind = FrameKind::from_u8(number).expect("all kinds are known");
            let payload = Bytes::from_static(b"payload");
            assert_eq!(read(&frame(kind, &payload), 7), Ok(Frame { kind, payload }));
        }
        let end = BulkEnd { size: 5, checksum: 6 };
        assert_eq!(BulkEnd::decode(&end.encode()), Ok(end));
        for verdict in [Ok(()), Err("no".to_owned()), Err(String::new())] {
            assert_eq!(decode_verdict(&encode_verdict(&verdict)), Ok(verdict));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let hello = HELLO.encode();
        for bit in 0..hello.len() * 8 {
            let mut bytes = hello;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Hello::decode(&bytes).is_err(), "bit {bit} of the handshake");
        }
        let message = frame(FrameKind::Message, b"a message");
        for bit in 32..message.len() * 8 {
            let mut bytes = message.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes, 64).is_err(), "bit {bit} of the frame");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let check = |length: u32, size_max: u64, expected: Option<usize>| {
            let mut header = [0; FRAME_HEADER_SIZE];
            header[..4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(payload_size(&header, size_max).ok(), expected, "length {length}");
        };
        check(0, 10, None);
        check(1, 10, Some(0));
        check(11, 10, Some(10));
        check(12, 10, None);
        check(u32::MAX, 1 << 20, None);
    }

    #[test]
    fn other_versions_are_told_apart_from_garbage() {
        let mut bytes = HELLO.encode();
        bytes[5] = 2;
        seal(&mut bytes);
        assert_eq!(Hello::decode(&bytes), Err(HelloError::Version(2)));
        bytes[0] = b'X';
        assert!(matches!(Hello::decode(&bytes), Err(HelloError::Malformed(_))));
        for (offset, what) in [(6, "stream kind"), (8, "cluster"), (16, "from"), (24, "to")] {
            let mut bytes = HELLO.encode();
            bytes[offset..offset + 8].fill(0);
            seal(&mut bytes);
            assert!(Hello::decode(&bytes).is_err(), "a zero {what}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let verdict = encode_verdict(&Err("ä".repeat(1_000)));
        assert_eq!(verdict.len(), 1 + REASON_SIZE_MAX);
        assert_eq!(decode_verdict(&verdict), Ok(Err("ä".repeat(512))));
        assert!(decode_verdict(&[]).is_err() && decode_verdict(&[0, 1]).is_err());
        assert!(BulkEnd::decode(&[0; 11]).is_err());
    }
}
