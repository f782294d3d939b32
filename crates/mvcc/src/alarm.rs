//! Alarms: what is raised, and which commands that refuses.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate_kv_api::{
    AlarmAction, AlarmMember, AlarmRequest, AlarmType, CommandKind, KvError, OpRequest, RequestOp,
    TxnRequest,
};
use quorate_storage::WriteBatch;

use crate::codec::{Decoder, Malformed, put_varint};
use crate::{META, StoreError};

/// The key of the alarms in the table `meta`.
pub(crate) const ALARMS_KEY: &[u8] = b"alarms";

const ALARMS_VERSION: u8 = 1;

/// The alarms that are raised, and whether that has changed since it was written last.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// By member, then kind.
    raised: BTreeSet<AlarmMember>,
    has_changed: bool,
}

impl Alarms {
    /// Reads what the table holds; a missing record stands for no alarm.
    pub(crate) fn load(record: Option<Bytes>) -> Result<Self, StoreError> {
        let Some(record) = record else { return Ok(Self::default()) };
        let raised = decode(&record).map_err(|detail| {
            // An alarm that is not known must not be taken for none.
            StoreError::corrupt(META, ALARMS_KEY, detail)
        })?;
        Ok(Self { raised, has_changed: false })
    }

    /// All alarms, by member and kind.
    pub(crate) fn list(&self) -> Vec<AlarmMember> {
        self.raised.iter().copied().collect()
    }

    /// Appends the record to `batch` if it has changed, and tells whether it has.
    pub(crate) fn write_changed(&mut self, batch: &mut WriteBatch) -> bool {
        let has_changed = std::mem::take(&mut self.has_changed);
        if has_changed {
            if self.raised.is_empty() {
                batch.delete(META, ALARMS_KEY);
            } else {
                batch.put(META, ALARMS_KEY, encode(&self.raised));
            }
        }
        has_changed
    }

    /// Carries out a request; the alarms listed, raised (also if they were before) or cleared.
    pub(crate) fn apply(&mut self, request: &AlarmRequest) -> Result<Vec<AlarmMember>, KvError> {
        let action = AlarmAction::try_from(request.action).map_err(|_| KvError::InvalidAlarm)?;
        let kind = AlarmType::try_from(request.alarm).map_err(|_| KvError::InvalidAlarm)?;
        let alarm = AlarmMember { member_id: request.member_id, alarm: request.alarm };
        Ok(match action {
            AlarmAction::Get => {
                let is_wanted =
                    |alarm: &AlarmMember| kind == AlarmType::None || alarm.alarm == request.alarm;
                self.raised.iter().copied().filter(is_wanted).collect()
            }
            AlarmAction::Activate if kind == AlarmType::None => vec![],
            AlarmAction::Activate => {
                self.has_changed |= self.raised.insert(alarm);
                vec![alarm]
            }
            AlarmAction::Deactivate if self.raised.remove(&alarm) => {
                self.has_changed = true;
                vec![alarm]
            }
            AlarmAction::Deactivate => vec![],
        })
    }

    /// Refuses a command that an alarm forbids.
    pub(crate) fn check(&self, command: &CommandKind) -> Result<(), KvError> {
        if self.raised.is_empty() {
            return Ok(());
        }
        if self.is_raised(AlarmType::Corrupt) && changes_content(command) {
            return Err(KvError::Corrupt);
        }
        if self.is_raised(AlarmType::NoSpace) && takes_space(command) {
            return Err(KvError::NoSpace);
        }
        Ok(())
    }

    /// Raises the alarm that a member holds other content than most.
    pub(crate) fn raise_corrupt(&mut self, member_id: u64) {
        let alarm = AlarmMember { member_id, alarm: AlarmType::Corrupt.into() };
        self.has_changed |= self.raised.insert(alarm);
    }

    fn is_raised(&self, kind: AlarmType) -> bool {
        self.raised.iter().any(|alarm| alarm.alarm == kind as i32)
    }
}

/// Whether members that hold different content could differ more after a command.
fn changes_content(command: &CommandKind) -> bool {
    match command {
        CommandKind::Txn(txn) => !txn.is_read_only(),
        CommandKind::Put(_)
        | CommandKind::DeleteRange(_)
        | CommandKind::Compaction(_)
        | CommandKind::LeaseGrant(_)
        | CommandKind::LeaseRevoke(_)
        | CommandKind::LeaseExpire(_) => true,
        CommandKind::Alarm(_)
        | CommandKind::LeaseCheckpoint(_)
        | CommandKind::LeaseKeepAlive(_)
        | CommandKind::HashMark(_)
        | CommandKind::HashReport(_) => false,
    }
}

