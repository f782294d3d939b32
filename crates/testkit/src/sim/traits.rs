//! What users may add to a simulation: operations and faults of their own.

use std::time::Duration;

use crate::plan::{Operation, TimedFault};
use crate::rng::Stream;

/// The run that a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How many nodes there are.
    pub nodes: usize,
    /// How long faults go on.
    pub duration: Duration,
}

/// Makes operations for a plan: calls of clients that nobody has to wait for. Cheaper than actors,
/// for bulk load.
///
/// ```
/// use quorate_testkit::{Instant, Shape, Sim, Workload, millis, secs};
/// use quorate_testkit::plan::{Operation, Put, Request};
/// use quorate_testkit::rng::Stream;
///
/// /// A put to a random node every ten milliseconds.
/// struct Steady;
///
/// impl Workload for Steady {
///     fn operations(&self, shape: &Shape, stream: &mut Stream) -> Vec<Operation> {
///         let count = shape.duration.as_millis() as u64 / 10;
///         let put = |number| Operation {
///             at: Instant::ZERO + millis(10 * number),
///             member: stream.place(shape.nodes),
///             timeout: secs(3),
///             request: Request::Put(Put::unique("steady", 100)),
///         };
///         (0..count).map(put).collect()
///     }
/// }
///
/// Sim::new("steady").run_for(secs(2)).seeds(0..2).workload(Steady).run();
/// ```
pub trait Workload: Send + Sync {
    /// The operations of a run, in any order. The stream is this workload's own and depends on the
    /// seed.
    fn operations(&self, shape: &Shape, stream: &mut Stream) -> Vec<Operation>;
}

/// Makes faults for a plan.
///
/// ```
/// use quorate_testkit::{Faults, Instant, Nemesis, Shape, Sim, secs};
/// use quorate_testkit::plan::{Fault, Target, TimedFault};
/// use quorate_testkit::rng::Stream;
///
/// /// The leader loses its power once, at a random time.
/// struct KillLeader;
///
/// impl Nemesis for KillLeader {
///     fn faults(&self, shape: &Shape, stream: &mut Stream) -> Vec<TimedFault> {
///         let at = Instant::ZERO + stream.duration(secs(0), shape.duration);
///         vec![TimedFault { at, fault: Fault::Crash { target: Target::Leader, down: secs(1) } }]
///     }
/// }
///
/// Sim::new("leader dies").run_for(secs(5)).seeds(0..2)
///     .faults(Faults::none()).nemesis(KillLeader)
///     .actors(1, |me| {
///         me.db().put("k", "v").wait()?;
///         Ok(())
///     })
///     .run();
/// ```
pub trait Nemesis: Send + Sync {
    /// The faults of a run, in any order. The stream is this nemesis' own and depends on the seed.
    fn faults(&self, shape: &Shape, stream: &mut Stream) -> Vec<TimedFault>;
}
