//! The entries to be loaded, read line by line.

mod line;
mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use bytes::Bytes;

use crate::arguments::Source;
use crate::failure::Failure;
use crate::text;
use line::{Line, Reason};
use lines::Lines;

pub(crate) use line::LINE_SIZE_MAX;

/// What was read. Everything is held in memory, because the members are compared with it later.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The value of each key, from the last line that has it.
    pub(crate) entries: BTreeMap<Bytes, Bytes>,
    /// How many lines there are.
    pub(crate) line_count: u64,
    /// How many of them are blank or comments.
    pub(crate) skipped_count: u64,
    /// How many of them have a key that an earlier line has.
    pub(crate) repeated_count: u64,
    /// How many of them cannot be used.
    pub(crate) bad_count: u64,
    /// The first few of those.
    pub(crate) bad: Vec<BadLine>,
}

/// A line that cannot be used.
#[derive(Debug)]
pub(crate) struct BadLine {
    /// Which it is; the first is 1.
    pub(crate) number: u64,
    /// What is wrong with it.
    pub(crate) reason: Reason,
    /// How it begins.
    pub(crate) start: String,
}

impl Input {
    /// Reads everything there is.
    ///
    /// # Errors
    ///
    /// [`Failure::Input`] if it cannot be read, [`Failure::InputTooLarge`], and
    /// [`Failure::NothingUsable`] if there are bad lines only.
    pub(crate) fn read(source: &Source) -> Result<Self, Failure> {
        let name = source.name();
        let opened: io::Result<Box<dyn BufRead>> = match source {
            Source::Standard => Ok(Box::new(io::stdin().lock())),
            Source::File(path) => {
                File::open(path).map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>)
            }
        };
        let read = opened.and_then(|source| Self::read_lines(source, INPUT_SIZE_MAX));
        let input = match read {
            Ok(Some(input)) => input,
            Ok(None) => return Err(Failure::InputTooLarge { name, limit: INPUT_SIZE_MAX }),
            Err(source) => return Err(Failure::Input { name, source }),
        };
        match input.bad.first() {
            Some(bad) if input.entries.is_empty() => {
                let (count, reason) = (input.bad_count, bad.reason.to_string());
                Err(Failure::NothingUsable { name, count, reason })
            }
            _ => Ok(input),
        }
    }

    /// Reads lines; `None` if there are more than `size_max` bytes of them.
    fn read_lines(source: impl BufRead, size_max: u64) -> io::Result<Option<Self>> {
        let mut input = Self::default();
        let mut lines = Lines::new(source, size_max);
        while let Some(line) = lines.next()? {
            input.line_count += 1;
            match Line::parse(line) {
                Line::Skipped => input.skipped_count += 1,
                Line::Entry { key, value } => {
                    let before = input.entries.insert(key, value);
                    input.repeated_count += u64::from(before.is_some());
                }
                Line::Bad(reason) => input.add_bad(line, reason),
            }
        }
        Ok(if lines.is_too_large() { None } else { Some(input) })
    }

    fn add_bad(&mut self, line: &[u8], reason: Reason) {
        self.bad_count += 1;
        if self.bad.len() < BAD_SHOWN_MAX {
            let start = &line[..line.len().min(EXCERPT_WIDTH * 4)];
            let start = text::excerpt(&String::from_utf8_lossy(start), EXCERPT_WIDTH);
            self.bad.push(BadLine { number: self.line_count, reason, start });
        }
    }

    /// The bytes of all keys and values.
    pub(crate) fn size(&self) -> u64 {
        self.entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    /// What there is to say about the lines, as lines.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.entries.is_empty() {
            notes.push("note: there is nothing to load; the run goes on without it".to_owned());
        }
        if self.repeated_count > 0 {
            let lines = text::counted(self.repeated_count, "line");
            notes.push(format!("note: {lines} with a key given before; the later one wins"));
        }
        if self.bad_count > 0 {
            notes.push(format!("skipped {}:", text::counted(self.bad_count, "bad line")));
        }
        for BadLine { number, reason, start } in &self.bad {
            notes.push(format!("  line {number:>6}  {:<26} {start}", reason.to_string()));
        }
        let hidden = self.bad_count - self.bad.len() as u64;
        if hidden > 0 {
            notes.push(format!("  and {} more", text::grouped(hidden)));
        }
        notes
    }
}

