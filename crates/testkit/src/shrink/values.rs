//! Simpler values in faults and operations: smaller, rounder, fewer.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Search;

impl Search<'_> {
    /// Makes values simpler: those of one name in all faults or all operations at once, then one
    /// after another.
    pub(super) fn simpler_values(&mut self) {
        for list in LISTS {
            self.simpler_together(list);
        }
        self.simpler_requests();
        for list in LISTS {
            let mut place = 0;
            while place < list_of(&to_value(&self.plan), list).len() && !self.is_over() {
                self.simpler_part(list, place);
                place += 1;
            }
        }
    }

    /// Tries the same simplification for all values of one name in a list.
    fn simpler_together(&mut self, list: &str) {
        let value = to_value(&self.plan);
        let mut names = BTreeSet::new();
        for part in list_of(&value, list) {
            names.extend(leaves(part).into_iter().map(|path| name_of(&path).to_owned()));
        }
        for name in names {
            // The first choices are the simplest.
            for choice in 0..CHOICES_MAX {
                let mut value = to_value(&self.plan);
                let Some(parts) = value[list].as_array_mut() else { return };
                for part in parts.iter_mut() {
                    for path in leaves(part).iter().filter(|path| name_of(path) == name) {
                        let Some(leaf) = part.pointer_mut(path) else { continue };
                        if let Some(simpler) = simpler(&name, leaf).into_iter().nth(choice) {
                            *leaf = simpler;
                        }
                    }
                }
                sort_by_time(parts);
                if self.accepts_value(value) {
                    break;
                }
            }
        }
    }

    /// Makes the values of one fault or operation simpler, as far as each goes. Where sorting by
    /// time puts another one in its place, that one is next.
    fn simpler_part(&mut self, list: &str, place: usize) {
        let value = to_value(&self.plan);
        let Some(part) = list_of(&value, list).get(place) else { return };
        for path in leaves(part) {
            let full = format!("/{list}/{place}{path}");
            while self.simpler_leaf(list, &full) && !self.is_over() {}
        }
        self.shorter_lists(list, place);
    }

    fn simpler_leaf(&mut self, list: &str, path: &str) -> bool {
        let value = to_value(&self.plan);
        let Some(leaf) = value.pointer(path) else { return false };
        let mut choices = simpler(name_of(path), leaf);
        choices.extend(simpler_text(list_of(&value, list), name_of(path), leaf));
        for simpler in choices {
            let mut candidate = value.clone();
            let Some(leaf) = candidate.pointer_mut(path) else { return false };
            *leaf = simpler;
            if let Some(parts) = candidate[list].as_array_mut() {
                sort_by_time(parts);
            }
            if self.accepts_value(candidate) {
                return true;
            }
        }
        false
    }

    /// Takes elements out of the lists within a fault or an operation.
    fn shorter_lists(&mut self, list: &str, place: usize) {
        let value = to_value(&self.plan);
        let Some(part) = list_of(&value, list).get(place) else { return };
        for path in lists(part) {
            let full = format!("/{list}/{place}{path}");
            let mut at = 0;
            loop {
                let mut candidate = to_value(&self.plan);
                let Some(Value::Array(within)) = candidate.pointer_mut(&full) else { break };
                if at >= within.len() {
                    break;
                }
                within.remove(at);
                if !self.accepts_value(candidate) {
                    at += 1;
                }
            }
        }
    }

    /// Puts the shortest requests of the plan in the place of others.
    fn simpler_requests(&mut self) {
        let length = |request: &Value| request.to_string().len();
        let mut requests: Vec<Value> =
            self.plan.operations.iter().map(|operation| to_value(&operation.request)).collect();
        requests.sort_by_key(|request| (length(request), request.to_string()));
        requests.dedup();
        requests.truncate(REQUESTS_TRIED);
        for place in 0..self.plan.operations.len() {
            for request in &requests {
                let present = to_value(&self.plan.operations[place].request);
                let Some(request) =
                    from_value(request.clone()).filter(|_| length(request) < length(&present))
                else {
                    break;
                };
                let mut candidate = self.plan.clone();
                candidate.operations[place].request = request;
                if self.accepts(candidate) {
                    break;
                }
            }
            if self.is_over() {
                return;
            }
        }
    }
}

/// A value as JSON.
pub(super) fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("plans hold nothing that JSON cannot")
}

/// JSON as a value, if it is one.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn list_of<'a>(plan: &'a Value, list: &str) -> &'a [Value] {
    plan[list].as_array().map_or(&[], Vec::as_slice)
}

/// The last name of a path; places in lists have none of their own.
fn name_of(path: &str) -> &str {
    let mut names = path.rsplit('/');
    names.find(|name| name.parse::<usize>().is_err()).unwrap_or(path)
}

/// The paths of all numbers, flags and texts within.
fn leaves(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, String::new(), &mut |path, value| {
        if value.is_number() || value.is_boolean() || value.is_string() {
            found.push(path.to_owned());
        }
    });
    found
}

