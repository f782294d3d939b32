//! The state machine against a model, etcd's documented behaviour, crashes and snapshots.

mod concurrency;
mod facts;
mod failures;
mod generate;
mod harness;
mod model;
mod properties;
mod snapshots;
mod watch_limits;
mod watch_races;
mod watch_threads;
mod watches;
