//! Models of common objects.

use std::fmt::Debug;
use std::hash::Hash;

use super::{Model, Step};

/// A value that can be read and written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register<V> {
    initial: V,
}

/// What a register is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RegisterInput<V> {
    /// The value.
    Read,
    /// Another value from now on.
    Write(V),
}

/// What a register answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RegisterOutput<V> {
    /// What was read.
    Value(V),
    /// It was written.
    Done,
}

impl<V> Register<V> {
    /// A register that holds this at first.
    pub fn new(initial: V) -> Self {
        Self { initial }
    }
}

impl<V: Clone + Eq + Hash + Debug> Model for Register<V> {
    type Input = RegisterInput<V>;
    type Output = RegisterOutput<V>;
    type State = V;

    fn init(&self) -> V {
        self.initial.clone()
    }

    fn step(&self, state: &V, input: &Self::Input, output: Option<&Self::Output>) -> Step<V> {
        match (input, output) {
            (RegisterInput::Read, None) => Step::Same,
            (RegisterInput::Read, Some(RegisterOutput::Value(value))) => {
                Step::same_if(value == state)
            }
            (RegisterInput::Write(value), None | Some(RegisterOutput::Done)) => {
                Step::To(value.clone())
            }
            (RegisterInput::Read, Some(RegisterOutput::Done))
            | (RegisterInput::Write(_), Some(RegisterOutput::Value(_))) => Step::Refused,
        }
    }

    fn is_read(&self, input: &Self::Input, _: Option<&Self::Output>) -> bool {
        matches!(input, RegisterInput::Read)
    }

    fn may_follow(
        &self,
        state: &V,
        _: &Self::Input,
        output: Option<&Self::Output>,
        others: &[&Self::Input],
    ) -> bool {
        let Some(RegisterOutput::Value(read)) = output else { return true };
        let writes = |other: &&Self::Input| matches!(other, RegisterInput::Write(to) if to == read);
        read == state || others.iter().any(writes)
    }

    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        let input = match input {
            RegisterInput::Read => "read".to_owned(),
            RegisterInput::Write(value) => format!("write {value:?}"),
        };
        match output {
            Some(RegisterOutput::Value(value)) => format!("{input} -> {value:?}"),
            Some(RegisterOutput::Done) => input,
            None => format!("{input} -> unknown"),
        }
    }
}

/// A value that can be read, written, and swapped for another if it is the expected one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CasRegister<V> {
    initial: V,
}

/// What a register with compare-and-set is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CasInput<V> {
    /// The value.
    Read,
    /// Another value from now on.
    Write(V),
    /// The second value from now on, if it holds the first one.
    Cas(V, V),
}

/// What a register with compare-and-set answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CasOutput<V> {
    /// What was read.
    Value(V),
    /// It was written or swapped.
    Done,
    /// It did not hold the value that was expected.
    Differs,
}

impl<V> CasRegister<V> {
    /// A register that holds this at first.
    pub fn new(initial: V) -> Self {
        Self { initial }
    }
}

impl<V: Clone + Eq + Hash + Debug> Model for CasRegister<V> {
    type Input = CasInput<V>;
    type Output = CasOutput<V>;
    type State = V;

    fn init(&self) -> V {
        self.initial.clone()
    }

    fn step(&self, state: &V, input: &Self::Input, output: Option<&Self::Output>) -> Step<V> {
        match (input, output) {
            (CasInput::Read, None) => Step::Same,
            (CasInput::Read, Some(CasOutput::Value(value))) => Step::same_if(value == state),
            (CasInput::Write(value), None | Some(CasOutput::Done)) => Step::To(value.clone()),
            (CasInput::Cas(expected, value), None) if expected == state => Step::To(value.clone()),
            (CasInput::Cas(_, _), None) => Step::Same,
            (CasInput::Cas(expected, value), Some(CasOutput::Done)) if expected == state => {
                Step::To(value.clone())
            }
            (CasInput::Cas(expected, _), Some(CasOutput::Differs)) => {
                Step::same_if(expected != state)
            }
            (CasInput::Read | CasInput::Write(_) | CasInput::Cas(_, _), Some(_)) => Step::Refused,
        }
    }

    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool {
        matches!((input, output), (CasInput::Read, _) | (_, Some(CasOutput::Differs)))
    }

