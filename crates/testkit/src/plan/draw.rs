//! Drawing requests: mostly simple ones, now and then with options, seldom such that are refused.

use super::request::{
    Alarm, Compact, Compare, Delete, Given, Lease, LeaseGrant, LeaseTimeToLive, Op, Put, Range,
    Request, Revision, Span, Txn, Value,
};
use crate::rng::{MILLION, Stream};

/// What the clients of one run do.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    /// How many keys they use: few, so that they meet.
    keys: u64,
    /// How many operations in ten write.
    writes: u64,
    /// How many in a hundred are about leases.
    leases: u64,
    /// How many in a thousand compact.
    compactions: u64,
    /// How many in a thousand are about alarms.
    alarms: u64,
}

impl Mix {
    /// The mix of a run.
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        Self {
            keys: stream.between(1, 12),
            writes: stream.between(2, 8),
            leases: [0, 10, 40][stream.place(3)],
            compactions: [0, 10, 50][stream.place(3)],
            alarms: [0, 0, 0, 0, 0, 15][stream.place(6)],
        }
    }

    /// One request.
    pub(crate) fn request(&self, stream: &mut Stream) -> Request {
        if stream.chance(MILLION / 60) {
            return self.flawed(stream);
        }
        if stream.below(100) < self.leases {
            return self.lease(stream);
        }
        match stream.below(1_000) {
            drawn if drawn < self.compactions => compaction(stream),
            drawn if drawn < self.compactions + self.alarms => alarm(stream),
            _ if stream.below(10) >= self.writes => self.read(stream),
            _ => self.write(stream),
        }
    }

    fn read(&self, stream: &mut Stream) -> Request {
        match stream.below(20) {
            0..10 => {
                let range = Range::of(self.plain_span(stream));
                let local = stream.chance(MILLION / 5);
                let at_least = (local && stream.chance(MILLION / 3)).then(|| recent(stream));
                Request::Range(Range { local, at_least, ..range })
            }
            10..16 => Request::Range(self.range(stream)),
            16..18 => Request::Txn(self.read_txn(stream)),
            _ => Request::Hash(revision(stream)),
        }
    }

    fn write(&self, stream: &mut Stream) -> Request {
        match stream.below(20) {
            0..8 => Request::Put(Put::unique(self.key(stream), padding(stream))),
            8 => Request::Put(self.put(stream)),
            9..11 => Request::Delete(Delete { span: Span::key(self.key(stream)), prev_kv: false }),
            11..13 => Request::Delete(self.delete(stream)),
            13..18 => Request::Txn(self.compare_and_set(stream)),
            _ => Request::Txn(self.txn(stream, TXN_DEPTH)),
        }
    }

    // Leases.

    fn lease(&self, stream: &mut Stream) -> Request {
        let id = lease_id(stream);
        match stream.below(20) {
            0..5 => {
                let id = if stream.chance(MILLION / 8) { 0 } else { id };
                let ttl_max = if stream.chance(MILLION / 4) { LEASE_TTL_MAX } else { 2 };
                let ttl = stream.between(0, ttl_max) as i64;
                Request::LeaseGrant(LeaseGrant { id, ttl })
            }
            5..8 => Request::LeaseKeepAlive(Lease { id }),
            8..10 => Request::LeaseRevoke(Lease { id }),
            10..12 => {
                let keys = stream.chance(MILLION / 2);
                Request::LeaseTimeToLive(LeaseTimeToLive { id, keys })
            }
            12 => Request::Leases,
            _ => Request::Put(Put { lease: id, ..Put::unique(self.key(stream), 0) }),
        }
    }

    // Keys.

    /// Keys of which some are the beginning of others.
    fn key(&self, stream: &mut Stream) -> String {
        let number = stream.below(self.keys);
        let tail = ["", "\0", "/x"][(number % 3) as usize];
        format!("key/{:02}{tail}", number / 3)
    }

    fn plain_span(&self, stream: &mut Stream) -> Span {
        let key = self.key(stream);
        match stream.below(3) {
            0 => Span::between(key, self.key(stream)),
            _ => Span::key(key),
        }
    }

    pub(super) fn span(&self, stream: &mut Stream) -> Span {
        let key = self.key(stream);
        match stream.below(10) {
            0..3 => Span::key(key),
            3..6 => Span::between(key, self.key(stream)),
            6 => Span::from(key),
            7 => Span::from("\0"),
            8 => Span::between("key/", "key0"),
            _ => Span::between("key/00", "key/02"),
        }
    }

    // Writes.

    fn put(&self, stream: &mut Stream) -> Put {
        let ignore_value = stream.chance(MILLION / 4);
        let value = match stream.below(3) {
            _ if ignore_value => Value::default(),
            0 => Value::Text(short_text(stream)),
            _ => Value::Unique { padding: padding(stream) },
        };
        let ignore_lease = stream.chance(MILLION / 5);
        let leased = if self.leases > 0 { MILLION / 3 } else { MILLION / 20 };
        let lease = if !ignore_lease && stream.chance(leased) { lease_id(stream) } else { 0 };
        let prev_kv = stream.chance(MILLION / 2);
        Put { key: self.key(stream), value, lease, prev_kv, ignore_value, ignore_lease }
    }

    fn delete(&self, stream: &mut Stream) -> Delete {
        // All keys at once would leave little to look at.
        let span = match self.span(stream) {
            span if span.end == "\0" && stream.chance(MILLION * 3 / 4) => Span::key(span.key),
            span => span,
        };
        Delete { span, prev_kv: stream.chance(MILLION / 2) }
    }

    /// Sets a key if it is as expected, else reads it.
    fn compare_and_set(&self, stream: &mut Stream) -> Txn {
        let key = self.key(stream);
        let (target, result, given) = match stream.below(6) {
            0..2 => (CREATE, EQUAL, Given::CreateRevision(Revision::At(0))),
            2..5 => (MOD, EQUAL, Given::SeenModRevision),
            _ => (VERSION, LESS, Given::Version(stream.between(1, 6) as i64)),
        };
        let read = Op::Range(Range::of(Span::key(key.clone())));
        Txn {
            compare: vec![Compare { span: Span::key(key.clone()), target, result, given }],
            success: vec![Op::Put(Put::unique(key, 0)), read.clone()],
            failure: vec![read],
        }
    }

    fn txn(&self, stream: &mut Stream, depth: u64) -> Txn {
        let compare = (0..stream.below(3)).map(|_| self.compare(stream)).collect();
        Txn { compare, success: self.ops(stream, depth), failure: self.ops(stream, depth) }
    }

    fn ops(&self, stream: &mut Stream, depth: u64) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..stream.below(4) {
            ops.push(match stream.below(8) {
                0..3 => Op::Put(self.put(stream)),
                3 => Op::Delete(self.delete(stream)),
                4..6 => Op::Range(self.range(stream)),
                _ if depth > 1 => Op::Txn(self.txn(stream, depth - 1)),
                _ => Op::Range(Range::of(self.plain_span(stream))),
            });
        }
        ops
    }

    fn compare(&self, stream: &mut Stream) -> Compare {
        let span = if stream.chance(MILLION / 4) {
            self.span(stream)
        } else {
            Span::key(self.key(stream))
        };
        let (target, given) = match stream.below(12) {
            0..2 => (VERSION, Given::Version(stream.below(4) as i64)),
            2..4 => (CREATE, Given::CreateRevision(bound(stream))),
            4 => (MOD, Given::ModRevision(bound(stream))),
            5..7 => (MOD, Given::SeenModRevision),
            7..9 => (VALUE, Given::Value(short_text(stream))),
            9 => (LEASE, Given::Lease(stream.below(LEASES + 1) as i64)),
            10 => (stream.below(5) as i32, Given::Nothing),
            // It does not fit, or is no target at all.
            _ => (stream.below(6) as i32, Given::Version(1)),
        };
        let result = if stream.chance(MILLION / 50) { 9 } else { stream.below(4) as i32 };
        Compare { span, target, result, given }
    }

    // Reads.

    fn range(&self, stream: &mut Stream) -> Range {
        let mut range = Range::of(self.span(stream));
        let mut some = |ppm: u64| stream.chance(ppm);
        let (historical, limited, sorted) =
            (some(MILLION / 3), some(MILLION / 3), some(MILLION / 3));
        range.local = some(MILLION / 5);
        range.keys_only = some(MILLION / 8);
        range.count_only = some(MILLION / 10);
        let bounds = [some(MILLION / 8), some(MILLION / 8), some(MILLION / 8), some(MILLION / 8)];
        if historical {
            range.revision = revision(stream);
        }
        if limited {
            range.limit = stream.below(6) as i64 - 1;
        }
        if sorted {
            range.order = stream.below(3) as i32;
            range.target = stream.below(5) as i32;
        }
        let fields = [
            &mut range.min_mod_revision,
            &mut range.max_mod_revision,
            &mut range.min_create_revision,
            &mut range.max_create_revision,
        ];
        for (field, _) in fields.into_iter().zip(bounds).filter(|(_, wanted)| *wanted) {
            *field = bound(stream);
        }
        // Parts of a stream are in the order of the keys and without filters, and have a limit.
        let is_plain = !sorted && bounds == [false; 4] && !range.count_only;
        range.part = is_plain && range.limit > 0 && stream.chance(MILLION / 2);
        range
    }

    fn read_txn(&self, stream: &mut Stream) -> Txn {
        let local = stream.chance(MILLION / 5);
        let mut branch = || {
            let count = stream.below(4);
            let range = |_| Op::Range(Range { local, ..self.range(stream) });
            (0..count).map(range).collect()
        };
        let (success, failure) = (branch(), branch());
        let compare = (0..stream.below(3)).map(|_| self.compare(stream)).collect();
        Txn { compare, success, failure }
    }

    // Requests that are refused for their shape.

    fn flawed(&self, stream: &mut Stream) -> Request {
        let key = self.key(stream);
        let plain = Op::Range(Range::of(Span::key(key.clone())));
        let flaws = 18;
        let op = match stream.below(flaws) {
            0 => Op::Put(Put::unique("", 0)),
            1 => Op::Delete(Delete { span: Span::from(""), prev_kv: false }),
            2 => Op::Range(Range::of(Span::between("", key))),
            3 => Op::Range(Range { order: 3, ..Range::of(Span::key(key)) }),
            4 => Op::Range(Range { target: 5, ..Range::of(Span::key(key)) }),
            5 => Op::Put(Put { ignore_value: true, ..Put::unique(key, 0) }),
            6 => Op::Put(Put { ignore_lease: true, lease: 7, ..Put::unique(key, 0) }),
            7 => Op::Put(Put::unique(key, TOO_LARGE)),
            12 => Op::Put(Put::unique(key, JUST_TOO_LARGE)),
            13 => Op::Put(Put::unique("k".repeat(KEY_TOO_LARGE), 0)),
            14 => return Request::LeaseGrant(LeaseGrant { id: 9, ttl: TTL_TOO_LARGE }),
            15 => return Request::Alarm(Alarm { action: 9, ..Alarm::default() }),
            16 => return Request::Alarms,
            17 => return Request::Alarm(Alarm::default()),
            8 => Op::Txn(Txn { success: vec![Op::Empty], ..Txn::default() }),
            9 => Op::Txn(Txn { failure: vec![plain; TOO_MANY], ..Txn::default() }),
            10 => {
                let put = Op::Put(Put::unique(key, 0));
                Op::Txn(Txn { success: vec![put.clone(), put], ..Txn::default() })
            }
            _ => {
                let around = |inner, _| Op::Txn(Txn { success: vec![inner], ..Txn::default() });
                (0..TOO_DEEP).fold(plain, around)
            }
        };
        let within = stream.chance(MILLION / 4);
        match op {
            op if within => Request::Txn(Txn { failure: vec![op], ..Txn::default() }),
            Op::Put(put) => Request::Put(put),
            Op::Delete(delete) => Request::Delete(delete),
            Op::Range(range) => Request::Range(range),
            Op::Txn(txn) => Request::Txn(txn),
            Op::Empty => Request::Txn(Txn { success: vec![Op::Empty], ..Txn::default() }),
        }
    }
}

