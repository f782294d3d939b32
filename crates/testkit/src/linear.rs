//! Linearizability: could these concurrent calls have happened one after another?
//!
//! A [`Model`] says what an object does when it is used by one caller at a time. [`check`] takes
//! what callers of the real object saw, a list of [`Operation`]s, and searches an order of all of
//! them that the model allows and that keeps every operation between its call and its return.
//!
//! ```
//! use quorate_testkit::linear::{Limits, Operation, Register, check};
//! use quorate_testkit::linear::{RegisterInput, RegisterOutput};
//!
//! let register = Register::new(0);
//! let write = Operation::called(1, 10, RegisterInput::Write(5));
//! let write = write.returned(40, RegisterOutput::Done);
//! let read = |called: u64, found| {
//!     Operation::called(2, called, RegisterInput::Read)
//!         .returned(called + 5, RegisterOutput::Value(found))
//! };
//! // While the write runs, a read may find the old value or the new one …
//! let good = [write.clone(), read(15, 0), read(25, 5)];
//! assert!(check(&register, &good, &Limits::default()).is_linearizable());
//! // … but not the new one first.
//! let bad = [write, read(15, 5), read(25, 0)];
//! let verdict = check(&register, &bad, &Limits::default());
//! assert_eq!(verdict.counterexample().expect("the order is wrong").culprit, 2);
//! ```
//!
//! The search is that of Wing and Gong (1993) with Lowe's memory of what was tried already (2017).
//! Keys are independent objects (Herlihy and Wing's locality), so each is searched alone, all in
//! turns. Some rules make it short: an operation that only reads is placed as soon as it fits; one
//! without a known outcome is placed only where it changes something; of equal ones, the one that
//! returned first is placed first; and nothing is placed after which a read that returns soon could
//! not find what it found.

mod culprit;
mod entries;
mod explain;
mod hash;
mod model;
mod models;
mod operation;
mod parts;
mod search;
mod table;

pub use self::model::{Model, Step};
pub use self::models::{
    CasInput, CasOutput, CasRegister, KeyValue, KeyValueInput, KeyValueOutput, Register,
    RegisterInput, RegisterOutput,
};
pub use self::operation::Operation;
pub use self::parts::{Counterexample, Exhausted, Limits, Part, Verdict, check};
