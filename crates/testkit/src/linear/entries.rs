//! The calls and returns of one part of a history, in the order in which they happened.

use std::hash::Hash;

use super::table::States;
use super::{Model, Operation};

/// What is known of a part before the search begins. Operations are numbered anew: the answered
/// ones by their calls, then the unanswered ones by theirs.
pub(super) struct Entries {
    /// The place in the history of each operation.
    pub(super) places: Vec<u32>,
    /// How many of them were answered.
    pub(super) answered: u32,
    /// Calls and returns of the answered ones, oldest first.
    pub(super) entries: Vec<Entry>,
    /// Where the call of each answered operation stands.
    pub(super) call_at: Vec<u32>,
    /// Where its return stands.
    pub(super) return_at: Vec<u32>,
    /// A number for each answered operation that it shares with none that is under way with it.
    pub(super) slots: Vec<u32>,
    /// How many such numbers there are.
    pub(super) slot_count: u32,
    /// Whether an answered operation changes nothing.
    pub(super) is_read: Vec<bool>,
    /// A number for each answered operation that it shares with those that ask for the same and
    /// were answered the same. Of two of them that are under way, it is enough to let the one that
    /// returned first happen first.
    pub(super) kinds: Vec<u32>,
    /// For each unanswered operation the first entry after its call.
    pub(super) open_at: Vec<u32>,
    /// For each unanswered operation the last earlier one that asks for the same. Of two that
    /// never end and do the same, it is enough to let the earlier one happen first.
    pub(super) twins: Vec<Option<u32>>,
}

/// A call or a return.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) operation: u32,
    pub(super) is_return: bool,
}

impl Entries {
    /// Orders the operations at these places of the history.
    pub(super) fn new<M: Model>(
        model: &M,
        history: &[Operation<M::Input, M::Output>],
        places: &[u32],
    ) -> Self {
        let at = |place: u32| &history[place as usize];
        let is_read = |place: u32| model.is_read(at(place).input(), at(place).output());
        let (mut answered, mut unanswered): (Vec<u32>, Vec<u32>) =
            places.iter().partition(|place| at(**place).return_time().is_some());
        // A read that was never answered tells nothing.
        unanswered.retain(|place| !is_read(*place));
        answered.sort_by_key(|place| (at(*place).call_time(), *place));
        unanswered.sort_by_key(|place| (at(*place).call_time(), *place));
        let mut new = Self {
            answered: answered.len() as u32,
            entries: Vec::with_capacity(2 * answered.len()),
            call_at: vec![0; answered.len()],
            return_at: vec![0; answered.len()],
            slots: vec![0; answered.len()],
            slot_count: 0,
            is_read: answered.iter().map(|place| is_read(*place)).collect(),
            open_at: Vec::with_capacity(unanswered.len()),
            kinds: kinds(&answered, |place| (at(place).input(), at(place).output())),
            twins: twins(&unanswered, |place| at(place).input()),
            places: [answered, unanswered].concat(),
        };
        // Of what happens at one time, calls come first: so the operations count as concurrent.
        let mut moments = Vec::with_capacity(2 * new.places.len());
        for (operation, place) in (0..).zip(&new.places) {
            moments.push((at(*place).call_time(), false, operation));
            moments.extend(at(*place).return_time().map(|time| (time, true, operation)));
        }
        moments.sort_unstable();
        new.arrange(&moments);
        new
    }

    fn arrange(&mut self, moments: &[(u64, bool, u32)]) {
        let mut free_slots = Vec::new();
        for &(_, is_return, operation) in moments {
            let number = operation as usize;
            let next = self.entries.len() as u32;
            if operation >= self.answered {
                self.open_at.push(next);
                continue;
            }
            if is_return {
                self.return_at[number] = next;
                free_slots.push(self.slots[number]);
            } else {
                self.call_at[number] = next;
                self.slots[number] = free_slots.pop().unwrap_or_else(|| {
                    self.slot_count += 1;
                    self.slot_count - 1
                });
            }
            self.entries.push(Entry { operation, is_return });
        }
    }
}

/// For each of these operations the last earlier one with the same input.
fn twins<T: Eq + Hash>(places: &[u32], input: impl Fn(u32) -> T) -> Vec<Option<u32>> {
    let kinds = kinds(places, input);
    let mut latest = vec![None; places.len()];
    let twin = |(number, kind): (u32, &u32)| latest[*kind as usize].replace(number);
    (0..).zip(&kinds).map(twin).collect()
}

/// Numbers from 0 on, the same for what is equal.
fn kinds<T: Eq + Hash>(places: &[u32], of: impl Fn(u32) -> T) -> Vec<u32> {
    let mut states = States::new();
    places.iter().map(|place| states.number(of(*place)).0).collect()
}

/// The numbers below a count, linked so that one can be taken out and put back at once. Taking
/// out must be undone in reverse order.
pub(super) struct Links {
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Links {
    pub(super) fn new(count: u32) -> Self {
        // The number after the last one stands for both ends.
        let next = (1..=count).chain([0]).collect();
        let previous = std::iter::once(count).chain(0..count).collect();
        Self { next, previous }
    }

    /// The first number, or the end.
    pub(super) fn first(&self) -> u32 {
        self.next[self.next.len() - 1]
    }

    /// The number after another, or the end.
    pub(super) fn after(&self, number: u32) -> u32 {
        self.next[number as usize]
    }

    pub(super) fn is_end(&self, number: u32) -> bool {
        number as usize + 1 == self.next.len()
    }

    pub(super) fn take_out(&mut self, number: u32) {
        let (next, previous) = (self.next[number as usize], self.previous[number as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    pub(super) fn put_back(&mut self, number: u32) {
        let (next, previous) = (self.next[number as usize], self.previous[number as usize]);
        self.next[previous as usize] = number;
        self.previous[next as usize] = number;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Register, RegisterInput, RegisterOutput};
    use super::*;

    fn write(called: u64, value: u32) -> Operation<RegisterInput<u32>, RegisterOutput<u32>> {
        Operation::called(0, called, RegisterInput::Write(value))
    }

    #[test]
    fn slots_are_shared_only_by_operations_that_do_not_overlap() {
        let end = |time, operation: Operation<_, _>| operation.returned(time, RegisterOutput::Done);
        let history = [
            end(4, write(0, 1)),
            end(2, write(1, 2)),
            end(5, write(3, 3)),
            end(5, write(4, 4)),
            write(4, 9),
            write(2, 9),
        ];
        let entries = Entries::new(&Register::new(0), &history, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(entries.places, [0, 1, 2, 3, 5, 4]);
        assert_eq!(entries.slots, [0, 1, 1, 2]);
        assert_eq!(entries.slot_count, 3);
        // Calls come before returns of the same time.
        assert_eq!(entries.return_at, [5, 2, 6, 7]);
        assert_eq!(entries.kinds, [0, 1, 2, 3]);
        assert_eq!(entries.open_at, [2, 5]);
        assert_eq!(entries.twins, [None, Some(0)]);
    }

    #[test]
    fn what_was_taken_out_can_be_put_back() {
        let mut links = Links::new(4);
        links.take_out(1);
        links.take_out(0);
        links.take_out(3);
        assert_eq!((links.first(), links.is_end(links.after(2))), (2, true));
        for number in [3, 0, 1] {
            links.put_back(number);
        }
        let mut order = vec![links.first()];
        while !links.is_end(links.after(order[order.len() - 1])) {
            order.push(links.after(order[order.len() - 1]));
        }
        assert_eq!(order, [0, 1, 2, 3]);
        let empty = Links::new(0);
        assert!(empty.is_end(empty.first()));
    }
}
