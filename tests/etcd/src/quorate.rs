//! Asking a Quorate member in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate::{ByteSize, Client, Config, Error, MemoryData, Node, Watch, Watcher};
use quorate_kv_api::{Event, HashKvResponse, KvError};

use crate::compare::{canceled, refusal};
use crate::operation::{Answer, Answers, Operation};
use crate::watch::{WITHOUT_DELETES, WITHOUT_PUTS, WatchCreateRequest, Watched};

/// A cluster of one member, in memory.
pub struct Quorate {
    client: Client,
    watches: BTreeMap<u64, Watcher>,
    _node: Node,
}

impl Quorate {
    /// Opens it, empty.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open() -> Result<Self, String> {
        let node = Node::open(Config::in_memory(&MemoryData::new()));
        let node = node.map_err(|error| format!("quorate does not open: {error}"))?;
        Ok(Self { client: node.client(), watches: BTreeMap::new(), _node: node })
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<Answer, Error> {
        let client = &self.client;
        match operation.clone() {
            Operation::Put(request) => client.put_with(request).wait().map(Answer::Put),
            Operation::DeleteRange(request) => {
                client.delete_with(request).wait().map(Answer::DeleteRange)
            }
            Operation::Range(request) => client.range(request.into()).wait().map(Answer::Range),
            Operation::Txn(request) => client.txn_with(request).wait().map(Answer::Txn),
            Operation::HashKv(request) => client.hash(request.revision).wait().map(|hash| {
                Answer::HashKv(HashKvResponse {
                    header: None,
                    hash: hash.hash,
                    compact_revision: hash.compact_revision,
                    hash_revision: hash.revision,
                })
            }),
            Operation::Compact(request) => client.compact_with(request).wait().map(Answer::Compact),
            Operation::LeaseGrant(request) => {
                client.lease_grant_with(request).wait().map(Answer::LeaseGrant)
            }
            Operation::LeaseRevoke(request) => {
                client.lease_revoke(request.id).wait().map(Answer::LeaseRevoke)
            }
            Operation::LeaseKeepAlive(request) => {
                client.lease_keep_alive(request.id).wait().map(Answer::LeaseKeepAlive)
            }
            Operation::LeaseTimeToLive(request) => {
                let time = client.lease_time_to_live(request.id, request.keys);
                time.wait().map(Answer::LeaseTimeToLive)
            }
            Operation::Leases => client.leases().wait().map(Answer::Leases),
            Operation::WatchStart { number, request } => self.watch_start(number, request),
            Operation::WatchEnd { number, revision } => self.watch_end(number, revision),
        }
    }

    fn watch_start(&mut self, number: u64, request: WatchCreateRequest) -> Result<Answer, Error> {
        match self.client.watch(watch(request)).wait() {
            Ok(watcher) => {
                self.watches.insert(number, watcher);
                Ok(Answer::Watched(Watched::Began))
            }
            Err(Error::Refused(cause)) => Ok(canceled(&cause)),
            Err(error) => Err(error),
        }
    }

    fn watch_end(&mut self, number: u64, revision: i64) -> Result<Answer, Error> {
        let mut watcher = self.watches.remove(&number).expect("only watches that began are ended");
        let mut events: Vec<Event> = Vec::new();
        while events.last().is_none_or(|event| event.revision() < revision) {
            match watcher.next_timeout(WATCH_TIMEOUT) {
                Some(Ok(response)) => events.extend(response.events),
                Some(Err(Error::Refused(KvError::Compacted { compact_revision, .. }))) => {
                    return Ok(Answer::Watched(Watched::Compacted { compact_revision }));
                }
                Some(Err(error)) => return Err(error),
                None => return Err(Error::TimedOut),
            }
        }
        Ok(Answer::Watched(Watched::Events(events)))
    }
}

impl Answers for Quorate {
    fn answer(&mut self, operation: &Operation) -> Result<Answer, String> {
        match self.carry_out(operation) {
            Ok(answer) => Ok(answer),
            Err(Error::Refused(cause)) => Ok(refusal(&cause)),
            Err(error) => Err(format!("quorate: {error}")),
        }
    }
}

fn watch(request: WatchCreateRequest) -> Watch {
    let mut watch = if request.range_end.is_empty() {
        Watch::key(request.key)
    } else {
        Watch::between(request.key, request.range_end)
    };
    watch = watch.from_revision(request.start_revision);
    if request.filters.contains(&WITHOUT_PUTS) {
        watch = watch.without_puts();
    }
    if request.filters.contains(&WITHOUT_DELETES) {
        watch = watch.without_deletes();
    }
    if request.prev_kv {
        watch = watch.with_prev_kv();
    }
    if request.fragment {
        watch = watch.fragmented(FRAGMENT_SIZE);
    }
    watch
}

const WATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Far below etcd's 2 MiB: where the cuts are is not compared, only that nothing is lost there.
const FRAGMENT_SIZE: ByteSize = ByteSize::new(64);
