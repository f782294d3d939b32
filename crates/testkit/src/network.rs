//! The network between members: delay, loss, copies, cuts, and messages held back.

use bytes::Bytes;
use quorate_types::Instant;
use std::time::Duration;

use crate::plan::{Network, Plan};
use crate::rng::{Purpose, Stream};

/// The links of a run.
#[derive(Debug)]
pub(crate) struct Links {
    members: usize,
    links: Vec<Link>,
    healed: bool,
}

#[derive(Debug, Default)]
struct Link {
    /// Counts messages, so that the noise of each depends on nothing else.
    sent: u64,
    /// How many faults cut the link.
    cuts: u32,
    /// How many faults hold its messages back.
    holds: u32,
    held: Vec<Bytes>,
    /// When the last message in order arrives.
    last: Instant,
}

/// What becomes of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// When it arrives, and when its copy does.
    pub(crate) arrivals: [Option<Instant>; 2],
    /// Whether it is lost and the sender is told.
    pub(crate) noticed: bool,
    /// Whether it is lost.
    pub(crate) lost: bool,
}

impl Links {
    pub(crate) fn new(members: usize) -> Self {
        let links = (0..members * members).map(|_| Link::default()).collect();
        Self { members, links, healed: false }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }

    /// Decides about the next message of a link.
    pub(crate) fn route(
        &mut self,
        plan: &Plan,
        from: usize,
        to: usize,
        bytes: &Bytes,
        now: Instant,
    ) -> Fate {
        let (members, healed, network) = (self.members, self.healed, &plan.network);
        let link = self.link(from, to);
        link.sent += 1;
        let entity = (from * members + to) as u64;
        let mut noise = Stream::new(plan.seed, Purpose::Link, entity, link.sent);
        if healed {
            let delay = noise.duration(network.delay_min, network.delay_min * 4);
            return Fate { arrivals: [Some(now + delay), None], ..Fate::default() };
        }
        if link.holds > 0 {
            link.held.push(bytes.clone());
            return Fate::default();
        }
        if link.cuts > 0 {
            let noticed = noise.chance(network.noticed_ppm);
            return Fate { noticed, lost: true, ..Fate::default() };
        }
        if noise.chance(network.lost_ppm) {
            return Fate { lost: true, ..Fate::default() };
        }
        let first = arrival(network, &mut noise, link, now);
        let copy = noise.chance(network.doubled_ppm).then(|| {
            let late = noise.chance(network.late_copy_ppm);
            let limit = if late { SLOW_MAX } else { network.delay_max };
            now + noise.duration(network.delay_min, limit.max(network.delay_min))
        });
        Fate { arrivals: [Some(first), copy], ..Fate::default() }
    }

    /// Whether a link carries nothing.
    pub(crate) fn is_cut(&mut self, from: usize, to: usize) -> bool {
        let link = self.link(from, to);
        link.cuts + link.holds > 0
    }

    /// Cuts a link, or holds its messages back.
    pub(crate) fn cut(&mut self, from: usize, to: usize, hold: bool) {
        let link = self.link(from, to);
        if hold {
            link.holds += 1;
        } else {
            link.cuts += 1;
        }
    }

    /// Takes one cut back. Returns the messages held, once nothing holds them any more.
    pub(crate) fn mend(&mut self, from: usize, to: usize, hold: bool) -> Vec<Bytes> {
        let link = self.link(from, to);
        if hold {
            link.holds = link.holds.saturating_sub(1);
        } else {
            link.cuts = link.cuts.saturating_sub(1);
        }
        if link.holds == 0 { std::mem::take(&mut link.held) } else { Vec::new() }
    }

    /// Keeps all noise away until it is let in.
    pub(crate) fn set_calm(&mut self, calm: bool) {
        self.healed = calm;
    }

    /// Ends all noise and all cuts. Messages held are lost, like those of a connection that was
    /// given up.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        for link in &mut self.links {
            (link.cuts, link.holds) = (0, 0);
            link.held.clear();
        }
    }
}

fn arrival(network: &Network, noise: &mut Stream, link: &mut Link, now: Instant) -> Instant {
    let usual = network.delay_max.max(network.delay_min);
    if noise.chance(network.slow_ppm) {
        return now + noise.duration(usual, SLOW_MAX);
    }
    let arrival = now + noise.duration(network.delay_min, usual);
    if !network.in_order {
        return arrival;
    }
    link.last = link.last.max(arrival) + Duration::from_nanos(1);
    link.last
}

/// Well beyond every election timeout.
const SLOW_MAX: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::from_seed(3, Some(3), None)
    }

    #[test]
    fn the_noise_of_a_message_depends_on_its_number_only() {
        let (plan, bytes) = (plan(), Bytes::from_static(b"m"));
        let fates = |cut: bool| {
            let mut links = Links::new(3);
            if cut {
                links.cut(0, 2, false);
            }
            links.route(&plan, 0, 2, &bytes, Instant::ZERO);
            if cut {
                links.mend(0, 2, false);
            }
            (0..50).map(|_| links.route(&plan, 0, 1, &bytes, Instant::ZERO)).collect::<Vec<_>>()
        };
        assert_eq!(fates(true), fates(false));
    }

    #[test]
    fn a_held_link_gives_its_messages_back_after_the_last_hold() {
        let (plan, bytes) = (plan(), Bytes::from_static(b"m"));
        let mut links = Links::new(3);
        links.cut(0, 1, true);
        links.cut(0, 1, true);
        let fate = links.route(&plan, 0, 1, &bytes, Instant::ZERO);
        assert_eq!(fate, Fate::default());
        assert!(links.is_cut(0, 1) && !links.is_cut(1, 0));
        assert!(links.mend(0, 1, true).is_empty());
        assert_eq!(links.mend(0, 1, true), [bytes]);
    }
}
