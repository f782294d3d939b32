//! Histories whose verdict a reader can see, good and bad ones for each model.

use quorate_testkit::linear::{
    CasInput, CasOutput, CasRegister, KeyValue, KeyValueInput, KeyValueOutput, Limits, Model,
    Operation, Register, RegisterInput, RegisterOutput, Step, check,
};

/// Checks a history; the culprit is that of the bad ones.
#[track_caller]
fn expect<M: Model>(model: &M, history: &[Operation<M::Input, M::Output>], culprit: Option<usize>) {
    let verdict = check(model, history, &Limits::default());
    assert_eq!(verdict.is_linearizable(), culprit.is_none(), "{verdict:?}");
    assert_eq!(verdict.counterexample().map(|found| found.culprit), culprit, "{verdict:?}");
}

type RegisterOperation = Operation<RegisterInput<u32>, RegisterOutput<u32>>;

fn write(called: u64, returned: u64, value: u32) -> RegisterOperation {
    Operation::called(1, called, RegisterInput::Write(value))
        .returned(returned, RegisterOutput::Done)
}

fn lost_write(called: u64, value: u32) -> RegisterOperation {
    Operation::called(2, called, RegisterInput::Write(value))
}

fn read(called: u64, returned: u64, value: u32) -> RegisterOperation {
    Operation::called(3, called, RegisterInput::Read)
        .returned(returned, RegisterOutput::Value(value))
}

#[test]
fn registers() {
    let register = Register::new(0);
    expect(&register, &[], None);
    expect(&register, &[read(0, 1, 0)], None);
    expect(&register, &[read(0, 1, 1)], Some(0));
    // Stale and from the future.
    expect(&register, &[write(0, 1, 5), read(2, 3, 5)], None);
    expect(&register, &[write(0, 1, 5), read(2, 3, 0)], Some(1));
    expect(&register, &[read(0, 1, 5), write(2, 3, 5)], Some(0));
    // Concurrent reads see a write in any order, one after another only once.
    expect(&register, &[write(0, 9, 5), read(1, 4, 5), read(2, 3, 0)], None);
    expect(&register, &[write(0, 9, 5), read(1, 2, 5), read(3, 4, 0)], Some(2));
    // What touches at one instant is concurrent.
    expect(&register, &[write(0, 5, 5), read(5, 5, 0)], None);
    expect(&register, &[write(0, 4, 5), read(5, 5, 0)], Some(1));
}

#[test]
fn registers_with_unknown_writes() {
    let register = Register::new(0);
    // It may happen late, or never, but not twice and not before its call.
    expect(&register, &[lost_write(0, 5), read(2, 3, 0), read(4, 5, 5)], None);
    expect(&register, &[lost_write(0, 5), read(2, 3, 0), read(4, 5, 0)], None);
    expect(&register, &[lost_write(0, 5), read(1, 2, 5), read(3, 4, 0)], Some(2));
    expect(&register, &[read(0, 1, 5), lost_write(2, 5)], Some(0));
    let twice = [lost_write(0, 5), read(1, 2, 5), write(3, 4, 6), read(5, 6, 5)];
    expect(&register, &twice, Some(3));
    // Two of the same may happen twice.
    let two = [lost_write(0, 5), lost_write(0, 5), read(1, 2, 5), write(3, 4, 6), read(5, 6, 5)];
    expect(&register, &two, None);
}

type CasOperation = Operation<CasInput<u32>, CasOutput<u32>>;

fn cas(called: u64, returned: u64, values: (u32, u32), output: CasOutput<u32>) -> CasOperation {
    Operation::called(1, called, CasInput::Cas(values.0, values.1)).returned(returned, output)
}

fn cas_read(called: u64, returned: u64, value: u32) -> CasOperation {
    Operation::called(2, called, CasInput::Read).returned(returned, CasOutput::Value(value))
}

