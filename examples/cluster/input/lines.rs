//! Lines of bounded length from any source.

use std::io::{self, BufRead, Read, Take};

use super::line::LINE_SIZE_MAX;

/// Cuts a source into lines. Memory is bounded however long a line is.
pub(crate) struct Lines<R> {
    source: Take<R>,
    buffer: Vec<u8>,
    is_first: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads at most `size_max` bytes of `source`, and one more to notice that there are more.
    pub(crate) fn new(source: R, size_max: u64) -> Self {
        let source = source.take(size_max.saturating_add(1));
        Self { source, buffer: Vec::new(), is_first: true }
    }

    /// The next line without its end, which is `\n` or `\r\n`, or `None` at the end. Of a line
    /// longer than [`LINE_SIZE_MAX`], only the beginning, which is longer than that as well.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.clear();
        let most = (LINE_SIZE_MAX + LINE_END_SIZE_MAX) as u64;
        let read = self.source.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        if self.buffer.ends_with(b"\n") {
            self.buffer.pop();
            if self.buffer.ends_with(b"\r") {
                self.buffer.pop();
            }
        } else if read as u64 == most {
            self.source.skip_until(b'\n')?;
        }
        let mut line = &self.buffer[..];
        if self.is_first {
            self.is_first = false;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        Ok(Some(line))
    }

    /// Whether the source holds more than it may; known at the end.
    pub(crate) fn is_too_large(&self) -> bool {
        self.source.limit() == 0
    }
}

/// `\r\n`.
const LINE_END_SIZE_MAX: usize = 2;

/// Some editors begin a file with it; it belongs to no key.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: &[&[u8]]) {
        // A tiny buffer makes lines fall apart everywhere.
        let source = io::BufReader::with_capacity(3, text);
        let mut lines = Lines::new(source, 1 << 20);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.to_vec());
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn line_ends_of_all_kinds_are_cut_off() {
        check(b"", &[]);
        check(b"a", &[b"a"]);
        check(b"a\nb\r\n\nc\r", &[b"a", b"b", b"", b"c\r"]);
        check(b"\xef\xbb\xbfa\n\xef\xbb\xbfb", &[b"a", b"\xef\xbb\xbfb"]);
    }

    #[test]
    fn the_longest_line_fits_and_the_next_longer_does_not() {
        let longest = vec![b'x'; LINE_SIZE_MAX];
        for end in ["", "\n", "\r\n"] {
            check(&[&longest, end.as_bytes()].concat(), &[&longest]);
        }
        let longer = vec![b'x'; LINE_SIZE_MAX + 1];
        check(&[&longer, &b"\nnext"[..]].concat(), &[&longer, b"next"]);
        let much_longer = vec![b'x'; LINE_SIZE_MAX * 3];
        let cut = &much_longer[..LINE_SIZE_MAX + LINE_END_SIZE_MAX];
        check(&[&much_longer, &b"\nnext"[..]].concat(), &[cut, b"next"]);
    }
}
