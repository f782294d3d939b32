//! What is no function of the revision, as the compact revision and the leases: several values may
//! have been in force while the store stood at one.

/// A value with all that it was before.
#[derive(Debug)]
pub(super) struct Standing<T>(Vec<Step<T>>);

#[derive(Debug)]
struct Step<T> {
    /// Where the store stood after the command that made this value.
    head: i64,
    /// Whether that command brought the store there.
    moved: bool,
    value: T,
}

impl<T: PartialEq> Standing<T> {
    /// The value of a fresh store.
    pub(super) fn new(value: T) -> Self {
        Self(vec![Step { head: 1, moved: true, value }])
    }

    /// The value from now on, set by a command after which the store stands at `head`.
    pub(super) fn set(&mut self, head: i64, moved: bool, value: T) {
        if *self.last() != value {
            self.0.push(Step { head, moved, value });
        }
    }

    /// The present value.
    pub(super) fn last(&self) -> &T {
        &self.0.last().expect("it begins with one value").value
    }

    /// All values that were in force while the store stood at `head`.
    pub(super) fn at(&self, head: i64) -> impl Iterator<Item = &T> {
        let end = self.0.partition_point(|step| step.head <= head);
        self.0[self.first_at(head)..end].iter().map(|step| &step.value)
    }

    /// All values that were in force at `head` or later.
    pub(super) fn since(&self, head: i64) -> impl Iterator<Item = &T> {
        self.0[self.first_at(head)..].iter().map(|step| &step.value)
    }

    /// The place of the first value in force at `head`: what came before goes on there, unless the
    /// command that brought the store there ended it.
    fn first_at(&self, head: i64) -> usize {
        let first = self.0.partition_point(|step| step.head < head);
        let is_new = self.0.get(first).is_some_and(|step| step.head == head && step.moved);
        if is_new { first } else { first.saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_may_be_in_force_at_one_revision() {
        let mut standing = Standing::new('a');
        standing.set(3, false, 'b');
        standing.set(3, false, 'b');
        standing.set(3, false, 'c');
        standing.set(7, true, 'd');
        let at = |head| standing.at(head).collect::<String>();
        assert_eq!([at(1), at(2), at(3), at(6), at(7), at(8)], ["a", "a", "abc", "c", "d", "d"]);
        assert_eq!(standing.since(6).collect::<String>(), "cd");
        assert_eq!(standing.since(1).collect::<String>(), "abcd");
        assert_eq!(*standing.last(), 'd');
    }
}
