//! Known bugs that can be selected for a run, to prove that tests find them.
//!
//! Each stands at its place in the production code as [`mutant!`](crate::mutant). Nothing is
//! selected at first. A selection belongs to a thread; [`inherit`] takes it to another one.
//!
//! ```
//! use quorate_types::mutant;
//! use quorate_types::mutants::{self, Mutant, Selection};
//!
//! let selected = mutants::select(Selection::of(Mutant::M39));
//! assert_eq!(mutant!(M39, "good", "bad"), "bad");
//! assert_eq!(selected.hits(), 1);
//! drop(selected);
//! assert_eq!(mutant!(M39, "good", "bad"), "good");
//! ```

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which mutant is built in, where and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selection {
    /// The bug.
    pub mutant: Mutant,
    /// The only member that has it, by its id; all have it if nothing is given.
    pub member: Option<u64>,
    /// How often its place is passed without harm before it acts.
    pub after_hits: u64,
}

impl Selection {
    /// A mutant that acts in every member from the beginning.
    pub fn of(mutant: Mutant) -> Self {
        Self { mutant, member: None, after_hits: 0 }
    }
}

/// A selection at work. Dropping it brings back what this thread had selected before.
#[derive(Debug)]
#[must_use = "the selection ends when this is dropped"]
pub struct Selected {
    active: Arc<Active>,
    before: Option<Arc<Active>>,
}

/// A selection on its way to another thread.
#[derive(Clone, Debug)]
pub struct Inherited(Arc<Active>);

#[derive(Debug)]
struct Active {
    selection: Selection,
    /// Whose code runs now; 0 if nobody said.
    member: AtomicU64,
    passed: AtomicU64,
    hits: AtomicU64,
}

thread_local! {
    static ACTIVE: RefCell<Option<Arc<Active>>> = const { RefCell::new(None) };
}

/// Selects a mutant for this thread.
pub fn select(selection: Selection) -> Selected {
    let zero = || AtomicU64::new(0);
    enter(Arc::new(Active { selection, member: zero(), passed: zero(), hits: zero() }))
}

/// What this thread has selected, for another thread to share with it.
pub fn inherit() -> Option<Inherited> {
    ACTIVE.with_borrow(Clone::clone).map(Inherited)
}

/// Tells whose code this thread runs from now on, by the id of the member.
pub fn run_as(member: u64) {
    ACTIVE.with_borrow(|active| {
        if let Some(active) = active {
            active.member.store(member, Ordering::Relaxed);
        }
    });
}

/// Whether this thread has the mutant selected, in whatever member and from whatever time.
pub fn is_selected(mutant: Mutant) -> bool {
    ACTIVE.with_borrow(|active| {
        active.as_ref().is_some_and(|active| active.selection.mutant == mutant)
    })
}

/// Whether the mutant acts now, which counts as a hit.
pub fn take(mutant: Mutant) -> bool {
    ACTIVE.with_borrow(|active| active.as_ref().is_some_and(|active| active.take(mutant)))
}

fn enter(active: Arc<Active>) -> Selected {
    let before = ACTIVE.replace(Some(active.clone()));
    Selected { active, before }
}

