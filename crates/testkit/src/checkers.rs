//! What must hold at every moment of a run, and over its whole history.

pub(crate) mod applied;
pub(crate) mod consensus;
pub(crate) mod flush;
pub(crate) mod history;
pub(crate) mod invariants;
pub(crate) mod model;
pub(crate) mod watch;
