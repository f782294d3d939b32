//! What clients ask for, as plain data: every request of the key-value API with all its options.
//!
//! What depends on the run, such as a revision that a client was told before, is named here and
//! becomes a number when the call is made.

use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Sets a key.
    Put(Put),
    /// Deletes keys.
    Delete(Delete),
    /// Reads keys.
    Range(Range),
    /// Compares, then carries out one of two branches; read without the log if it only reads.
    Txn(Txn),
    /// Asks for the hash over the history up to a revision; 0 for now.
    Hash(Revision),
    /// Forgets old revisions.
    Compact(Compact),
    /// Waits until the member has removed what compactions up to a revision made superfluous.
    Swept(Revision),
    /// Makes a lease.
    LeaseGrant(LeaseGrant),
    /// Ends a lease.
    LeaseRevoke(Lease),
    /// Renews a lease.
    LeaseKeepAlive(Lease),
    /// Asks how long a lease still lives.
    LeaseTimeToLive(LeaseTimeToLive),
    /// Lists the leases.
    Leases,
    /// Raises, clears or lists alarms through the log.
    Alarm(Alarm),
    /// Lists the alarms.
    Alarms,
}

/// The keys meant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first key; a request with an empty one is refused.
    pub key: String,
    /// Empty: only `key`. `"\0"`: all keys from `key` on. Else the first key not meant.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: String,
}

/// Sets a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub value: Value,
    /// The lease; 0 for none, and refused if there is no such lease.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lease: i64,
    /// Whether the answer tells what the key held before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
    /// Whether the key keeps its value.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_value: bool,
    /// Whether the key keeps its lease.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_lease: bool,
}

/// The value of a put.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Value {
    /// The number of the call, so that no other call writes the same, and so many bytes more.
    Unique {
        /// How many bytes more.
        padding: usize,
    },
    /// This text.
    Text(String),
}

/// Deletes keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Which.
    pub span: Span,
    /// Whether the answer tells what they held.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prev_kv: bool,
}

/// Reads keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Which.
    pub span: Span,
    /// How many at most; 0 or less for all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limit: i64,
    /// When; 0 or less for now.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revision: Revision,
    /// The number of a [`quorate_kv_api::SortOrder`]; others are refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: i32,
    /// The number of a [`quorate_kv_api::SortTarget`]; others are refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target: i32,
    /// Whether the member asked may answer from what it has, be it stale.
    #[serde(default, skip_serializing_if = "is_default")]
    pub local: bool,
    /// The revision that the member asked must have come to, to answer from what it has; none if
    /// nothing is given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at_least: Option<Revision>,
    /// Whether keys beyond the limit are not even counted, as for a part of a stream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub part: bool,
    /// Whether values are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys_only: bool,
    /// Whether everything but the count is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub count_only: bool,
    /// Leaves out keys that were last put before this; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_mod_revision: Revision,
    /// Leaves out keys that were last put after this; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_mod_revision: Revision,
    /// Leaves out keys that were created before this; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_create_revision: Revision,
    /// Leaves out keys that were created after this; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_create_revision: Revision,
}

/// Forgets old revisions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Compact {
    /// The oldest one that can be read from then on.
    pub revision: Revision,
    /// Whether the caller wants it removed, too; nothing for the members.
    #[serde(default, skip_serializing_if = "is_default")]
    pub physical: bool,
}

/// Makes a lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct LeaseGrant {
    /// Its name; 0 lets the store choose one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub id: i64,
    /// How many seconds it lives; less than one counts as one.
    pub ttl: i64,
}

/// Names a lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Its name.
    pub id: i64,
}

/// Asks how long a lease still lives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct LeaseTimeToLive {
    /// Its name.
    pub id: i64,
    /// Whether to tell its keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keys: bool,
}

/// Raises, clears or lists alarms.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// The number of a [`quorate_kv_api::AlarmAction`]; others are refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: i32,
    /// Whose alarm.
    #[serde(default, skip_serializing_if = "is_default")]
    pub member: u64,
    /// The number of a [`quorate_kv_api::AlarmType`]; others are refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alarm: i32,
}

/// Compares, then carries out one of two branches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Txn {
    /// What must hold for the first branch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compare: Vec<Compare>,
    /// The first branch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub success: Vec<Op>,
    /// The other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failure: Vec<Op>,
}

/// An operation of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Sets a key.
    Put(Put),
    /// Deletes keys.
    Delete(Delete),
    /// Reads keys.
    Range(Range),
    /// A transaction within.
    Txn(Txn),
    /// Nothing, which is refused.
    Empty,
}

/// A condition of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The keys that must satisfy it.
    pub span: Span,
    /// The number of a [`quorate_kv_api::CompareTarget`]; others compare as equal.
    pub target: i32,
    /// The number of a [`quorate_kv_api::CompareResult`]; others hold always.
    pub result: i32,
    /// What they are compared with; should fit the target, else it counts as 0 or empty.
    pub given: Given,
}

/// What a key is compared with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Given {
    /// Nothing, which counts as 0 or empty.
    Nothing,
    /// A version.
    Version(i64),
    /// A create revision.
    CreateRevision(Revision),
    /// A mod revision.
    ModRevision(Revision),
    /// The mod revision of the first key that a client of the same member was told last, else 0.
    SeenModRevision,
    /// A value.
    Value(String),
    /// A lease.
    Lease(i64),
}

/// A revision of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Revision {
    /// This number.
    At(i64),
    /// So far after the revision that a client of the same member was told last, never below 1.
    /// Negative numbers go back.
    Seen(i64),
}

impl Span {
    /// One key.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), end: String::new() }
    }

    /// Keys from one up to but without another.
    pub fn between(key: impl Into<String>, end: impl Into<String>) -> Self {
        Self { key: key.into(), end: end.into() }
    }

    /// All keys from one on.
    pub fn from(key: impl Into<String>) -> Self {
        Self::between(key, "\0")
    }
}

impl Put {
    /// Sets a key to a value that no other call writes.
    pub fn unique(key: impl Into<String>, padding: usize) -> Self {
        Self { key: key.into(), value: Value::Unique { padding }, ..Self::default() }
    }
}

impl Range {
    /// Reads keys as they are now.
    pub fn of(span: Span) -> Self {
        Self { span, ..Self::default() }
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::At(0)
    }
}

/// Whether a plan file may leave a value out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
