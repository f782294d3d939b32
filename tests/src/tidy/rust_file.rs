//! A parsed Rust file.

use std::str::FromStr;

use proc_macro2::TokenStream;

use super::project::{SourceFile, Violation};
use super::test_code::TestCode;
use super::tokens::{Token, flatten};

/// A Rust file with its syntax tree, its tokens and the knowledge which of its lines are tests.
pub(super) struct RustFile<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) syntax: syn::File,
    pub(super) tokens: Vec<Token>,
    pub(super) test_code: TestCode,
}

impl<'a> RustFile<'a> {
    /// Parses a file, or says where it is not Rust.
    pub(super) fn parse(source: &'a SourceFile) -> Result<Self, Violation> {
        let stream = TokenStream::from_str(&source.text).map_err(|error| {
            violation(source, error.span().start().line, &format!("does not parse: {error}"))
        })?;
        let syntax: syn::File = syn::parse2(stream.clone()).map_err(|error| {
            violation(source, error.span().start().line, &format!("does not parse: {error}"))
        })?;
        let test_code = TestCode::of(&source.path, stream.clone());
        Ok(Self { source, syntax, tokens: flatten(stream), test_code })
    }

    /// Whether the path begins with one of the given ones.
    pub(super) fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.source.path.starts_with(folder))
    }

    pub(super) fn violation(&self, line: usize, rule: &str) -> Violation {
        violation(self.source, line, rule)
    }
}

fn violation(source: &SourceFile, line: usize, rule: &str) -> Violation {
    Violation::new(&source.path, line, rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let source = SourceFile { path: "crates/a/src/b.rs".to_owned(), text: text.to_owned() };
        RustFile::parse(&source).err().map(|violation| violation.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_violation_with_its_line() {
        assert!(error_of("fn f() {}\n}\n").starts_with("crates/a/src/b.rs:2: does not parse"));
        assert!(error_of("fn f() {}\nfn 3() {}\n").starts_with("crates/a/src/b.rs:2: "));
        assert_eq!(error_of("//! Docs.\nfn f() {}\n"), "");
    }
}
