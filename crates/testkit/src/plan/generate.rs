//! From a seed to a plan: the cluster, its limits and the noise.

use std::time::Duration;

use quorate_raft_node::core::Tuning;
use quorate_types::{ByteSize, Instant};

use super::faults::fault_timeline;
use super::operations::operations;
use super::{ClockRate, Network, Plan, Work};
use crate::rng::{MILLION, Purpose, Stream};

/// How strong a class of faults is in one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    Off,
    Low,
    High,
}

impl Level {
    pub(super) fn draw(stream: &mut Stream) -> Self {
        match stream.below(10) {
            0..4 => Self::Off,
            4..7 => Self::Low,
            _ => Self::High,
        }
    }

    /// One of three values.
    pub(super) fn pick<T>(self, off: T, low: T, high: T) -> T {
        match self {
            Self::Off => off,
            Self::Low => low,
            Self::High => high,
        }
    }
}

impl Plan {
    /// The plan of a seed. `members` and `duration` override what the seed would choose.
    pub fn from_seed(seed: u64, members: Option<usize>, duration: Option<Duration>) -> Self {
        let mut shape = Stream::new(seed, Purpose::Shape, 0, 0);
        let drawn_members = match shape.below(8) {
            0 => 1,
            1..6 => 3,
            _ => 5,
        };
        let drawn_duration = shape.duration(Duration::from_secs(8), Duration::from_secs(20));
        let members = members.unwrap_or(drawn_members).max(1);
        let duration = duration.unwrap_or(drawn_duration);
        let tuning = tuning(&mut shape);
        let network = network(&mut shape);
        let work = work(&mut shape);
        let clocks = (0..members).map(|_| clock(&mut shape)).collect();
        let faults = fault_timeline(seed, members, duration);
        let operations = operations(seed, members, duration);
        Self { seed, members, duration, tuning, network, work, clocks, faults, operations }
    }
}

fn tuning(shape: &mut Stream) -> Tuning {
    let fast = shape.chance(MILLION / 2);
    let (heartbeat, election) = if fast { (50, 500) } else { (100, 1_000) };
    let timing = Tuning {
        heartbeat_interval: Duration::from_millis(heartbeat),
        election_timeout: Duration::from_millis(election),
        ..Tuning::default()
    };
    // Small limits make the rare paths common.
    if shape.chance(MILLION / 2) {
        return Tuning { flush_after_entries: shape.between(50, 2_000), ..timing };
    }
    Tuning {
        entry_size_max: ByteSize::new(shape.between(64, 1_024)),
        message_size_max: ByteSize::new(shape.between(64, 2_048)),
        messages_in_flight_max: shape.between(1, 16) as usize,
        commands_pending_max: shape.between(8, 256) as usize,
        commands_pending_size_max: ByteSize::new(shape.between(2_048, 65_536)),
        log_cache_size: ByteSize::new(shape.between(0, 2_048)),
        log_keep_entries: shape.between(0, 5),
        flush_after_size: ByteSize::new(shape.between(512, 16_384)),
        flush_after_entries: shape.between(5, 40),
        ..timing
    }
}

fn network(shape: &mut Stream) -> Network {
    let delay = Level::draw(shape);
    let loss = Level::draw(shape);
    let copies = Level::draw(shape);
    let bulk = Level::draw(shape);
    let micros = Duration::from_micros;
    Network {
        delay_min: micros(delay.pick(50, 100, 200)),
        delay_max: micros(delay.pick(500, 5_000, 100_000)),
        slow_ppm: delay.pick(0, 1_000, 20_000),
        lost_ppm: loss.pick(0, 10_000, 150_000),
        doubled_ppm: copies.pick(0, 10_000, 250_000),
        late_copy_ppm: copies.pick(0, 100_000, 500_000),
        in_order: shape.chance(MILLION / 3),
        noticed_ppm: loss.pick(500_000, 200_000, 50_000),
        bulk_broken_ppm: bulk.pick(0, 50_000, 400_000),
    }
}

fn work(shape: &mut Stream) -> Work {
    let micros = Duration::from_micros;
    let level = Level::draw(shape);
    Work {
        wake_max: micros(Level::draw(shape).pick(20, 200, 5_000)),
        sync: micros(level.pick(100, 500, 5_000)),
        sync_max: micros(level.pick(1_000, 50_000, 1_000_000)),
        apply: micros(Level::draw(shape).pick(20, 500, 10_000)),
        apply_max: micros(level.pick(1_000, 20_000, 500_000)),
        flush: micros(Level::draw(shape).pick(1_000, 20_000, 300_000)),
        fetch: micros(Level::draw(shape).pick(50, 1_000, 100_000)),
        block: micros(Level::draw(shape).pick(500, 10_000, 300_000)),
    }
}

fn clock(shape: &mut Stream) -> ClockRate {
    let origin = Instant::from_nanos(shape.below(1 << 40));
    let drift = Level::draw(shape).pick(0, 10_000, 500_000);
    ClockRate {
        origin,
        // Half to twice as fast at most: slow by up to half, fast by up to all.
        nanos_per_milli: match shape.below(2) {
            0 => MILLION - shape.below(drift + 1),
            _ => MILLION + 2 * shape.below(drift + 1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_seeds_differ() {
        let text = |seed| format!("{:?}", Plan::from_seed(seed, None, None));
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }

    #[test]
    fn the_shape_can_be_overridden() {
        let plan = Plan::from_seed(1, Some(5), Some(Duration::from_secs(60)));
        assert_eq!((plan.members, plan.clocks.len()), (5, 5));
        assert!(plan.operations.iter().all(|operation| operation.member < 5));
        assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
        assert!(plan.operations.is_sorted_by_key(|operation| operation.at));
    }

    #[test]
    fn all_sizes_of_cluster_and_both_kinds_of_limits_are_drawn() {
        let plans: Vec<Plan> = (0..64).map(|seed| Plan::from_seed(seed, None, None)).collect();
        for members in [1, 3, 5] {
            assert!(plans.iter().any(|plan| plan.members == members));
        }
        let tiny = plans.iter().filter(|plan| plan.tuning.log_keep_entries <= 5).count();
        assert!((16..48).contains(&tiny), "{tiny}");
    }
}
