//! Less noise: the network, the disks, the clocks and the limits as they are without trouble.

use serde_json::Value;

use super::Search;
use super::values::{from_value, to_value};
use crate::plan::{Faults, Limits, Plan};
use crate::run::Options;

impl Search<'_> {
    /// Calms everything at once, else one section of the plan after another.
    pub(super) fn calm_sections(&mut self) {
        let calm = calm(&self.plan);
        let mut all = to_value(&self.plan);
        let sections = sections(&all);
        for section in &sections {
            all[section] = calm[section].clone();
        }
        if self.accepts_value(all) {
            return;
        }
        for section in sections {
            let mut value = to_value(&self.plan);
            value[&section] = calm[&section].clone();
            self.accepts_value(value);
        }
    }

    /// Calms one field after another.
    pub(super) fn calm_fields(&mut self) {
        let calm = calm(&self.plan);
        for section in sections(&calm) {
            let mut paths = Vec::new();
            collect_paths(&calm[&section], format!("/{section}"), &mut paths);
            for path in paths {
                let mut value = to_value(&self.plan);
                let (Some(old), Some(new)) = (value.pointer_mut(&path), calm.pointer(&path)) else {
                    continue;
                };
                if old != new {
                    *old = new.clone();
                    self.accepts_value(value);
                }
            }
        }
    }

    /// Makes limits smaller that cannot be the usual ones: then fewer operations reach them.
    pub(super) fn smaller_limits(&mut self) {
        let calm = calm(&self.plan);
        let mut paths = Vec::new();
        collect_paths(&calm["limits"], "/limits".to_owned(), &mut paths);
        for path in paths {
            let mut value = to_value(&self.plan);
            let found = value.pointer(&path).and_then(Value::as_u64);
            let usual = calm.pointer(&path).and_then(Value::as_u64);
            let Some(limit) = found.filter(|limit| found != usual && *limit < COUNT_MAX) else {
                continue;
            };
            for smaller in [1, 2, 4, limit / 4, limit / 2] {
                if let Some(leaf) = value.pointer_mut(&path).filter(|_| smaller < limit) {
                    *leaf = smaller.into();
                    if self.accepts_value(value.clone()) {
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn accepts_value(&mut self, value: Value) -> bool {
        from_value(value).is_some_and(|plan: Plan| self.accepts(plan))
    }
}

/// Above every limit of a count or a size that is smaller than usual; what is more is a time.
const COUNT_MAX: u64 = 100_000;

/// The plan as it would be without any trouble.
fn calm(plan: &Plan) -> Value {
    let members = Some(plan.members);
    let options = Options { members, faults: Faults::none(), ..Options::default() };
    let calm = Plan { limits: Limits::default(), ..Plan::from_seed(plan.seed, &options) };
    to_value(&calm)
}

/// The parts of a plan that are noise or limits: all but what it is about.
fn sections(plan: &Value) -> Vec<String> {
    let subject = ["seed", "members", "duration", "faults", "operations", "watches"];
    let Value::Object(fields) = plan else { return Vec::new() };
    fields.keys().filter(|name| !subject.contains(&name.as_str())).cloned().collect()
}

/// The paths of all single values within.
fn collect_paths(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect_paths(value, format!("{path}/{name}"), paths);
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                collect_paths(value, format!("{path}/{place}"), paths);
            }
        }
        _ => paths.push(path),
    }
}
