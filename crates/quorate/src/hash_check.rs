//! A member's part in the comparison of hashes.

use std::time::Duration;

use quorate_kv_api::{Command, HashMarkRequest, HashReportRequest};
use quorate_mvcc::{Hashing, Reader, RequestError, StoreError};
use quorate_types::{Instant, MemberId};

/// Marks comparisons while its member leads, and hashes the store in steps whenever there is a
/// mark.
pub(crate) struct Comparer {
    reader: Reader,
    member: MemberId,
    interval: Option<Duration>,
    next_mark: Option<Instant>,
    /// The mark that was hashed last, or is now.
    mark: u64,
    hashing: Option<Hashing>,
}

impl Comparer {
    pub(crate) fn new(reader: Reader, member: MemberId, interval: Option<Duration>) -> Self {
        Self { reader, member, interval, next_mark: None, mark: 0, hashing: None }
    }

    /// Does what is due and adds to `commands`; returns when to call again.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        leads: bool,
        commands: &mut Vec<Command>,
    ) -> Result<Instant, StoreError> {
        self.begin()?;
        if let Some(hashing) = &mut self.hashing {
            if let Some(found) = hashing.step(RECORDS_MAX)? {
                self.hashing = None;
                let report = HashReportRequest {
                    mark: self.mark,
                    member_id: self.member.get(),
                    compact_revision: found.compact_revision,
                    hash: found.hash,
                };
                commands.push(report.into());
            } else {
                return Ok(now + PAUSE);
            }
        }
        let Some(interval) = self.interval else { return Ok(Instant::MAX) };
        let due = *self.next_mark.get_or_insert(now + interval);
        if now < due {
            return Ok(due);
        }
        self.next_mark = Some(now + interval);
        if leads {
            commands.push(HashMarkRequest {}.into());
        }
        Ok(now + interval)
    }

    /// Begins to hash at a new mark.
    fn begin(&mut self) -> Result<(), StoreError> {
        let Some(mark) = self.reader.hash_mark(self.member) else { return Ok(()) };
        if mark.index == self.mark {
            return Ok(());
        }
        self.mark = mark.index;
        self.hashing = match self.reader.hashing(mark.revision) {
            Ok(hashing) => Some(hashing),
            // It was compacted meanwhile: this comparison goes on without this member.
            Err(RequestError::Refused(_)) => None,
            Err(RequestError::Failed(error)) => return Err(error),
            Err(other) => unreachable!("no other kind of request error exists: {other}"),
        };
        Ok(())
    }
}

/// History records that are hashed in one step: some milliseconds of work.
const RECORDS_MAX: usize = 2_000;

/// The time between two steps, which leaves the disk to others.
const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_kv_api::AlarmType;
    use quorate_storage::{Engine as _, KeyRange, Table, WriteBatch};

    use crate::{Cluster, Config, Error, KvError, MemoryData, Node, hub::Hub};

    #[test]
    fn a_member_with_other_content_is_found() {
        let (hub, names) = (Hub::new(), ["a", "b", "c"]);
        let cluster = Cluster::of_names("test", names);
        let data = names.map(|_| MemoryData::new());
        let open = |(name, data)| {
            let config = Config::in_memory(data).named(name).cluster(cluster.clone());
            let mut config = config.in_process(&hub);
            config.hash_check_interval = Some(Duration::from_secs(1));
            Node::open(config).unwrap()
        };
        let nodes: Vec<Node> = names.into_iter().zip(&data).map(open).collect();
        for i in 0..10 {
            nodes[0].put(format!("k{i}"), "v").wait().unwrap();
        }
        let revision = nodes[1].get("k0").wait().unwrap().unwrap().mod_revision;
        let client = nodes[2].client();
        // What the disk of a member forgets, nobody notices by itself.
        let mut damage = WriteBatch::new();
        let key = [revision.to_be_bytes(), 0i64.to_be_bytes()].concat();
        damage
            .delete_range(Table("history"), KeyRange::new(key.clone(), [&key[..], b"\0"].concat()));
        data[1].engine.write(&damage).unwrap();
        let hashes: Vec<u32> = nodes.iter().map(|node| node.hash(0).wait().unwrap().hash).collect();
        assert!(hashes[0] == hashes[2] && hashes[0] != hashes[1]);
        let alarm = loop {
            // Two that differ do not tell which of them is right; then the alarm names nobody.
            let alarms = client.alarms().wait().unwrap().alarms;
            if let Some(alarm) = alarms.into_iter().find(|alarm| alarm.member_id != 0) {
                break alarm;
            }
            client.after(Duration::from_millis(20)).wait().unwrap();
        };
        assert_eq!(alarm.alarm, AlarmType::Corrupt as i32);
        assert_eq!(alarm.member_id, nodes[1].member_id().get());
        let refused = nodes[0].put("k", "v").wait();
        assert!(matches!(refused, Err(Error::Refused(KvError::Corrupt))), "{refused:?}");
        assert!(nodes[0].get("k0").wait().unwrap().is_some());
    }
}
