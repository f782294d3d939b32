//! Numbers and keys as bytes.

use bytes::Bytes;

/// Why bytes are no record.
pub(crate) type Malformed = &'static str;

/// The most bytes that a variable-length number takes.
pub(crate) const VARINT_LEN_MAX: usize = 10;

/// Appends `value` in seven-bit groups, the lowest first; all bytes but the last have the top bit
/// set (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a record from its beginning.
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.position).ok_or("it is cut off")?;
        self.position += 1;
        Ok(byte)
    }

    /// Reads the version byte that begins every record.
    pub(crate) fn version(&mut self, known: u8) -> Result<(), Malformed> {
        if self.byte()? == known { Ok(()) } else { Err("its version is unknown") }
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..).step_by(7).take(VARINT_LEN_MAX) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err("a number is too large");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is too long")
    }

    /// Reads a number that is never negative.
    pub(crate) fn natural(&mut self) -> Result<i64, Malformed> {
        i64::try_from(self.varint()?).map_err(|_| "a number is too large")
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.position.checked_add(length).ok_or("a length is too large")?;
        let taken = self.bytes.get(self.position..end).ok_or("it is cut off")?;
        self.position = end;
        Ok(taken)
    }

    /// Reads a length and that many bytes.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| "a length is too large")?;
        self.take(length)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| "it is cut off")
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_| "it is cut off")
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.u64().map(|value| value as i64)
    }

    /// Succeeds if everything was read.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_at_end() { Ok(()) } else { Err("bytes follow its end") }
    }
}

/// Appends `key` so that no escaped key is the beginning of another, and byte order stays key
/// order: a zero byte becomes `00 ff`, and `00 01` ends the key.
pub(crate) fn put_escaped(out: &mut Vec<u8>, key: &[u8]) {
    if key.contains(&0) {
        for &byte in key {
            out.push(byte);
            if byte == 0 {
                out.push(0xff);
            }
        }
    } else {
        out.extend_from_slice(key);
    }
    out.extend_from_slice(&TERMINATOR);
}

/// The key that [`put_escaped`] wrote; `escaped` must hold nothing else.
pub(crate) fn unescape(escaped: &Bytes) -> Result<Bytes, Malformed> {
    let body = escaped.strip_suffix(&TERMINATOR).ok_or("the key does not end")?;
    if !body.contains(&0) {
        return Ok(escaped.slice(..body.len()));
    }
    let mut key = Vec::with_capacity(body.len());
    let mut bytes = body.iter();
    while let Some(&byte) = bytes.next() {
        key.push(byte);
        if byte == 0 && bytes.next() != Some(&0xff) {
            return Err("the key has a bad escape");
        }
    }
    Ok(key.into())
}

/// What ends an escaped key.
pub(crate) const TERMINATOR: [u8; 2] = [0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut decoder = Decoder::new(&bytes);
            assert_eq!(decoder.varint(), Ok(value));
            assert_eq!(decoder.end(), Ok(()));
        }
    }

    #[test]
    fn bad_numbers_are_refused() {
        assert!(Decoder::new(&[0x80]).varint().is_err());
        assert!(Decoder::new(&[0xff; 10]).varint().is_err());
        assert!(Decoder::new(&[0xff; 11]).varint().is_err());
    }

    #[test]
    fn escaped_keys_keep_their_order() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"\0\x01", b"\0a", b"\x01", b"a", b"a\0", b"a\0b"];
        let escaped = keys.map(|key| {
            let mut out = Vec::new();
            put_escaped(&mut out, key);
            assert_eq!(unescape(&Bytes::from(out.clone())), Ok(Bytes::from_static(key)));
            out
        });
        assert!(escaped.is_sorted());
        assert!(unescape(&Bytes::from_static(b"a\0b\0\x01")).is_err());
        assert!(unescape(&Bytes::from_static(b"a")).is_err());
    }
}
