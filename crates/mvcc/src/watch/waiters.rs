//! Who waits for which keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use quorate_kv_api::KeySpan;

use crate::record::{Change, HistoryRecord};
use crate::watch::{WatchPosition, WatchQuery};

/// Calls the owner of a watch. It is never called under a lock.
pub(crate) type Wake = Box<dyn FnOnce() + Send>;

/// The revision from which on a woken watch may miss something; [`ASLEEP`] before. Written under
/// the hub's lock.
pub(crate) type Woken = Arc<AtomicI64>;

pub(crate) const ASLEEP: i64 = -1;

/// A watch that is complete up to the hub's revision.
pub(crate) struct Waiter {
    span: KeySpan,
    puts: bool,
    deletes: bool,
    /// Nothing before this is wanted.
    pub(crate) from: WatchPosition,
    wake: Wake,
    woken: Woken,
}

impl Waiter {
    pub(crate) fn new(query: &WatchQuery, from: WatchPosition, wake: Wake) -> Self {
        let WatchQuery { puts, deletes, .. } = *query;
        let woken = Arc::new(AtomicI64::new(ASLEEP));
        Self { span: query.span.clone(), puts, deletes, from, wake, woken }
    }

    pub(crate) fn woken(&self) -> Woken {
        self.woken.clone()
    }

    pub(crate) fn into_wake(self) -> Wake {
        self.wake
    }

    fn wants(&self, revision: i64, record: &HistoryRecord) -> bool {
        let wanted = match record.change {
            Change::Put { .. } => self.puts,
            Change::Delete => self.deletes,
        };
        wanted && revision >= self.from.revision && self.span.contains(&record.key)
    }

    /// Takes the waiter for woken; `revision` is the first that it may not have seen.
    pub(crate) fn rouse(self, revision: i64) -> Wake {
        self.woken.store(revision, Ordering::Relaxed);
        self.wake
    }
}

/// Where a waiter is looked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// It watches this key.
    Key(Bytes),
    /// It watches a range.
    Range {
        /// All keys of the range begin with this.
        common: Bytes,
        /// The first key of the range.
        start: Bytes,
    },
}

impl Place {
    pub(crate) fn of(span: &KeySpan) -> Self {
        match span {
            KeySpan::Key(key) => Self::Key(key.clone()),
            KeySpan::From(start) => Self::Range { common: Bytes::new(), start: start.clone() },
            KeySpan::Range { start, end } => {
                let common = start.iter().zip(end).take_while(|(a, b)| a == b).count();
                Self::Range { common: start.slice(..common), start: start.clone() }
            }
        }
    }
}

/// A place and a number that is given once.
pub(crate) type Slot = (Place, u64);

/// All waiters. A key is looked for among the single keys, and once for each length that the common
/// beginning of a watched range has. So an event costs as much as there are waiters for its key,
/// and for ranges that have their common beginning with it and start before it. All others cost
/// hardly anything, in particular those that watch a key or a prefix.
#[derive(Default)]
pub(crate) struct Waiters {
    waiters: BTreeMap<Slot, Waiter>,
    /// How many waiters of ranges have a common beginning of each length.
    lengths: BTreeMap<usize, usize>,
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(crate) fn insert(&mut self, slot: Slot, waiter: Waiter) {
        if let Place::Range { common, .. } = &slot.0 {
            *self.lengths.entry(common.len()).or_default() += 1;
        }
        let before = self.waiters.insert(slot, waiter);
        assert!(before.is_none(), "the number of a waiter is given once");
    }

