//! Forgetting old revisions: the decision. The records themselves are removed by a sweep.

use quorate_kv_api::{CompactionRequest, KvError};

use crate::meta::Head;

/// Makes `request.revision` the oldest revision that can be read. No revision is made, and no
/// record is looked at, so it costs the same however much is forgotten.
pub(crate) fn compact(head: &mut Head, request: &CompactionRequest) -> Result<(), KvError> {
    let Head { revision: current, compact_revision, .. } = *head;
    let requested = request.revision;
    // A fresh store was compacted at -1, so every negative revision is refused as well.
    if requested <= compact_revision {
        return Err(KvError::Compacted { requested, compact_revision });
    }
    if requested > current {
        return Err(KvError::FutureRevision { requested, current });
    }
    head.compact_revision = requested;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_revision_is_compacted_once() {
        let mut head = Head { revision: 5, ..Head::FRESH };
        let mut compact = |revision| {
            let request = CompactionRequest { revision, physical: false };
            let result = super::compact(&mut head, &request);
            (result, head.compact_revision)
        };
        let refused =
            |requested, at| (Err(KvError::Compacted { requested, compact_revision: at }), at);
        assert_eq!(compact(-1), refused(-1, -1));
        assert_eq!(compact(i64::MIN), refused(i64::MIN, -1));
        assert_eq!(compact(0), (Ok(()), 0));
        assert_eq!(compact(0), refused(0, 0));
        let future = KvError::FutureRevision { requested: 6, current: 5 };
        assert_eq!(compact(6), (Err(future), 0));
        assert_eq!(compact(3), (Ok(()), 3));
        assert_eq!(compact(2), refused(2, 3));
        assert_eq!(compact(5), (Ok(()), 5));
    }
}
