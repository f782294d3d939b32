//! What to simulate.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quorate::Client;

use super::traits::{Nemesis, Workload};
use crate::actors::actor::{Actor, Trouble};
use crate::actors::record::RunHistory;
use crate::actors::script::Script;
use crate::check::Checker;
use crate::live::Live;
use crate::members::MembersRange;
use crate::plan::Faults;

/// A test of application code on simulated clusters under faults.
///
/// Each seed draws a cluster, its limits, noise and faults, and runs the production code of all
/// members, with the application's actors, under virtual time on one thread at a time. The same
/// seed always runs the same way. Every promise of the cluster itself is checked on the way; checks
/// of the application come on top.
///
/// The parts of a run: the [`setup`](Self::setup) alone, without faults; then faults, and all
/// [`actors`](Self::actors); after [`run_for`](Self::run_for) everything is healed, actors must
/// come to their end and the members agree; then the [end check](Self::check_end).
///
/// ```
/// use quorate_testkit::{Sim, check, ensure, millis, secs};
///
/// Sim::new("counter")
///     .nodes(3)
///     .run_for(secs(5))
///     .seeds(0..3)
///     .setup(|db| {
///         db.put("count", "0").wait()?;
///         Ok(())
///     })
///     .actors(2, |me| {
///         let db = me.db();
///         db.put(format!("actor/{}", me.number()), "was here").wait()?;
///         me.sleep(millis(me.random(0..500)));
///         Ok(())
///     })
///     .check(check::all())
///     .check_end(|_, db| {
///         for actor in 0..2 {
///             let found = db.get(format!("actor/{actor}")).wait()?;
///             ensure!(found.is_some(), "actor {actor} is lost");
///         }
///         Ok(())
///     })
///     .run();
/// ```
///
/// Environment variables steer a run without a change of code: `QUORATE_SEED=17` runs that seed
/// alone, `QUORATE_SEEDS=0..5000` others, `QUORATE_PLAN=plan.json` a saved plan, and
/// `QUORATE_SHRINK=0` reports a failure as it was found.
#[must_use = "a simulation does nothing until it is run"]
pub struct Sim {
    pub(crate) name: String,
    pub(crate) nodes: MembersRange,
    pub(crate) run_for: Duration,
    pub(crate) faults: Faults,
    pub(crate) seeds: Range<u64>,
    pub(crate) threads: usize,
    pub(crate) script: Script,
    pub(crate) checkers: Vec<Arc<dyn Checker>>,
    pub(crate) workload: Option<Arc<dyn Workload>>,
    pub(crate) nemeses: Vec<Arc<dyn Nemesis>>,
    pub(crate) export: Option<PathBuf>,
    pub(crate) live: Option<Live>,
}

/// How many nodes: a number, or a range from which each seed draws.
pub struct Nodes(RangeInclusive<usize>);

impl From<usize> for Nodes {
    fn from(count: usize) -> Self {
        Self(count..=count)
    }
}

impl From<RangeInclusive<usize>> for Nodes {
    fn from(counts: RangeInclusive<usize>) -> Self {
        Self(counts)
    }
}

impl Sim {
    /// A simulation of 3 to 5 nodes for 20 seconds, under faults by the seed, with 100 seeds. The
    /// name goes into reports and the names of files.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: MembersRange::new(3, 5).expect("3 to 5 are allowed"),
            run_for: secs(20),
            faults: Faults::swarm(),
            seeds: 0..100,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            script: Script::default(),
            checkers: Vec::new(),
            workload: None,
            nemeses: Vec::new(),
            export: None,
            live: None,
        }
    }

    /// How many nodes: `3`, or `3..=5` to be drawn by each seed.
    ///
    /// # Panics
    ///
    /// If that allows none, or more than 7.
    pub fn nodes(mut self, nodes: impl Into<Nodes>) -> Self {
        let Nodes(nodes) = nodes.into();
        match MembersRange::new(*nodes.start(), *nodes.end()) {
            Some(range) => self.nodes = range,
            None => panic!("a simulation has 1 to 7 nodes, not {nodes:?}"),
        }
        self
    }

    /// How long faults go on, in virtual time.
    pub fn run_for(mut self, duration: Duration) -> Self {
        self.run_for = duration;
        self
    }

    /// Which faults there are.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Which seeds to run.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// How many seeds run side by side; by default as many as the machine has cores.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// What is done before faults begin. It must not fail.
    pub fn setup(
        mut self,
        body: impl Fn(&Client) -> Result<(), Trouble> + Send + Sync + 'static,
    ) -> Self {
        self.script.setup = Some(Arc::new(move |actor: &Actor| body(&actor.db())));
        self
    }

    /// Application code, played by this many actors at once. Actors are dealt out to the nodes in
    /// turn. An actor that returns an error that only tells of faults begins anew; one that returns
    /// another error or panics breaks the run. Called again, it adds actors.
    pub fn actors(
        mut self,
        count: usize,
        body: impl Fn(&Actor) -> Result<(), Trouble> + Send + Sync + 'static,
    ) -> Self {
        let body = Arc::new(body);
        for _ in 0..count {
            self.script.actors.push(body.clone());
        }
        self
    }

    /// Operations from a plan, besides actors: cheaper, for bulk load.
    pub fn workload(mut self, workload: impl Workload + 'static) -> Self {
        self.workload = Some(Arc::new(workload));
        self
    }

    /// Faults of one's own making, besides those of [`Self::faults`].
    pub fn nemesis(mut self, nemesis: impl Nemesis + 'static) -> Self {
        self.nemeses.push(Arc::new(nemesis));
        self
    }

    /// A check of what the actors saw.
    pub fn check(mut self, checker: impl Checker + 'static) -> Self {
        self.checkers.push(Arc::new(checker));
        self
    }

    /// A check at the end, on the healed cluster.
    pub fn check_end(
        mut self,
        body: impl Fn(&RunHistory, &Client) -> Result<(), Trouble> + Send + Sync + 'static,
    ) -> Self {
        self.script.end = Some(Arc::new(body));
        self
    }

    /// Runs the same test on live members instead: their own threads, the real clock, and the
    /// faults of network and process of the same plans, in real time. Seeds run one after another.
    pub fn real(mut self, live: Live) -> Self {
        self.live = Some(live);
        self
    }

    /// Where to write the history, the plan and the timeline of a failing seed; nothing is written
    /// by default.
    pub fn export(mut self, folder: impl Into<PathBuf>) -> Self {
        self.export = Some(folder.into());
        self
    }
}

/// So many seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many thousandths of a second.
pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
