//! Is this object linearizable? Threads use a queue of their own making, every call is recorded,
//! and the history is checked against a model of a queue.
//!
//! ```text
//! cargo run --release --example check_history
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Mutex;

use quorate_testkit::linear::{Limits, Model, Step, Verdict, check};
use quorate_testkit::record::{History, HistoryEvent, Kind, Meaning, Recorded, operations};
use serde_json::Value;

/// What a queue does when one caller at a time uses it.
struct Queue;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Call {
    Push(u64),
    Pop,
}

impl Model for Queue {
    type Input = Call;
    /// What was popped; nothing for a push, and for a pop that found the queue empty.
    type Output = Option<u64>;
    type State = VecDeque<u64>;

    fn init(&self) -> VecDeque<u64> {
        VecDeque::new()
    }

    fn step(
        &self,
        queue: &VecDeque<u64>,
        call: &Call,
        answer: Option<&Option<u64>>,
    ) -> Step<VecDeque<u64>> {
        let mut next = queue.clone();
        let popped = match call {
            Call::Push(number) => {
                next.push_back(*number);
                None
            }
            Call::Pop => next.pop_front(),
        };
        // Without an answer, any answer was possible.
        if answer.is_none_or(|answer| *answer == popped) { Step::To(next) } else { Step::Refused }
    }
}

/// How the calls of a queue stand in a recorded history.
impl Recorded for Queue {
    fn input(&self, event: &HistoryEvent) -> Result<Call, String> {
        match (event.function.as_str(), event.value.as_u64()) {
            ("push", Some(number)) => Ok(Call::Push(number)),
            ("pop", _) => Ok(Call::Pop),
            _ => Err(format!("a queue knows no {} of {}", event.function, event.value)),
        }
    }

    fn meaning(&self, call: &Call, end: &HistoryEvent) -> Result<Meaning<Option<u64>>, String> {
        Ok(match (end.kind, call) {
            (Kind::Ok, Call::Push(_)) => Meaning::Answer(None),
            (Kind::Ok, Call::Pop) => Meaning::Answer(end.value.as_u64()),
            _ => Meaning::NoEffect,
        })
    }
}

/// Four threads use one queue. Each event is recorded at the moment it happens.
fn record() -> Result<History, Box<dyn Error>> {
    let (queue, history) = (Mutex::new(VecDeque::new()), Mutex::new(History::new()));
    let note = |process, kind, function: &str, value: Value| {
        let mut history = history.lock().expect("no thread panics");
        history.push(HistoryEvent::new(process, kind, function, value));
    };
    std::thread::scope(|scope| {
        for process in 0..4 {
            let (queue, note) = (&queue, &note);
            scope.spawn(move || {
                for number in (0..250).map(|number| 1_000 * process + number) {
                    note(process, Kind::Invoke, "push", number.into());
                    queue.lock().expect("no thread panics").push_back(number);
                    note(process, Kind::Ok, "push", number.into());
                    note(process, Kind::Invoke, "pop", Value::Null);
                    let popped = queue.lock().expect("no thread panics").pop_front();
                    note(process, Kind::Ok, "pop", popped.into());
                }
            });
        }
    });
    Ok(history.into_inner()?)
}

fn verify(name: &str, history: &History) -> Result<(), Box<dyn Error>> {
    let operations = operations(&Queue, history)?;
    match check(&Queue, &operations, &Limits::default()) {
        Verdict::Linearizable(_) => println!("{name}: {} calls have an order", operations.len()),
        Verdict::NotLinearizable(found) => {
            println!("{name}: no order.\n{}", found.explain(&Queue, &operations));
        }
        Verdict::Unknown(exhausted) => println!("{name}: not known, out of {exhausted:?}"),
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let good = record()?;
    verify("recorded", &good)?;

    // As a program that was written elsewhere might have recorded it, in Jepsen's format. The push
    // of 2 began after that of 1 had ended, but 2 is popped first.
    let bad = History::read(
        "{:process 0, :type :invoke, :f :push, :value 1}
         {:process 0, :type :ok, :f :push, :value 1}
         {:process 0, :type :invoke, :f :push, :value 2}
         {:process 1, :type :invoke, :f :pop, :value nil}
         {:process 0, :type :ok, :f :push, :value 2}
         {:process 1, :type :ok, :f :pop, :value 2}",
    )?;
    verify("out of order", &bad)?;

    // Histories can be kept: as JSON lines, or as EDN for other tools.
    let folder = tempfile::tempdir()?;
    let files = [("history.jsonl", good.to_json_lines()), ("history.edn", good.to_edn())];
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        let same = History::read(&std::fs::read_to_string(&file)?)? == good;
        println!("{name} holds the same history: {same}");
    }
    Ok(())
}
