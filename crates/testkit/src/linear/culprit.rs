//! Which operation is to blame, once it is known that there is no order.

use super::search::{Bounds, Progress, Search, Stuck};
use super::{Model, Operation};

/// Finds the first return that cannot be passed. The refuted search knows two between which it
/// lies; halving the distance takes a search each time, up to the return in the middle.
pub(super) fn find<M: Model>(
    model: &M,
    history: &[Operation<M::Input, M::Output>],
    places: &[u32],
    refuted: &Search<'_, M>,
    bytes_max: usize,
) -> Stuck {
    let (first, last) = refuted.refuted_between();
    let mut returns = refuted.returns(first, last);
    while returns.len() > 1 {
        let middle = returns[(returns.len() - 1) / 2];
        let bounds = Bounds { until: middle, ahead_until: middle };
        let mut search = Search::until(model, history, places, bounds);
        match search.run(&mut { STEPS_MAX }, bytes_max) {
            Progress::Found => returns.retain(|at| *at > middle),
            Progress::Refuted => {
                let (first, last) = search.refuted_between();
                returns.retain(|at| (first..=last.min(middle)).contains(at));
            }
            // The last one is known to be out of reach, if not the first such.
            Progress::Paused | Progress::Full => break,
        }
    }
    let culprit = returns[returns.len() - 1];
    // All states just before that return, so nothing may be given up for its sake.
    let bounds = Bounds { until: culprit, ahead_until: culprit.saturating_sub(1) };
    let mut search = Search::until(model, history, places, bounds);
    search.run(&mut { STEPS_MAX }, bytes_max);
    search.stuck(culprit)
}

/// How much a search for the culprit may cost. It is only for the message, so not much.
const STEPS_MAX: u64 = 200_000;
