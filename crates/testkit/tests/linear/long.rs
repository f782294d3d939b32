//! Long histories: good ones pass, spoiled ones do not, limits hold.

use std::collections::BTreeMap;

use quorate_testkit::linear::{
    CasInput, CasOutput, CasRegister, Exhausted, KeyValue, KeyValueInput, KeyValueOutput, Limits,
    Operation, Verdict, check,
};
use quorate_testkit::rng::{Purpose, Stream};

use crate::brute::is_order;
use crate::generate::{Shape, history};

type CasHistory = Vec<Operation<CasInput<u64>, CasOutput<u64>>>;
type KeyHistory = Vec<Operation<KeyValueInput, KeyValueOutput>>;

/// Five clients of one register with compare-and-set, of which many calls time out: what Jepsen's
/// test of etcd recorded.
fn registers(seed: u64, operations: usize, unanswered_ppm: u64) -> CasHistory {
    let mut random = Stream::new(seed, Purpose::Operations, 0, 0);
    let shape = Shape { clients: 5, operations, unanswered_ppm, half_max: 500 };
    let mut held = 0;
    history::<CasRegister<u64>>(
        &mut random,
        &shape,
        |random, _| match random.below(3) {
            0 => CasInput::Read,
            1 => CasInput::Write(random.below(5)),
            _ => CasInput::Cas(random.below(5), random.below(5)),
        },
        |input| match input {
            CasInput::Read => CasOutput::Value(held),
            CasInput::Write(value) => {
                held = *value;
                CasOutput::Done
            }
            CasInput::Cas(expected, value) if *expected == held => {
                held = *value;
                CasOutput::Done
            }
            CasInput::Cas(_, _) => CasOutput::Differs,
        },
    )
}

/// Clients of ten keys that get, put and mostly append texts of their own.
fn keys(seed: u64, clients: usize, operations: usize) -> KeyHistory {
    let mut random = Stream::new(seed, Purpose::Operations, 1, 0);
    let keys: Vec<u64> = (0..operations).map(|_| random.below(10)).collect();
    let mut of_keys: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (number, key) in keys.iter().enumerate() {
        of_keys.entry(*key).or_default().push(number);
    }
    let mut all = Vec::new();
    for (key, numbers) in of_keys {
        let shape = Shape {
            clients: (clients / 10).max(1),
            operations: numbers.len(),
            unanswered_ppm: 0,
            half_max: 2_000,
        };
        let mut held = String::new();
        let draw = |random: &mut Stream, number: usize| match random.below(100) {
            0..50 => KeyValueInput::Get,
            50 => KeyValueInput::Put(format!("x {key} {number} y")),
            _ => KeyValueInput::Append(format!("x {key} {number} y")),
        };
        let answer = |input: &KeyValueInput| {
            match input {
                KeyValueInput::Get => return KeyValueOutput::Value(held.clone()),
                KeyValueInput::Put(value) => held.clone_from(value),
                KeyValueInput::Append(value) => held.push_str(value),
                KeyValueInput::Delete => held.clear(),
            }
            KeyValueOutput::Done
        };
        let of_key = history::<KeyValue>(&mut random, &shape, draw, answer);
        all.extend(of_key.into_iter().map(|operation| operation.of(key.to_string())));
    }
    all
}

/// Lets a read in the second half find what was there more than ten appends ago. Returns its place.
fn spoil(history: &mut KeyHistory) -> usize {
    let mut earlier: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for at in 0..history.len() {
        let operation = &history[at];
        let (Some(KeyValueOutput::Value(found)), Some(returned)) =
            (operation.output(), operation.return_time())
        else {
            continue;
        };
        let key = operation.key().expect("all have keys").to_owned();
        let found = found.clone();
        let earlier = earlier.entry(key.clone()).or_default();
        let is_stale = |old: &&String| found.starts_with(*old) && found.len() > old.len() + 120;
        if at > history.len() / 2
            && let Some(stale) = earlier.iter().rfind(is_stale)
        {
            let called =
                Operation::called(operation.process(), operation.call_time(), KeyValueInput::Get);
            history[at] = called.returned(returned, KeyValueOutput::Value(stale.clone())).of(key);
            return at;
        }
        earlier.push(found);
    }
    panic!("no value grew by ten appends");
}

#[test]
fn registers_with_many_timeouts_are_linearizable() {
    for seed in 0..100 {
        let history = registers(seed, 100, 150_000);
        let Verdict::Linearizable(parts) =
            check(&CasRegister::new(0), &history, &Limits::default())
        else {
            panic!("seed {seed}");
        };
        assert!(is_order(&CasRegister::new(0), &history, &parts[0].order), "seed {seed}");
    }
}

