//! The project's rules about its own source, as functions from files to violations.
//!
//! A rule reads files that were loaded before and returns what breaks it, each with file and line.
//! Nothing here runs cargo or writes. Every rule is tested beside its code on a small bad file: a
//! rule that cannot fail is no rule.
//!
//! Rules about calls look at tokens, so neither comments, strings nor documentation set them off,
//! and the bodies of macros count like any other code.

mod calls;
mod layers;
mod length;
mod project;
mod rust_file;
mod test_code;
mod text;
mod tokens;

pub use calls::{forbidden_calls, pure_core_calls};
pub use layers::layers;
pub use length::{file_lengths, function_lengths, line_widths};
pub use project::{Project, SourceFile, Violation};
pub use text::{crate_docs, machine_paths};
