//! Operations from a seed.
//!
//! Few keys, few values and known revisions, so that operations meet. What a working client would
//! never send has its share: empty keys, unknown leases, revisions that are over or to come, too
//! many operations, numbers that mean nothing.

mod draw;
mod lease;
mod range;
mod txn;
mod watch;
mod write;

use quorate_kv_api::{CompactionRequest, HashKvRequest};

pub use draw::Draw;
pub(crate) use lease::is_short_lived;

use crate::operation::{Answer, Kind, Operation};

/// Kinds of operations with their shares of a run.
pub type Shares = &'static [(Kind, u64)];

/// Everything.
pub const ALL: Shares = &[
    (Kind::Put, 30),
    (Kind::DeleteRange, 8),
    (Kind::Range, 25),
    (Kind::Txn, 30),
    (Kind::HashKv, 3),
    (Kind::Compact, 2),
    (Kind::LeaseGrant, 4),
    (Kind::LeaseRevoke, 3),
    (Kind::LeaseKeepAlive, 2),
    (Kind::LeaseTimeToLive, 3),
    (Kind::Leases, 1),
    (Kind::WatchStart, 3),
    (Kind::WatchEnd, 1),
];

/// What the next operations refer to, as the answers told it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outlook {
    /// The newest revision.
    pub revision: i64,
    /// The oldest revision that can be read, or -1.
    pub compact_revision: i64,
    /// The leases that live.
    pub leases: Vec<i64>,
    /// The watches that are open.
    pub watches: Vec<OpenWatch>,
    /// The number of the next watch.
    pub watch_next: u64,
    /// Whether watches from negative revisions do no harm.
    pub negative_watches: bool,
}

/// A watch that was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenWatch {
    /// Its number.
    pub number: u64,
    /// A key that it watches.
    pub key: bytes::Bytes,
    /// The first revision that it sees.
    pub start_revision: i64,
    /// Whether it sees puts; if not, it sees deletions.
    pub puts: bool,
}

impl Outlook {
    /// An empty store.
    pub fn new(negative_watches: bool) -> Self {
        Self {
            revision: 1,
            compact_revision: -1,
            leases: vec![],
            watches: vec![],
            watch_next: 0,
            negative_watches,
        }
    }

    /// Learns from an answer.
    pub fn learn(&mut self, operation: &Operation, answer: &Answer) {
        if let Some(revision) = answer.revision() {
            self.revision = revision;
        }
        match (operation, answer) {
            (Operation::Compact(request), Answer::Compact(_)) => {
                self.compact_revision = request.revision;
            }
            (_, Answer::LeaseGrant(grant)) if !is_short_lived(grant.id) => {
                self.leases.push(grant.id);
            }
            (Operation::LeaseRevoke(request), Answer::LeaseRevoke(_)) => {
                self.leases.retain(|lease| *lease != request.id);
            }
            (Operation::WatchStart { number, request }, answer) => {
                self.watch_next += 1;
                if !watch::is_refused(answer) {
                    self.watches.push(watch::open(*number, request, self.revision));
                }
            }
            (Operation::WatchEnd { number, .. }, _) => {
                self.watches.retain(|watch| watch.number != *number);
            }
            _ => {}
        }
    }
}

/// The next operations: mostly one; a watch that ends needs an event to end with before.
pub fn operations(draw: &mut Draw, shares: Shares, outlook: &Outlook) -> Vec<Planned> {
    match draw.weighted(shares) {
        Kind::Put if draw.once_in(LARGE_ONCE_IN) => {
            let (put, delete) = write::large(draw);
            [Operation::Put(put), Operation::DeleteRange(delete)].map(Planned::Operation).into()
        }
        Kind::Put => now(Operation::Put(write::put(draw, outlook))),
        Kind::DeleteRange => now(Operation::DeleteRange(write::delete_range(draw))),
        Kind::Range => now(Operation::Range(range::range(draw, outlook))),
        Kind::Txn => now(Operation::Txn(txn::txn(draw, outlook))),
        Kind::HashKv => {
            let revision = draw.revision(outlook);
            now(Operation::HashKv(HashKvRequest { revision }))
        }
        Kind::Compact => {
            // Which events a watch that lags behind still gets is a matter of time: none is open.
            let mut planned: Vec<Planned> = outlook.watches.iter().flat_map(watch::end).collect();
            // Physical, as etcd may show what is compacted until it is removed.
            let newest = draw.chance(30);
            let revision = if newest { outlook.revision } else { draw.revision(outlook) };
            let request = CompactionRequest { revision, physical: true };
            planned.push(Planned::Operation(Operation::Compact(request)));
            planned
        }
        Kind::LeaseGrant => now(Operation::LeaseGrant(lease::grant(draw, outlook))),
        Kind::LeaseRevoke => now(Operation::LeaseRevoke(lease::revoke(draw, outlook))),
        Kind::LeaseKeepAlive => now(Operation::LeaseKeepAlive(lease::keep_alive(draw, outlook))),
        Kind::LeaseTimeToLive => now(Operation::LeaseTimeToLive(lease::ttl(draw, outlook))),
        Kind::Leases => now(Operation::Leases),
        Kind::WatchStart if outlook.watches.len() < WATCHES_MAX => {
            let request = watch::create(draw, outlook);
            now(Operation::WatchStart { number: outlook.watch_next, request })
        }
        Kind::WatchStart | Kind::WatchEnd => match draw.pick(&outlook.watches) {
            Some(watch) => watch::end(watch).collect(),
            None => vec![],
        },
    }
}

/// Ends all that is still open; then what etcd does not finish in time for operations after it.
pub fn last_operations(shares: Shares, outlook: &Outlook) -> Vec<Planned> {
    let mut planned: Vec<Planned> = outlook.watches.iter().flat_map(watch::end).collect();
    if shares.iter().any(|(kind, _)| *kind == Kind::Compact) {
        let request = CompactionRequest { revision: outlook.revision, physical: false };
        planned.push(Planned::Operation(Operation::Compact(request)));
    }
    planned
}

/// An operation that may depend on the answers to those before it.
#[derive(Clone, PartialEq, Debug)]
pub enum Planned {
    /// As it is.
    Operation(Operation),
    /// Makes an event for a watch, again and again until it is one that the watch sees.
    Fence(OpenWatch),
    /// Ends a watch with the event of the fence before, which is the newest.
    WatchEnd(u64),
}

fn now(operation: Operation) -> Vec<Planned> {
    vec![Planned::Operation(operation)]
}

/// Seldom, as each costs as much as a thousand others.
const LARGE_ONCE_IN: u64 = 400;
/// So that each sees many operations.
const WATCHES_MAX: usize = 6;
