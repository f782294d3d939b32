//! The state machine against a model, etcd's documented behaviour, crashes and snapshots.

mod alarms;
mod compactions;
mod concurrency;
mod facts;
mod failures;
mod generate;
mod harness;
mod leases;
mod model;
mod properties;
mod snapshots;
mod sweeps;
mod watch_limits;
mod watch_races;
mod watch_threads;
mod watches;
