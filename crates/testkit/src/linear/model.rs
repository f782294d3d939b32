//! What an object does when one caller at a time uses it.

use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object: the specification that concurrent calls are compared with.
///
/// ```
/// use quorate_testkit::linear::{Limits, Model, Operation, Step, check};
///
/// /// A counter: each call adds something and returns the sum.
/// struct Counter;
///
/// impl Model for Counter {
///     type Input = u64;
///     type Output = u64;
///     type State = u64;
///
///     fn init(&self) -> u64 {
///         0
///     }
///
///     fn step(&self, sum: &u64, added: &u64, returned: Option<&u64>) -> Step<u64> {
///         let next = sum + added;
///         match returned {
///             Some(returned) if *returned != next => Step::Refused,
///             _ => Step::To(next),
///         }
///     }
/// }
///
/// let twice_the_same = [
///     Operation::called(1, 0, 1).returned(5, 1),
///     Operation::called(2, 0, 1).returned(5, 1),
/// ];
/// assert!(!check(&Counter, &twice_the_same, &Limits::default()).is_linearizable());
/// ```
pub trait Model {
    /// What a caller asks for.
    type Input: Eq + Hash + Debug;
    /// What a caller is answered.
    type Output: Eq + Hash + Debug;
    /// What the object holds. Many are kept at a time, so small ones are checked fastest.
    type State: Eq + Hash + Debug;

    /// What the object holds at first.
    fn init(&self) -> Self::State;

    /// What happens when the object in this state takes this call and gives this answer. Nothing
    /// as answer stands for one that nobody saw; then the call is refused only if no answer at
    /// all is possible.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Step<Self::State>;

    /// Whether this call with this answer never changes any state. The search is much faster for
    /// calls that say so. If one says so and does change a state in [`step`](Self::step), the
    /// check panics.
    fn is_read(&self, _input: &Self::Input, _output: Option<&Self::Output>) -> bool {
        false
    }

    /// Whether a call with this answer can still happen after this state, once some of the `others`
    /// happened in any order. The search gives up sooner where this says no, so a wrong no makes
    /// the verdict wrong, while a wrong yes costs only time. Asked only of calls that
    /// [only read](Self::is_read).
    fn may_follow(
        &self,
        _state: &Self::State,
        _input: &Self::Input,
        _output: Option<&Self::Output>,
        _others: &[&Self::Input],
    ) -> bool {
        true
    }

    /// The bytes that a state takes, those it points to included, for [`Limits::memory`].
    ///
    /// [`Limits::memory`]: super::Limits::memory
    fn state_size(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// A call and its answer in words, for messages.
    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        match output {
            Some(output) => format!("{input:?} -> {output:?}"),
            None => format!("{input:?} -> unknown"),
        }
    }

    /// A state in words, for messages.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// What an operation does to a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<State> {
    /// It cannot happen in this state.
    Refused,
    /// It can happen and changes nothing.
    Same,
    /// It can happen and leaves this state.
    To(State),
}

impl<State> Step<State> {
    /// [`Step::Same`] if it can happen, else [`Step::Refused`].
    pub fn same_if(possible: bool) -> Self {
        if possible { Self::Same } else { Self::Refused }
    }
}
