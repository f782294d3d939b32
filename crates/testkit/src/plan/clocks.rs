//! Whether the clocks of a run keep what read leases need.

use super::{Fault, Plan};

impl Plan {
    /// Whether no clock runs twice as fast as another's or faster, or stands still while others go
    /// on. Else nobody may rely on read leases, and reads that ask for one are made without.
    pub(crate) fn clocks_keep_rates(&self) -> bool {
        let rates = || self.clocks.iter().map(|clock| clock.nanos_per_milli);
        let (slowest, fastest) = (rates().min().unwrap_or(1), rates().max().unwrap_or(1));
        let freezes = |fault: &Fault| matches!(fault, Fault::Pause { frozen: true, .. });
        fastest < 2 * slowest && !self.faults.iter().any(|timed| freezes(&timed.fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Faults;
    use crate::run::Options;

    #[test]
    fn many_runs_with_faults_keep_rates_and_many_do_not() {
        let keeps = |seed| {
            let faults = Faults::swarm();
            Plan::from_seed(seed, &Options { faults, ..Options::default() }).clocks_keep_rates()
        };
        let count = (0..100).filter(|seed| keeps(*seed)).count();
        assert!((30..90).contains(&count), "{count}");
    }

    #[test]
    fn clocks_that_differ_by_a_factor_of_two_do_not() {
        let mut plan =
            Plan::from_seed(1, &Options { faults: Faults::none(), ..Options::default() });
        assert!(plan.clocks_keep_rates());
        plan.clocks[0].nanos_per_milli = 600_000;
        plan.clocks[1].nanos_per_milli = 1_199_999;
        assert!(plan.clocks_keep_rates());
        plan.clocks[1].nanos_per_milli = 1_200_000;
        assert!(!plan.clocks_keep_rates());
    }
}
