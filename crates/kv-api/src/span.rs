//! What `key` and `range_end` of a request select.

use bytes::Bytes;

/// The keys that a `key` and a `range_end` select together, by etcd's rules.
///
/// ```
/// use bytes::Bytes;
/// use quorate_kv_api::KeySpan;
/// let span = |key: &'static [u8], end: &'static [u8]| {
///     KeySpan::new(&Bytes::from_static(key), &Bytes::from_static(end))
/// };
/// assert!(span(b"a", b"").contains(b"a"));
/// assert!(!span(b"a", b"").contains(b"aa"));
/// assert!(span(b"a", b"c").contains(b"b"));
/// assert!(!span(b"a", b"c").contains(b"c"));
/// assert!(span(b"b", b"\0").contains(b"zzz"));
/// assert!(span(b"c", b"a").is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySpan {
    /// One key: `range_end` is empty.
    Key(Bytes),
    /// All keys from this one on: `range_end` is a single zero byte.
    From(Bytes),
    /// The keys from `start` up to but without `end`.
    Range {
        /// The first key that belongs to the span.
        start: Bytes,
        /// The first key that does not; the span is empty unless it is after `start`.
        end: Bytes,
    },
}

impl KeySpan {
    /// Reads the two fields of a request.
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        match &range_end[..] {
            [] => Self::Key(key.clone()),
            [0] => Self::From(key.clone()),
            _ => Self::Range { start: key.clone(), end: range_end.clone() },
        }
    }

    /// Whether `key` belongs to the span.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Key(only) => key == &only[..],
            Self::From(start) => key >= &start[..],
            Self::Range { start, end } => key >= &start[..] && key < &end[..],
        }
    }

    /// Whether no key can belong to the span.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Range { start, end } if end <= start)
    }
}

/// The `range_end` that, with `prefix` as key, selects all keys that begin with `prefix`.
///
/// The last byte that is not `0xff` is raised by one and what follows it is cut. A prefix of
/// nothing but `0xff` bytes, or an empty one, gives a single zero byte, which means "all keys from
/// `key` on". (An empty prefix needs the key `"\0"`, because a key must not be empty.)
///
/// ```
/// use quorate_kv_api::prefix_end;
/// assert_eq!(prefix_end(b"foo/"), &b"foo0"[..]);
/// assert_eq!(prefix_end(b"a\xff\xff"), &b"b"[..]);
/// assert_eq!(prefix_end(b"\xff\xff"), &b"\0"[..]);
/// assert_eq!(prefix_end(b""), &b"\0"[..]);
/// ```
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    match prefix.iter().rposition(|&byte| byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => Bytes::from_static(b"\0"),
    }
}
