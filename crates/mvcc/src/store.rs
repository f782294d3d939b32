//! The writer: applies entries of the log.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use quorate_kv_api::{
    AlarmResponse, Command as KvCommand, CompactionResponse, DeleteRangeResponse, KvError,
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseRevokeResponse, PutResponse, ResponseHeader,
    TxnResponse,
};
use quorate_storage::{Direction, Engine, KeyRange, View, WriteBatch};
use quorate_types::{ByteSize, CommandId, LogPosition, mutant};

use crate::execute::execute;
use crate::headers::{HEADERS_SIZE, Headers};
use crate::health::Health;
use crate::lease::{Leases, Lessor};
use crate::meta::{self, HEAD_KEY, Head, MEMBERSHIP_KEY, SWEPT_KEY};
use crate::pending::Pending;
use crate::reader::{Reader, Shared};
use crate::sessions::Sessions;
use crate::watch::Moment;
use crate::{
    LEASES, META, RequestError, SESSIONS, SnapshotReader, StagedSnapshot, StoreError, Sweeper,
    TABLES,
};

/// A command as the log carries it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Names the command, so that it is applied once however often it was proposed.
    pub id: CommandId,
    /// Every sequence of the same origin and incarnation below this is finished there: its caller
    /// waits no more. A sequence at or above it was or may be proposed.
    pub floor: u64,
    /// An encoded [`quorate_kv_api::Command`].
    pub payload: Bytes,
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it stands.
    pub position: LogPosition,
    /// Its commands, in order; may be empty.
    pub commands: Vec<Command>,
    /// The members from this entry on, if it changes them. Kept and handed back as it is.
    pub membership: Option<Bytes>,
}

/// What became of a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The command.
    pub id: CommandId,
    /// The response, or why the command was refused without any effect.
    pub result: Result<Response, KvError>,
}

/// The response to a command. Its header tells the revision; cluster, member and term are 0.
#[derive(Clone, PartialEq, Debug)]
pub enum Response {
    /// To a put.
    Put(PutResponse),
    /// To a deletion.
    DeleteRange(DeleteRangeResponse),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a compaction.
    Compaction(CompactionResponse),
    /// To a new lease.
    LeaseGrant(LeaseGrantResponse),
    /// To the revocation of a lease.
    LeaseRevoke(LeaseRevokeResponse),
    /// To the renewal of a lease.
    LeaseKeepAlive(LeaseKeepAliveResponse),
    /// To an alarm.
    Alarm(AlarmResponse),
    /// To what the leader proposes on its own, such as the expiry of a lease.
    Chore(ResponseHeader),
}

/// The state machine over an engine. It has one owner; any number of [`Reader`]s read beside it.
pub struct Store {
    shared: Arc<Shared>,
    head: Head,
    membership: Bytes,
    sessions: Sessions,
    leases: Leases,
    health: Health,
    /// What the engine holds of the keys used last. A snapshot replaces the engine's content, so
    /// everything is forgotten then.
    headers: Headers,
    /// The first failure. What the tables hold is unknown after it.
    failure: Option<Arc<StoreError>>,
}

impl Store {
    /// Opens the store that `engine` holds. An engine without any record becomes a fresh store, at
    /// revision 1 and log position 0. The engine must offer [`TABLES`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`]; [`StoreError::NewerFormat`]; [`StoreError::Corrupt`], also if the
    /// engine holds something but no store.
    pub fn open(engine: Arc<dyn Engine>) -> Result<Self, StoreError> {
        let view = engine.view()?;
        if is_empty(&*view)? {
            let mut batch = WriteBatch::new();
            meta::initialise(&mut batch);
            engine.write(&batch)?;
        }
        meta::upgrade(&*engine)?;
        let derived = Derived::load(&*engine.view()?)?;
        let lessor = Lessor::new(&derived.leases);
        let shared = Shared::new(engine, &derived.head, derived.swept, lessor);
        shared.publish_health(&derived.health);
        Ok(Self {
            shared: Arc::new(shared),
            head: derived.head,
            membership: derived.membership,
            sessions: derived.sessions,
            leases: derived.leases,
            health: derived.health,
            headers: Headers::new(HEADERS_SIZE),
            failure: None,
        })
    }

    /// Bounds the memory for the versions of the keys used last, of 224 bytes at most for each.
    /// Keys of more than 128 bytes are never kept there. It saves lookups in the engine, and no
    /// result depends on it.
    ///
    /// Default 32 MiB; from 0 (every put looks its key up) to any size, rounded down to 896 bytes
    /// times a power of two. What was remembered
    /// before is forgotten.
    #[must_use]
    pub fn with_headers_size(mut self, size: ByteSize) -> Self {
        self.headers = Headers::new(size);
        self
    }