fn compaction(stream: &mut Stream) -> Request {
    let revision = match stream.below(10) {
        0..4 => Revision::Seen(0),
        4..7 => Revision::Seen(-(stream.below(20) as i64)),
        7 => Revision::Seen(-(stream.below(300) as i64)),
        8 => Revision::At(stream.below(4) as i64 - 1),
        _ => Revision::Seen(stream.between(1, 3) as i64),
    };
    if stream.chance(MILLION / 5) {
        return Request::Swept(revision);
    }
    Request::Compact(Compact { revision, physical: stream.chance(MILLION / 4) })
}

/// Mostly raises one, which [`clears`] takes back.
fn alarm(stream: &mut Stream) -> Request {
    let (member, alarm) = (stream.between(1, 3), stream.between(1, 2) as i32);
    match stream.below(6) {
        0 => Request::Alarms,
        1 => Request::Alarm(Alarm { action: 0, member, alarm: stream.below(3) as i32 }),
        2 => Request::Alarm(Alarm { action: CLEAR, member, alarm }),
        _ => Request::Alarm(Alarm { action: RAISE, member, alarm }),
    }
}

/// What clears the alarm that a request raises.
pub(super) fn clears(request: &Request) -> Option<Alarm> {
    match request {
        Request::Alarm(alarm) if alarm.action == RAISE => {
            Some(Alarm { action: CLEAR, ..alarm.clone() })
        }
        _ => None,
    }
}

