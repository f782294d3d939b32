//! From a seed to a plan: the cluster, its limits and the noise.

use std::time::Duration;

use quorate_types::Instant;

use super::classes::{FaultClass, Faults, Level};
use super::faults::fault_timeline;
use super::housekeeping::Housekeeping;
use super::operations::{mix_of, operations};
use super::validate::MEMBERS_MAX;
use super::watches::watches;
use super::{ClockRate, DelayShape, Disk, Limits, Network, Plan, Work};
use crate::rng::{MILLION, Purpose, Stream};
use crate::run::Options;

impl Plan {
    /// The plan of a seed. The options may override what the seed would choose: members, duration
    /// and faults.
    pub fn from_seed(seed: u64, options: &Options) -> Self {
        let mut shape = Stream::new(seed, Purpose::Shape, 0, 0);
        let drawn_members = match shape.below(8) {
            0 => 1,
            1..6 => 3,
            _ => 5,
        };
        let drawn_duration = shape.duration(Duration::from_secs(8), Duration::from_secs(20));
        let members = options.members.unwrap_or(drawn_members).clamp(1, MEMBERS_MAX);
        let duration = options.duration.unwrap_or(drawn_duration);
        let noise = Noise { seed, levels: &options.faults };
        Self {
            seed,
            members,
            duration,
            limits: noise.limits(shape.chance(MILLION / 2)),
            housekeeping: Housekeeping::draw(seed),
            network: noise.network(),
            disk: noise.disk(),
            work: noise.work(),
            clocks: noise.clocks(members),
            faults: fault_timeline(seed, members, duration, &options.faults),
            operations: operations(seed, members, duration),
            watches: watches(seed, members, duration, &mix_of(seed)),
        }
    }
}

/// The classes of faults that are noise, each drawn from a stream of its own.
struct Noise<'a> {
    seed: u64,
    levels: &'a Faults,
}