    fn may_follow(
        &self,
        state: &V,
        _: &Self::Input,
        output: Option<&Self::Output>,
        others: &[&Self::Input],
    ) -> bool {
        let Some(CasOutput::Value(read)) = output else { return true };
        read == state
            || others.iter().any(|other| match other {
                CasInput::Read => false,
                CasInput::Write(to) | CasInput::Cas(_, to) => to == read,
            })
    }

    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        let input = match input {
            CasInput::Read => "read".to_owned(),
            CasInput::Write(value) => format!("write {value:?}"),
            CasInput::Cas(expected, value) => format!("cas {expected:?} to {value:?}"),
        };
        match output {
            Some(CasOutput::Value(value)) => format!("{input} -> {value:?}"),
            Some(CasOutput::Done) => input,
            Some(CasOutput::Differs) => format!("{input} -> differs"),
            None => format!("{input} -> unknown"),
        }
    }
}

/// One key of a store of texts; give each [`Operation`](super::Operation) its key. An absent key
/// reads as the empty text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyValue;

/// What a key of a store is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyValueInput {
    /// The value.
    Get,
    /// Another value from now on.
    Put(String),
    /// The value with this at its end from now on.
    Append(String),
    /// No value from now on.
    Delete,
}

/// What a key of a store answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyValueOutput {
    /// What was read.
    Value(String),
    /// It was changed.
    Done,
}

impl Model for KeyValue {
    type Input = KeyValueInput;
    type Output = KeyValueOutput;
    type State = String;

    fn init(&self) -> String {
        String::new()
    }

    fn step(
        &self,
        state: &String,
        input: &KeyValueInput,
        output: Option<&KeyValueOutput>,
    ) -> Step<String> {
        match (input, output) {
            (KeyValueInput::Get, None) => Step::Same,
            (KeyValueInput::Get, Some(KeyValueOutput::Value(value))) => {
                Step::same_if(value == state)
            }
            (KeyValueInput::Get, Some(KeyValueOutput::Done))
            | (_, Some(KeyValueOutput::Value(_))) => Step::Refused,
            (KeyValueInput::Put(value), _) => Step::To(value.clone()),
            (KeyValueInput::Append(end), _) if end.is_empty() => Step::Same,
            (KeyValueInput::Append(end), _) => {
                let mut value = String::with_capacity(state.len() + end.len());
                value.push_str(state);
                value.push_str(end);
                Step::To(value)
            }
            (KeyValueInput::Delete, _) => Step::To(String::new()),
        }
    }

    fn is_read(&self, input: &KeyValueInput, _: Option<&KeyValueOutput>) -> bool {
        matches!(input, KeyValueInput::Get)
    }

    fn may_follow(
        &self,
        state: &String,
        _: &KeyValueInput,
        output: Option<&KeyValueOutput>,
        others: &[&KeyValueInput],
    ) -> bool {
        let Some(KeyValueOutput::Value(read)) = output else { return true };
        // Texts only grow, until one of these replaces them.
        read.starts_with(state.as_str())
            || others.iter().any(|other| match other {
                KeyValueInput::Get | KeyValueInput::Append(_) => false,
                KeyValueInput::Put(value) => read.starts_with(value.as_str()),
                KeyValueInput::Delete => true,
            })
    }

    fn state_size(&self, state: &String) -> usize {
        size_of::<String>() + state.capacity()
    }

    fn describe(&self, input: &KeyValueInput, output: Option<&KeyValueOutput>) -> String {
        let input = match input {
            KeyValueInput::Get => "get".to_owned(),
            KeyValueInput::Put(value) => format!("put {value:?}"),
            KeyValueInput::Append(value) => format!("append {value:?}"),
            KeyValueInput::Delete => "delete".to_owned(),
        };
        match output {
            Some(KeyValueOutput::Value(value)) => format!("{input} -> {value:?}"),
            Some(KeyValueOutput::Done) => input,
            None => format!("{input} -> unknown"),
        }
    }
}
