//! Every format holds every history, and what other tools write is understood.

use quorate_testkit::linear::{
    CasInput, CasOutput, CasRegister, KeyValue, KeyValueInput, KeyValueOutput, Limits, Operation,
    Register, check,
};
use quorate_testkit::record::{History, HistoryEvent, Json, Kind, operations};
use quorate_testkit::rng::{Purpose, Stream};
use serde_json::{Value, json};

/// A text of few characters, of which many are special in some format.
fn text(random: &mut Stream) -> String {
    const CHARS: [char; 20] = [
        'a', 'Z', '0', ' ', '\t', '\n', '\r', '"', '\\', ':', ';', '{', ']', '#', ',', 'ä', '𝄞',
        '\u{0}', '\u{85}', '\u{2028}',
    ];
    (0..random.below(6)).map(|_| CHARS[random.place(CHARS.len())]).collect()
}

fn value(random: &mut Stream, depth: u64) -> Value {
    match random.below(if depth == 0 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => random.chance(500_000).into(),
        2 => random.below(10).into(),
        3 => random.draw().into(),
        4 => i64::from_ne_bytes(random.draw().to_ne_bytes()).into(),
        5 => (random.below(1_000) as f64 / 8.0).into(),
        6 => text(random).into(),
        7 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => (0..random.below(4)).map(|_| (text(random), value(random, depth - 1))).collect(),
    }
}

fn event(random: &mut Stream) -> HistoryEvent {
    let function = match random.below(4) {
        0 => text(random),
        _ => ["read", "write", "cas", "put-if", "a?"][random.place(5)].to_owned(),
    };
    let mut some = |chance| random.chance(chance).then(|| text(random));
    let (key, error) = (some(300_000), some(200_000));
    HistoryEvent {
        index: 0,
        time: if random.chance(500_000) { 0 } else { random.draw() },
        process: random.below(20),
        kind: Kind::ALL[random.place(4)],
        function,
        value: value(random, 3),
        key,
        error,
    }
}

