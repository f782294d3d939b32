//! Sets that remember what was tried: rows of words, and states.

use super::hash::{hash_of, hash_of_words};
use std::hash::Hash;

/// The places a search has been at.
///
/// A place is a row of words. The last of them are a set of bits: what was spent to get there. It
/// is no use to be at the same place again having spent the same, or the same and more.
pub(super) struct Tried {
    /// How many words of a row come before the set.
    width: usize,
    rows: Rows,
    /// The rows without their sets.
    places: Rows,
    /// For each of those the sets seen there, until there are too many.
    sets: Vec<Vec<u64>>,
    set_bytes: usize,
}

impl Tried {
    pub(super) fn new(width: usize, set_width: usize) -> Self {
        let (rows, places) = (Rows::new(width + set_width), Rows::new(width));
        Self { width, rows, places, sets: Vec::new(), set_bytes: 0 }
    }

    /// Remembers a row; returns whether it is of use to go on from there.
    pub(super) fn insert(&mut self, row: &[u64]) -> bool {
        let (place, set) = row.split_at(self.width);
        if set.is_empty() {
            return self.rows.number(row).1;
        }
        let (number, is_new) = self.places.number(place);
        if is_new {
            self.sets.push(Vec::new());
            self.set_bytes += size_of::<Vec<u64>>();
        }
        let sets = &mut self.sets[number as usize];
        if sets.chunks_exact(set.len()).any(|other| is_subset(other, set)) {
            return false;
        }
        if let Some(larger) = sets.chunks_exact_mut(set.len()).find(|other| is_subset(set, other)) {
            larger.copy_from_slice(set);
        } else if sets.len() < SETS_MAX * set.len() {
            sets.extend_from_slice(set);
            self.set_bytes += size_of_val(set);
        }
        self.rows.number(row).1
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.places.bytes() + 2 * self.set_bytes
    }
}

fn is_subset(smaller: &[u64], larger: &[u64]) -> bool {
    smaller.iter().zip(larger).all(|(smaller, larger)| smaller & !larger == 0)
}

/// How many sets are kept for each place. Each is looked at whenever the place is reached.
const SETS_MAX: usize = 64;

/// Rows of words of one width, each once.
struct Rows {
    width: usize,
    words: Vec<u64>,
    index: Index,
}

impl Rows {
    fn new(width: usize) -> Self {
        Self { width, words: Vec::new(), index: Index::default() }
    }

    /// The number of a row, and whether it is new.
    fn number(&mut self, row: &[u64]) -> (u32, bool) {
        let at = |id: u32| id as usize * self.width;
        let is_equal = |id: u32| self.words[at(id)..at(id) + self.width] == *row;
        match self.index.find_or_add(hash_of_words(row), is_equal) {
            Ok(id) => (id, false),
            Err(id) => {
                self.words.extend_from_slice(row);
                (id, true)
            }
        }
    }

    fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>() + self.index.bytes()
    }
}

/// States, each once, under the numbers in which they came.
pub(super) struct States<State> {
    states: Vec<State>,
    index: Index,
}

impl<State: Hash + Eq> States<State> {
    pub(super) fn new() -> Self {
        Self { states: Vec::new(), index: Index::default() }
    }

    /// The number of a state, and whether it is new.
    pub(super) fn number(&mut self, state: State) -> (u32, bool) {
        let found = self.index.find_or_add(hash_of(&state), |id| self.states[id as usize] == state);
        match found {
            Ok(id) => (id, false),
            Err(id) => {
                self.states.push(state);
                (id, true)
            }
        }
    }

    pub(super) fn get(&self, id: u32) -> &State {
        &self.states[id as usize]
    }

    /// The bytes of the index; those of the states are the model's to count.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes()
    }
}

/// A hash table from hashes to numbers given out in order, with linear probing.
#[derive(Default)]
struct Index {
    /// The hash above, the number plus one below; zero where free. The length is a power of two.
    slots: Vec<u64>,
    count: u32,
}

impl Index {
    /// The number under this hash for which `is_equal` holds; else gives out the next one.
    fn find_or_add(&mut self, hash: u32, is_equal: impl Fn(u32) -> bool) -> Result<u32, u32> {
        if (self.count as usize + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while self.slots[place] != 0 {
            let slot = self.slots[place];
            let id = (slot as u32) - 1;
            if (slot >> 32) as u32 == hash && is_equal(id) {
                return Ok(id);
            }
            place = (place + 1) & mask;
        }
        let id = self.count;
        self.count = id.checked_add(1).expect("memory ends before four thousand million rows");
        self.slots[place] = u64::from(hash) << 32 | u64::from(self.count);
        Err(id)
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![0; length]);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            let mut place = (slot >> 32) as usize & (length - 1);
            while self.slots[place] != 0 {
                place = (place + 1) & (length - 1);
            }
            self.slots[place] = slot;
        }
    }

    fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_new_once() {
        let mut rows = Rows::new(2);
        for round in 0..2 {
            for left in 0..100_u64 {
                for right in 0..100_u64 {
                    assert_eq!(rows.number(&[left, right << 40]).1, round == 0);
                }
            }
        }
        assert!(rows.bytes() >= 10_000 * 16);
    }

    #[test]
    fn to_have_spent_more_is_of_no_use() {
        let mut tried = Tried::new(1, 1);
        assert!(tried.insert(&[5, 0b0110]));
        assert!(!tried.insert(&[5, 0b0110]));
        assert!(!tried.insert(&[5, 0b1110]));
        assert!(tried.insert(&[6, 0b1110]));
        assert!(tried.insert(&[5, 0b1001]));
        assert!(tried.insert(&[5, 0b0010]));
        assert!(!tried.insert(&[5, 0b1010]));
        let mut plain = Tried::new(1, 0);
        assert_eq!([plain.insert(&[5]), plain.insert(&[5])], [true, false]);
    }

    #[test]
    fn rows_with_one_hash_are_still_told_apart() {
        let mut index = Index::default();
        assert_eq!(index.find_or_add(7, |_| false), Err(0));
        assert_eq!(index.find_or_add(7, |_| false), Err(1));
        assert_eq!(index.find_or_add(7, |id| id == 1), Ok(1));
    }

    #[test]
    fn states_keep_their_numbers() {
        let mut states = States::new();
        assert_eq!(states.number("a"), (0, true));
        assert_eq!(states.number("b"), (1, true));
        assert_eq!(states.number("a"), (0, false));
        assert_eq!(*states.get(1), "b");
    }
}
