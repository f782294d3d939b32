//! The search against every order there is, on very many small histories.

use quorate_testkit::linear::{
    CasInput, CasOutput, CasRegister, KeyValue, KeyValueInput, KeyValueOutput, Limits, Model,
    Operation, Register, RegisterInput, RegisterOutput, Step, Verdict, check,
};
use quorate_testkit::rng::{Purpose, Stream};

/// Whether some order of the operations not yet placed is allowed, by trying all of them. Those
/// that returned by `end` must be in it, those called by then may be.
fn has_order<M: Model>(
    model: &M,
    history: &[Operation<M::Input, M::Output>],
    end: u64,
    placed: &mut Vec<usize>,
    state: &M::State,
) -> bool
where
    M::State: Clone,
{
    let is_open = |at: &usize| history[*at].call_time() <= end && !placed.contains(at);
    let rest: Vec<usize> = (0..history.len()).filter(is_open).collect();
    let returned_by =
        |at: &usize, end: u64| history[*at].return_time().is_some_and(|time| time <= end);
    if !rest.iter().any(|at| returned_by(at, end)) {
        return true;
    }
    for next in &rest {
        let called = history[*next].call_time();
        if rest.iter().any(|at| returned_by(at, called - 1)) {
            continue;
        }
        let state = match model.step(state, history[*next].input(), history[*next].output()) {
            Step::Refused => continue,
            Step::Same => state.clone(),
            Step::To(state) => state,
        };
        placed.push(*next);
        let found = has_order(model, history, end, placed, &state);
        placed.pop();
        if found {
            return true;
        }
    }
    false
}

/// Whether what was called by a time has an order.
fn brute_force<M: Model>(model: &M, history: &[Operation<M::Input, M::Output>], end: u64) -> bool
where
    M::State: Clone,
{
    has_order(model, history, end, &mut Vec::new(), &model.init())
}

/// Whether an order holds all answered operations, keeps to real time and to the model.
pub(crate) fn is_order<M: Model>(
    model: &M,
    history: &[Operation<M::Input, M::Output>],
    order: &[usize],
) -> bool
where
    M::State: Clone,
{
    let mut state = model.init();
    let mut latest_call = 0;
    let mut is_placed = vec![false; history.len()];
    for at in order {
        let operation = &history[*at];
        latest_call = latest_call.max(operation.call_time());
        if operation.return_time().is_some_and(|time| time < latest_call) || is_placed[*at] {
            return false;
        }
        is_placed[*at] = true;
        match model.step(&state, operation.input(), operation.output()) {
            Step::Refused => return false,
            Step::Same => {}
            Step::To(next) => state = next,
        }
    }
    history.iter().zip(is_placed).all(|(operation, placed)| placed || operation.output().is_none())
}

/// Up to six operations with random times, a part of them without an end.
fn history<I, O>(
    random: &mut Stream,
    draw: impl Fn(&mut Stream) -> (I, O),
) -> Vec<Operation<I, O>> {
    // Few times, so that some are equal; or many, so that none are.
    let open_ppm = [100_000, 300_000, 600_000][random.place(3)];
    let times = if random.chance(500_000) { 8 } else { 1 << 40 };
    (0..random.between(1, 6))
        .map(|process| {
            let (input, output) = draw(random);
            let (one, other) = (random.between(1, times), random.between(1, times));
            let operation = Operation::called(process, one.min(other), input);
            if random.chance(open_ppm) {
                operation
            } else {
                operation.returned(one.max(other), output)
            }
        })
        .collect()
}

