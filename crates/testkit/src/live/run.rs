//! A live run from beginning to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use quorate::StoreHash;

use super::Live;
use super::cluster::LiveCluster;
use super::nemesis::{Carried, carry_out};
use super::scene::{LiveScene, LiveWorld};
use crate::actors::actor::Actor;
use crate::actors::record::{Notebook, RunHistory};
use crate::actors::script::{Ended, Part, Script, play};
use crate::plan::Plan;
use crate::violation::Violation;

/// Plays a script on live members under the faults of a plan.
pub(crate) fn run_live(
    live: &Live,
    plan: &Plan,
    script: &Script,
) -> (Result<Carried, Violation>, RunHistory) {
    let folder = live.folder.as_ref().map(|folder| folder.join(format!("seed-{}", plan.seed)));
    let cluster = match LiveCluster::open(plan, folder.as_ref()) {
        Ok(cluster) => cluster,
        Err(error) => {
            let violation = Violation::new("open", error.to_string());
            return (Err(violation), RunHistory::default());
        }
    };
    let world = Arc::new(LiveWorld {
        cluster,
        notebook: Arc::new(Notebook::default()),
        begun: std::time::Instant::now(),
        healed: AtomicBool::new(false),
        over: AtomicBool::new(false),
    });
    let result = play_all(plan, script, &world);
    world.over.store(true, Ordering::Relaxed);
    let history = world.notebook.history();
    if result.is_ok()
        && let Some(folder) = folder
    {
        drop(world);
        // Only left-over data of a run that went well.
        let _removed = std::fs::remove_dir_all(folder);
    }
    (result, history)
}

fn play_all(plan: &Plan, script: &Script, world: &Arc<LiveWorld>) -> Result<Carried, Violation> {
    let mut parts = script.parts(&world.notebook);
    let end = parts.pop().expect("the end is always there");
    let mut parts = parts.into_iter();
    let setup = parts.next().expect("the setup is always there");
    let actors: Vec<Part> = parts.collect();
    let count = actors.len();
    let (sender, ends) = mpsc::channel();
    let start = |number: usize, part: Part| {
        let actor = Actor::new(
            Arc::new(LiveScene { world: world.clone(), number }),
            world.notebook.clone(),
            number,
            plan.members,
            plan.seed,
        );
        let sender = sender.clone();
        let body = move || {
            let ended = play(&part, &actor);
            // Nobody listens once the run has failed.
            let _sent = sender.send((part.name, ended));
        };
        let name = crate::actors::cast::THREAD.to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(body);
        thread.map_err(|error| Violation::new("threads", error.to_string()))
    };
    start(count, setup)?;
    await_ends(&ends, 1)?;
    world.cluster.begin_noise();
    for (number, part) in actors.into_iter().enumerate() {
        start(number, part)?;
    }
    let carried = carry_out(plan, world)?;
    world.healed.store(true, Ordering::Relaxed);
    await_ends(&ends, count)?;
    start(count + 1, end)?;
    await_ends(&ends, 1)?;
    compare(world)?;
    Ok(carried)
}

fn await_ends(ends: &mpsc::Receiver<(String, Ended)>, count: usize) -> Result<(), Violation> {
    for _ in 0..count {
        let ended = ends.recv_timeout(FINISH_MAX).map_err(|_| {
            let detail = format!("not everybody ended within {FINISH_MAX:?} without faults");
            Violation::new("actors-finish", detail)
        })?;
        match ended {
            (_, Ended::Well | Ended::Unfinished) => {}
            (name, Ended::Trouble(trouble)) => {
                return Err(Violation::new("user-check", format!("{name}: {trouble}")));
            }
            (name, Ended::Panicked(text)) => {
                return Err(Violation::new("actor-panicked", format!("{name}: {text}")));
            }
        }
    }
    Ok(())
}

/// All members hold the same history.
fn compare(world: &LiveWorld) -> Result<(), Violation> {
    let hash = |place: usize| -> Result<StoreHash, Violation> {
        let failed = |why: String| Violation::new("convergence", format!("node {place}: {why}"));
        let client = world.cluster.client(place).ok_or_else(|| failed("is down".to_owned()))?;
        client.with_timeout(FINISH_MAX).hash(0).wait().map_err(|error| failed(error.to_string()))
    };
    let first = hash(0)?;
    for place in 1..world.cluster.count() {
        let other = hash(place)?;
        Violation::unless(other == first, "convergence", || {
            format!("node 0 has {first:?}, node {place} has {other:?}")
        })?;
    }
    Ok(())
}

/// How long actors may go on once everything is healed.
const FINISH_MAX: Duration = Duration::from_secs(60);
