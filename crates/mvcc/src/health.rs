//! What the store knows of the health of the cluster: alarms, and the comparison of hashes that may
//! raise one.

use quorate_storage::{View, WriteBatch};

use crate::alarm::{ALARMS_KEY, Alarms};
use crate::comparison::{COMPARISON_KEY, Comparison};
use crate::{META, StoreError};

/// Alarms and the comparison under way.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) alarms: Alarms,
    pub(crate) comparison: Comparison,
}

impl Health {
    /// Reads what the tables hold.
    pub(crate) fn load(view: &dyn View) -> Result<Self, StoreError> {
        Ok(Self {
            alarms: Alarms::load(view.get(META, ALARMS_KEY)?)?,
            comparison: Comparison::load(view.get(META, COMPARISON_KEY)?)?,
        })
    }

    /// Appends the records that have changed to `batch`, and tells whether any has.
    pub(crate) fn write_changed(&mut self, batch: &mut WriteBatch) -> bool {
        let alarms = self.alarms.write_changed(batch);
        let comparison = self.comparison.write_changed(batch);
        alarms || comparison
    }
}
