//! Alarms: what stops writes until somebody looks.

use crate::ResponseHeader;

/// What an alarm is about; etcd's `AlarmType`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum AlarmType {
    /// Nothing; in a request it means all kinds.
    None = 0,
    /// A member's space quota is used up. Puts and grants are refused, deletions are not.
    NoSpace = 1,
    /// Members hold different content. All writes are refused.
    Corrupt = 2,
}

/// What to do with alarms; etcd's `AlarmAction`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum AlarmAction {
    /// List them.
    Get = 0,
    /// Raise one.
    Activate = 1,
    /// Clear one.
    Deactivate = 2,
}

/// Lists, raises or clears alarms; etcd's `AlarmRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct AlarmRequest {
    /// What to do.
    #[prost(enumeration = "AlarmAction", tag = "1")]
    pub action: i32,
    /// The member concerned; 0 means all in a list, and is an id like any other otherwise.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// The kind.
    #[prost(enumeration = "AlarmType", tag = "3")]
    pub alarm: i32,
}

/// An alarm; etcd's `AlarmMember`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct AlarmMember {
    /// The member concerned.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// The kind.
    #[prost(enumeration = "AlarmType", tag = "2")]
    pub alarm: i32,
}

/// The answer to an [`AlarmRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AlarmResponse {
    /// As in every response.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The alarms listed, raised or cleared, by member and kind.
    #[prost(message, repeated, tag = "2")]
    pub alarms: Vec<AlarmMember>,
}