impl Selected {
    /// How often the bug acted.
    pub fn hits(&self) -> u64 {
        self.active.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Selected {
    fn drop(&mut self) {
        ACTIVE.set(self.before.take());
    }
}

impl Inherited {
    /// Selects the same for this thread; hits are counted together.
    pub fn enter(self) -> Selected {
        enter(self.0)
    }
}

impl Active {
    fn take(&self, mutant: Mutant) -> bool {
        let Selection { mutant: selected, member, after_hits } = self.selection;
        let elsewhere = |only| only != self.member.load(Ordering::Relaxed);
        if selected != mutant || member.is_some_and(elsewhere) {
            return false;
        }
        let acts = self.passed.fetch_add(1, Ordering::Relaxed) >= after_hits;
        if acts {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        acts
    }
}

macro_rules! mutants {
    ($(#[doc = $title:literal] $name:ident,)*) => {
        /// A bug that can be built in. The test kit knows where each comes from, and how fast it
        /// must be found.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Mutant {
            $(#[doc = $title] $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What is wrong with it, in a sentence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title.trim_ascii(),)*
                }
            }
        }
    };
}

mutants! {
    /// The applied position is written before the data that it stands for.
    M01,
    /// The applied position is written after the data that it stands for.
    M02,
    /// A member alone counts what it handed to its disk as durable.
    M03,
    /// What is remembered of keys is not forgotten when a snapshot is installed.
    M04,
    /// A watch is said to be complete although events are left to be told.
    M05,
    /// After a snapshot is installed watches start again far back.
    M06,
    /// A watch is told the last event of the tables again when it goes on in memory.
    M07,
    /// A watch that was too slow for a compaction goes on behind it.
    M08,
    /// A sweep takes the newest record, and the revision is then counted from the newest one left.
    M09,
    /// A sweep takes the deletions at the compact revision itself.
    M10,
    /// A second snapshot that arrives has the first one, still waiting, deleted.
    M11,
    /// A transaction is not checked before its ranges fail it half-way.
    M12,
    /// A watch of the future is complete up to the present, and goes on there.
    M14,
    /// The installation of a snapshot brings watches of the future into the present.
    M15,
    /// A view of the state shows what was written after it was taken.
    M16,
    /// All rounds of reads have the same context.
    M17a,
    /// Followers forward reads by the crate's own message, which the network may double.
    M17b,
    /// The commit index of the disk may lie behind the applied one when a member is opened.
    M18,
    /// Reads are handed to the crate before it can answer them, and it drops them.
    M19a,
    /// A follower asks once for a read index and never again.
    M19b,
    /// A follower expects the answers to its reads in order.
    M20,
    /// A command is sent again under a new name.
    M21,
    /// The answer to a command that nobody waits for any more is a panic.
    M22,
    /// The leader answers reads without asking anybody.
    M23,
    /// The leader answers reads by its lease.
    M24,
    /// A new leader answers reads before it has committed anything.
    M25,
    /// Followers apply nothing but the positions of entries.
    M26,
    /// A log that does not reach the state is not started anew.
    M27a,
    /// The log is started anew before the snapshot is installed.
    M27b,
    /// Replaced entries beyond the new ones stay in the log.
    M30,
    /// The log is never synced.
    M31,
    /// What follows a damaged entry is cut off and the member goes on.
    M32,
    /// A failed sync is ignored.
    M33,
    /// A log with an end that nobody committed is refused as damaged.
    M34,
    /// A watch waits without a look at what happened meanwhile.
    M36,
    /// The limit of a range cuts before filters and order are applied.
    M38a,
    /// A range counts only the keys that it returns.
    M38b,
    /// The smallest revision of a filter is excluded.
    M38c,
    /// A descending order is ascending.
    M38d,
    /// A range is cut one key too early.
    M38e,
    /// A range at an older revision misses the keys changed at that revision.
    M38f,
    /// Keys that are asked for without their values come with them.
    M38g,
    /// Votes are not written.
    M39,
    /// Terms are not written until an entry has them.
    M40,
    /// The report of one append counts for all later ones.
    M41a,
    /// Acknowledgements of earlier terms count.
    M41b,
    /// The answer to a heartbeat counts as an acknowledgement.
    M41c,
    /// While leadership is being handed over, reads are answered without asking anybody.
    M41d,
    /// After one flush there is never another.
    M42a,
    /// After a snapshot that failed, its receiver never gets another.
    M42b,
    /// Entries of earlier terms are committed by counting copies (Raft thesis, figure 3.7).
    M50,
    /// The floor of a session ends one command too many.
    M51,
    /// Snapshots lack the sessions.
    M52,
    /// Snapshots name their sender as the only member.
    M53,
    /// The hash over the history leaves deletions out.
    M54,
    /// Commands that were sent are never told that their time is over.
    M55,
    /// A command whose outcome is unknown is said to have failed.
    M56,
    /// A follower's read does not wait until its index is applied.
    M57,
    /// The log is purged up to what was applied, not flushed.
    M58,
    /// A flush that does nothing is reported.
    M59,
    /// All lives of a member have the same number.
    M60,
    /// Candidates get votes whatever their log holds.
    M61,
    /// The sessions from before an installed snapshot stay.
    M64,
    /// Readers are not told of an installed snapshot.
    M65,
    /// A put makes its key anew.
    M66,
    /// A deletion spares the last key of its range.
    M67,
    /// A compare with an absent key holds.
    M68,
    /// Answers that must wait for a sync do not.
    M69,
    /// Reads wait for one entry too few.
    M71,
    /// Reads under way are not taken up again when leadership changes.
    M72,
    /// A command that comes twice is applied twice.
    M73,
    /// The answer to a command of an earlier life is given to one of this life.
    M74,
    /// Entries leave the memory before they are applied.
    M75,
    /// Terms of replaced entries are remembered.
    M76,
    /// Elections go on while a snapshot replaces the log.
    M77,
    /// A proposal of nothing is made.
    M78,
    /// Deleted keys are remembered as present.
    M79,
    /// A ready with nothing to write counts as durable before those in front of it.
    M80,
    /// Every answer to a follower's read counts for the newest one.
    M81,
    /// A leader takes its entries as durable before they are.
    M82,
    /// An older version keeps its place when its key is put again.
    M83,
    /// A lease expires though it was renewed meanwhile.
    M84,
    /// The last key of a lease outlives it.
    M85,
    /// The leases of before a snapshot stay in memory.
    M86,
    /// A new term leaves leases the time that they had left.
    M87,
    /// Whoever waits for a lock gets it although its own lease has ended meanwhile.
    M35,
    /// Whoever waits for a lock waits only for the one right before it.
    M88,
    /// An item of a queue is taken although somebody else took it.
    M89,
    /// A process that stood still is told that its lease lives.
    M90,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> bool {
        crate::mutant!(M39, false, true)
    }

    #[test]
    fn nothing_acts_unless_it_is_selected() {
        assert!(!bad());
        let selected = select(Selection::of(Mutant::M40));
        assert!(!bad() && is_selected(Mutant::M40) && !is_selected(Mutant::M39));
        assert_eq!(selected.hits(), 0);
    }

    #[test]
    fn one_member_has_it_and_only_later() {
        let selection = Selection { mutant: Mutant::M39, member: Some(2), after_hits: 1 };
        let selected = select(selection);
        let mut seen = Vec::new();
        for member in [1, 2, 1, 2, 2] {
            run_as(member);
            seen.push(bad());
        }
        assert_eq!(seen, [false, false, false, true, true]);
        assert_eq!(selected.hits(), 2);
    }

    #[test]
    fn other_threads_have_it_if_they_inherit_it() {
        let selected = select(Selection::of(Mutant::M39));
        let inherited = inherit().expect("just selected");
        let seen = std::thread::spawn(move || {
            let before = bad();
            let _selected = inherited.enter();
            (before, bad())
        });
        assert_eq!(seen.join().expect("it does not panic"), (false, true));
        assert_eq!(selected.hits(), 1);
        drop(selected);
        assert!(inherit().is_none());
    }

    #[test]
    fn selections_nest() {
        let _outer = select(Selection::of(Mutant::M39));
        drop(select(Selection::of(Mutant::M40)));
        assert!(bad());
    }
}
