//! A bounded memory of the current version of keys, so that a put need not look it up in the
//! engine.

use quorate_types::ByteSize;

use crate::record::LiveHeader;

/// What the table `live` holds of some keys, without their values. It saves lookups and never
/// changes a result.
///
/// A key can stand in one row of [`WAYS`] slots only, which its checksum chooses; a key that finds
/// its row full takes the place of the one that came there first. So looking up and forgetting cost
/// the same however much is remembered. (Ordered maps that are forgotten by turns were tried: they
/// cost more than the lookups that they saved.)
#[derive(Debug)]
pub(crate) struct Headers {
    /// No slot at all, or a power of two of rows. The filled slots of a row come first.
    slots: Vec<Option<Entry>>,
    entries_count: usize,
    slots_max: usize,
}

/// What is remembered of a key.
#[derive(Debug)]
struct Entry {
    checksum: u32,
    key: Box<[u8]>,
    /// `None` if the key does not exist.
    header: Option<LiveHeader>,
}

/// Room for 131,072 keys, which is more than most stores of configuration have. With keys of twenty
/// bytes that is 15 MiB; the rest is for longer ones.
pub(crate) const HEADERS_SIZE: ByteSize = ByteSize::mib(32);

/// Longer keys are not remembered, so that the number of keys bounds the bytes.
const KEY_LEN_MAX: usize = 128;

/// How many keys with a row in common are remembered: with four, few are forgotten before the
/// table is full.
const WAYS: usize = 4;

/// The most that a key takes: its slot, its bytes, and what the allocator adds to them.
const ENTRY_SIZE_MAX: usize = size_of::<Option<Entry>>() + KEY_LEN_MAX + 16;

impl Headers {
    /// Remembers nothing yet, and never more than `size`.
    pub(crate) fn new(size: ByteSize) -> Self {
        let entries = usize::try_from(size.bytes()).unwrap_or(usize::MAX) / ENTRY_SIZE_MAX;
        let rows_max = (entries / WAYS).checked_ilog2().map_or(0, |bits| 1 << bits);
        Self { slots: Vec::new(), entries_count: 0, slots_max: rows_max * WAYS }
    }

    /// The version of a key, `Some(None)` if the key does not exist, or `None` if the key is not
    /// remembered.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<LiveHeader>> {
        let checksum = crc32c::crc32c(key);
        let row = self.slots.get(self.row(checksum)..)?.iter().take(WAYS);
        let found = row.flatten().find(|entry| entry.is_of(checksum, key));
        found.map(|entry| entry.header)
    }

    /// Remembers what the engine holds of a key: its version, or that it does not exist.
    pub(crate) fn set(&mut self, key: &[u8], header: Option<LiveHeader>) {
        if key.len() > KEY_LEN_MAX || self.slots_max == 0 {
            return;
        }
        let checksum = crc32c::crc32c(key);
        let start = self.row(checksum);
        let row = self.slots.iter_mut().skip(start).take(WAYS);
        if let Some(known) = row.flatten().find(|entry| entry.is_of(checksum, key)) {
            known.header = header;
            return;
        }
        if self.entries_count >= self.slots.len() / 2 && self.slots.len() < self.slots_max {
            self.grow();
        }
        self.insert(Entry { checksum, key: key.into(), header });
    }

    /// Forgets everything: the engine holds something else.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.entries_count = 0;
    }

    /// The first slot of the row for a checksum.
    fn row(&self, checksum: u32) -> usize {
        let rows = self.slots.len() / WAYS;
        (checksum as usize & rows.saturating_sub(1)) * WAYS
    }

    /// Puts a key that is not there yet in front of its row.
    fn insert(&mut self, entry: Entry) {
        let start = self.row(entry.checksum);
        let row = &mut self.slots[start..start + WAYS];
        row.rotate_right(1);
        if row[0].replace(entry).is_none() {
            self.entries_count += 1;
        }
    }

    /// Doubles the number of rows.
    fn grow(&mut self) {
        let slots_count = (2 * self.slots.len()).max(WAYS);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(slots_count, || None);
        self.entries_count = 0;
        // Backwards, because what comes last stands in front.
        for entry in old.into_iter().rev().flatten() {
            self.insert(entry);
        }
    }
}

impl Entry {
    fn is_of(&self, checksum: u32, key: &[u8]) -> bool {
        self.checksum == checksum && *self.key == *key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attributes, Revision, encode_live};

    fn header(main: i64) -> Option<LiveHeader> {
        let record = encode_live(Revision::new(main, 0), Attributes::default(), b"");
        LiveHeader::decode(&record).ok()
    }

    fn headers(rows: usize) -> Headers {
        Headers::new(ByteSize::new((rows * WAYS * ENTRY_SIZE_MAX) as u64))
    }

    #[test]
    fn what_was_set_last_is_remembered() {
        let mut headers = headers(4);
        assert_eq!(headers.get(b"a"), None);
        for expected in [header(2), None, header(5)] {
            headers.set(b"a", expected);
            assert_eq!(headers.get(b"a"), Some(expected));
        }
        headers.clear();
        assert_eq!(headers.get(b"a"), None);
    }

    #[test]
    fn growing_forgets_nothing_old() {
        let mut headers = headers(1 << 12);
        for key in 0..4_000i64 {
            headers.set(&key.to_be_bytes(), header(key));
            headers.set(&(key / 2).to_be_bytes(), None);
        }
        let known = |key: &i64| headers.get(&key.to_be_bytes());
        assert!((0..4_000).filter(|key| known(key).is_some()).count() > 3_900);
        assert!((0..2_000).all(|key| known(&key).is_none_or(|header| header.is_none())));
        let all = (2_000..4_000).filter_map(|key| Some((key, known(&key)?)));
        assert!(all.into_iter().all(|(key, found)| found == header(key)));
    }

    #[test]
    fn a_full_row_forgets_what_came_first() {
        let mut headers = headers(1);
        for key in 0..100u8 {
            headers.set(&[key], header(i64::from(key)));
            let known: Vec<u8> = (0..=key).filter(|key| headers.get(&[*key]).is_some()).collect();
            let first = (key + 1).saturating_sub(WAYS as u8);
            assert_eq!(known, (first..=key).collect::<Vec<u8>>());
        }
        assert_eq!((headers.slots.len(), headers.entries_count), (WAYS, WAYS));
    }

    #[test]
    fn what_has_no_room_is_not_remembered() {
        let mut none = Headers::new(ByteSize::new(ENTRY_SIZE_MAX as u64));
        none.set(b"a", None);
        assert_eq!((none.get(b"a"), none.slots.len()), (None, 0));
        let mut headers = headers(1);
        for (length, expected) in [(KEY_LEN_MAX, Some(None)), (KEY_LEN_MAX + 1, None)] {
            headers.set(&vec![0; length], None);
            assert_eq!(headers.get(&vec![0; length]), expected);
        }
    }
}
