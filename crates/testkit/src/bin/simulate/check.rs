//! `simulate check`: is a recorded history linearizable?

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use quorate_testkit::linear::{
    CasRegister, Counterexample, Exhausted, KeyValue, Limits, Register, Verdict, check,
};
use quorate_testkit::record::{History, Json, Operations, Recorded, operations};

use crate::arguments::{self, Words};
use crate::say;

struct Request {
    file: String,
    model: Object,
    time: Option<Duration>,
    memory_mib: usize,
}

/// What the history is of.
#[derive(Clone, Copy)]
enum Object {
    Register,
    CasRegister,
    KeyValue,
}

/// Carries out the command. The status is 0 if the history is linearizable, 1 if it is not, and 2
/// if that could not be found out.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    let request = parse(words)?;
    Ok(match read(&request.file) {
        Ok(history) => match request.model {
            Object::Register => verify(&Register::<Json>::default(), &history, &request),
            Object::CasRegister => verify(&CasRegister::<Json>::default(), &history, &request),
            Object::KeyValue => verify(&KeyValue, &history, &request),
        },
        Err(problem) => unreadable(&request.file, &problem),
    })
}

fn parse(mut words: Words) -> Result<Request, String> {
    let (mut file, mut model) = (None, None);
    let (mut time, mut memory_mib) = (None, MEMORY_MIB);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--model" => model = Some(words.parse(&word, object)?),
            "--seconds" => time = Some(words.parse(&word, arguments::time)?),
            "--memory" => memory_mib = words.parse(&word, arguments::positive)?,
            _ if word.starts_with("--") || file.is_some() => {
                return Err(format!("{word} is unknown"));
            }
            _ => file = Some(word),
        }
    }
    let file = file.ok_or("the file with the history is missing")?;
    let model = model.ok_or("--model is missing")?;
    Ok(Request { file, model, time, memory_mib })
}

fn object(name: &str) -> Option<Object> {
    match name {
        "register" => Some(Object::Register),
        "cas-register" => Some(Object::CasRegister),
        "kv" => Some(Object::KeyValue),
        _ => None,
    }
}

fn read(file: &str) -> Result<History, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    History::read(&text).map_err(|error| error.to_string())
}

fn unreadable(file: &str, problem: &str) -> io::Result<ExitCode> {
    say(&format!("{file}: {problem}"))?;
    Ok(ExitCode::from(UNKNOWN))
}

fn verify<M: Recorded>(model: &M, history: &History, request: &Request) -> io::Result<ExitCode> {
    let operations = match operations(model, history) {
        Ok(operations) => operations,
        Err(error) => return unreadable(&request.file, &error.to_string()),
    };
    let begun = Instant::now();
    let mut limits = Limits::default().with_memory(request.memory_mib.saturating_mul(BYTES_OF_MIB));
    limits.time = request.time;
    match check(model, &operations, &limits) {
        Verdict::Linearizable(parts) => {
            let (count, seconds) = (operations.len(), begun.elapsed().as_secs_f64());
            let keys = parts.len();
            say(&format!("linearizable: {count} operations, {keys} objects, {seconds:.3} s"))?;
            Ok(ExitCode::SUCCESS)
        }
        Verdict::NotLinearizable(found) => {
            say(&in_words(&found, model, history, &operations))?;
            Ok(ExitCode::FAILURE)
        }
        Verdict::Unknown(exhausted) => {
            say(&format!("unknown: {}", reason(exhausted)))?;
            Ok(ExitCode::from(UNKNOWN))
        }
    }
}

fn in_words<M: Recorded>(
    found: &Counterexample,
    model: &M,
    history: &History,
    operations: &Operations<M>,
) -> String {
    let culprit = &operations[found.culprit];
    // The times of operations are the places of their events.
    let line = |place: u64| {
        usize::try_from(place).ok().and_then(|place| history.line(place)).unwrap_or_default()
    };
    let called = line(culprit.call_time());
    let returned = culprit.return_time().map_or(called, line);
    format!(
        "not linearizable: the call at line {called}, answered at line {returned}\n{}",
        found.explain(model, operations)
    )
}

fn reason(exhausted: Exhausted) -> &'static str {
    match exhausted {
        Exhausted::Time => "the time was used up; give more with --seconds",
        Exhausted::Memory => "the memory was used up; give more with --memory",
        _ => "the search was given up",
    }
}

/// How much memory a search may take unless the command line says so.
const MEMORY_MIB: usize = 1_024;

const BYTES_OF_MIB: usize = 1 << 20;

/// The exit status if there is no verdict.
const UNKNOWN: u8 = 2;
