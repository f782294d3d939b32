//! An inbox that remembers what it got.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use quorate_types::MemberId;

use crate::{BulkSource, Inbox, TransportError};

/// Remembers everything that arrives, and can be told to stall or to refuse.
pub struct Recorder {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What a [`Recorder`] got so far.
#[derive(Default)]
pub struct Seen {
    /// Every message with its sender, as they came.
    pub messages: Vec<(MemberId, Bytes)>,
    /// How often each peer was told to be unreachable.
    pub unreachable: BTreeMap<MemberId, u64>,
    /// Bulk streams whose call began.
    pub bulk_begun: u64,
    /// Bulk streams whose call ended: sender, header, and the content or what failed.
    pub bulk: Vec<(MemberId, Bytes, Result<Vec<u8>, String>)>,
    /// What to do with bulk streams.
    pub bulk_plan: BulkPlan,
    /// Messages wait in the inbox call until this clears.
    pub stalled: bool,
    /// Set when `stop` returned; any later call fails the check.
    pub closed: bool,
    /// Calls that came after `closed`.
    pub calls_after_close: u64,
}

/// What a [`Recorder`] does with bulk streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BulkPlan {
    /// Read all and agree.
    #[default]
    Take,
    /// Refuse at once.
    RefuseFirst,
    /// Read all, then refuse.
    RefuseLast,
    /// Read one byte, then agree.
    LeaveEarly,
}

impl Recorder {
    /// Nothing seen, nothing stalled.
    pub fn new() -> Self {
        Self { seen: Mutex::default(), changed: Condvar::new() }
    }

    /// What was seen so far, also to change the plans.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }

    /// Lets stalled calls go on.
    pub fn open_gate(&self) {
        self.seen.lock().stalled = false;
        self.changed.notify_all();
    }

    /// Waits until `done` says so.
    ///
    /// # Panics
    ///
    /// If that takes longer than a generous limit; the message names `what`.
    pub fn wait(&self, what: &str, done: impl Fn(&Seen) -> bool) {
        self.wait_while_doing(what, || {}, done);
    }

    /// Calls `act` now and then until `done` says so.
    ///
    /// # Panics
    ///
    /// If that takes longer than a generous limit; the message names `what`.
    pub fn wait_while_doing(
        &self,
        what: &str,
        mut act: impl FnMut(),
        done: impl Fn(&Seen) -> bool,
    ) {
        let deadline = Instant::now() + WAIT_MAX;
        while Instant::now() < deadline {
            act();
            let mut seen = self.seen.lock();
            let pause = Instant::now() + ACT_INTERVAL;
            while !done(&seen) {
                if self.changed.wait_until(&mut seen, pause).timed_out() {
                    break;
                }
            }
            if done(&seen) {
                return;
            }
        }
        panic!("waited in vain for {what}");
    }

    fn enter(&self) -> MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock();
        if seen.closed {
            seen.calls_after_close += 1;
        }
        seen
    }

    fn read(source: &mut dyn BulkSource, plan: BulkPlan) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        let read = match plan {
            BulkPlan::RefuseFirst => return Err("refused first".to_owned()),
            BulkPlan::LeaveEarly => source.take(1).read_to_end(&mut content),
            BulkPlan::Take | BulkPlan::RefuseLast => source.read_to_end(&mut content),
        };
        read.map_err(|error| error.to_string())?;
        if plan == BulkPlan::RefuseLast { Err("refused last".to_owned()) } else { Ok(content) }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox for Recorder {
    fn message(&self, from: MemberId, message: Bytes) {
        let mut seen = self.enter();
        seen.messages.push((from, message));
        self.changed.notify_all();
        while seen.stalled {
            self.changed.wait(&mut seen);
        }
    }

    fn bulk(
        &self,
        from: MemberId,
        header: Bytes,
        source: &mut dyn BulkSource,
    ) -> Result<(), TransportError> {
        let mut seen = self.enter();
        seen.bulk_begun += 1;
        let plan = seen.bulk_plan;
        drop(seen);
        self.changed.notify_all();
        let content = Self::read(source, plan);
        let verdict = match &content {
            Ok(_) => Ok(()),
            Err(detail) => Err(TransportError::Bulk { peer: from, detail: detail.clone() }),
        };
        self.enter().bulk.push((from, header, content));
        self.changed.notify_all();
        verdict
    }

    fn unreachable(&self, peer: MemberId) {
        *self.enter().unreachable.entry(peer).or_default() += 1;
        self.changed.notify_all();
    }
}

/// How long a check waits before it fails: far longer than a busy machine needs.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a check repeats what it does while it waits.
const ACT_INTERVAL: Duration = Duration::from_millis(20);