#[test]
fn a_value_that_was_never_written_is_found() {
    for seed in 0..100 {
        let mut history = registers(seed, 100, 150_000);
        let is_read =
            |operation: &Operation<_, _>| matches!(operation.output(), Some(CasOutput::Value(_)));
        let at = history.iter().rposition(is_read).expect("there are reads");
        let (called, returned) = (history[at].call_time(), history[at].return_time());
        history[at] = Operation::called(history[at].process(), called, CasInput::Read)
            .returned(returned.expect("it was answered"), CasOutput::Value(9));
        let verdict = check(&CasRegister::new(0), &history, &Limits::default());
        let found = verdict.counterexample().expect("nobody wrote a nine");
        assert_eq!(found.culprit, at, "seed {seed}");
    }
}

#[test]
fn fifty_clients_of_ten_keys_are_linearizable() {
    let history = keys(1, 50, 4_000);
    let verdict = check(&KeyValue, &history, &Limits::default());
    let Verdict::Linearizable(parts) = verdict else { panic!("{verdict:?}") };
    assert_eq!(parts.len(), 10);
    let placed: usize = parts.iter().map(|part| part.order.len()).sum();
    assert_eq!(placed, history.len());
}

#[test]
fn a_stale_read_of_one_of_ten_keys_is_found() {
    let mut history = keys(2, 50, 4_000);
    let at = spoil(&mut history);
    let verdict = check(&KeyValue, &history, &Limits::default());
    let found = verdict.counterexample().expect("a read is stale");
    assert_eq!(found.key.as_deref(), history[at].key());
    assert_eq!(found.culprit, at);
}

/// Appends in any order that are never answered, and a read of what none of them wrote. A put that
/// may come at any time keeps the search from seeing that ahead of time.
fn hard() -> KeyHistory {
    let open = |process, input| Operation::called(process, 0, input);
    let mut hard = vec![open(0, KeyValueInput::Put(String::new()))];
    hard.extend(
        ('a'..='z')
            .zip(1..)
            .map(|(letter, process)| open(process, KeyValueInput::Append(letter.to_string()))),
    );
    let get = Operation::called(99, 1, KeyValueInput::Get);
    hard.push(get.returned(2, KeyValueOutput::Value("?".to_owned())));
    hard
}

#[test]
fn what_takes_too_much_is_unknown_and_no_pass() {
    let history = hard();
    let verdict = check(&KeyValue, &history, &Limits::default().with_steps(100_000));
    assert_eq!(verdict, Verdict::Unknown(Exhausted::Steps));
    let verdict = check(&KeyValue, &history, &Limits::default().with_memory(1 << 20));
    assert_eq!(verdict, Verdict::Unknown(Exhausted::Memory));
    let soon = std::time::Duration::from_millis(1);
    let verdict = check(&KeyValue, &history, &Limits::default().with_time(soon));
    assert_eq!(verdict, Verdict::Unknown(Exhausted::Time));
}

#[test]
fn a_short_bad_key_is_found_beside_one_that_would_take_for_ever() {
    let mut history: Vec<_> = hard().into_iter().map(|operation| operation.of("hard")).collect();
    // Longer than the hard one, so it has its turn later.
    for time in 0..200_u64 {
        let put = Operation::called(0, 10 * time, KeyValueInput::Put(time.to_string()));
        history.push(put.returned(10 * time + 5, KeyValueOutput::Done).of("long"));
    }
    let get = Operation::called(0, 5_000, KeyValueInput::Get);
    history.push(get.returned(5_001, KeyValueOutput::Value("3".to_owned())).of("long"));
    let verdict = check(&KeyValue, &history, &Limits::default().with_steps(1_000_000));
    let found = verdict.counterexample().expect("the last read is stale");
    assert_eq!((found.key.as_deref(), found.culprit), (Some("long"), history.len() - 1));
    // The same with a memory that the hard one exceeds.
    let small = Limits::default().with_memory(1 << 20);
    assert!(check(&KeyValue, &history, &small).counterexample().is_some());
}

#[test]
fn a_hundred_thousand_operations_take_little_memory() {
    let history = registers(5, 100_000, 0);
    let limits = Limits::default().with_memory(64 << 20).with_steps(10_000_000);
    assert!(check(&CasRegister::new(0), &history, &limits).is_linearizable());
}
