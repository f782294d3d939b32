//! An instance of a service, and how it is stored.

use std::collections::BTreeMap;

use prost::Message as _;
use quorate_kv_api::KeyValue;

/// An instance of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Its name, unique among the instances of the service; not empty, without a slash.
    pub name: String,
    /// Where it is reached, in whatever form its callers understand.
    pub address: String,
    /// What else there is to be known about it.
    pub metadata: BTreeMap<String, String>,
}

impl Instance {
    /// An instance without metadata.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self { name: name.into(), address: address.into(), metadata: BTreeMap::new() }
    }

    /// The same with one more piece of metadata.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The instance that a key below the prefix of a service stands for, if it is one.
    pub(super) fn of(prefix: &str, kv: &KeyValue) -> Option<Self> {
        let name = kv.key.strip_prefix(prefix.as_bytes())?;
        let name = std::str::from_utf8(name).ok()?;
        if name.is_empty() || name.contains('/') {
            return None;
        }
        let Record { address, metadata } = Record::decode(&kv.value[..]).ok()?;
        Some(Self { name: name.to_owned(), address, metadata })
    }
}

/// The value of an instance's key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(btree_map = "string, string", tag = "2")]
    metadata: BTreeMap<String, String>,
}

impl Record {
    pub(super) fn of(instance: &Instance) -> Self {
        Self { address: instance.address.clone(), metadata: instance.metadata.clone() }
    }
}
