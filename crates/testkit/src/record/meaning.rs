//! What events mean to a model.

use std::fmt;

use serde_json::Value;

use super::{HistoryEvent, Kind};
use crate::linear::{
    CasInput, CasOutput, CasRegister, KeyValue, KeyValueInput, KeyValueOutput, Model, Register,
    RegisterInput, RegisterOutput,
};

/// A model whose calls can be recorded as events and read back.
pub trait Recorded: Model {
    /// The call that an event of kind [`Kind::Invoke`] begins.
    ///
    /// # Errors
    ///
    /// In words, if the model knows no such function or value.
    fn input(&self, event: &HistoryEvent) -> Result<Self::Input, String>;

    /// What an event of kind [`Kind::Ok`] or [`Kind::Fail`] says of the call that it ends.
    ///
    /// # Errors
    ///
    /// In words, if the call cannot have such a value.
    fn meaning(
        &self,
        input: &Self::Input,
        event: &HistoryEvent,
    ) -> Result<Meaning<Self::Output>, String>;
}

/// What the end of a call means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning<Output> {
    /// It was answered.
    Answer(Output),
    /// It never had an effect and saw nothing: as if it had not been called.
    NoEffect,
    /// Nobody knows.
    Unknown,
}

/// Any value of an event, as registers that are read from histories hold it. The default is null,
/// which stands for no value.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Json(pub Value);

impl fmt::Debug for Json {
    /// The value as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Functions `read` and `write`. A read that failed saw nothing, a write that failed wrote nothing.
impl Recorded for Register<Json> {
    fn input(&self, event: &HistoryEvent) -> Result<RegisterInput<Json>, String> {
        match event.function.as_str() {
            "read" => Ok(RegisterInput::Read),
            "write" => Ok(RegisterInput::Write(Json(event.value.clone()))),
            _ => Err(unknown_function(event, "read and write")),
        }
    }

    fn meaning(
        &self,
        input: &RegisterInput<Json>,
        event: &HistoryEvent,
    ) -> Result<Meaning<RegisterOutput<Json>>, String> {
        Ok(match (event.kind, input) {
            (Kind::Ok, RegisterInput::Read) => {
                Meaning::Answer(RegisterOutput::Value(Json(event.value.clone())))
            }
            (Kind::Ok, RegisterInput::Write(_)) => Meaning::Answer(RegisterOutput::Done),
            _ => Meaning::NoEffect,
        })
    }
}

/// Functions `read`, `write`, and `cas` with the pair of the value expected and the new one. A
/// `cas` that failed without an error found another value; with an error it had no effect.
impl Recorded for CasRegister<Json> {
    fn input(&self, event: &HistoryEvent) -> Result<CasInput<Json>, String> {
        match (event.function.as_str(), &event.value) {
            ("read", _) => Ok(CasInput::Read),
            ("write", value) => Ok(CasInput::Write(Json(value.clone()))),
            ("cas", Value::Array(values)) if values.len() == 2 => {
                Ok(CasInput::Cas(Json(values[0].clone()), Json(values[1].clone())))
            }
            ("cas", value) => Err(format!("a cas needs a pair of values, not {value}")),
            _ => Err(unknown_function(event, "read, write and cas")),
        }
    }

    fn meaning(
        &self,
        input: &CasInput<Json>,
        event: &HistoryEvent,
    ) -> Result<Meaning<CasOutput<Json>>, String> {
        // Jepsen's first logs have the error in the place of the value.
        let has_error = event.error.is_some() || event.value.is_string();
        Ok(match (event.kind, input) {
            (Kind::Ok, CasInput::Read) => {
                Meaning::Answer(CasOutput::Value(Json(event.value.clone())))
            }
            (Kind::Ok, CasInput::Write(_) | CasInput::Cas(_, _)) => {
                Meaning::Answer(CasOutput::Done)
            }
            (_, CasInput::Cas(_, _)) if !has_error => Meaning::Answer(CasOutput::Differs),
            _ => Meaning::NoEffect,
        })
    }
}

/// Functions `get`, `put`, `append` and `delete`, of texts. An absent key is read as nothing or as
/// the empty text.
impl Recorded for KeyValue {
    fn input(&self, event: &HistoryEvent) -> Result<KeyValueInput, String> {
        match (event.function.as_str(), &event.value) {
            ("get", _) => Ok(KeyValueInput::Get),
            ("delete", _) => Ok(KeyValueInput::Delete),
            ("put", Value::String(text)) => Ok(KeyValueInput::Put(text.clone())),
            ("append", Value::String(text)) => Ok(KeyValueInput::Append(text.clone())),
            (function @ ("put" | "append"), value) => {
                Err(format!("a value to {function} must be a text, not {value}"))
            }
            _ => Err(unknown_function(event, "get, put, append and delete")),
        }
    }

    fn meaning(
        &self,
        input: &KeyValueInput,
        event: &HistoryEvent,
    ) -> Result<Meaning<KeyValueOutput>, String> {
        if event.kind != Kind::Ok {
            return Ok(Meaning::NoEffect);
        }
        match (input, &event.value) {
            (KeyValueInput::Get, Value::String(text)) => {
                Ok(Meaning::Answer(KeyValueOutput::Value(text.clone())))
            }
            (KeyValueInput::Get, Value::Null) => {
                Ok(Meaning::Answer(KeyValueOutput::Value(String::new())))
            }
            (KeyValueInput::Get, value) => Err(format!("a get cannot find {value}")),
            _ => Ok(Meaning::Answer(KeyValueOutput::Done)),
        }
    }
}

fn unknown_function(event: &HistoryEvent, known: &str) -> String {
    format!("there is no function {:?}, only {known}", event.function)
}
