//! How those who share something make sure that they mean the same number by it.

use quorate_kv_api::{Compare, prefix_end};

use crate::request::create_revision;

/// Users who all put their keys below the number that they have in mind: as long as there are keys
/// below one number, none can be made below another.
pub(super) struct Agreement {
    /// What all users share.
    shared: String,
    count: u32,
}

impl Agreement {
    /// On `count`, among the keys under the prefix `shared`.
    pub(super) fn new(shared: &str, count: u32) -> Self {
        Self { shared: shared.to_owned(), count }
    }

    /// The prefix of the keys of those who agree.
    pub(super) fn prefix(&self) -> String {
        format!("{}{}/", self.shared, self.count)
    }

    /// That nobody has another number in mind.
    pub(super) fn conditions(&self) -> Vec<Compare> {
        let prefix = self.prefix();
        let behind = prefix_end(prefix.as_bytes());
        let before = create_revision(self.shared.clone()).up_to(prefix);
        let after = create_revision(behind).up_to(prefix_end(self.shared.as_bytes()));
        vec![before.equals(0), after.equals(0)]
    }
}
