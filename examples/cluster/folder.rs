//! Where the members keep their data, and which cluster that is.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use quorate::Cluster;
use tempfile::TempDir;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// The names of the members.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// A folder with the data of all members, and a file that tells how the cluster was founded: the
/// addresses are part of it, so later runs must use the same.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The cluster of the members in it.
    pub(crate) cluster: Cluster,
    /// The member's address, in the order of [`NAMES`], or empty texts if they need none.
    pub(crate) addresses: [String; 3],
    /// Whether an earlier run founded the cluster.
    pub(crate) is_reused: bool,
    /// Removes the folder when dropped.
    temporary: Option<TempDir>,
}

impl Folder {
    /// Finds the cluster in the folder asked for, or prepares the folder for a new one.
    ///
    /// # Errors
    ///
    /// A folder that cannot be used, that holds something else, or whose cluster talks another way
    /// than asked for; [`Failure::Port`].
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let Some(path) = &arguments.data else {
            let temporary = tempfile::Builder::new().prefix("quorate-cluster-").tempdir();
            let temporary = temporary
                .map_err(|source| Failure::Folder { path: std::env::temp_dir(), source })?;
            let path = temporary.path().to_owned();
            return Self::found(path, arguments.tcp, Some(temporary));
        };
        let failed = |source| Failure::Folder { path: path.clone(), source };
        fs::create_dir_all(path).map_err(failed)?;
        match fs::read_to_string(path.join(CLUSTER_FILE)) {
            Ok(text) => Self::reuse(path, &text, arguments.tcp),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(path).map_err(failed)?.next().is_some() {
                    return Err(Failure::ForeignFolder { path: path.clone() });
                }
                Self::found(path.clone(), arguments.tcp, None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn found(path: PathBuf, tcp: bool, temporary: Option<TempDir>) -> Result<Self, Failure> {
        let addresses = if tcp { free_addresses()? } else { Default::default() };
        let mut text = HEADING.to_owned();
        for (name, address) in NAMES.iter().zip(&addresses) {
            text.push_str(&format!("{name}={address}\n"));
        }
        let file = path.join(CLUSTER_FILE);
        fs::write(file, text).map_err(|source| Failure::Folder { path: path.clone(), source })?;
        let cluster = cluster(&addresses);
        Ok(Self { path, cluster, addresses, is_reused: false, temporary })
    }

    fn reuse(path: &Path, text: &str, tcp: bool) -> Result<Self, Failure> {
        let Some(addresses) = parse_addresses(text) else {
            let path = path.join(CLUSTER_FILE);
            return Err(Failure::DamagedFolder { path, detail: "no address for each member" });
        };
        let path = path.to_owned();
        match (addresses.iter().all(|address| !address.is_empty()), tcp) {
            (true, false) => {
                let (found, advice) = ("whose members talk over TCP", "add --tcp");
                return Err(Failure::OtherNetwork { path, found, advice });
            }
            (false, true) => {
                let (found, advice) = ("whose members meet in one process", "leave out --tcp");
                return Err(Failure::OtherNetwork { path, found, advice });
            }
            (true, true) | (false, false) => {}
        }
        let cluster = cluster(&addresses);
        Ok(Self { path, cluster, addresses, is_reused: true, temporary: None })
    }

    /// The folder of one member.
    pub(crate) fn member(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the members talk over TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        self.addresses.iter().all(|address| !address.is_empty())
    }

    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        match self.temporary {
            Some(_) => "a temporary folder".to_owned(),
            None => self.path.display().to_string(),
        }
    }
}

fn cluster(addresses: &[String; 3]) -> Cluster {
    let members = NAMES.iter().zip(addresses);
    members.fold(Cluster::new(TOKEN), |cluster, (name, address)| cluster.member(*name, address))
}

fn parse_addresses(text: &str) -> Option<[String; 3]> {
    let mut addresses: [String; 3] = Default::default();
    for (name, address) in NAMES.iter().zip(&mut addresses) {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        *address = lines.find(|(key, _)| key == name)?.1.to_owned();
    }
    let given = addresses.iter().filter(|address| !address.is_empty()).count();
    matches!(given, 0 | 3).then_some(addresses)
}

/// Addresses that are free now. All are held until the last is known, so they differ.
fn free_addresses() -> Result<[String; 3], Failure> {
    let failed = |source| Failure::Port { source };
    let mut held = Vec::new();
    let mut addresses: [String; 3] = Default::default();
    for address in &mut addresses {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        *address = listener.local_addr().map_err(failed)?.to_string();
        held.push(listener);
    }
    Ok(addresses)
}

/// Tells apart this cluster from others with equal names or addresses.
const TOKEN: &str = "example-cluster";

const CLUSTER_FILE: &str = "cluster.txt";

const HEADING: &str = "# The members in this folder and their addresses, if they talk over TCP.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Source;

    fn open(path: &Path, tcp: bool) -> Result<Folder, Failure> {
        let data = Some(path.to_owned());
        Folder::open(&Arguments { source: Source::Standard, data, tcp })
    }

    #[test]
    fn a_folder_remembers_its_cluster() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new");
        let (first, again) = (open(&path, true).unwrap(), open(&path, true).unwrap());
        assert!(!first.is_reused && again.is_reused && again.is_tcp());
        assert_eq!((&first.cluster, &first.addresses), (&again.cluster, &again.addresses));
        let refusal = open(&path, false).unwrap_err();
        assert!(refusal.to_string().ends_with("talk over TCP: add --tcp"), "{refusal}");
    }

    #[test]
    fn what_is_no_cluster_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("photo");
        fs::write(&file, "x").unwrap();
        let refusal = open(folder.path(), false).unwrap_err();
        assert!(matches!(refusal, Failure::ForeignFolder { .. }), "{refusal}");
        let refusal = open(&file, false).unwrap_err();
        assert!(matches!(refusal, Failure::Folder { .. }), "{refusal}");
        fs::write(folder.path().join(CLUSTER_FILE), "a=x\nb=\nc=\n").unwrap();
        let refusal = open(folder.path(), false).unwrap_err();
        assert!(matches!(refusal, Failure::DamagedFolder { .. }), "{refusal}");
    }
}