/// One of a few leases, which may be there or not.
fn lease_id(stream: &mut Stream) -> i64 {
    stream.between(1, LEASES) as i64
}

/// A revision that a member has or has soon, mostly.
fn recent(stream: &mut Stream) -> Revision {
    match stream.below(8) {
        0 => Revision::Seen(stream.between(1, 200) as i64),
        _ => Revision::Seen(stream.below(8) as i64 - 3),
    }
}

/// A revision to read at: mostly not long ago, sometimes long ago, now, or not there yet.
fn revision(stream: &mut Stream) -> Revision {
    match stream.below(12) {
        0..3 => Revision::At(0),
        3..7 => Revision::Seen(-(stream.below(30) as i64)),
        7 => Revision::Seen(-(stream.below(1_000) as i64)),
        8 => Revision::At(stream.between(1, 4) as i64),
        9 => Revision::Seen(stream.between(1, 3) as i64),
        10 => Revision::Seen(stream.between(1, 1_000) as i64),
        _ => Revision::At(-(stream.between(1, 3) as i64)),
    }
}

/// A revision to compare with.
fn bound(stream: &mut Stream) -> Revision {
    match stream.below(8) {
        0 => Revision::At(stream.between(0, 6) as i64 - 2),
        _ => Revision::Seen(4 - stream.below(40) as i64),
    }
}