/// The paths of all lists within.
fn lists(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, String::new(), &mut |path, value| {
        if value.is_array() {
            found.push(path.to_owned());
        }
    });
    found
}

fn walk(value: &Value, path: String, visit: &mut dyn FnMut(&str, &Value)) {
    visit(&path, value);
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(value, format!("{path}/{name}"), visit));
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                walk(value, format!("{path}/{place}"), visit);
            }
        }
        _ => {}
    }
}

/// Simpler values than this one, the simplest first.
fn simpler(name: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(true) => vec![Value::Bool(false)],
        Value::Number(number) => match number.as_u64() {
            // Points in time keep about where they are: what matters is what comes when.
            Some(number) if name == "at" => rounded_down(number),
            Some(number) => smaller(number),
            None => Vec::new(),
        }
        .into_iter()
        .map(Value::from)
        .collect(),
        _ => Vec::new(),
    }
}

/// Simpler texts than this one: none, and the simplest one of the same name elsewhere in the list.
/// Names of kinds are texts, too; what is no kind is no plan, and is not run.
fn simpler_text(parts: &[Value], name: &str, value: &Value) -> Vec<Value> {
    let Some(present) = value.as_str() else { return Vec::new() };
    let order = |text: &str| (text.len(), text.to_owned());
    let mut found = vec![String::new()];
    for part in parts {
        for path in leaves(part).iter().filter(|path| name_of(path) == name) {
            found.extend(part.pointer(path).and_then(Value::as_str).map(str::to_owned));
        }
    }
    found.sort_by_key(|text| order(text));
    found.dedup();
    found.retain(|text| order(text) < order(present));
    found.truncate(TEXTS_TRIED);
    found.into_iter().map(Value::from).collect()
}

/// Zero, then numbers with fewer digits that are not zero, then half.
fn smaller(number: u64) -> Vec<u64> {
    let mut found = vec![0];
    let mut unit = 1;
    while unit <= number / 10 {
        unit *= 10;
    }
    found.extend([number / unit * unit, number / (unit / 10).max(1) * (unit / 10).max(1)]);
    if number <= 10 || number.is_multiple_of(unit) {
        found.push(number / 2);
    }
    found.retain(|candidate| *candidate < number);
    found.dedup();
    found
}

/// The time in whole units of time, the longest first.
fn rounded_down(nanos: u64) -> Vec<u64> {
    let units = TIME_UNITS.into_iter().map(|unit| nanos / unit * unit);
    distinct(units.filter(|rounded| *rounded != nanos))
}

fn distinct(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut distinct: Vec<u64> = values.collect();
    distinct.dedup();
    distinct
}

fn sort_by_time(parts: &mut [Value]) {
    parts.sort_by_key(|part| part["at"].as_u64());
}

/// The lists of a plan whose parts have values to be made simpler.
const LISTS: [&str; 3] = ["faults", "operations", "watches"];

/// How many of the shortest requests are tried in the place of each other one.
const REQUESTS_TRIED: usize = 3;

/// How many simpler texts are tried in the place of a text.
const TEXTS_TRIED: usize = 3;

/// How many simplifications a value has at most.
const CHOICES_MAX: usize = 4;

/// A second, 100 ms, 10 ms and 1 ms.
const TIME_UNITS: [u64; 4] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_smaller_and_rounder_and_come_to_an_end() {
        assert_eq!(smaller(149_035_169), [0, 100_000_000, 140_000_000]);
        assert_eq!(smaller(100), [0, 50]);
        assert_eq!(smaller(7), [0, 3]);
        assert!(smaller(0).is_empty());
        for number in [u64::MAX, 12_345, 10, 1] {
            let mut number = number;
            for _ in 0..200 {
                match smaller(number).last() {
                    Some(smaller) => number = *smaller,
                    None => break,
                }
            }
            assert_eq!(number, 0);
        }
    }

    #[test]
    fn times_are_rounded_to_units_of_time() {
        let nanos = 1_234_567_890;
        assert_eq!(
            rounded_down(nanos),
            [1_000_000_000, 1_200_000_000, 1_230_000_000, 1_234_000_000]
        );
        assert!(rounded_down(3_000_000_000).is_empty());
    }

    #[test]
    fn texts_become_those_of_others() {
        let parts = [serde_json::json!({"key": "k/2"}), serde_json::json!({"key": "k/1", "z": ""})];
        assert_eq!(simpler_text(&parts, "key", &"k/2".into()), ["", "k/1"]);
        assert_eq!(simpler_text(&parts, "key", &"k/1".into()), [""]);
        assert!(simpler_text(&parts, "key", &"".into()).is_empty());
    }

    #[test]
    fn paths_lead_to_numbers_flags_and_lists() {
        let value: Value = serde_json::json!({"a": {"b": [1, "x"]}, "c": true});
        assert_eq!(leaves(&value), ["/a/b/0", "/a/b/1", "/c"]);
        assert_eq!(lists(&value), ["/a/b"]);
        assert_eq!(name_of("/a/b/0"), "b");
    }
}
