//! What one line says.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Blank, or a comment.
    Skipped,
    /// A key, never empty, and its value.
    Entry { key: Bytes, value: Bytes },
    /// Of no use.
    Bad(Reason),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("longer than 8,192 bytes")]
    TooLong,
    #[error("invalid UTF-8")]
    InvalidUtf8,
    #[error("no '='")]
    NoEqualsSign,
    #[error("empty key")]
    EmptyKey,
    #[error("broken JSON at byte {column}")]
    BrokenJson { column: usize },
    #[error("no \"key\" in the JSON")]
    NoJsonKey,
    #[error("\"key\" is not a valid text")]
    InvalidJsonKey,
    #[error("no \"value\" in the JSON")]
    NoJsonValue,
    #[error("\"value\" is not a valid text")]
    InvalidJsonValue,
}

impl Line {
    /// Reads one line, given without its end.
    pub(crate) fn parse(line: &[u8]) -> Self {
        let start = line.trim_ascii_start();
        if start.is_empty() || start.starts_with(b"#") {
            return Self::Skipped;
        }
        match entry(line) {
            Ok((key, _)) if key.is_empty() => Self::Bad(Reason::EmptyKey),
            Ok((key, value)) => Self::Entry { key: key.into(), value: value.into() },
            Err(reason) => Self::Bad(reason),
        }
    }
}

fn entry(line: &[u8]) -> Result<(String, String), Reason> {
    if line.len() > LINE_SIZE_MAX {
        return Err(Reason::TooLong);
    }
    let line = std::str::from_utf8(line).map_err(|_| Reason::InvalidUtf8)?;
    if is_json(line) {
        return json_entry(line);
    }
    let (key, value) = line.split_once('=').ok_or(Reason::NoEqualsSign)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Whether a line begins like a JSON object with a field in it. A brace alone may begin a key:
/// `{region}/name=x`.
fn is_json(line: &str) -> bool {
    let inside = line.trim_start().strip_prefix('{');
    inside.is_some_and(|inside| inside.trim_start().starts_with('"'))
}

fn json_entry(line: &str) -> Result<(String, String), Reason> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(line)
        .map_err(|error| Reason::BrokenJson { column: error.column() })?;
    let key = fields.get("key").ok_or(Reason::NoJsonKey)?;
    let key = serde_json::from_str(key.get()).map_err(|_| Reason::InvalidJsonKey)?;
    let value = fields.get("value").ok_or(Reason::NoJsonValue)?.get();
    if value.starts_with('"') {
        let value = serde_json::from_str(value).map_err(|_| Reason::InvalidJsonValue)?;
        return Ok((key, value));
    }
    // Whatever is not a text stays as it is written: `1.10` read as a number would lose a digit.
    Ok((key, value.to_owned()))
}

/// How long a line may be, without its end. It keeps a transaction of many lines within the limit
/// of one request.
pub(crate) const LINE_SIZE_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, key: &str, value: &str) {
        let expected = Line::Entry {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        assert_eq!(Line::parse(line.as_bytes()), expected, "{line}");
    }

    fn check_bad(line: &[u8], reason: Reason) {
        assert_eq!(Line::parse(line), Line::Bad(reason), "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn the_first_equals_sign_ends_the_key() {
        check("a=1", "a", "1");
        check("a=", "a", "");
        check("a=b==c", "a", "b==c");
        check("a key = a value ", "a key ", " a value ");
        check("{region}/name=x", "{region}/name", "x");
        check("a=#1", "a", "#1");
    }

    #[test]
    fn json_texts_are_unescaped_and_the_rest_is_kept_as_it_is() {
        check(r#"{"key": "a", "value": "x\n\"y\" = \u00fc"}"#, "a", "x\n\"y\" = ü");
        check(r##" { "value":1.10, "key":"#a", "other":[] } "##, "#a", "1.10");
        check(r#"{"key":"a","value":{"b": [1, null]}}"#, "a", r#"{"b": [1, null]}"#);
        check(r#"{"key":"a","value":12345678901234567890123}"#, "a", "12345678901234567890123");
        check(r#"{"key":"a","value":null}"#, "a", "null");
        check(r#"{"key":"a","value":""}"#, "a", "");
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        for line in ["", "  \t", "# a=1", "  # a=1", "#"] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Skipped, "{line}");
        }
        let long_comment = [&b"#"[..], &[b'x'; LINE_SIZE_MAX]].concat();
        assert_eq!(Line::parse(&long_comment), Line::Skipped);
    }

    #[test]
    fn each_reason_has_a_line() {
        check_bad(b"words", Reason::NoEqualsSign);
        check_bad(b"{}", Reason::NoEqualsSign);
        check_bad(b"=1", Reason::EmptyKey);
        check_bad(br#"{"key":"","value":"1"}"#, Reason::EmptyKey);
        check_bad(b"a=\xff", Reason::InvalidUtf8);
        check_bad(b"{\"key\":\"\xff\",\"value\":1}", Reason::InvalidUtf8);
        check_bad(&[b'='; LINE_SIZE_MAX + 1], Reason::TooLong);
        check_bad(br#"{"key":"a","value":"1""#, Reason::BrokenJson { column: 22 });
        check_bad(br#"{"key":"a","value":"1"} x"#, Reason::BrokenJson { column: 25 });
        check_bad(br#"{"key":"\ud800","value":1}"#, Reason::InvalidJsonKey);
        check_bad(br#"{"key":"a","value":"\ud800"}"#, Reason::InvalidJsonValue);
        check_bad(br#"{"key":7,"value":1}"#, Reason::InvalidJsonKey);
        check_bad(br#"{"name":"a","value":1}"#, Reason::NoJsonKey);
        check_bad(br#"{"key":"a"}"#, Reason::NoJsonValue);
    }
}
