//! Reads the few fields of a message between members that checkers need.
//!
//! A reader of its own instead of the members' code: what travels is a documented format (see
//! `docs/wire_format.md`), and a checker should not share the bugs of what it checks.

/// Fields of a message of the Raft algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RaftPeek {
    pub(crate) kind: u64,
    pub(crate) to: u64,
    pub(crate) from: u64,
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) reject: bool,
}

pub(crate) const APPEND_RESPONSE: u64 = 4;
pub(crate) const REQUEST_VOTE: u64 = 5;
pub(crate) const REQUEST_VOTE_RESPONSE: u64 = 6;
pub(crate) const READ_INDEX: u64 = 15;
pub(crate) const REQUEST_PRE_VOTE: u64 = 17;
pub(crate) const REQUEST_PRE_VOTE_RESPONSE: u64 = 18;

/// The fields of a Raft message; `None` for other messages and for bytes that are none.
pub(crate) fn peek(message: &[u8]) -> Option<RaftPeek> {
    let mut outer = Fields(message);
    let (number, value) = outer.next()?;
    let Value::Bytes(inner) = value else { return None };
    if number != 1 {
        return None;
    }
    let mut found = RaftPeek::default();
    let mut fields = Fields(inner);
    while !fields.0.is_empty() {
        let (number, value) = fields.next()?;
        let Value::Number(value) = value else { continue };
        match number {
            1 => found.kind = value,
            2 => found.to = value,
            3 => found.from = value,
            4 => found.term = value,
            6 => found.index = value,
            10 => found.reject = value != 0,
            _ => {}
        }
    }
    Some(found)
}

struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_vote_are_found() {
        let inner = [8, 6, 17, 2, 0, 0, 0, 0, 0, 0, 0, 25, 1, 0, 0, 0, 0, 0, 0, 0, 32, 7, 80, 1];
        let mut message = vec![10, inner.len() as u8];
        message.extend(inner);
        let found = peek(&message).expect("a raft message");
        let expected = RaftPeek { kind: 6, to: 2, from: 1, term: 7, index: 0, reject: true };
        assert_eq!(found, expected);
    }

    #[test]
    fn other_messages_and_damaged_ones_are_left_alone() {
        assert_eq!(peek(&[18, 0]), None);
        assert_eq!(peek(&[10, 5, 8]), None);
        assert_eq!(peek(&[]), None);
        assert_eq!(peek(&[10, 2, 8, 0xff]), None);
    }
}
