//! What a user can set.

use quorate_types::ByteSize;

use crate::StorageError;

/// Settings of a [`RaftEngineLog`](super::RaftEngineLog).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftEngineLogOptions {
    /// Bytes after which a new file is begun.
    ///
    /// Default 64 MiB; 64 KiB (a new file every few batches) to 256 MiB. Opening reads each file
    /// whole into memory.
    pub target_file_size: ByteSize,
    /// Bytes of files from which on purged entries free files. Files are used again before they are
    /// removed, so that up to one and a half times as much disk stays in use.
    ///
    /// Default 256 MiB; `target_file_size` to 1 TiB. Opening reads all of it.
    pub purge_threshold: ByteSize,
}

impl Default for RaftEngineLogOptions {
    fn default() -> Self {
        Self { target_file_size: ByteSize::mib(64), purge_threshold: ByteSize::mib(256) }
    }
}

impl RaftEngineLogOptions {
    /// Checks every field against its range.
    ///
    /// # Errors
    ///
    /// [`StorageError::InvalidOption`] with the first field that is out of range.
    pub fn validate(&self) -> Result<(), StorageError> {
        let target = self.target_file_size.bytes();
        let target_range = ByteSize::kib(64).bytes()..=ByteSize::mib(256).bytes();
        StorageError::check_option("target_file_size", target, target_range)?;
        let purge_range = target..=ByteSize::gib(1024).bytes();
        StorageError::check_option("purge_threshold", self.purge_threshold.bytes(), purge_range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_range_that_is_checked() {
        let mut options = RaftEngineLogOptions::default();
        assert!(options.validate().is_ok());
        options.target_file_size = ByteSize::kib(1);
        assert_eq!(
            options.validate().unwrap_err().to_string(),
            "option target_file_size is 1024, allowed are 65536 to 268435456"
        );
        options.target_file_size = ByteSize::mib(2);
        options.purge_threshold = ByteSize::mib(1);
        assert_eq!(
            options.validate().unwrap_err().to_string(),
            "option purge_threshold is 1048576, allowed are 2097152 to 1099511627776"
        );
    }
}
