//! Who a data folder belongs to: `DATA/IDENTITY`.
//!
//! A small text file, written once when the member is founded. See `docs/disk_format.md`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use quorate_raft_node::Membership;
use quorate_storage::StorageError;
use quorate_types::{ClusterId, MemberId};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::error::OpenError;

/// What a member remembers of its foundation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) cluster: Cluster,
}

impl Identity {
    /// The identity of a member opened for the first time. The configuration is valid.
    pub(crate) fn found(config: &Config) -> Self {
        let alone = || Cluster::of_names(DEFAULT_TOKEN, [config.name.clone()]);
        let cluster = config.cluster.clone().unwrap_or_else(alone);
        Self { name: config.name.clone(), cluster }
    }

    pub(crate) fn member_id(&self) -> MemberId {
        self.cluster.member_id(&self.name).expect("a member is in its own cluster")
    }

    pub(crate) fn cluster_id(&self) -> ClusterId {
        self.cluster.id().expect("a cluster has members")
    }

    pub(crate) fn membership(&self) -> Membership {
        Membership::of_voters(self.cluster.ids().into_values())
    }

    /// Compares with what the member was configured to be.
    pub(crate) fn check(&self, config: &Config, path: &Path) -> Result<(), OpenError> {
        let configured = Self::found(config);
        let same = match config.cluster {
            Some(_) => *self == configured,
            None => self.name == config.name,
        };
        if same {
            return Ok(());
        }
        let path = path.to_owned();
        let expected = match config.cluster {
            Some(_) => configured.describe(),
            None => format!("member {:?}", config.name),
        };
        Err(OpenError::ForeignData { path, found: self.describe(), expected })
    }

    fn describe(&self) -> String {
        format!("member {:?} ({}) of cluster {}", self.name, self.member_id(), self.cluster_id())
    }

    /// The text of the file.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER} {FORMAT_VERSION}\n");
        text += &format!("cluster {}\n", self.cluster_id());
        text += &format!("member {}\n", self.member_id());
        text += &format!("name {}\n", self.name);
        text += &format!("token {}\n", self.cluster.token);
        for (name, address) in &self.cluster.members {
            text += &format!("peer {address} {name}\n");
        }
        let sum = crc32c::crc32c(text.as_bytes());
        text + &format!("crc32c {sum:08x}\n")
    }

    /// Reads the text of the file.
    fn from_text(text: &str, path: &Path) -> Result<Self, OpenError> {
        let corrupt = |offset: usize, detail: &str| StorageError::Corrupt {
            path: path.to_owned(),
            offset: offset as u64,
            detail: detail.to_owned(),
        };
        let version = text.lines().next().and_then(|line| line.strip_prefix(HEADER));
        let version: u32 = version
            .and_then(|version| version.trim().parse().ok())
            .ok_or_else(|| corrupt(0, "the first line is not that of an identity file"))?;
        if version > FORMAT_VERSION {
            let (path, supported) = (path.to_owned(), FORMAT_VERSION);
            return Err(OpenError::NewerFormat { path, found: version, supported });
        }
        let (body, sum) = text
            .rfind("crc32c ")
            .map(|at| text.split_at(at))
            .ok_or_else(|| corrupt(text.len(), "the checksum is missing"))?;
        if sum != format!("crc32c {:08x}\n", crc32c::crc32c(body.as_bytes())) {
            return Err(corrupt(body.len(), "the checksum does not fit the content").into());
        }
        let field = |key: &str| body.lines().find_map(|line| line.strip_prefix(key));
        let missing = || corrupt(0, "a line is missing");
        let mut cluster = Cluster::new(field("token ").ok_or_else(missing)?);
        for peer in body.lines().filter_map(|line| line.strip_prefix("peer ")) {
            let (address, name) = peer.split_once(' ').ok_or_else(missing)?;
            cluster = cluster.member(name, address);
        }
        let identity = Self { name: field("name ").ok_or_else(missing)?.to_owned(), cluster };
        let member = identity.cluster.member_id(&identity.name).ok_or_else(missing)?;
        if field("member ") != Some(&member.to_string()) {
            return Err(corrupt(0, "the member id does not follow from name and cluster").into());
        }
        Ok(identity)
    }

    /// Reads the file, or `None` if there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, OpenError> {
        match fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Self::from_text(&text, path).map(Some)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::io("read", path, error)),
        }
    }

    /// Writes the file: after a crash it is there whole, or not at all.
    pub(crate) fn store(&self, path: &Path) -> Result<(), OpenError> {
        let temporary = path.with_extension("new");
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(self.to_text().as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| OpenError::io("write", &temporary, error))?;
        fs::rename(&temporary, path).map_err(|error| OpenError::io("rename", path, error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| OpenError::io("sync", folder, error))
    }
}

const HEADER: &str = "quorate identity";
const FORMAT_VERSION: u32 = 1;

/// The token of a cluster of one that nobody named.
const DEFAULT_TOKEN: &str = "quorate";

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let cluster = Cluster::new("orders").member("a", "h1:1").member("b c", "h2:1");
        Identity { name: "b c".to_owned(), cluster }
    }

    #[test]
    fn the_text_is_fixed_and_survives() {
        let text = identity().to_text();
        let expected = "quorate identity 1\n\
            cluster b094596595dcff2a\nmember 0504b4527173f6f9\nname b c\n\
            token orders\npeer h1:1 a\npeer h2:1 b c\n\
            crc32c 493f4929\n";
        assert_eq!(text, expected);
        let path = Path::new("IDENTITY");
        assert_eq!(Identity::from_text(&text, path).expect("own text"), identity());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let text = identity().to_text();
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            let read = Identity::from_text(&damaged, Path::new("IDENTITY"));
            assert!(read.is_err(), "byte {position}: {damaged}");
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let text = identity().to_text().replace("identity 1", "identity 7");
        let error = Identity::from_text(&text, Path::new("IDENTITY")).expect_err("newer");
        assert!(matches!(error, OpenError::NewerFormat { found: 7, supported: 1, .. }), "{error}");
    }
}
