//! What happened, change by change.

use bytes::Bytes;
use quorate_kv_api::KeyValue;

/// One change of one key.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    /// The revision, and the place among the changes of that revision, from 0.
    pub(crate) at: (i64, i64),
    pub(crate) key: Bytes,
    /// The key from then on; nothing if it was deleted.
    pub(crate) now: Option<KeyValue>,
    /// The key at the revision before.
    pub(crate) before: Option<KeyValue>,
}

impl Change {
    pub(super) fn new(
        at: (i64, i64),
        key: &Bytes,
        now: Option<KeyValue>,
        before: Option<KeyValue>,
    ) -> Self {
        Self { at, key: key.clone(), now, before }
    }

    /// Whether the key began to exist.
    pub(crate) fn is_create(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.create_revision == self.at.0)
    }
}
