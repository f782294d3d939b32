//! Two members and more: the conformance suite and the faults of every transport.

#[path = "transport/hub.rs"]
mod hub;
#[path = "transport/suite.rs"]
mod suite;
