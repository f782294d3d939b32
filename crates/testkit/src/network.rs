//! The network between members: delay, loss, copies, cuts, and messages held back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use quorate_types::Instant;

use crate::counts::{Counts, FaultKind};
use crate::plan::{CutMode, DelayShape, Network, Plan};
use crate::rng::{Purpose, Stream, nanos};

/// The links of a run.
#[derive(Debug)]
pub(crate) struct Links {
    members: usize,
    links: Vec<Link>,
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
    /// When the latest of all messages so far arrives.
    latest: Instant,
    /// When the link has carried what waits.
    busy: Instant,
    /// Until when a connection is missing that was closed for a damaged frame.
    closed: Instant,
    /// Copies that arrive once an end of the link was restarted.
    stale: VecDeque<Bytes>,
    /// What it carried lately, with the time when that was sent.
    recent: VecDeque<(Instant, Bytes)>,
    /// Whether its faults are over.
    healed: bool,
}

/// What becomes of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// When it arrives, and when its copy does.
    pub(crate) arrivals: [Option<Instant>; 2],
    /// Whether the sender is told that it was lost.
    pub(crate) noticed: bool,
}

impl Fate {
    fn lost(noticed: bool) -> Self {
        Self { arrivals: [None, None], noticed }
    }
}

impl Links {
    pub(crate) fn new(members: usize) -> Self {
        let links = (0..members * members).map(|_| Link::default()).collect();
        Self { members, links }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }

    /// Decides about the next message of a link.
    pub(crate) fn route(
        &mut self,
        plan: &Plan,
        (from, to): (usize, usize),
        bytes: &Bytes,
        now: Instant,
        counts: &mut Counts,
    ) -> Fate {
        let entity = (from * self.members + to) as u64;
        let network = &plan.network;
        let link = self.link(from, to);
        link.sent += 1;
        let mut noise = Stream::new(plan.seed, Purpose::Link, entity, link.sent);
        if link.holds > 0 {
            counts.note(FaultKind::MessageHeld);
            link.held.push(bytes.clone());
            return Fate::default();
        }
        if link.cuts > 0 {
            counts.note(FaultKind::MessageCut);
            return Fate::lost(noise.chance(network.noticed_ppm));
        }
        if link.healed {
            let delay = noise.duration(network.delay_min, network.delay_min * 4);
            return Fate { arrivals: [Some(now + delay), None], noticed: false };
        }
        link.keep_recent(now, bytes);
        link.disturb(network, noise, bytes, now, counts)
    }

    /// What others sent to a member since then, link by link and in order: sender and message.
    pub(crate) fn recent(&self, to: usize, since: Instant) -> Vec<(usize, Bytes)> {
        let mut recent = Vec::new();
        for from in 0..self.members {
            let link = &self.links[from * self.members + to];
            let late = link.recent.iter().filter(|(sent, _)| *sent >= since);
            recent.extend(late.map(|(_, bytes)| (from, bytes.clone())));
        }
        recent
    }

    /// Whether a link carries nothing.
    pub(crate) fn is_cut(&mut self, from: usize, to: usize) -> bool {
        let link = self.link(from, to);
        link.cuts + link.holds > 0
    }

    /// Cuts a link, or holds its messages back.
    pub(crate) fn cut(&mut self, from: usize, to: usize, mode: CutMode) {
        let link = self.link(from, to);
        match mode {
            CutMode::Drop => link.cuts += 1,
            CutMode::Hold | CutMode::Shuffle => link.holds += 1,
        }
    }

    /// Takes one cut back. Returns the messages held, once nothing holds them any more.
    pub(crate) fn mend(&mut self, from: usize, to: usize, mode: CutMode) -> Vec<Bytes> {
        let link = self.link(from, to);
        match mode {
            CutMode::Drop => link.cuts = link.cuts.saturating_sub(1),
            CutMode::Hold | CutMode::Shuffle => link.holds = link.holds.saturating_sub(1),
        }
        if link.holds == 0 { std::mem::take(&mut link.held) } else { Vec::new() }
    }

    /// Keeps all faults away from all links, or lets them in.
    pub(crate) fn set_calm(&mut self, calm: bool) {
        self.links.iter_mut().for_each(|link| link.healed = calm);
    }

    /// A member was opened again: copies of messages that it sent, or that were sent to it, in
    /// earlier lives. Returns sender, receiver and message.
    pub(crate) fn take_stale(&mut self, place: usize) -> Vec<(usize, usize, Bytes)> {
        let mut taken = Vec::new();
        for other in 0..self.members {
            for (from, to) in [(place, other), (other, place)] {
                let stale = std::mem::take(&mut self.link(from, to).stale);
                taken.extend(stale.into_iter().map(|bytes| (from, to, bytes)));
            }
        }
        taken
    }