#[test]
fn every_format_holds_every_history() {
    for seed in 0..2_000 {
        let mut random = Stream::new(seed, Purpose::Operations, 7, 0);
        let mut index = random.below(3);
        let history: History = (0..random.between(1, 12))
            .map(|_| {
                index += random.between(1, 2);
                HistoryEvent { index, ..event(&mut random) }
            })
            .collect();
        for text in [history.to_json_lines(), history.to_edn(), history.to_log()] {
            assert_eq!(text.lines().count(), history.events().len(), "{text}");
            let read = History::read(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
            assert_eq!(read, history, "seed {seed}:\n{text}");
            let last = history.events().len() - 1;
            assert_eq!(read.line(last), Some(last + 1));
        }
    }
}

#[test]
fn each_format_looks_as_others_write_it() {
    let mut history = History::new();
    history.push(HistoryEvent::new(0, Kind::Invoke, "cas", json!([1, 2])));
    let timed_out =
        HistoryEvent { time: 123, ..HistoryEvent::new(0, Kind::Info, "cas", json!([1, 2])) };
    history.push(HistoryEvent { error: Some("timed-out".to_owned()), ..timed_out });
    assert_eq!(
        history.to_edn(),
        "{:type :invoke, :f :cas, :value [1 2], :process 0, :time 0, :index 0}\n\
         {:type :info, :f :cas, :value [1 2], :process 0, :time 123, :index 1, \
         :error \"timed-out\"}\n"
    );
    assert_eq!(
        history.to_log(),
        "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n\
         INFO  jepsen.util - 0\t:info\t:cas\t[1 2]\t{:time 123, :error \"timed-out\"}\n"
    );
    assert_eq!(
        history.to_json_lines(),
        "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"cas\",\"value\":[1,2]}\n\
         {\"index\":1,\"time\":123,\"process\":0,\"type\":\"info\",\"f\":\"cas\",\"value\":[1,2],\
         \"error\":\"timed-out\"}\n"
    );
}

#[test]
fn edn_of_other_tools_is_read() {
    let text = "; a history\n\
        [#jepsen.history.Op{:index 0, :time 5, :type :invoke, :process 0, :f :read, :value nil}\n\
        {:type :info, :f :kill, :process :nemesis, :value [\"n1\" #{:a}], :time 6}\n\
        #_{:left out}\n\
        {:index 2 :type :ok :process 0 :f :read :value -7 :time +8N :extra #inst \"2020\" \\a}]";
    // A map of an odd number of forms is refused, with its place.
    let error = History::read(text).expect_err("`\\a` is a key without a value");
    assert_eq!(error.to_string(), "line 5, column 84: a key has no value");
    let history = History::read(&text.replace(" \\a", "")).expect("this is EDN");
    let values: Vec<&Value> = history.events().iter().map(|event| &event.value).collect();
    assert_eq!(values, [&Value::Null, &json!(-7)]);
    assert_eq!((history.events()[1].index, history.events()[1].time), (2, 8));
    assert_eq!((history.line(0), history.line(1)), (Some(2), Some(5)));
    let list = "({:type :invoke :process 1 :f \"x\" :value {:a (1 2), \"b\" \\newline, 3 :c}})";
    let history = History::read(list).expect("a list is a sequence as well");
    assert_eq!(history.events()[0].value, json!({"a": [1, 2], "b": "\n", "3": ":c"}));
}

#[test]
fn a_log_of_jepsen_means_what_jepsen_means() {
    let log = "\
INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - :nemesis\t:info\t:start\t\"partitioned\"
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out
INFO  jepsen.util - 0\t:invoke\t:cas\t[0 1]
INFO  jepsen.util - 1\t:invoke\t:write\t4
INFO  jepsen.util - 0\t:fail\t:cas\t[0 1]
WARN  jepsen.util - 2\t:invoke\t:cas\t[4 2]
INFO  jepsen.util - 2\t:info\t:cas\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:ok\t:read\tnil
INFO  jepsen.util - 3\t:invoke\t:write\t7
";
    let model = CasRegister::<Json>::default();
    let history = History::read(log).expect("this is a log");
    let read = operations(&model, &history).expect("these are calls of a register");
    let expected = [
        Operation::called(0, 2, CasInput::Cas(Json(json!(0)), Json(json!(1))))
            .returned(4, CasOutput::Differs),
        Operation::called(1, 3, CasInput::Write(Json(json!(4)))),
        Operation::called(2, 5, CasInput::Cas(Json(json!(4)), Json(json!(2)))),
        Operation::called(2, 7, CasInput::Read).returned(8, CasOutput::Value(Json::default())),
        Operation::called(3, 9, CasInput::Write(Json(json!(7)))),
    ];
    assert_eq!(read, expected);
    assert!(check(&model, &read, &Limits::default()).is_linearizable());
}

#[test]
fn a_cas_that_failed_with_an_error_saw_nothing() {
    let with = |error: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :cas, :value [nil 1]}}\n\
             {{:process 0, :type :fail, :f :cas, :value [nil 1]{error}}}"
        )
    };
    let model = CasRegister::<Json>::default();
    let read = |text: &str| {
        let history = History::read(text).expect("this is EDN");
        operations(&model, &history).expect("these are calls of a register")
    };
    assert_eq!(read(&with(""))[0].output(), Some(&CasOutput::Differs));
    assert!(read(&with(" :error :no-leader")).is_empty());
}

#[test]
fn logs_of_key_value_stores_are_read() {
    let text = "\
{:process 0, :type :invoke, :f :get, :key \"0\", :value nil}
{:process 1, :type :invoke, :f :append, :key \"1\", :value \"x 1 0 y\"}
{:process 0, :type :ok, :f :get, :key \"0\", :value \"\"}
{:process 1, :type :ok, :f :append, :key \"1\", :value \"x 1 0 y\"}
";
    let history = History::read(text).expect("this is EDN");
    let read = operations(&KeyValue, &history).expect("these are calls of a store");
    let append = KeyValueInput::Append("x 1 0 y".to_owned());
    let expected = [
        Operation::called(0, 0, KeyValueInput::Get)
            .returned(2, KeyValueOutput::Value(String::new()))
            .of("0"),
        Operation::called(1, 1, append).returned(3, KeyValueOutput::Done).of("1"),
    ];
    assert_eq!(read, expected);
}

#[test]
fn a_register_reads_back_what_was_recorded() {
    let mut history = History::new();
    for (kind, function, value) in [
        (Kind::Invoke, "write", json!("a")),
        (Kind::Ok, "write", json!("a")),
        (Kind::Invoke, "read", Value::Null),
        (Kind::Ok, "read", json!("b")),
    ] {
        history.push(HistoryEvent::new(1, kind, function, value));
    }
    let model = Register::<Json>::default();
    let read = operations(&model, &history).expect("these are calls of a register");
    let verdict = check(&model, &read, &Limits::default());
    assert_eq!(verdict.counterexample().map(|found| found.culprit), Some(1));
}
