//! Whether a plan is one that a run can work with.

use std::time::Duration;

use super::{Fault, Network, Plan, PlanError, Target, Work};
use crate::rng::MILLION;

impl Plan {
    /// Checks every field that was not made by [`Plan::from_seed`] but perhaps by hand.
    ///
    /// # Errors
    ///
    /// [`PlanError::Invalid`] names the first field that no run can work with.
    pub fn validate(&self) -> Result<(), PlanError> {
        within("members", self.members as u64, 1, MEMBERS_MAX as u64)?;
        time("duration", self.duration, Duration::from_millis(1))?;
        self.validate_limits()?;
        self.validate_housekeeping()?;
        validate_network(&self.network)?;
        within("disk.torn_ppm", self.disk.torn_ppm, 0, MILLION)?;
        validate_work(&self.work)?;
        let clocks = self.clocks.len();
        if clocks != self.members {
            let expected = format!("one clock for each of {} members", self.members);
            return Err(PlanError::invalid("clocks", format!("{clocks} clocks"), expected));
        }
        for (place, clock) in self.clocks.iter().enumerate() {
            let field = |name: &str| format!("clocks[{place}].{name}");
            // Ten times too slow or too fast: beyond that, no bound on the recovery holds.
            within(field("nanos_per_milli"), clock.nanos_per_milli, MILLION / 10, MILLION * 10)?;
            within(field("origin"), clock.origin.as_nanos(), 0, TIME_MAX_NANOS)?;
        }
        for (place, fault) in self.faults.iter().enumerate() {
            let field = format!("faults[{place}]");
            within(format!("{field}.at"), fault.at.as_nanos(), 0, TIME_MAX_NANOS)?;
            self.validate_fault(&format!("{field}.fault"), &fault.fault)?;
        }
        for (place, operation) in self.operations.iter().enumerate() {
            let field = |name: &str| format!("operations[{place}].{name}");
            within(field("at"), operation.at.as_nanos(), 0, TIME_MAX_NANOS)?;
            self.member(field("member"), operation.member)?;
            time(field("timeout"), operation.timeout, Duration::ZERO)?;
        }
        for (place, watch) in self.watches.iter().enumerate() {
            let field = |name: &str| format!("watches[{place}].{name}");
            within(field("at"), watch.at.as_nanos(), 0, TIME_MAX_NANOS)?;
            self.member(field("member"), watch.member)?;
            time(field("pace"), watch.pace, Duration::ZERO)?;
            // Without any, it would ask for ever without any time passing.
            time(field("patience"), watch.patience, Duration::from_millis(1))?;
            within(field("progress_ppm"), watch.progress_ppm, 0, MILLION)?;
        }
        Ok(())
    }

    fn validate_limits(&self) -> Result<(), PlanError> {
        let limits = &self.limits;
        let least = Duration::from_millis(1);
        time("limits.heartbeat_interval", limits.heartbeat_interval, least)?;
        time("limits.election_timeout", limits.election_timeout, least)?;
        if limits.election_timeout < limits.heartbeat_interval * 5 {
            let found = format!("{:?}", limits.election_timeout);
            let expected = "at least five heartbeat intervals";
            return Err(PlanError::invalid("limits.election_timeout", found, expected));
        }
        let counts = [
            ("limits.messages_in_flight_max", limits.messages_in_flight_max),
            ("limits.commands_pending_max", limits.commands_pending_max),
        ];
        for (field, count) in counts {
            within(field, count as u64, 1, u64::from(u32::MAX))?;
        }
        within("limits.flush_after_entries", limits.flush_after_entries, 1, u64::MAX)
    }

    fn validate_housekeeping(&self) -> Result<(), PlanError> {
        let (housekeeping, zero) = (&self.housekeeping, Duration::ZERO);
        let records = housekeeping.sweep_records_max as u64;
        within("housekeeping.sweep_records_max", records, 1, u64::from(u32::MAX))?;
        time("housekeeping.checkpoint_interval", housekeeping.checkpoint_interval, zero)?;
        time("housekeeping.retry_interval", housekeeping.retry_interval, zero)?;
        match housekeeping.retention {
            Duration::ZERO => Ok(()),
            // Shorter ones would compact many times a second.
            retention => time("housekeeping.retention", retention, Duration::from_millis(100)),
        }
    }