    /// Ends all noise and all cuts of a link. Messages held are lost, like those of a connection
    /// that was given up.
    pub(crate) fn heal(&mut self, from: usize, to: usize) {
        let link = self.link(from, to);
        let (sent, latest) = (link.sent, link.latest);
        *link = Link { sent, latest, healed: true, ..Link::default() };
    }
}

impl Link {
    /// The fate of a message on a link with faults. What is drawn for one fault never depends on
    /// another, so that each can be turned off alone.
    fn disturb(
        &mut self,
        network: &Network,
        mut noise: Stream,
        bytes: &Bytes,
        now: Instant,
        counts: &mut Counts,
    ) -> Fate {
        let lost = noise.chance(network.lost_ppm);
        let slow = noise.chance(network.slow_ppm);
        let delay = delay(network, slow, &mut noise);
        let doubled = noise.chance(network.doubled_ppm);
        let late = noise.chance(network.late_copy_ppm);
        let copy_max = if late { SLOW_MAX } else { network.delay_max };
        let copy = now + noise.duration(network.delay_min, copy_max);
        let damaged = noise.chance(network.damaged_ppm);
        let misreported = noise.chance(network.misreported_ppm);
        let stale = noise.chance(network.stale_ppm);
        let down = noise.duration(Duration::ZERO, RECONNECT_MAX);
        if lost {
            counts.note(FaultKind::MessageLost);
            return Fate::lost(false);
        }
        if damaged {
            counts.note(FaultKind::FrameDamaged);
            self.closed = self.closed.max(now + down);
            return Fate::lost(true);
        }
        if now < self.closed {
            return Fate::lost(false);
        }
        let Some(queued) = self.queue(network, bytes.len(), now) else {
            counts.note(FaultKind::QueueOverflow);
            return Fate::lost(false);
        };
        if queued > Duration::ZERO {
            counts.note(FaultKind::MessageQueued);
        }
        if stale {
            self.keep_stale(bytes);
        }
        let mut arrival = now + queued + delay;
        if slow {
            counts.note(FaultKind::MessageSlow);
        } else if network.in_order {
            arrival = self.last.max(arrival) + Duration::from_nanos(1);
            self.last = arrival;
        }
        if arrival < self.latest {
            counts.note(FaultKind::MessageOvertaken);
        }
        self.latest = self.latest.max(arrival);
        if doubled {
            counts.note(FaultKind::MessageDoubled);
            if late {
                counts.note(FaultKind::CopyLate);
            }
        }
        if misreported {
            counts.note(FaultKind::Misreport);
        }
        Fate { arrivals: [Some(arrival), doubled.then_some(copy)], noticed: misreported }
    }

    /// How long a message waits for those before it; nothing if it is lost for their number.
    fn queue(&mut self, network: &Network, size: usize, now: Instant) -> Option<Duration> {
        if network.bandwidth == 0 {
            return Some(Duration::ZERO);
        }
        let begins = self.busy.max(now);
        let waiting = u128::from(nanos(begins - now)) * u128::from(network.bandwidth) / SECOND;
        if waiting > u128::from(network.queue_size) {
            return None;
        }
        let took = size as u128 * SECOND / u128::from(network.bandwidth);
        self.busy = begins + Duration::from_nanos(u64::try_from(took).unwrap_or(u64::MAX));
        Some(begins - now)
    }

    fn keep_recent(&mut self, now: Instant, bytes: &Bytes) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((now, bytes.clone()));
    }

    fn keep_stale(&mut self, bytes: &Bytes) {
        if self.stale.len() >= STALE_MAX {
            self.stale.pop_front();
        }
        self.stale.push_back(bytes.clone());
    }
}

fn delay(network: &Network, slow: bool, noise: &mut Stream) -> Duration {
    let (first, last) = (network.delay_min, network.delay_max);
    if slow {
        return noise.duration(last, SLOW_MAX.max(last));
    }
    match network.delay_shape {
        DelayShape::Uniform => noise.duration(first, last),
        DelayShape::Exponential => first + noise.exponential((last - first) / 8).min(last),
    }
}

/// How many messages of a link can arrive once more at a time.
const RECENT_MAX: usize = 64;

/// Well beyond every election timeout.
pub(crate) const SLOW_MAX: Duration = Duration::from_secs(6);

/// How long a new connection takes at most.
const RECONNECT_MAX: Duration = Duration::from_millis(50);

/// How many copies a link keeps for later lives of its ends: the newest ones.
const STALE_MAX: usize = 16;

const SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Options;

    fn plan() -> Plan {
        let mut plan = Plan::from_seed(3, &Options { members: Some(3), ..Options::default() });
        plan.network.lost_ppm = 100_000;
        plan.network.doubled_ppm = 100_000;
        plan
    }

    fn routes(links: &mut Links, plan: &Plan, count: usize) -> (Vec<Fate>, Counts) {
        let (bytes, mut counts) = (Bytes::from_static(b"message"), Counts::default());
        let mut route = |_| links.route(plan, (0, 1), &bytes, Instant::ZERO, &mut counts);
        ((0..count).map(&mut route).collect(), counts)
    }

    #[test]
    fn the_noise_of_a_message_depends_on_its_number_only() {
        let plan = plan();
        let fates = |cut: bool| {
            let mut links = Links::new(3);
            if cut {
                links.cut(0, 2, CutMode::Drop);
            }
            let bytes = Bytes::from_static(b"m");
            links.route(&plan, (0, 2), &bytes, Instant::ZERO, &mut Counts::default());
            routes(&mut links, &plan, 50).0
        };
        assert_eq!(fates(true), fates(false));
    }

    #[test]
    fn a_fault_that_is_turned_off_leaves_the_others_as_they_were() {
        let whole = plan();
        let mut part = plan();
        part.network.lost_ppm = 0;
        let (whole, _) = routes(&mut Links::new(3), &whole, 200);
        let (part, _) = routes(&mut Links::new(3), &part, 200);
        let both = whole.iter().zip(&part).filter(|(whole, _)| whole.arrivals[0].is_some());
        let copies = |fate: &Fate| fate.arrivals[1].is_some();
        assert!(both.clone().all(|(whole, part)| copies(whole) == copies(part)));
        assert!(both.count() < 200);
    }

    #[test]
    fn a_held_link_gives_its_messages_back_after_the_last_hold() {
        let plan = plan();
        let mut links = Links::new(3);
        links.cut(0, 1, CutMode::Hold);
        links.cut(0, 1, CutMode::Shuffle);
        let (fates, counts) = routes(&mut links, &plan, 1);
        assert_eq!((fates, counts.fault(FaultKind::MessageHeld)), (vec![Fate::default()], 1));
        assert!(links.is_cut(0, 1) && !links.is_cut(1, 0));
        assert!(links.mend(0, 1, CutMode::Hold).is_empty());
        assert_eq!(links.mend(0, 1, CutMode::Shuffle), [Bytes::from_static(b"message")]);
    }

    #[test]
    fn a_link_with_a_bandwidth_queues_and_then_loses() {
        let mut plan = plan();
        (plan.network.bandwidth, plan.network.queue_size) = (1_000, 70);
        (plan.network.lost_ppm, plan.network.damaged_ppm) = (0, 0);
        let (fates, counts) = routes(&mut Links::new(3), &plan, 20);
        // Seven bytes each: ten of them fit into the queue behind the one that is on its way.
        assert_eq!(counts.fault(FaultKind::QueueOverflow), 9);
        assert_eq!(counts.fault(FaultKind::MessageQueued), 10);
        let last = fates[10].arrivals[0].expect("it fits");
        assert!(last >= Instant::ZERO + Duration::from_millis(70), "{last:?}");
    }

    #[test]
    fn a_damaged_frame_is_lost_with_what_follows_and_noticed() {
        let mut plan = plan();
        plan.network = Network { lost_ppm: 0, damaged_ppm: 200_000, ..plan.network };
        let (fates, counts) = routes(&mut Links::new(3), &plan, 50);
        assert!(counts.fault(FaultKind::FrameDamaged) > 0);
        let damaged = fates.iter().position(|fate| fate.arrivals[0].is_none()).expect("one is");
        assert!(fates[damaged].noticed);
        assert_eq!(fates[damaged + 1].arrivals, [None, None]);
    }

    #[test]
    fn copies_wait_for_another_life_of_either_end() {
        let mut plan = plan();
        (plan.network.stale_ppm, plan.network.lost_ppm) = (crate::rng::MILLION, 0);
        (plan.network.damaged_ppm, plan.network.bandwidth) = (0, 0);
        let mut links = Links::new(3);
        routes(&mut links, &plan, 20);
        assert_eq!(links.take_stale(2), []);
        assert_eq!(links.take_stale(1).len(), STALE_MAX);
        assert_eq!(links.take_stale(0), []);
    }

    #[test]
    fn a_healed_link_carries_everything_soon() {
        let plan = plan();
        let mut links = Links::new(3);
        links.cut(0, 1, CutMode::Drop);
        links.heal(0, 1);
        let (fates, _) = routes(&mut links, &plan, 50);
        let soon = Instant::ZERO + plan.network.delay_min * 4;
        assert!(fates.iter().all(|fate| fate.arrivals[0].is_some_and(|at| at <= soon)));
    }
}