impl Noise<'_> {
    fn level(&self, class: FaultClass) -> Level {
        self.levels.level(self.seed, class)
    }

    fn limits(&self, fast: bool) -> Limits {
        let mut stream = FaultClass::TinyLimits.stream(self.seed);
        let (heartbeat, election) = if fast { (50, 500) } else { (100, 1_000) };
        let timing = Limits {
            heartbeat_interval: Duration::from_millis(heartbeat),
            election_timeout: Duration::from_millis(election),
            ..Limits::default()
        };
        // Small limits make the rare paths common.
        if self.level(FaultClass::TinyLimits) == Level::Off {
            return Limits { flush_after_entries: stream.between(50, 2_000), ..timing };
        }
        // The smallest ones together: a command an entry, an entry a message, one message at a
        // time, a queue of four, a snapshot after twenty entries.
        let smallest = stream.chance(MILLION / 5);
        let mut between = |first: u64, last: u64| {
            let drawn = stream.between(first, last);
            if smallest { first } else { drawn }
        };
        Limits {
            entry_size_max: between(1, 1_024),
            message_size_max: between(1, 2_048),
            messages_in_flight_max: between(1, 16) as usize,
            commands_pending_max: between(4, 256) as usize,
            commands_pending_size_max: between(2_048, 65_536),
            log_cache_size: between(0, 2_048),
            log_keep_entries: between(0, 5),
            flush_after_size: between(512, 16_384),
            flush_after_entries: between(20, 40),
            recent_events_size: between(1, 16_384),
            ..timing
        }
    }

    fn network(&self) -> Network {
        let delay = self.level(FaultClass::Delay);
        let loss = self.level(FaultClass::Loss);
        let copies = self.level(FaultClass::Duplicates);
        let mut shape = FaultClass::Delay.stream(self.seed);
        let mut lost = FaultClass::Loss.stream(self.seed);
        let mut doubled = FaultClass::Duplicates.stream(self.seed);
        let mut link = FaultClass::Bandwidth.stream(self.seed);
        let micros = Duration::from_micros;
        Network {
            delay_min: micros(delay.pick(50, 100, 200)),
            delay_max: micros(delay.pick(500, 5_000, 100_000)),
            delay_shape: match shape.below(2) {
                0 => DelayShape::Uniform,
                _ => DelayShape::Exponential,
            },
            slow_ppm: delay.pick(0, 1_000, 20_000),
            lost_ppm: loss.pick(0, 10_000, lost.between(50_000, 200_000)),
            doubled_ppm: copies.pick(0, 10_000, doubled.between(100_000, 300_000)),
            late_copy_ppm: copies.pick(0, 100_000, 500_000),
            in_order: self.level(FaultClass::Reorder) == Level::Off,
            noticed_ppm: loss.pick(500_000, 200_000, 50_000),
            bulk_broken_ppm: self.level(FaultClass::BrokenStreams).pick(0, 50_000, 400_000),
            bandwidth: self.level(FaultClass::Bandwidth).pick(0, 1_000_000, 50_000),
            queue_size: link.between(4_096, 65_536),
            damaged_ppm: self.level(FaultClass::Damage).pick(0, 1_000, 10_000),
            misreported_ppm: self.level(FaultClass::Misreports).pick(0, 2_000, 50_000),
            stale_ppm: self.level(FaultClass::StaleMessages).pick(0, 10_000, 200_000),
        }
    }

    fn disk(&self) -> Disk {
        Disk { torn_ppm: self.level(FaultClass::TornWrites).pick(0, 200_000, 700_000) }
    }

    fn work(&self) -> Work {
        let micros = Duration::from_micros;
        let disks = self.level(FaultClass::SlowDisks);
        let mut stream = FaultClass::SlowDisks.stream(self.seed);
        // Not every disk that is slow is slow at everything.
        let mut level = || if stream.chance(MILLION / 2) { disks } else { Level::Off };
        let (sync, apply) = (level(), level());
        Work {
            wake_max: micros(self.level(FaultClass::SlowThreads).pick(20, 200, 5_000)),
            sync: micros(sync.pick(100, 500, 5_000)),
            sync_max: micros(sync.pick(1_000, 50_000, 1_000_000)),
            apply: micros(apply.pick(20, 500, 10_000)),
            apply_max: micros(apply.pick(1_000, 20_000, 500_000)),
            flush: micros(level().pick(1_000, 20_000, 300_000)),
            fetch: micros(level().pick(50, 1_000, 100_000)),
            block: micros(level().pick(500, 10_000, 300_000)),
        }
    }

    fn clocks(&self, members: usize) -> Vec<ClockRate> {
        let mut rates = FaultClass::ClockRates.stream(self.seed);
        let mut origins = FaultClass::ClockPhases.stream(self.seed);
        let drift = self.level(FaultClass::ClockRates).pick(0, 10_000, 500_000);
        let span = self.level(FaultClass::ClockPhases).pick(1, 1 << 27, 1 << 40);
        let clock = |_| ClockRate {
            origin: Instant::from_nanos(origins.below(span)),
            // Half to twice as fast at most: slow by up to half, fast by up to all.
            nanos_per_milli: match rates.below(2) {
                0 => MILLION - rates.below(drift + 1),
                _ => MILLION + 2 * rates.below(drift + 1),
            },
        };
        (0..members).map(clock).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seed: u64, faults: Faults) -> Plan {
        Plan::from_seed(seed, &Options { faults, ..Options::default() })
    }

    #[test]
    fn a_seed_gives_one_plan_and_seeds_differ() {
        let text = |seed| of(seed, Faults::swarm()).to_json();
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }

    #[test]
    fn the_shape_can_be_overridden() {
        let duration = Some(Duration::from_secs(60));
        let options = Options { members: Some(5), duration, ..Options::default() };
        let plan = Plan::from_seed(1, &options);
        assert_eq!((plan.members, plan.clocks.len()), (5, 5));
        assert!(plan.operations.iter().all(|operation| operation.member < 5));
        assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
        assert!(plan.operations.is_sorted_by_key(|operation| operation.at));
    }

    #[test]
    fn all_sizes_of_cluster_and_both_kinds_of_limits_are_drawn() {
        let plans: Vec<Plan> = (0..64).map(|seed| of(seed, Faults::swarm())).collect();
        for members in [1, 3, 5] {
            assert!(plans.iter().any(|plan| plan.members == members));
        }
        let tiny = plans.iter().filter(|plan| plan.limits.log_keep_entries <= 5).count();
        assert!((16..48).contains(&tiny), "{tiny}");
        assert!(plans.iter().any(|plan| plan.limits.commands_pending_max == 4));
    }

    #[test]
    fn every_plan_of_a_seed_is_valid() {
        for seed in 0..64 {
            assert_eq!(of(seed, Faults::swarm()).validate(), Ok(()), "seed {seed}");
        }
    }

    #[test]
    fn a_run_without_faults_has_none() {
        let plan = of(3, Faults::none());
        assert_eq!(plan.faults, []);
        let network = &plan.network;
        assert_eq!((network.lost_ppm, network.doubled_ppm, network.stale_ppm), (0, 0, 0));
        assert_eq!(plan.disk, Disk::default());
        assert_eq!(plan.work, Work::quick());
        assert!(plan.clocks.iter().all(|clock| clock.nanos_per_milli == MILLION));
    }

    #[test]
    fn a_class_that_is_turned_off_leaves_the_others_as_they_were() {
        for seed in 0..32 {
            let whole = of(seed, Faults::swarm());
            for class in FaultClass::all() {
                let part = of(seed, Faults::swarm().without(class));
                let mut rest = whole.faults.iter();
                let kept = part.faults.iter().all(|fault| rest.any(|known| known == fault));
                assert!(kept, "seed {seed} without {class:?}");
                assert_eq!(part.operations, whole.operations);
                let same = [
                    part.faults.len() == whole.faults.len(),
                    part.network == whole.network,
                    part.disk == whole.disk,
                    part.work == whole.work,
                    part.clocks == whole.clocks,
                    part.limits == whole.limits,
                ];
                let changed = same.iter().filter(|same| !**same).count();
                assert!(changed <= 1, "seed {seed} without {class:?}: {same:?}");
            }
        }
    }
}