    fn validate_fault(&self, field: &str, fault: &Fault) -> Result<(), PlanError> {
        let name = |name: &str| format!("{field}.{name}");
        let long = |part: &str, value: Duration| time(name(part), value, Duration::ZERO);
        match fault {
            Fault::Crash { target, down }
            | Fault::CrashAt { target, down, .. }
            | Fault::Reopen { target, down }
            | Fault::DiskFailure { target, down, .. } => {
                self.target(name("target"), *target)?;
                long("down", *down)
            }
            Fault::CrashAll { down } => {
                down.iter().try_for_each(|down| long("down", *down))?;
                within(name("down"), down.len() as u64, 0, self.members as u64)
            }
            Fault::CrashLoop { target, up, down } => {
                self.target(name("target"), *target)?;
                up.iter().try_for_each(|up| long("up", *up))?;
                long("down", *down)
            }
            Fault::Pause { target, lasting, .. }
            | Fault::Isolate { target, lasting, .. }
            | Fault::Stall { target, lasting } => {
                self.target(name("target"), *target)?;
                long("lasting", *lasting)
            }
            Fault::Replay { target, within } => {
                self.target(name("target"), *target)?;
                long("within", *within)
            }
            Fault::SlowReceiver { target, delay, lasting } => {
                self.target(name("target"), *target)?;
                long("delay", *delay)?;
                long("lasting", *lasting)
            }
            Fault::Slow { target, factor, lasting } => {
                self.target(name("target"), *target)?;
                within(name("factor"), u64::from(*factor), 1, 1_000)?;
                long("lasting", *lasting)
            }
            Fault::Cut { from, to, lasting, .. } => {
                self.member(name("from"), *from)?;
                self.member(name("to"), *to)?;
                long("lasting", *lasting)
            }
            Fault::Split { lasting, .. } => long("lasting", *lasting),
            Fault::Ring { order, lasting, .. } => {
                places(name("order"), order, self.members)?;
                long("lasting", *lasting)
            }
            Fault::Bridge { middle, lasting, .. } => {
                self.member(name("middle"), *middle)?;
                long("lasting", *lasting)
            }
            Fault::OneFollower { follower, lasting, .. } => {
                self.member(name("follower"), *follower)?;
                long("lasting", *lasting)
            }
            Fault::Swizzle { cuts, mends, gap, .. } => {
                let mut ends = cuts.iter().flat_map(|(from, to)| [*from, *to]);
                ends.try_for_each(|end| self.member(name("cuts"), end))?;
                places(name("mends"), mends, cuts.len())?;
                long("gap", *gap)
            }
            Fault::TransferLeader { asked, to } => {
                self.member(name("asked"), *asked)?;
                self.member(name("to"), *to)
            }
        }
    }

    fn member(&self, field: impl Into<String>, place: usize) -> Result<(), PlanError> {
        within(field, place as u64, 0, self.members as u64 - 1)
    }

    fn target(&self, field: impl Into<String>, target: Target) -> Result<(), PlanError> {
        match target {
            Target::Member(place) => self.member(field, place),
            Target::Leader => Ok(()),
        }
    }
}

fn validate_network(network: &Network) -> Result<(), PlanError> {
    time("network.delay_min", network.delay_min, Duration::from_nanos(1))?;
    time("network.delay_max", network.delay_max, network.delay_min)?;
    let chances = [
        ("network.slow_ppm", network.slow_ppm),
        ("network.lost_ppm", network.lost_ppm),
        ("network.doubled_ppm", network.doubled_ppm),
        ("network.late_copy_ppm", network.late_copy_ppm),
        ("network.noticed_ppm", network.noticed_ppm),
        ("network.bulk_broken_ppm", network.bulk_broken_ppm),
        ("network.damaged_ppm", network.damaged_ppm),
        ("network.misreported_ppm", network.misreported_ppm),
        ("network.stale_ppm", network.stale_ppm),
    ];
    chances.into_iter().try_for_each(|(field, ppm)| within(field, ppm, 0, MILLION))
}

fn validate_work(work: &Work) -> Result<(), PlanError> {
    let times = [
        ("work.wake_max", work.wake_max),
        ("work.sync", work.sync),
        ("work.sync_max", work.sync_max),
        ("work.apply", work.apply),
        ("work.apply_max", work.apply_max),
        ("work.flush", work.flush),
        ("work.fetch", work.fetch),
        ("work.block", work.block),
    ];
    // A thread that needs no time at all could work for ever without any passing.
    times.into_iter().try_for_each(|(field, long)| time(field, long, Duration::from_nanos(1)))
}

/// Each place below `count` once.
fn places(field: String, found: &[usize], count: usize) -> Result<(), PlanError> {
    let mut sorted = found.to_vec();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..count) {
        return Ok(());
    }
    Err(PlanError::invalid(field, format!("{found:?}"), format!("each place below {count} once")))
}

fn time(field: impl Into<String>, found: Duration, min: Duration) -> Result<(), PlanError> {
    if (min..=TIME_MAX).contains(&found) {
        return Ok(());
    }
    let expected = format!("a time from {min:?} to {TIME_MAX:?}");
    Err(PlanError::invalid(field, format!("{found:?}"), expected))
}

fn within(field: impl Into<String>, found: u64, min: u64, max: u64) -> Result<(), PlanError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(PlanError::invalid(field, found, format!("{min} to {max}")))
}

/// Larger clusters behave no differently; they are only slower.
pub(super) const MEMBERS_MAX: usize = 7;

