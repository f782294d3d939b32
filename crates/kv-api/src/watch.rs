//! What a watcher sees.

use crate::KeyValue;

/// What happened to a key; etcd's `EventType`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// It was put.
    Put = 0,
    /// It was deleted.
    Delete = 1,
}

/// One change of one key; etcd's `mvccpb.Event`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Event {
    /// What happened.
    #[prost(enumeration = "EventType", tag = "1")]
    pub r#type: i32,
    /// The key after a put. After a deletion only `key` and `mod_revision` are set.
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
    /// The key before, if it was asked for, existed, and is not compacted.
    #[prost(message, optional, tag = "3")]
    pub prev_kv: Option<KeyValue>,
}

impl Event {
    /// Whether the key was deleted.
    pub fn is_delete(&self) -> bool {
        self.r#type == i32::from(EventType::Delete)
    }

    /// Whether the key was put and did not exist before.
    pub fn is_create(&self) -> bool {
        !self.is_delete()
            && self.kv.as_ref().is_some_and(|kv| kv.create_revision == kv.mod_revision)
    }

    /// The store revision of the change; 0 if there is no key, which no event of ours lacks.
    pub fn revision(&self) -> i64 {
        self.kv.as_ref().map_or(0, |kv| kv.mod_revision)
    }
}
