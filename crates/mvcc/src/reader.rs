//! Reading beside the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use quorate_kv_api::{AlarmMember, RangeRequest, RangeResponse, TxnRequest, TxnResponse};
use quorate_storage::{Engine, View};
use quorate_types::{LogPosition, MemberId};

use crate::comparison::{Comparison, HashMark};
use crate::hash::Hashing;
use crate::health::Health;
use crate::lease::Lessor;
use crate::meta::Head;
use crate::read::{self, Found, decode_live};
use crate::source::ViewSource;
use crate::sweep::Sweeping;
use crate::watch::Hub;
use crate::{LIVE, META, RequestError, SnapshotReader, StoreError, StoreHash, txn};

/// What the writer tells the readers.
pub(crate) struct Shared {
    engine: Arc<dyn Engine>,
    /// The newest revision that readers are sure to find in the engine.
    published: AtomicI64,
    /// The newest revision that the engine may hold: set before the engine is written to.
    begun: AtomicI64,
    applied: Mutex<LogPosition>,
    lessor: Lessor,
    /// The oldest revision that can be read; the engine may be ahead of it.
    compact_revision: AtomicI64,
    alarms: Mutex<Vec<AlarmMember>>,
    comparison: Mutex<Comparison>,
    sweeping: Mutex<Sweeping>,
    /// All garbage of compactions up to this revision is gone.
    swept: AtomicI64,
    hub: Arc<Hub>,
}

impl Shared {
    pub(crate) fn new(engine: Arc<dyn Engine>, head: &Head, swept: i64, lessor: Lessor) -> Self {
        let hub = Hub::new(head);
        hub.set_swept(swept);
        Self {
            engine,
            published: AtomicI64::new(head.revision),
            begun: AtomicI64::new(head.revision),
            applied: Mutex::new(head.applied),
            lessor,
            compact_revision: AtomicI64::new(head.compact_revision),
            alarms: Mutex::default(),
            comparison: Mutex::default(),
            sweeping: Mutex::default(),
            swept: AtomicI64::new(swept),
            hub: Arc::new(hub),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn lessor(&self) -> &Lessor {
        &self.lessor
    }

    /// What watches wait at.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// To be called before a write that leads to `revision`.
    pub(crate) fn begin(&self, revision: i64) {
        self.begun.store(revision, Ordering::SeqCst);
    }

    /// To be called after a write that led to `head`.
    pub(crate) fn publish(&self, head: &Head) {
        self.compact_revision.store(head.compact_revision, Ordering::SeqCst);
        self.published.store(head.revision, Ordering::SeqCst);
        *self.applied.lock() = head.applied;
    }

    /// The newest compact revision that was published.
    pub(crate) fn compact_revision(&self) -> i64 {
        self.compact_revision.load(Ordering::SeqCst)
    }

    /// Where the sweep stands; to be held while the engine's content is replaced.
    pub(crate) fn sweeping(&self) -> &Mutex<Sweeping> {
        &self.sweeping
    }

    pub(crate) fn swept(&self) -> i64 {
        self.swept.load(Ordering::SeqCst)
    }

    pub(crate) fn publish_health(&self, health: &Health) {
        *self.alarms.lock() = health.alarms.list();
        *self.comparison.lock() = health.comparison.clone();
    }

    /// To be called when all garbage of compactions up to `revision` is gone; tells whoever waits
    /// for that.
    pub(crate) fn announce_swept(&self, revision: i64) {
        self.swept.store(revision, Ordering::SeqCst);
        self.hub.set_swept(revision);
    }
}

/// Reads the store while its owner writes. Clones share everything.
///
/// Every answer is taken from one consistent picture of the store. It is at least as new as what
/// [`Self::revision`] and [`Self::applied`] told before the call.
#[derive(Clone)]
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The newest revision; 1 for a fresh store.
    pub fn revision(&self) -> i64 {
        self.shared.published.load(Ordering::SeqCst)
    }

    /// The last log entry applied.
    pub fn applied(&self) -> LogPosition {
        *self.shared.applied.lock()
    }

    /// The oldest revision that can be read; -1 if nothing was ever compacted.
    pub fn compact_revision(&self) -> i64 {
        self.shared.compact_revision()
    }

    /// The alarms that are raised, by member and kind.
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.shared.alarms.lock().clone()
    }

    /// How many bytes the engine takes, as [`Engine::size_bytes`] tells.
    pub fn size_bytes(&self) -> u64 {
        self.shared.engine.size_bytes()
    }