/// A week: far beyond every run, and far below what a clock can show at ten times its rate.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const TIME_MAX_NANOS: u64 = 7 * 24 * 60 * 60 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use quorate_types::Instant;

    use super::*;
    use crate::plan::{ClockRate, CutMode, PlannedWatch, TimedFault};
    use crate::run::Options;

    /// A change of a plan makes it invalid because of this field.
    fn check(field: &str, change: impl FnOnce(&mut Plan)) {
        let mut plan = Plan::from_seed(3, &Options { members: Some(3), ..Options::default() });
        assert_eq!(plan.validate(), Ok(()));
        change(&mut plan);
        match plan.validate() {
            Err(PlanError::Invalid { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }

    fn check_fault(field: &str, fault: Fault) {
        check(field, |plan| plan.faults = vec![TimedFault { at: Instant::ZERO, fault }]);
    }

    #[test]
    fn sizes_and_times_have_bounds() {
        check("members", |plan| plan.members = 0);
        check("members", |plan| plan.members = 8);
        check("duration", |plan| plan.duration = Duration::ZERO);
        check("duration", |plan| plan.duration = Duration::MAX);
        check("limits.heartbeat_interval", |plan| plan.limits.heartbeat_interval = Duration::ZERO);
        check("limits.election_timeout", |plan| {
            plan.limits.election_timeout = plan.limits.heartbeat_interval;
        });
        check("limits.messages_in_flight_max", |plan| plan.limits.messages_in_flight_max = 0);
        check("limits.flush_after_entries", |plan| plan.limits.flush_after_entries = 0);
        check("housekeeping.sweep_records_max", |plan| plan.housekeeping.sweep_records_max = 0);
        let short = Duration::from_nanos(1);
        check("housekeeping.retention", |plan| plan.housekeeping.retention = short);
        check("network.delay_max", |plan| plan.network.delay_max = Duration::ZERO);
        check("network.lost_ppm", |plan| plan.network.lost_ppm = MILLION + 1);
        check("disk.torn_ppm", |plan| plan.disk.torn_ppm = MILLION + 1);
        check("work.sync", |plan| plan.work.sync = Duration::ZERO);
    }

    #[test]
    fn there_is_a_clock_for_each_member() {
        check("clocks", |plan| plan.clocks.truncate(2));
        let stopped = ClockRate { origin: Instant::ZERO, nanos_per_milli: 0 };
        check("clocks[1].nanos_per_milli", |plan| plan.clocks[1] = stopped);
        let late = ClockRate { origin: Instant::MAX, nanos_per_milli: MILLION };
        check("clocks[2].origin", |plan| plan.clocks[2] = late);
    }

    #[test]
    fn operations_and_faults_name_members_that_exist() {
        check("operations[4].member", |plan| plan.operations[4].member = 3);
        check("operations[0].at", |plan| plan.operations[0].at = Instant::MAX);
        let (target, down) = (Target::Member(3), Duration::ZERO);
        let (lasting, mode) = (Duration::ZERO, CutMode::Drop);
        check_fault("faults[0].fault.target", Fault::Crash { target, down });
        check_fault("faults[0].fault.target", Fault::Isolate { target, lasting, mode });
        check_fault("faults[0].fault.to", Fault::Cut { from: 0, to: 9, lasting, mode });
        check_fault("faults[0].fault.asked", Fault::TransferLeader { asked: 3, to: 0 });
        let slow = Fault::Slow { target: Target::Leader, factor: 0, lasting };
        check_fault("faults[0].fault.factor", slow);
        let late = Fault::Stall { target: Target::Leader, lasting: Duration::MAX };
        check_fault("faults[0].fault.lasting", late);
        check_fault("faults[0].fault.down", Fault::CrashAll { down: vec![down; 4] });
    }

    #[test]
    fn watches_name_members_that_exist_and_take_time() {
        let watch = PlannedWatch { patience: Duration::from_secs(1), ..PlannedWatch::default() };
        let check_watch = |field: &str, watch: PlannedWatch| {
            check(field, |plan| plan.watches = vec![watch]);
        };
        check_watch("watches[0].member", PlannedWatch { member: 3, ..watch.clone() });
        check_watch("watches[0].at", PlannedWatch { at: Instant::MAX, ..watch.clone() });
        check_watch("watches[0].pace", PlannedWatch { pace: Duration::MAX, ..watch.clone() });
        check_watch("watches[0].progress_ppm", PlannedWatch { progress_ppm: 9 << 20, ..watch });
        check_watch("watches[0].patience", PlannedWatch::default());
    }

    #[test]
    fn orders_name_each_place_once() {
        let (lasting, mode) = (Duration::ZERO, CutMode::Hold);
        let ring = |order: &[usize]| Fault::Ring { order: order.to_vec(), lasting, mode };
        check_fault("faults[0].fault.order", ring(&[0, 1]));
        check_fault("faults[0].fault.order", ring(&[0, 1, 1]));
        let swizzle =
            Fault::Swizzle { cuts: vec![(0, 1)], mends: vec![1], gap: Duration::ZERO, mode };
        check_fault("faults[0].fault.mends", swizzle);
    }
}
