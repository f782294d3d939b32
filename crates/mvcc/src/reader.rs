//! Reading beside the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use quorate_kv_api::{RangeRequest, RangeResponse, TxnRequest, TxnResponse};
use quorate_storage::{Engine, View};
use quorate_types::LogPosition;

use crate::meta::Head;
use crate::read::{self, Found, decode_live};
use crate::source::ViewSource;
use crate::watch::Hub;
use crate::{LIVE, META, RequestError, SnapshotReader, StoreError, StoreHash, hash, txn};

/// What the writer tells the readers.
pub(crate) struct Shared {
    engine: Arc<dyn Engine>,
    /// The newest revision that readers are sure to find in the engine.
    published: AtomicI64,
    /// The newest revision that the engine may hold: set before the engine is written to.
    begun: AtomicI64,
    applied: Mutex<LogPosition>,
    hub: Arc<Hub>,
}

impl Shared {
    pub(crate) fn new(engine: Arc<dyn Engine>, head: &Head) -> Self {
        Self {
            engine,
            published: AtomicI64::new(head.revision),
            begun: AtomicI64::new(head.revision),
            applied: Mutex::new(head.applied),
            hub: Arc::new(Hub::new(head)),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
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
        self.published.store(head.revision, Ordering::SeqCst);
        *self.applied.lock() = head.applied;
    }
}

/// Reads the store while its owner writes. Clones share everything.
///
/// Every answer is taken from one consistent picture of the store. It is at least as new as what
/// [`Self::revision`] and [`Self::applied`] told before the call.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
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
    /// current revision. It reads the whole history, so it is not for every second.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with [`KvError::FutureRevision`] or [`KvError::Compacted`] (also
    /// for a negative revision once something was compacted); [`RequestError::Failed`].
    ///
    /// [`KvError::FutureRevision`]: quorate_kv_api::KvError::FutureRevision
    /// [`KvError::Compacted`]: quorate_kv_api::KvError::Compacted
    pub fn hash(&self, revision: i64) -> Result<StoreHash, RequestError> {
        let (source, head) = self.picture()?;
        hash::hash(&*source.0, &head, revision)
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
