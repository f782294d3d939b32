//! The watchers of a seed: what they watch, from where on, and how they read.

use std::time::Duration;

use quorate_kv_api::KeySpan;
use quorate_mvcc::{WatchPosition, WatchQuery};
use quorate_types::Instant;
use serde::{Deserialize, Serialize};

use super::draw::Mix;
use super::json;
use super::request::{Revision, Span, is_default};
use crate::rng::{MILLION, Purpose, Stream};

/// Somebody who watches keys, from the time on at which he begins to the end of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedWatch {
    /// When it begins.
    #[serde(with = "json::moment")]
    pub at: Instant,
    /// The member asked first.
    pub member: usize,
    /// The keys watched; if none can be meant, the watch is refused.
    pub span: Span,
    /// The revision that it begins with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: WatchStart,
    /// Whether puts are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub without_puts: bool,
    /// Whether deletions are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub without_deletes: bool,
    /// Whether events tell what the key held before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Up to how many bytes the events of a revision come together; 0 for any number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fragment_size: u64,
    /// The longest time that it takes for what it was told before it asks for more.
    #[serde(with = "json::span", default, skip_serializing_if = "is_default")]
    pub pace: Duration,
    /// How long it waits for events before it asks again.
    #[serde(with = "json::span")]
    pub patience: Duration,
    /// How often in a million it asks what is there instead of waiting.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress_ppm: u64,
    /// Whether it goes on at another member when its own is down; else it waits for that one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub moves: bool,
}

/// Where a watch begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WatchStart {
    /// After the newest revision, which a majority is asked for.
    #[default]
    Now,
    /// At this one.
    Revision(Revision),
}

impl PlannedWatch {
    /// The query of this watch, from a revision on.
    pub(crate) fn query(&self, revision: i64) -> WatchQuery {
        let bytes = |text: &String| text.clone().into_bytes().into();
        WatchQuery {
            span: KeySpan::new(&bytes(&self.span.key), &bytes(&self.span.end)),
            from: WatchPosition::at(revision),
            puts: !self.without_puts,
            deletes: !self.without_deletes,
            prev_kv: self.prev_kv,
            fragment_bytes: (self.fragment_size > 0).then_some(self.fragment_size),
        }
    }
}

/// The watchers of a seed in order of their time: none in half of the seeds.
pub(super) fn watches(
    seed: u64,
    members: usize,
    duration: Duration,
    mix: &Mix,
) -> Vec<PlannedWatch> {
    let mut stream = Stream::new(seed, Purpose::Watches, 0, 0);
    if stream.chance(MILLION / 2) {
        return Vec::new();
    }
    let watch = |number| {
        // A stream for each: what one of them draws does not move the others.
        let mut content = Stream::new(seed, Purpose::Watches, 1, number);
        watch(&mut content, members, duration, mix)
    };
    let mut watches: Vec<PlannedWatch> = (0..stream.between(1, WATCHES_MAX)).map(watch).collect();
    watches.sort_by_key(|watch| watch.at);
    watches
}

fn watch(stream: &mut Stream, members: usize, duration: Duration, mix: &Mix) -> PlannedWatch {
    let millis = Duration::from_millis;
    // Many are there from the beginning on: they meet all faults.
    let latest = if stream.chance(MILLION / 2) { duration / 8 } else { duration * 7 / 8 };
    let span = match stream.below(4) {
        0 => Span::from("\0"),
        _ => mix.span(stream),
    };
    PlannedWatch {
        at: Instant::ZERO + stream.duration(Duration::ZERO, latest),
        member: stream.place(members),
        span,
        from: start(stream),
        without_puts: stream.chance(MILLION / 6),
        without_deletes: stream.chance(MILLION / 6),
        prev_kv: stream.chance(MILLION / 2),
        fragment_size: match stream.below(4) {
            0 => stream.between(1, 200),
            1 => stream.between(200, 4_000),
            _ => 0,
        },
        pace: match stream.below(4) {
            0..2 => Duration::ZERO,
            2 => stream.duration(millis(1), millis(200)),
            // Slow enough to fall out of what members have in memory.
            _ => stream.duration(millis(500), millis(5_000)),
        },
        patience: stream.duration(millis(10), PATIENCE_MAX),
        progress_ppm: match stream.below(3) {
            0 => 0,
            1 => MILLION / 20,
            _ => MILLION / 2,
        },
        moves: stream.chance(MILLION / 2),
    }
}

fn start(stream: &mut Stream) -> WatchStart {
    WatchStart::Revision(match stream.below(10) {
        0..4 => return WatchStart::Now,
        4 => Revision::At(1),
        5 => Revision::At(stream.between(0, 30) as i64),
        6 => Revision::Seen(-(stream.below(200) as i64)),
        // In the future, near and far.
        7 => Revision::Seen(stream.between(1, 4) as i64),
        8 => Revision::Seen(stream.between(5, 100) as i64),
        _ => Revision::Seen(stream.between(50, 600) as i64),
    })
}

/// As many as meet all kinds of one another without the run being about nothing else.
const WATCHES_MAX: u64 = 10;

/// Short beside an outage, so that watchers notice theirs.
const PATIENCE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::run::Options;

    #[test]
    fn all_kinds_are_drawn() {
        let plans: Vec<Plan> =
            (0..64).map(|seed| Plan::from_seed(seed, &Options::default())).collect();
        let none = plans.iter().filter(|plan| plan.watches.is_empty()).count();
        assert!((16..48).contains(&none), "{none}");
        assert!(plans.iter().all(|plan| plan.watches.is_sorted_by_key(|watch| watch.at)));
        let has = |what: &dyn Fn(&PlannedWatch) -> bool| {
            assert!(plans.iter().flat_map(|plan| &plan.watches).any(what));
        };
        has(&|watch| watch.from == WatchStart::Now);
        has(&|watch| matches!(watch.from, WatchStart::Revision(Revision::Seen(50..))));
        has(&|watch| watch.without_puts && !watch.without_deletes);
        has(&|watch| watch.prev_kv && watch.fragment_size > 0);
        has(&|watch| watch.pace > Duration::from_secs(1));
        has(&|watch| watch.moves && watch.progress_ppm > 0);
    }

    #[test]
    fn a_query_says_what_is_planned() {
        let watch = PlannedWatch {
            span: Span::between("a", "c"),
            without_deletes: true,
            fragment_size: 7,
            ..PlannedWatch::default()
        };
        let query = watch.query(5);
        assert_eq!((query.from, query.fragment_bytes), (WatchPosition::at(5), Some(7)));
        assert!(query.puts && !query.deletes && !query.prev_kv);
        assert!(query.span.contains(b"b") && !query.span.contains(b"c"));
    }
}
