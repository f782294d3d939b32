//! What one sync of the disk under the data costs.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use quorate_benches::error::BenchError;
use quorate_benches::latency::{Latencies, latencies};

/// How long one write and `fdatasync` takes.
pub(crate) struct RawSync {
    /// At the end of a file that grows, so that its length must be made durable too.
    pub(crate) growing: Latencies,
    /// Inside a file written and synced before.
    pub(crate) preallocated: Latencies,
}

impl RawSync {
    /// Measures in a file below `folder`, removed afterwards.
    pub(crate) fn measure(folder: &Path) -> Result<Self, BenchError> {
        let failed = |source| BenchError::file(folder, source);
        let mut growing = tempfile::tempfile_in(folder).map_err(failed)?;
        let growing = rounds(&mut growing).map_err(failed)?;
        let mut preallocated = tempfile::tempfile_in(folder).map_err(failed)?;
        let size = WRITE_SIZE * ROUNDS_COUNT;
        preallocated.write_all(&vec![0; size]).map_err(failed)?;
        preallocated.sync_all().map_err(failed)?;
        preallocated.seek(SeekFrom::Start(0)).map_err(failed)?;
        let preallocated = rounds(&mut preallocated).map_err(failed)?;
        Ok(Self { growing, preallocated })
    }

    /// The rounds of both.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.growing += &other.growing;
        self.preallocated += &other.preallocated;
        self
    }
}

fn rounds(file: &mut File) -> std::io::Result<Latencies> {
    let mut taken = latencies();
    for _ in 0..ROUNDS_COUNT {
        let start = Instant::now();
        file.write_all(&[7; WRITE_SIZE])?;
        file.sync_data()?;
        taken.saturating_record(start.elapsed().as_nanos() as u64);
    }
    Ok(taken)
}

/// About the size of a log entry with one put of the default size.
const WRITE_SIZE: usize = 300;

/// Enough for a 99th percentile; well below a second on a usual disk.
const ROUNDS_COUNT: usize = 500;
