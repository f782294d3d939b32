//! What is measured.

use std::fmt;

use crate::load::Style;
use crate::options::Options;
use quorate_benches::cluster::{At, EngineKind, Shape};

/// What callers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Put,
    /// A linearizable read of one key.
    Get,
    /// A read of one key from the member's own state.
    Local,
}

impl RequestKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Local => "local",
        }
    }
}

/// One line of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) request: RequestKind,
    pub(crate) shape: Shape,
    pub(crate) at: At,
    pub(crate) callers: u32,
    pub(crate) style: Style,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { engine, members } = self.shape;
        let (request, engine) = (self.request.name(), engine.name());
        let (at, callers, style) = (self.at.name(), self.callers, self.style.name());
        write!(f, "{request}/{engine}/{members}/{at}/{callers}/{style}")
    }
}

impl Case {
    /// Whether its latency is to be compared with raw syncs.
    pub(crate) fn is_single_durable_put(&self) -> bool {
        let durable = self.shape.engine == EngineKind::Rocksdb;
        durable && self.request == RequestKind::Put && self.callers == 1
    }

    /// Whether its throughput has an aim.
    pub(crate) fn is_aimed_at(&self) -> bool {
        let durable = self.shape.engine == EngineKind::Rocksdb;
        let loaded = self.shape.members == 3 && self.callers == 256;
        durable && self.request == RequestKind::Put && loaded
    }
}

/// Every case that the options ask for. Those that share data follow each other.
pub(crate) fn cases(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for &engine in &options.engines {
        for &members in &options.members {
            add_cases_of(Shape { engine, members }, &mut cases);
        }
    }
    cases.retain(|case| options.selects(&case.to_string()));
    cases
}

fn add_cases_of(shape: Shape, cases: &mut Vec<Case>) {
    let several = shape.members > 1;
    let places = |request| match request {
        _ if !several => &[At::Leader][..],
        RequestKind::Put => &[At::Spread, At::Leader],
        RequestKind::Get => &[At::Leader, At::Followers],
        RequestKind::Local => &[At::Spread],
    };
    for request in [RequestKind::Put, RequestKind::Get, RequestKind::Local] {
        let loads = if request == RequestKind::Local { LOCAL_LOADS } else { LOADS };
        for &at in places(request) {
            for &(callers, style) in loads {
                cases.push(Case { request, shape, at, callers, style });
            }
        }
    }
}

/// From one caller, which shows latency, to enough that more bring nothing.
const LOADS: &[(u32, Style)] = &[
    (1, Style::Threads),
    (64, Style::Threads),
    (256, Style::Threads),
    (256, Style::Tasks),
    (1024, Style::Tasks),
];

/// Local reads never wait, so more callers than cores bring nothing.
const LOCAL_LOADS: &[(u32, Style)] = &[(1, Style::Threads), (4, Style::Threads)];
