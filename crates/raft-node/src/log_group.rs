//! How appends that queued up become writes with one sync.

use quorate_storage::LogBatch;

use crate::core::{Append, Outbound};

/// Appends that share a sync, as the writes that they become.
///
/// Shared by the driver's log thread and by simulators: carry out `writes` in order, the last one
/// with a sync if `sync` is set, then send `messages`, then report `number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    /// What to write; empty if there is nothing to write or sync.
    pub writes: Vec<LogBatch>,
    /// Whether all of it must be durable before anybody is told.
    pub sync: bool,
    /// Send once everything is written, and durable where asked for.
    pub messages: Vec<Outbound>,
    /// The number of the last append, to be reported after that.
    pub number: u64,
}

impl LogGroup {
    /// Joins `appends`, in their order; `None` if there are none.
    pub fn of(appends: Vec<Append>) -> Option<Self> {
        let number = appends.last()?.number;
        let sync = appends.iter().any(|append| append.sync);
        let (mut writes, mut messages) = (Vec::new(), Vec::new());
        let mut merged = LogBatch::default();
        for append in appends {
            messages.extend(append.then_send);
            if let Some(separate) = merge(&mut merged, append.batch) {
                writes.push(merged);
                merged = separate;
            }
        }
        if sync || !merged.is_empty() {
            writes.push(merged);
        }
        Some(Self { writes, sync, messages, number })
    }
}

/// Adds `next` to `batch`, or gives it back if it does not simply continue it.
fn merge(batch: &mut LogBatch, next: LogBatch) -> Option<LogBatch> {
    let continues = match (batch.entries.last(), next.entries.first()) {
        (Some(last), Some(first)) => last.position.index.next() == first.position.index,
        _ => true,
    };
    if next.reset.is_some() || !continues {
        return Some(next);
    }
    batch.hard_state = next.hard_state.or(batch.hard_state);
    batch.entries.extend(next.entries);
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_storage::{EntryKind, HardState, LogEntry};
    use quorate_types::{LogIndex, LogPosition, MemberId, Term};

    use super::*;

    fn batch(indexes: &[u64], term: u64) -> LogBatch {
        let entry = |index: &u64| LogEntry {
            position: LogPosition::new(Term::new(term), LogIndex::new(*index)),
            kind: EntryKind::Normal,
            data: Bytes::new(),
        };
        let hard_state = HardState { term: Term::new(term), ..HardState::default() };
        LogBatch {
            hard_state: Some(hard_state),
            reset: None,
            entries: indexes.iter().map(entry).collect(),
        }
    }

    fn append(number: u64, batch: LogBatch, sync: bool) -> Append {
        let message = Bytes::from(vec![number as u8]);
        let then_send = vec![Outbound { to: MemberId::new(1), message }];
        Append { number, batch, sync, then_send }
    }

    #[test]
    fn batches_that_continue_are_merged_and_keep_the_newest_hard_state() {
        let appends = vec![
            append(4, batch(&[1, 2], 1), false),
            append(5, batch(&[3], 2), true),
            append(6, LogBatch::default(), false),
        ];
        let group = LogGroup::of(appends).expect("there are appends");
        assert_eq!((group.writes.len(), group.sync, group.number), (1, true, 6));
        assert_eq!(group.writes[0].entries.len(), 3);
        assert_eq!(group.writes[0].hard_state.map(|state| state.term), Some(Term::new(2)));
        let order: Vec<u8> = group.messages.iter().map(|sent| sent.message[0]).collect();
        assert_eq!(order, [4, 5, 6]);
    }

    #[test]
    fn batches_that_replace_or_reset_stay_apart() {
        let reset = LogBatch { reset: Some(LogPosition::default()), ..LogBatch::default() };
        let batches = [batch(&[1, 2], 1), batch(&[2], 2), reset];
        let appends = batches.clone().map(|batch| append(1, batch, false));
        let group = LogGroup::of(appends.to_vec()).expect("there are appends");
        assert_eq!((group.writes, group.sync), (batches.to_vec(), false));
    }

    #[test]
    fn a_sync_without_content_is_a_write_and_nothing_is_none() {
        assert_eq!(LogGroup::of(Vec::new()), None);
        let writes = |sync| {
            let group = LogGroup::of(vec![append(1, LogBatch::default(), sync)]);
            group.expect("there is an append").writes.len()
        };
        assert_eq!((writes(true), writes(false)), (1, 0));
    }
}
