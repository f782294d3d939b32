//! From events to operations that can be checked.

use std::collections::BTreeMap;

use crate::linear::{Model, Operation};

use super::{History, HistoryError, HistoryEvent, Kind, Meaning, Problem, Recorded};

/// The operations of a history of what a model describes.
pub type Operations<M> = Vec<Operation<<M as Model>::Input, <M as Model>::Output>>;

/// Pairs the events of a history and reads what they mean to a model. Times are the places of the
/// events, from 0 on.
///
/// A call that ended with [`Kind::Info`], or not at all, has an unknown outcome; the process may go
/// on, though Jepsen's never do. What a call means that ended otherwise is the model's to say.
///
/// # Errors
///
/// A [`HistoryError`] if a call ends that did not begin, or as another one than it began; if a
/// process calls while its earlier call has not ended; or if the model does not know the call or a
/// value.
pub fn operations<M: Recorded>(
    model: &M,
    history: &History,
) -> Result<Operations<M>, HistoryError> {
    let mut in_flight: BTreeMap<u64, Call<'_, M::Input>> = BTreeMap::new();
    let mut operations = Vec::new();
    for (place, event) in history.events().iter().enumerate() {
        let process = event.process;
        let wrong = |problem| HistoryError { line: history.line(place), column: None, problem };
        if event.kind == Kind::Invoke {
            let input = model.input(event).map_err(|words| wrong(Problem::NotOfModel(words)))?;
            let call = Call { number: operations.len(), time: place as u64, event, input };
            if in_flight.insert(process, call).is_some() {
                return Err(wrong(Problem::CallInFlight { process }));
            }
            // Its place is kept, so that operations come in the order of their calls.
            operations.push(None);
            continue;
        }
        let Some(call) = in_flight.remove(&process) else {
            return Err(wrong(Problem::EndWithoutCall { process, kind: event.kind }));
        };
        if call.event.function != event.function || call.event.key != event.key {
            return Err(wrong(Problem::EndOfAnother { process }));
        }
        let meaning = match event.kind {
            Kind::Info => Ok(Meaning::Unknown),
            _ => model.meaning(&call.input, event),
        };
        let meaning = meaning.map_err(|words| wrong(Problem::NotOfModel(words)))?;
        let number = call.number;
        operations[number] = match meaning {
            Meaning::NoEffect => None,
            Meaning::Unknown => Some(call.open()),
            Meaning::Answer(output) => Some(call.open().returned(place as u64, output)),
        };
    }
    for call in in_flight.into_values() {
        let number = call.number;
        operations[number] = Some(call.open());
    }
    Ok(operations.into_iter().flatten().collect())
}

/// A call that has not ended.
struct Call<'a, Input> {
    /// Its place among the operations.
    number: usize,
    time: u64,
    event: &'a HistoryEvent,
    input: Input,
}

impl<Input> Call<'_, Input> {
    fn open<Output>(self) -> Operation<Input, Output> {
        let operation = Operation::called(self.event.process, self.time, self.input);
        match &self.event.key {
            Some(key) => operation.of(key.clone()),
            None => operation,
        }
    }
}