fn takes_space(command: &CommandKind) -> bool {
    match command {
        CommandKind::Put(_) | CommandKind::LeaseGrant(_) => true,
        CommandKind::Txn(txn) => puts(txn),
        _ => false,
    }
}

/// Whether a transaction holds a put in either branch, however deep. Decoding bounds the depth.
fn puts(txn: &TxnRequest) -> bool {
    let is_put = |op: &RequestOp| match &op.request {
        Some(OpRequest::Put(_)) => true,
        Some(OpRequest::Txn(nested)) => puts(nested),
        Some(OpRequest::Range(_) | OpRequest::DeleteRange(_)) | None => false,
    };
    txn.success.iter().chain(&txn.failure).any(is_put)
}

fn encode(raised: &BTreeSet<AlarmMember>) -> Bytes {
    let mut out = vec![ALARMS_VERSION];
    put_varint(&mut out, raised.len() as u64);
    for alarm in raised {
        out.extend_from_slice(&alarm.member_id.to_be_bytes());
        put_varint(&mut out, u64::from(alarm.alarm.unsigned_abs()));
    }
    out.into()
}

fn decode(record: &[u8]) -> Result<BTreeSet<AlarmMember>, Malformed> {
    let mut decoder = Decoder::new(record);
    decoder.version(ALARMS_VERSION)?;
    let mut raised = BTreeSet::new();
    for _ in 0..decoder.varint()? {
        let member_id = decoder.u64()?;
        let kind = i32::try_from(decoder.varint()?)
            .ok()
            .filter(|kind| AlarmType::is_valid(*kind) && *kind != AlarmType::None as i32);
        let alarm =
            AlarmMember { member_id, alarm: kind.ok_or("the kind of an alarm is unknown")? };
        if raised.last().is_some_and(|last| *last >= alarm) {
            return Err("its alarms do not ascend");
        }
        raised.insert(alarm);
    }
    decoder.end()?;
    Ok(raised)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(action: AlarmAction, member_id: u64, alarm: AlarmType) -> AlarmRequest {
        AlarmRequest { action: action.into(), member_id, alarm: alarm.into() }
    }

    #[test]
    fn golden() {
        let mut alarms = Alarms::default();
        for (member, kind) in [(7, AlarmType::Corrupt), (0x0102, AlarmType::NoSpace)] {
            alarms.apply(&request(AlarmAction::Activate, member, kind)).unwrap();
        }
        let record = encode(&alarms.raised);
        assert_eq!(record, &b"\x01\x02\0\0\0\0\0\0\0\x07\x02\0\0\0\0\0\0\x01\x02\x01"[..]);
        assert_eq!(decode(&record), Ok(alarms.raised));
        for length in 0..record.len() {
            assert!(decode(&record[..length]).is_err());
        }
        let unknown = [&record[..], b"\0"].concat();
        assert!(decode(&unknown).is_err());
        assert!(decode(b"\x01\x01\0\0\0\0\0\0\0\x07\x03").is_err());
        assert!(decode(b"\x01\x01\0\0\0\0\0\0\0\x07\x00").is_err());
        let twice = b"\x01\x02\0\0\0\0\0\0\0\x07\x01\0\0\0\0\0\0\0\x07\x01";
        assert!(decode(twice).is_err());
    }

    #[test]
    fn only_changes_are_written() {
        let mut alarms = Alarms::default();
        let mut written = |action, kind| {
            alarms.apply(&request(action, 1, kind)).unwrap();
            let mut batch = WriteBatch::new();
            (alarms.write_changed(&mut batch), batch.ops().len())
        };
        assert_eq!(written(AlarmAction::Activate, AlarmType::None), (false, 0));
        assert_eq!(written(AlarmAction::Deactivate, AlarmType::NoSpace), (false, 0));
        assert_eq!(written(AlarmAction::Activate, AlarmType::NoSpace), (true, 1));
        assert_eq!(written(AlarmAction::Activate, AlarmType::NoSpace), (false, 0));
        assert_eq!(written(AlarmAction::Get, AlarmType::NoSpace), (false, 0));
        assert_eq!(written(AlarmAction::Deactivate, AlarmType::NoSpace), (true, 1));
    }
}