    pub(crate) fn remove(&mut self, slot: &Slot) -> Option<Waiter> {
        let waiter = self.waiters.remove(slot)?;
        if let Place::Range { common, .. } = &slot.0
            && let Some(count) = self.lengths.get_mut(&common.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&common.len());
            }
        }
        Some(waiter)
    }

    /// Takes out everybody who wants `record`, in a fixed order.
    pub(crate) fn take(&mut self, revision: i64, record: &HistoryRecord, wakes: &mut Vec<Wake>) {
        let mut found: Vec<Slot> = Vec::new();
        let key = &record.key;
        let single = (Place::Key(key.clone()), Place::Key(key.clone()));
        let lengths = self.lengths.range(..=key.len());
        let ranges = lengths.map(|(&length, _)| {
            let place = |start| Place::Range { common: key.slice(..length), start };
            (place(Bytes::new()), place(key.clone()))
        });
        for (first, last) in std::iter::once(single).chain(ranges) {
            let slots = self.waiters.range((first, 0)..=(last, u64::MAX));
            let wanting = slots.filter(|(_, waiter)| waiter.wants(revision, record));
            found.extend(wanting.map(|(slot, _)| slot.clone()));
        }
        for slot in found {
            wakes.extend(self.remove(&slot).map(|waiter| waiter.rouse(revision)));
        }
    }

    /// Takes out everybody.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waiter> {
        self.lengths.clear();
        std::mem::take(&mut self.waiters).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attributes, Revision};

    fn span(key: &'static str, range_end: &'static str) -> KeySpan {
        KeySpan::new(&Bytes::from_static(key.as_bytes()), &Bytes::from_static(range_end.as_bytes()))
    }

    fn record(key: &'static str, is_delete: bool) -> HistoryRecord {
        let (attributes, value) = (Attributes::default(), Bytes::new());
        let change = if is_delete { Change::Delete } else { Change::Put { attributes, value } };
        HistoryRecord { key: key.into(), superseded: Revision::default(), change }
    }

    /// Adds a waiter; tells afterwards whether it was woken.
    fn add(waiters: &mut Waiters, number: u64, query: &WatchQuery) -> Woken {
        let waiter = Waiter::new(query, query.from, Box::new(|| {}));
        let woken = waiter.woken();
        waiters.insert((Place::of(&query.span), number), waiter);
        woken
    }

    #[test]
    fn the_place_of_a_span_is_what_its_keys_begin_with() {
        let place = |common: &'static str, start: &'static str| Place::Range {
            common: common.into(),
            start: start.into(),
        };
        assert_eq!(Place::of(&span("ab", "")), Place::Key("ab".into()));
        assert_eq!(Place::of(&span("ab", "\0")), place("", "ab"));
        assert_eq!(Place::of(&span("foo/", "foo0")), place("foo", "foo/"));
        assert_eq!(Place::of(&span("ab", "ab\x7f")), place("ab", "ab"));
        assert_eq!(Place::of(&span("a", "b")), place("", "a"));
    }

    #[test]
    fn exactly_those_who_want_a_key_are_found() {
        let names = ["", "\0", "a", "ab", "abc", "abd", "ac", "b", "ba", "c"];
        let mut spans = Vec::new();
        for key in names {
            spans.extend(names.iter().map(|&end| span(key, end)));
        }
        for key in names {
            let mut waiters = Waiters::default();
            let queries = spans.iter().map(|span| WatchQuery::new(span.clone(), 0));
            let queries: Vec<_> = queries.collect();
            let woken: Vec<_> =
                (0..).zip(&queries).map(|(n, query)| add(&mut waiters, n, query)).collect();
            let mut wakes = Vec::new();
            waiters.take(7, &record(key, false), &mut wakes);
            let wanting = spans.iter().filter(|span| span.contains(key.as_bytes())).count();
            assert_eq!(wakes.len(), wanting);
            for (span, woken) in spans.iter().zip(woken) {
                let expected = if span.contains(key.as_bytes()) { 7 } else { ASLEEP };
                assert_eq!(woken.load(Ordering::Relaxed), expected, "{span:?} and {key:?}");
            }
            assert_eq!(waiters.take_all().count(), spans.len() - wanting);
            assert!(waiters.is_empty() && waiters.lengths.is_empty());
        }
    }

    #[test]
    fn filters_and_the_future_are_kept() {
        let mut waiters = Waiters::default();
        let all = WatchQuery::new(span("k", ""), 5);
        let puts = add(&mut waiters, 0, &WatchQuery { deletes: false, ..all.clone() });
        let deletes = add(&mut waiters, 1, &WatchQuery { puts: false, ..all });
        let mut take = |revision, is_delete| {
            waiters.take(revision, &record("k", is_delete), &mut Vec::new());
            [&puts, &deletes].map(|woken| woken.load(Ordering::Relaxed))
        };
        assert_eq!(take(4, false), [ASLEEP, ASLEEP]);
        assert_eq!(take(5, true), [ASLEEP, 5]);
        assert_eq!(take(6, false), [6, 5]);
    }

    #[test]
    fn who_goes_away_is_not_found() {
        let mut waiters = Waiters::default();
        for number in 0..3 {
            add(&mut waiters, number, &WatchQuery::new(span("ab", "ad"), 0));
        }
        let slot = |number| (Place::of(&span("ab", "ad")), number);
        assert!(waiters.remove(&slot(1)).is_some() && waiters.remove(&slot(1)).is_none());
        let mut wakes = Vec::new();
        waiters.take(7, &record("ac", false), &mut wakes);
        assert_eq!((wakes.len(), waiters.lengths.len()), (2, 0));
    }
}
