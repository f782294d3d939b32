//! Two members and more: the conformance suite and the faults of every transport.

#[path = "transport/hub.rs"]
mod hub;
#[path = "transport/suite.rs"]
mod suite;
#[path = "transport/tcp.rs"]
mod tcp;
#[path = "transport/tcp_hostile.rs"]
mod tcp_hostile;
