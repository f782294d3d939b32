//! The checker of linearizability: against brute force, on long histories, and by hand.

mod brute;
mod by_hand;
mod generate;
mod long;