    /// Answers a range. The request is taken as it is: check it with [`RangeRequest::validate`]
    /// before.
    ///
    /// One key at the current revision costs one lookup in the engine. Otherwise every key of the
    /// range is visited, also beyond the limit, because the response counts them.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::FutureRevision`] or [`KvError::Compacted`];
    /// [`RequestError::Failed`].
    ///
    /// [`KvError::FutureRevision`]: quorate_kv_api::KvError::FutureRevision
    /// [`KvError::Compacted`]: quorate_kv_api::KvError::Compacted
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, RequestError> {
        if let Some(response) = self.current_key(request)? {
            return Ok(response);
        }
        let (source, head) = self.picture()?;
        read::range(&source, &head, request)
    }

    /// Answers a range without looking at keys beyond its limit, so that a large range can be read
    /// in parts: the count is that of the keys given. For ascending keys without filters.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub fn range_part(&self, request: &RangeRequest) -> Result<RangeResponse, RequestError> {
        let (source, head) = self.picture()?;
        read::range_part(&source, &head, request)
    }

    /// Answers a transaction that holds nothing but ranges, from one picture of the store. Check it
    /// with [`TxnRequest::validate`] before.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::NotReadOnly`], [`KvError::FutureRevision`] or
    /// [`KvError::Compacted`]; [`RequestError::Failed`].
    ///
    /// [`KvError::NotReadOnly`]: quorate_kv_api::KvError::NotReadOnly
    /// [`KvError::FutureRevision`]: quorate_kv_api::KvError::FutureRevision
    /// [`KvError::Compacted`]: quorate_kv_api::KvError::Compacted
    pub fn txn(&self, request: &TxnRequest) -> Result<TxnResponse, RequestError> {
        let (source, head) = self.picture()?;
        txn::read_only(&source, &head, request)
    }

    /// The hash over the history up to and with `revision`, equal to etcd's `HashKV`; 0 for the
    /// current revision. What was compacted counts as far as it was current at `revision` (see
    /// [`StoreHash`]), whether it was swept or not. It reads the whole history, so it is not for
    /// every second.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::FutureRevision`] or [`KvError::Compacted`] (also
    /// for a negative revision once something was compacted); [`RequestError::Failed`].
    ///
    /// [`KvError::FutureRevision`]: quorate_kv_api::KvError::FutureRevision
    /// [`KvError::Compacted`]: quorate_kv_api::KvError::Compacted
    pub fn hash(&self, revision: i64) -> Result<StoreHash, RequestError> {
        let mut hashing = self.hashing(revision)?;
        loop {
            if let Some(hash) = hashing.step(usize::MAX)? {
                return Ok(hash);
            }
        }
    }

    /// The same in steps, for whoever must not be away for long.
    ///
    /// # Errors
    ///
    /// As [`Self::hash`].
    pub fn hashing(&self, revision: i64) -> Result<Hashing, RequestError> {
        let (source, head) = self.picture()?;
        Hashing::new(source, &head, revision)
    }

    /// The mark at which `member` has to hash its store and has not done so, if there is one.
    pub fn hash_mark(&self, member: MemberId) -> Option<HashMark> {
        self.shared.comparison.lock().mark_for(member)
    }

    /// A picture of the present state, to be sent to another member or kept as a backup.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`], [`StoreError::Corrupt`].
    pub fn snapshot(&self) -> Result<SnapshotReader, StoreError> {
        SnapshotReader::new(self.shared.engine.view()?)
    }

    pub(crate) fn picture(&self) -> Result<(ViewSource, Head), StoreError> {
        let view: Arc<dyn View> = self.shared.engine.view()?;
        let head = Head::read(|key| view.get(META, key))?;
        Ok((ViewSource(view), head))
    }

    /// Answers a range over one key at the current revision without a view. `None` if the request
    /// is another one, or if a write came between.
    ///
    /// A record found was current in the engine at some revision E after `published` was read, so E
    /// is at least `published`. If the record is not newer than `published`, it was current at
    /// `published` too; if it is newer, it was current at its own revision. So the larger of the
    /// two is a revision at which the answer is true. That nothing was found is only known to be
    /// true at `published` if no later revision had been begun.
    fn current_key(&self, request: &RangeRequest) -> Result<Option<RangeResponse>, StoreError> {
        if !request.range_end.is_empty() || request.revision > 0 {
            return Ok(None);
        }
        let mut revision = self.revision();
        let mut found = Found::new(request);
        match self.shared.engine.get(LIVE, &request.key)? {
            Some(record) => {
                let header = decode_live(&request.key, &record)?;
                revision = revision.max(header.revision.main);
                found.add_live(request.key.clone(), &record)?;
            }
            None if self.shared.begun.load(Ordering::SeqCst) != revision => return Ok(None),
            None => {}
        }
        Ok(Some(read::respond(request, revision, found)))
    }
}