fn padding(stream: &mut Stream) -> usize {
    match stream.below(8) {
        0 => stream.below(2_000) as usize,
        _ => stream.below(32) as usize,
    }
}

/// One of a few texts, so that values are equal and payloads come again.
fn short_text(stream: &mut Stream) -> String {
    ["", "a", "b", "b\0", "c"][stream.place(5)].to_owned()
}

// Targets and results of compares, by etcd's numbers.
const VERSION: i32 = 0;
const CREATE: i32 = 1;
const MOD: i32 = 2;
const VALUE: i32 = 3;
const LEASE: i32 = 4;
const EQUAL: i32 = 0;
const LESS: i32 = 2;

// Actions of alarms, by etcd's numbers.
const RAISE: i32 = 1;
const CLEAR: i32 = 2;

/// How many leases have names that clients use, and how long drawn ones live, in seconds.
const LEASES: u64 = 4;
const LEASE_TTL_MAX: u64 = 5;

/// How deep drawn transactions are nested at most.
const TXN_DEPTH: u64 = 3;

/// More bytes, operations and levels than are permitted to planned operations.
const TOO_LARGE: usize = 8_192;
const KEY_TOO_LARGE: usize = 1_025;
const TTL_TOO_LARGE: i64 = 9_000_000_001;
/// Bytes of a value that is not too large by itself.
const JUST_TOO_LARGE: usize = 8_180;
const TOO_MANY: usize = 41;
const TOO_DEEP: usize = 33;