#[test]
fn compare_and_set() {
    let register = CasRegister::new(0);
    let done = || CasOutput::Done;
    expect(&register, &[cas(0, 1, (0, 1), done()), cas_read(2, 3, 1)], None);
    expect(&register, &[cas(0, 1, (0, 1), CasOutput::Differs)], Some(0));
    expect(&register, &[cas(0, 1, (1, 2), done())], Some(0));
    expect(&register, &[cas(0, 1, (1, 2), CasOutput::Differs), cas_read(2, 3, 0)], None);
    // Of two concurrent ones only one can win.
    expect(&register, &[cas(0, 5, (0, 1), done()), cas(1, 6, (0, 2), done())], Some(1));
    let one_wins = [cas(0, 5, (0, 1), CasOutput::Differs), cas(1, 6, (0, 2), done())];
    expect(&register, &one_wins, None);
    // One that timed out explains a value, once.
    let lost = || Operation::called(9, 0, CasInput::Cas(0, 3));
    expect(&register, &[lost(), cas_read(2, 3, 0), cas_read(4, 5, 3)], None);
    expect(&register, &[lost(), cas_read(2, 3, 3), cas_read(4, 5, 0)], Some(2));
    let write = Operation::called(8, 6, CasInput::Write(0)).returned(7, CasOutput::Done);
    expect(&register, &[lost(), cas_read(2, 3, 3), write, cas_read(8, 9, 3)], Some(3));
}

type KeyOperation = Operation<KeyValueInput, KeyValueOutput>;

fn change(called: u64, returned: u64, input: KeyValueInput) -> KeyOperation {
    Operation::called(1, called, input).returned(returned, KeyValueOutput::Done)
}

fn get(called: u64, returned: u64, value: &str) -> KeyOperation {
    Operation::called(2, called, KeyValueInput::Get)
        .returned(returned, KeyValueOutput::Value(value.to_owned()))
}

fn append(called: u64, returned: u64, value: &str) -> KeyOperation {
    change(called, returned, KeyValueInput::Append(value.to_owned()))
}

#[test]
fn keys() {
    let put = |called, returned, value: &str| {
        change(called, returned, KeyValueInput::Put(value.to_owned()))
    };
    expect(&KeyValue, &[put(0, 1, "a"), append(2, 3, "b"), get(4, 5, "ab")], None);
    expect(&KeyValue, &[put(0, 1, "a"), append(2, 3, "b"), get(4, 5, "b")], Some(2));
    expect(&KeyValue, &[append(0, 5, "a"), append(1, 6, "b"), get(7, 8, "ba")], None);
    expect(&KeyValue, &[append(0, 2, "a"), append(3, 6, "b"), get(7, 8, "ba")], Some(2));
    // A lost append: "a" is there, then gone.
    expect(&KeyValue, &[append(0, 1, "a"), get(2, 3, "a"), get(4, 5, "")], Some(2));
    let deleted = [append(0, 1, "a"), change(2, 3, KeyValueInput::Delete), get(4, 5, "")];
    expect(&KeyValue, &deleted, None);
}

#[test]
fn keys_are_independent_objects() {
    let mixed = [append(0, 1, "a").of("x"), get(2, 3, "").of("y"), get(2, 3, "a").of("x")];
    expect(&KeyValue, &mixed, None);
    let wrong = [append(0, 1, "a").of("x"), get(2, 3, "a").of("y"), get(2, 3, "a").of("x")];
    let verdict = check(&KeyValue, &wrong, &Limits::default());
    let found = verdict.counterexample().expect("y was never written");
    assert_eq!((found.key.as_deref(), found.culprit), (Some("y"), 1));
}

#[test]
fn counterexamples_say_what_was_possible() {
    let history = [write(0, 1, 1), write(2, 3, 2), lost_write(2, 7), read(4, 5, 1)];
    let verdict = check(&Register::new(0), &history, &Limits::default());
    let found = verdict.counterexample().expect("the read is stale");
    assert_eq!(found.states, ["2", "7"]);
    assert_eq!((found.prefix.as_slice(), found.concurrent.as_slice()), (&[0, 1][..], &[2][..]));
}

/// A model that contradicts itself.
struct Liar;

impl Model for Liar {
    type Input = ();
    type Output = ();
    type State = u32;

    fn init(&self) -> u32 {
        0
    }

    fn step(&self, state: &u32, (): &(), _: Option<&()>) -> Step<u32> {
        Step::To(state + 1)
    }

    fn is_read(&self, (): &(), _: Option<&()>) -> bool {
        true
    }
}

#[test]
#[should_panic(expected = "() -> () is no read")]
fn a_read_that_changes_a_state_is_a_bug_of_the_model() {
    check(&Liar, &[Operation::called(1, 0, ()).returned(1, ())], &Limits::default());
}

#[test]
#[should_panic(expected = "called at 5, so it cannot have returned at 4")]
fn nothing_returns_before_its_call() {
    let _ = write(5, 4, 0);
}
