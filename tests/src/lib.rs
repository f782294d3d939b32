//! What the test binaries of `tests/tests` share.
//!
//! - [`tidy`] holds the rules of the project's own source that `tests/tests/tidy.rs` enforces.

pub mod tidy;