/// Everything is held in memory, so there must be an end to it.
const INPUT_SIZE_MAX: u64 = 1 << 30;

/// More bad lines than this say that the file is not what it should be, and nothing else.
const BAD_SHOWN_MAX: usize = 10;

/// What a line of 80 columns leaves for the text of a bad line.
const EXCERPT_WIDTH: usize = 34;

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str) -> Input {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        Input::read(&Source::File(folder.join(name))).unwrap()
    }

    fn read(text: &[u8]) -> Input {
        Input::read_lines(text, 1 << 20).unwrap().unwrap()
    }

    #[test]
    fn every_bad_line_is_found_and_every_good_one_kept() {
        let input = data("with-bad-lines.txt");
        let bad: Vec<(u64, String)> =
            input.bad.iter().map(|bad| (bad.number, bad.reason.to_string())).collect();
        let bad: Vec<(u64, &str)> = bad.iter().map(|(line, why)| (*line, why.as_str())).collect();
        let expected = [
            (8, "no '='"),
            (9, "no '='"),
            (10, "broken JSON at byte 33"),
            (12, "empty key"),
            (13, "empty key"),
            (16, "invalid UTF-8"),
            (17, "invalid UTF-8"),
            (18, "invalid UTF-8"),
            (23, "longer than 8,192 bytes"),
        ];
        assert_eq!(bad, expected);
        assert_eq!((input.line_count, input.bad_count), (30, 9));
        assert_eq!(input.repeated_count, 3);
        let entries: Vec<(&[u8], &[u8])> =
            input.entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let expected = [
            ("/good/after-empty-keys", "2"),
            ("/good/before-duplicates", "3"),
            ("/good/empty-value", ""),
            ("/good/equals-in-value", "a=b==c"),
            ("/good/first", "1"),
            ("/good/last", "6"),
            ("/good/spaces-in-value", "two words and a # sign"),
            ("/good/twin", "5"),
            ("/good/utf-8", "Grüße, 東京, 🚚"),
        ];
        assert_eq!(entries, expected.map(|(key, value)| (key.as_bytes(), value.as_bytes())));
    }

    #[test]
    fn json_lines_hold_the_same_entries_as_the_text_they_were_taken_from() {
        let (sample, full) = (data("sample.jsonl"), data("config-entries.txt"));
        assert_eq!((sample.entries.len(), sample.bad_count, sample.line_count), (200, 0, 200));
        for (key, value) in &sample.entries {
            assert_eq!(full.entries.get(key), Some(value), "{key:?}");
        }
        assert_eq!((full.entries.len(), full.bad_count, full.repeated_count), (15_758, 0, 0));
        let counted = full.entries.len() as u64 + full.skipped_count;
        assert_eq!(counted, full.line_count);
    }

    #[test]
    fn only_the_first_bad_lines_are_shown() {
        let input = read(&b"bad\n".repeat(25));
        let notes = input.notes();
        assert_eq!(input.bad.len(), BAD_SHOWN_MAX);
        assert_eq!(notes.last().unwrap(), "  and 15 more");
        assert!(notes.iter().all(|note| note.chars().count() <= 76), "{notes:?}");
    }

    #[test]
    fn an_endless_input_is_given_up() {
        let endless = BufReader::new(io::repeat(b'x'));
        assert!(Input::read_lines(endless, 100_000).unwrap().is_none());
        assert!(Input::read_lines(&b"a=1\n"[..], 4).unwrap().is_some());
        assert!(Input::read_lines(&b"a=1\nb"[..], 4).unwrap().is_none());
    }

    #[test]
    fn nothing_is_no_mistake_and_nonsense_is() {
        assert!(read(b"").entries.is_empty());
        let missing = Input::read(&Source::File("no/such/file".into())).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read no/such/file");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words");
        std::fs::write(&file, "some words\nmore\n").unwrap();
        let failure = Input::read(&Source::File(file)).unwrap_err();
        assert!(matches!(failure, Failure::NothingUsable { count: 2, .. }), "{failure}");
    }
}
