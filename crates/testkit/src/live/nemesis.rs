//! The faults of a plan that live members can have, in real time.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_types::Instant;

use super::scene::LiveWorld;
use crate::plan::{CutLinks, Fault, Plan};
use crate::violation::Violation;

/// Something that is due at a time.
#[derive(Clone, Debug)]
enum Due {
    /// The fault at this place of the plan begins.
    Begin(usize),
    /// Links are mended.
    Mend(Vec<(usize, usize)>),
    /// A member is opened again.
    Reopen(usize),
    /// A member loses its power again; how long it stays down.
    Kill(usize, Duration),
}

/// How many faults there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Carried {
    /// Faults carried out.
    pub(crate) done: u64,
    /// Faults that live members cannot be given, as those of disks and clocks.
    pub(crate) left_out: u64,
}

/// Carries the faults of a plan out until their time is over, then heals everything.
pub(crate) fn carry_out(plan: &Plan, world: &LiveWorld) -> Result<Carried, Violation> {
    let begun = world.now();
    let mut agenda: BTreeMap<(Instant, u64), Due> = BTreeMap::new();
    for (number, fault) in (0..).zip(&plan.faults) {
        let at = begun + (fault.at - Instant::ZERO);
        agenda.insert((at, number), Due::Begin(usize::try_from(number).unwrap_or(usize::MAX)));
    }
    let mut number = plan.faults.len() as u64;
    let mut carried = Carried::default();
    let end = begun + plan.duration;
    while let Some(((at, _), due)) = agenda.pop_first() {
        if at >= end {
            break;
        }
        std::thread::sleep(at.saturating_since(world.now()));
        for (after, next) in carry(plan, world, due, &mut carried)? {
            number += 1;
            agenda.insert((world.now() + after, number), next);
        }
    }
    std::thread::sleep(end.saturating_since(world.now()));
    world.cluster.heal();
    (0..world.cluster.count()).try_for_each(|place| reopen(world, place))?;
    Ok(carried)
}

/// Does what is due; returns what follows, and after which time.
fn carry(
    plan: &Plan,
    world: &LiveWorld,
    due: Due,
    carried: &mut Carried,
) -> Result<Vec<(Duration, Due)>, Violation> {
    let cluster = &world.cluster;
    let fault = match due {
        Due::Begin(place) => &plan.faults[place].fault,
        Due::Mend(links) => {
            cluster.change_cuts(&links, false);
            return Ok(Vec::new());
        }
        Due::Reopen(place) => return reopen(world, place).map(|()| Vec::new()),
        Due::Kill(place, down) => return Ok(kill(world, place, down)),
    };
    carried.done += 1;
    let leader = cluster.leader();
    Ok(match fault {
        Fault::Crash { target, down } | Fault::CrashAt { target, down, .. } => {
            target.place(leader).map_or(Vec::new(), |place| kill(world, place, *down))
        }
        Fault::CrashAll { down } => {
            (0..).zip(down).flat_map(|(place, down)| kill(world, place, *down)).collect()
        }
        Fault::CrashLoop { target, up, down } => {
            let Some(place) = target.place(leader) else { return Ok(Vec::new()) };
            let mut after = Duration::ZERO;
            let mut follows = kill(world, place, *down);
            for up in up {
                after += *down + *up;
                follows.push((after, Due::Kill(place, *down)));
            }
            follows
        }
        Fault::Reopen { target, down } => match target.place(leader) {
            Some(place) if cluster.close(place) => vec![(*down, Due::Reopen(place))],
            _ => Vec::new(),
        },
        Fault::TransferLeader { asked, to } => {
            cluster.transfer(*asked, *to);
            Vec::new()
        }
        other => match other.cut_links(leader, cluster.count()) {
            Some(CutLinks { links, lasting, .. }) => {
                cluster.change_cuts(&links, true);
                vec![(lasting, Due::Mend(links))]
            }
            None => {
                carried.done -= 1;
                carried.left_out += 1;
                Vec::new()
            }
        },
    })
}

fn kill(world: &LiveWorld, place: usize, down: Duration) -> Vec<(Duration, Due)> {
    if world.cluster.kill(place) { vec![(down, Due::Reopen(place))] } else { Vec::new() }
}

fn reopen(world: &LiveWorld, place: usize) -> Result<(), Violation> {
    world.cluster.reopen(place).map_err(|error| {
        Violation::new("reopen", format!("node {place} does not open again: {error}"))
    })
}
