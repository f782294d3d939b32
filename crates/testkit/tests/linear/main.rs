//! The checker of linearizability, against brute force, on long histories and by hand; the formats
//! of histories; and the command that checks a file.

mod brute;
mod by_hand;
#[cfg(feature = "cli")]
mod command;
mod formats;
mod generate;
mod long;
mod wrong_histories;