fn compare<M: Model>(model: &M, seed: u64, draw: impl Fn(&mut Stream) -> (M::Input, M::Output))
where
    M::State: Clone,
{
    let (mut good, mut bad) = (0, 0);
    for number in 0..HISTORIES {
        let mut random = Stream::new(seed, Purpose::Operations, 0, number);
        let history = history(&mut random, &draw);
        let expected = brute_force(model, &history, u64::MAX);
        match check(model, &history, &Limits::default()) {
            Verdict::Linearizable(parts) => {
                good += 1;
                assert!(expected, "found an order of {history:?}");
                assert!(is_order(model, &history, &parts[0].order), "{parts:?} of {history:?}");
            }
            Verdict::NotLinearizable(found) => {
                bad += 1;
                assert!(!expected, "found no order of {history:?}");
                let end = history[found.culprit].return_time().expect("a culprit was answered");
                let mut times: Vec<u64> =
                    history.iter().filter_map(Operation::return_time).collect();
                times.sort_unstable();
                times.dedup();
                let answered = history.iter().filter(|operation| operation.output().is_some());
                if times.len() == answered.count() {
                    let has_order = |end| brute_force(model, &history, end);
                    assert!(has_order(end - 1), "{found:?} comes late in {history:?}");
                    assert!(!has_order(end), "{found:?} comes early in {history:?}");
                }
            }
            Verdict::Unknown(exhausted) => panic!("{exhausted:?} for {history:?}"),
        }
    }
    // A comparison of one kind only would prove nothing.
    assert!(good > HISTORIES / 10 && bad > HISTORIES / 10, "{good} good, {bad} bad");
}

#[test]
fn registers_agree_with_brute_force() {
    compare(&Register::new(0), 1, |random| match random.below(2) {
        0 => (RegisterInput::Read, RegisterOutput::Value(random.below(3))),
        _ => (RegisterInput::Write(random.below(3)), RegisterOutput::Done),
    });
}

#[test]
fn compare_and_set_agrees_with_brute_force() {
    compare(&CasRegister::new(0), 2, |random| {
        let (one, other) = (random.below(3), random.below(3));
        match random.below(4) {
            0 => (CasInput::Read, CasOutput::Value(one)),
            1 => (CasInput::Write(one), CasOutput::Done),
            2 => (CasInput::Cas(one, other), CasOutput::Done),
            _ => (CasInput::Cas(one, other), CasOutput::Differs),
        }
    });
}

#[test]
fn keys_agree_with_brute_force() {
    compare(&KeyValue, 3, |random| {
        let text = ["a", "b", "ab", "ba"][random.place(4)];
        match random.below(6) {
            0 => (KeyValueInput::Put(text[..1].to_owned()), KeyValueOutput::Done),
            1 | 2 => (KeyValueInput::Append(text[..1].to_owned()), KeyValueOutput::Done),
            3 => (KeyValueInput::Delete, KeyValueOutput::Done),
            4 => (KeyValueInput::Get, KeyValueOutput::Value(String::new())),
            _ => (KeyValueInput::Get, KeyValueOutput::Value(text.to_owned())),
        }
    });
}

/// A queue, of which nothing is known to the search: no reads, and calls that some states refuse.
struct Queue;

impl Model for Queue {
    type Input = Option<u64>;
    type Output = Option<u64>;
    type State = Vec<u64>;

    fn init(&self) -> Vec<u64> {
        Vec::new()
    }

    fn step(
        &self,
        state: &Vec<u64>,
        pushed: &Option<u64>,
        answer: Option<&Option<u64>>,
    ) -> Step<Vec<u64>> {
        let mut state = state.clone();
        if let Some(pushed) = pushed {
            state.push(*pushed);
            return Step::To(state);
        }
        // This queue has no answer for those who find it empty.
        let Some(first) = state.first().copied() else { return Step::Refused };
        if answer.is_some_and(|answer| *answer != Some(first)) {
            return Step::Refused;
        }
        state.remove(0);
        Step::To(state)
    }
}

#[test]
fn a_model_of_ones_own_agrees_with_brute_force() {
    compare(&Queue, 4, |random| {
        let number = random.below(2);
        if random.chance(600_000) { (Some(number), None) } else { (None, Some(number)) }
    });
}

/// How many histories are compared for each model.
const HISTORIES: u64 = 20_000;