    /// Bounds the memory for the newest events, which watches are told without a look at the
    /// tables. No result depends on it.
    ///
    /// Default 16 MiB; from 0 (every watch reads the tables) to any size. An event counts with its
    /// key, its value and 256 bytes.
    #[must_use]
    pub fn with_recent_events_size(self, size: ByteSize) -> Self {
        self.shared.hub().set_recent_size(size);
        self
    }

    /// The last log entry applied. It is durable only after a flush of the engine.
    pub fn applied(&self) -> LogPosition {
        self.head.applied
    }

    /// The membership that came with an entry last; empty before the first.
    pub fn membership(&self) -> Bytes {
        self.membership.clone()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        self.shared.engine()
    }

    /// A handle to read with, also from other threads.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone())
    }

    /// A handle to what counts the time of the leases.
    pub fn lessor(&self) -> Lessor {
        self.shared.lessor().clone()
    }

    /// A handle to remove what compactions left behind, also from another thread.
    pub fn sweeper(&self) -> Sweeper {
        Sweeper::new(self.shared.clone())
    }

    /// Applies a run of entries and writes all their changes, and the new applied position, in one
    /// batch. Entries at or below [`Self::applied`] are skipped. Outcomes are appended in the order
    /// of the commands. A command gets none if it was applied before, if its member said that it is
    /// finished, or if it comes from an earlier life of its member.
    ///
    /// When this returns, readers see the changes; they are durable after a flush of the engine.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`] or [`StoreError::Corrupt`]; no outcome was then appended, and the
    /// store refuses all later work with [`StoreError::Stopped`].
    ///
    /// # Panics
    ///
    /// If the positions do not ascend.
    pub fn apply(
        &mut self,
        entries: &[Entry],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), StoreError> {
        self.check_running()?;
        let outcomes_before = outcomes.len();
        self.apply_run(entries, outcomes).map_err(|failure| {
            outcomes.truncate(outcomes_before);
            self.stop(failure)
        })
    }

    fn apply_run(
        &mut self,
        entries: &[Entry],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), StoreError> {
        let mut head = self.head;
        let mut membership = None;
        let mut pending =
            Pending::new(self.shared.engine().clone(), &mut self.headers, &mut self.leases);
        for entry in entries {
            if entry.position.index <= self.head.applied.index {
                continue;
            }
            advance(&mut head, entry.position);
            for command in &entry.commands {
                if self.sessions.admit(command.id, command.floor) {
                    let result = apply_command(&mut pending, &mut head, &mut self.health, command)?;
                    outcomes.push(Outcome { id: command.id, result });
                }
            }
            membership = entry.membership.as_ref().or(membership);
        }
        if head.applied == self.head.applied {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        let moments = Moment::split(pending.history())?;
        pending.write(&mut batch)?;
        let leases = self.leases.write_touched(&mut batch);
        self.sessions.write_touched(&mut batch);
        let has_health_changed = self.health.write_changed(&mut batch);
        if let Some(membership) = membership {
            batch.put(META, MEMBERSHIP_KEY, Bytes::copy_from_slice(membership));
            self.membership = membership.clone();
        }
        mutant!(M02, batch.put(META, HEAD_KEY, head.encode()), ());
        self.shared.begin(head.revision);
        mutant!(M01, { self.engine().write(&head_alone(&head))? });
        self.engine().write(&batch)?;
        mutant!(M02, { self.engine().write(&head_alone(&head))? });
        self.shared.lessor().tell(&leases);
        if has_health_changed {
            self.shared.publish_health(&self.health);
        }
        self.shared.publish(&head);
        self.shared.hub().publish(&head, moments);
        self.head = head;
        Ok(())
    }

    /// A picture of the present state, to be sent to another member or kept as a backup.
    ///
    /// # Errors
    ///
    /// [`StoreError::Storage`], [`StoreError::Corrupt`].
    pub fn snapshot(&self) -> Result<SnapshotReader, StoreError> {
        self.reader().snapshot()
    }

    /// Replaces the whole state by a snapshot, durably. Readers see either the old state or the
    /// new. Entries up to the snapshot's position are skipped from then on.
    ///
    /// # Errors
    ///
    /// [`StoreError::IncompleteSnapshot`] if its last block is missing; nothing is changed then.
    /// [`StoreError::Storage`], [`StoreError::Corrupt`]; the store then refuses all later work.
    pub fn install(&mut self, staged: StagedSnapshot) -> Result<(), StoreError> {
        self.check_running()?;
        let restore = staged.into_restore()?;
        let shared = self.shared.clone();
        let mut sweeping = shared.sweeping().lock();
        sweeping.end();
        self.shared.begin(i64::MAX);
        restore.commit().map_err(|failure| self.stop(failure.into()))?;
        meta::upgrade(&**self.engine()).map_err(|failure| self.stop(failure))?;
        let view = self.engine().view().map_err(|failure| self.stop(failure.into()))?;
        let derived = Derived::load(&*view).map_err(|failure| self.stop(failure))?;
        sweeping.restart();
        self.shared.publish_health(&derived.health);
        self.health = derived.health;
        self.head = derived.head;
        self.membership = derived.membership;
        mutant!(M64, self.sessions = derived.sessions, ());
        self.shared.lessor().replace(&derived.leases);
        mutant!(M86, self.leases = derived.leases, ());
        mutant!(M04, self.headers.clear(), ());
        self.shared.begin(self.head.revision);
        mutant!(M65, self.shared.publish(&self.head), ());
        self.shared.hub().reset(&self.head);
        self.shared.announce_swept(derived.swept);
        Ok(())
    }

    fn check_running(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(cause) => Err(StoreError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn stop(&mut self, failure: StoreError) -> StoreError {
        self.failure = Some(Arc::new(failure.clone()));
        self.headers.clear();
        self.shared.hub().close();
        failure
    }
}

/// Whoever waits is woken, because nothing will happen any more.
impl Drop for Store {
    fn drop(&mut self) {
        self.shared.sweeping().lock().end();
        self.shared.hub().close();
    }
}

/// What the store keeps in memory of its tables.
struct Derived {
    head: Head,
    membership: Bytes,
    sessions: Sessions,
    leases: Leases,
    health: Health,
    swept: i64,
}

impl Derived {
    fn load(view: &dyn View) -> Result<Self, StoreError> {
        let kept = Head::read(|key| view.get(META, key))?;
        let head = mutant!(M09, kept, at_newest(kept, view)?);
        let membership = view.get(META, MEMBERSHIP_KEY)?.unwrap_or_default();
        let rows = view.scan(SESSIONS, &KeyRange::all(), Direction::Forward);
        let sessions = Sessions::load(rows)?;
        let rows = view.scan(LEASES, &KeyRange::all(), Direction::Forward);
        Ok(Self {
            head,
            membership,
            sessions,
            leases: Leases::load(rows)?,
            health: Health::load(view)?,
            swept: meta::read_swept(view.get(META, SWEPT_KEY)?, &head)?,
        })
    }
}

fn is_empty(view: &dyn View) -> Result<bool, StoreError> {
    for table in TABLES {
        if let Some(row) = view.scan(*table, &KeyRange::all(), Direction::Forward).next() {
            row?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// A mutant writes the head apart from the data.
#[cfg(feature = "mutants")]
fn head_alone(head: &Head) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(META, HEAD_KEY, head.encode());
    batch
}

/// A mutant counts the revision from the records instead of keeping it.
#[cfg(feature = "mutants")]
fn at_newest(head: Head, view: &dyn View) -> Result<Head, StoreError> {
    use crate::{HISTORY, record::Revision};
    let newest = view.scan(HISTORY, &KeyRange::all(), Direction::Backward).next().transpose()?;
    let Some((key, _)) = newest else { return Ok(head) };
    let revision = Revision::from_key(&key);
    let revision = revision.map_err(|detail| StoreError::corrupt(HISTORY, &key, detail))?;
    Ok(Head { revision: revision.main, ..head })
}

/// Moves the applied position on.
fn advance(head: &mut Head, position: LogPosition) {
    let LogPosition { term, index } = head.applied;
    assert!(
        position.index > index && position.term >= term,
        "log positions ascend: {position} comes after {}",
        head.applied
    );
    head.applied = position;
}

fn apply_command(
    pending: &mut Pending<'_>,
    head: &mut Head,
    health: &mut Health,
    command: &Command,
) -> Result<Result<Response, KvError>, StoreError> {
    let Ok(decoded) = KvCommand::decode(command.payload.clone()) else {
        return Ok(Err(KvError::MalformedCommand));
    };
    let before = head.revision;
    let result = match execute(pending, head, health, &decoded, command.id) {
        Ok(response) => Ok(response),
        Err(RequestError::Refused(cause)) => Err(cause),
        Err(RequestError::Failed(cause)) => return Err(cause),
    };
    let step = head.revision - before;
    assert!(step == 0 || (step == 1 && result.is_ok()), "a command makes one revision, not {step}");
    Ok(result)
}
