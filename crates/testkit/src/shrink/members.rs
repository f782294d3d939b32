//! Fewer members.

use serde_json::Value;

use super::Search;
use super::lists::RESEEDS_COARSE;
use super::values::{from_value, to_value};
use crate::plan::{Plan, TimedFault};

impl Search<'_> {
    /// Tries ever larger clusters, but smaller ones than the present one.
    pub(super) fn fewer_members(&mut self) {
        for members in 1..self.plan.members {
            let candidate = with_members(&self.plan, members);
            if self.accepts_some(&candidate, RESEEDS_COARSE) {
                return;
            }
        }
    }
}

/// The plan without its highest members. Their clients go to others; faults that need them lose
/// what is about them, or go if nothing sensible is left.
fn with_members(plan: &Plan, members: usize) -> Plan {
    let mut bare = plan.clone();
    bare.members = members;
    bare.clocks.truncate(members);
    bare.operations.clear();
    bare.faults.clear();
    bare.watches.clear();
    let faults = plan.faults.iter().filter_map(|fault| fitting(&bare, fault)).collect();
    let mut operations = plan.operations.clone();
    for operation in &mut operations {
        operation.member %= members;
    }
    let mut watches = plan.watches.clone();
    for watch in &mut watches {
        watch.member %= members;
    }
    Plan { faults, operations, watches, ..bare }
}

/// A fault as it is possible in this plan.
fn fitting(bare: &Plan, fault: &TimedFault) -> Option<TimedFault> {
    let fits = |fault: &TimedFault| {
        let plan = Plan { faults: vec![fault.clone()], ..bare.clone() };
        plan.validate().is_ok()
    };
    if fits(fault) {
        return Some(fault.clone());
    }
    let members = bare.members;
    let changes: [&Change<'_>; 2] = [
        // A list with one part for each member.
        &|list| list.truncate(members),
        // A list of members.
        &|list| list.retain(|part| part.as_u64().is_none_or(|part| part < members as u64)),
    ];
    changes.into_iter().find_map(|change| {
        let mut value = to_value(fault);
        change_lists(&mut value, change);
        from_value(value).filter(|fault| fits(fault))
    })
}

/// A change of a list within a fault.
type Change<'a> = dyn Fn(&mut Vec<Value>) + 'a;

fn change_lists(value: &mut Value, change: &Change<'_>) {
    match value {
        Value::Array(list) => change(list),
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| change_lists(value, change));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_types::Instant;

    use super::*;
    use crate::plan::{Fault, Target};
    use crate::run::Options;

    #[test]
    fn faults_of_members_that_go_are_fitted_or_dropped() {
        let mut plan = Plan::from_seed(1, &Options { members: Some(5), ..Options::default() });
        let down = Duration::from_millis(1);
        let crash = |place| Fault::Crash { target: Target::Member(place), down };
        let faults = [crash(1), crash(4), Fault::CrashAll { down: vec![down; 5] }];
        let timed = |fault: &Fault| TimedFault { at: Instant::ZERO, fault: fault.clone() };
        plan.faults = faults.iter().map(timed).collect();
        let fewer = with_members(&plan, 3);
        assert_eq!(fewer.validate(), Ok(()));
        let expected = [crash(1), Fault::CrashAll { down: vec![down; 3] }];
        assert_eq!(fewer.faults, expected.iter().map(timed).collect::<Vec<_>>());
        assert_eq!(fewer.operations.len(), plan.operations.len());
    }
}
