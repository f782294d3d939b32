//! Whether a member orders the flushes that its limits ask for.

use crate::violation::Violation;

/// The flushes of one life of a member.
#[derive(Debug)]
pub(crate) struct Flushes {
    /// Where the last one was ordered, or the state came from elsewhere.
    since: u64,
    under_way: bool,
}

impl Flushes {
    /// Nothing is to be flushed of a state that a member was opened with.
    pub(crate) fn opened(applied: u64) -> Self {
        Self { since: applied, under_way: false }
    }

    /// Looks at a member after it was polled; `ordered` is the flush that it orders now.
    pub(crate) fn look(
        &mut self,
        member: u64,
        ordered: Option<u64>,
        applied: u64,
        entries_max: u64,
    ) -> Result<(), Violation> {
        if let Some(index) = ordered {
            *self = Self { since: index, under_way: true };
        }
        let entries = applied.saturating_sub(self.since);
        Violation::unless(self.under_way || entries < entries_max, "flush-due", || {
            format!("member {member} applied {entries} entries up to {applied} and flushes none")
        })
    }

    /// A flush is done.
    pub(crate) fn done(&mut self) {
        self.under_way = false;
    }

    /// A snapshot, durable by itself, replaced the state.
    pub(crate) fn installed(&mut self, index: u64) {
        self.since = self.since.max(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_due_after_so_many_entries_and_one_at_a_time() {
        let mut flushes = Flushes::opened(100);
        assert!(flushes.look(1, None, 109, 10).is_ok());
        assert!(flushes.look(1, Some(110), 110, 10).is_ok());
        assert!(flushes.look(1, None, 150, 10).is_ok());
        flushes.done();
        assert!(flushes.look(1, None, 119, 10).is_ok());
        assert!(flushes.look(1, None, 120, 10).is_err());
        flushes.installed(115);
        assert!(flushes.look(1, None, 120, 10).is_ok());
    }
}
