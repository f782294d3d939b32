//! Which members form a cluster, and the ids that follow from it.

use std::collections::BTreeMap;

use quorate_types::{ClusterId, MemberId};
use sha1::{Digest, Sha1};

/// The members of a new cluster, as all of them are told at bootstrap.
///
/// Ids follow from this description alone, so every member computes the same. A member's id is the
/// first eight bytes, big-endian, of the SHA-1 of its address (its name, if it has no address) and
/// the token; the cluster's id is the same of its member ids in ascending order, eight bytes
/// big-endian each. That is etcd's rule for members with one peer URL.
///
/// ```
/// use quorate::Cluster;
/// let cluster = Cluster::new("etcd-cluster").member("default", "http://127.0.0.1:12380");
/// assert_eq!(cluster.member_id("default").unwrap().to_string(), "ddd67b312462fd7b");
/// assert_eq!(cluster.id().unwrap().to_string(), "a7ef944b95711739");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub(crate) token: String,
    /// Addresses by name.
    pub(crate) members: BTreeMap<String, String>,
}

impl Cluster {
    /// A cluster without members yet. The token tells apart clusters whose members have equal names
    /// and addresses.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), members: BTreeMap::new() }
    }

    /// A cluster of members that meet in one process and need no addresses.
    pub fn of_names<N: Into<String>>(
        token: impl Into<String>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let members = names.into_iter().map(|name| (name.into(), String::new())).collect();
        Self { token: token.into(), members }
    }

    /// Adds a member, reachable at `address`: a host name or IP address and a port.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.members.insert(name.into(), address.into());
        self
    }

    /// The names of all members in ascending order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The id of the member called `name`, or `None` if there is none.
    pub fn member_id(&self, name: &str) -> Option<MemberId> {
        let address = self.members.get(name)?;
        let place = if address.is_empty() { name } else { address };
        let digest = Sha1::new().chain_update(place).chain_update(&self.token).finalize();
        MemberId::from_u64(first_eight(&digest))
    }

    /// The id of the cluster, or `None` if it has no members.
    pub fn id(&self) -> Option<ClusterId> {
        let mut ids: Vec<u64> = self.ids().values().map(|id| id.get()).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return None;
        }
        let hasher =
            ids.iter().fold(Sha1::new(), |hasher, id| hasher.chain_update(id.to_be_bytes()));
        ClusterId::from_u64(first_eight(&hasher.finalize()))
    }

    /// All member ids by name.
    pub(crate) fn ids(&self) -> BTreeMap<&str, MemberId> {
        self.names().filter_map(|name| Some((name, self.member_id(name)?))).collect()
    }
}

fn first_eight(digest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}
