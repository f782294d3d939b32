//! What bulk streams of every transport have in common.

use crate::{BulkSource, TransportError};

/// What the sender is told after the inbox returned `verdict`. An inbox that agrees must have taken
/// the whole stream: `source` must be at its end. `Err` says why not.
pub(crate) fn verdict_of(
    verdict: Result<(), TransportError>,
    source: &mut dyn BulkSource,
) -> Result<(), String> {
    verdict.map_err(|error| format!("refused: {error}"))?;
    match source.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err("the receiver left before the end".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
