//! Quorate beside a real etcd: the same random operations on both, every field of every answer
//! compared.
//!
//! - [`generate`] draws operations from a seed; it knows what a store looks like, so that most of
//!   them mean something.
//! - [`quorate`] and [`wire`] carry them out: on a member in this process, and by gRPC on an etcd
//!   that [`etcd`] runs on loopback.
//! - [`compare`] says which answers count as equal. Whatever may differ has a name and a reason
//!   there, and nowhere else.
//! - [`run`] puts these together; `tests/differential.rs` runs it against every etcd found.
//!
//! `docs/compatibility.md` tells what came out, and how to run it.

pub mod compare;
pub mod etcd;
pub mod generate;
pub mod operation;
pub mod quorate;
pub mod run;
pub mod watch;
pub mod wire;
