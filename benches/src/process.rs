//! What the operating system knows about this process and its disks.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Processor time of all threads of this process so far; `None` where the system does not tell it
/// as Linux does.
pub fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses and may contain anything; user and system time are
    // the fields 14 and 15, see proc(5).
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * MILLIS_PER_CLOCK_TICK))
}

/// Memory that this process has in use now, in bytes; `None` where the system does not tell it as
/// Linux does.
pub fn resident_size() -> Option<u64> {
    status_size("VmRSS:")
}

/// The most memory that this process had in use at once since [`reset_resident_peak`], in bytes.
pub fn resident_peak() -> Option<u64> {
    status_size("VmHWM:")
}

/// Forgets how much memory this process had in use. Where the system cannot do that, peaks count
/// from the start of the process.
pub fn reset_resident_peak() {
    // See clear_refs in proc(5).
    let _unsupported = fs::write("/proc/self/clear_refs", "5");
}

fn status_size(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The file system that a folder is on.
pub struct FileSystem {
    /// Its name, such as `ext4`.
    pub kind: String,
    /// What it is on.
    pub device: String,
    /// Where it is seen.
    pub mounted_at: String,
}

impl FileSystem {
    /// `None` where the system does not tell it as Linux does.
    pub fn of(folder: &Path) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mut best: Option<Self> = None;
        for line in mounts.lines() {
            let mut fields = line.split_whitespace();
            let (Some(device), Some(mounted_at), Some(kind)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            // A later mount at the same place hides an earlier one.
            let nearer = best.as_ref().is_none_or(|best| mounted_at.len() >= best.mounted_at.len());
            if nearer && folder.starts_with(mounted_at) {
                best = Some(Self {
                    kind: kind.to_owned(),
                    device: device.to_owned(),
                    mounted_at: mounted_at.to_owned(),
                });
            }
        }
        best
    }

    /// Whether files there are kept in memory only.
    pub fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs" | "devtmpfs")
    }
}

/// Linux tells user space times in hundredths of a second on every common architecture.
const MILLIS_PER_CLOCK_TICK: u64 = 10;
